import { expect, it } from 'vitest';
import { MAX_GROWN_CHARS, growField } from './grow-field.ts';

/** Returns the height that the field gets, and the number of times that it was measured. */
function grown(value: string): [string, number] {
  let measured = 0;
  const field = {
    value,
    style: { height: '300px' },
    get scrollHeight() {
      measured++;
      return 84;
    }
  };
  growField(field as HTMLTextAreaElement);
  return [field.style.height, measured];
}

it('fits the height to the text and measures only if needed', () => {
  expect(grown('three lines')).toEqual(['84px', 1]);
  expect(grown('')).toEqual(['0', 0]);
  expect(grown('x'.repeat(MAX_GROWN_CHARS))).toEqual(['84px', 1]);
  expect(grown('x'.repeat(MAX_GROWN_CHARS + 1))).toEqual(['100dvh', 0]);
});
