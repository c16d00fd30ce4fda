import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { callsOf } from '../../../scripts/calls.mjs';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

it('are those of the description', () => {
  const isSame = callsOf(JSON.parse(read('../../../../openapi.json'))) === read('./generated/calls.gen.ts');
  expect(isSame, 'run npm --prefix frontend run api').toBe(true);
});
