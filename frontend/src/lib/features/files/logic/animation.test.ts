import { expect, it } from 'vitest';
import { playsByItself } from './animation.ts';

const GIF = { media_type: 'image/gif', size: 90_000 };

it.each([
  ['a GIF', GIF, false, true],
  ['a GIF, if the user wants less motion', GIF, true, false],
  ['a large GIF', { ...GIF, size: 30_000_000 }, false, false],
  ['a photo', { ...GIF, media_type: 'image/jpeg' }, false, false]
])('decides whether it plays: %s', (_, upload, lessMotion, plays) => {
  expect(playsByItself(upload, lessMotion)).toBe(plays);
});
