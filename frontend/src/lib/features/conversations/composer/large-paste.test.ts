import { expect, it } from 'vitest';
import { asFile, isLargePaste } from './large-paste.ts';

it('counts as large from 50 lines or above 4,000 characters', () => {
  expect(isLargePaste('a line\n'.repeat(49))).toBe(false);
  expect(isLargePaste('a line\n'.repeat(50))).toBe(true);
  expect(isLargePaste('a'.repeat(4_000))).toBe(false);
  expect(isLargePaste('a'.repeat(4_001))).toBe(true);
});

it('becomes a file with the unchanged text, named by its format', async () => {
  const file = asFile('First\n\tsecond \n');
  expect([file.name, file.type, await file.text()]).toEqual(['pasted.txt', 'text/plain', 'First\n\tsecond \n']);
  expect(asFile(' {"a": [1]}\n').name).toBe('pasted.json');
  expect(asFile('{ not json }').name).toBe('pasted.txt');
});
