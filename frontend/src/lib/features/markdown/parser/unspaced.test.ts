import { expect, it } from 'vitest';
import { mayBeUnspaced, UNSPACED, WIDE_MARK } from './unspaced.ts';

it('detects every character of such scripts', () => {
  const isOne = new RegExp(`^(?:${UNSPACED}|${WIDE_MARK})$`, 'u');
  const missed: string[] = [];
  for (let point = 0; point <= 0x10ffff; point++) {
    const sign = String.fromCodePoint(point);
    if (isOne.test(sign) && !mayBeUnspaced(sign)) missed.push(point.toString(16));
  }
  expect(missed).toEqual([]);
});

it.each(['The heron — “waits”… €5', 'Một con diệc đứng trong nước'])('excludes other texts at once: %s', (text) => {
  expect(mayBeUnspaced(text)).toBe(false);
});
