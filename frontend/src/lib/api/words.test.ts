import { expect, it } from 'vitest';
import { failureOf } from './client.ts';
import { sentence } from './words.ts';

it('tells what a proxy refuses from what the server does', () => {
  const told = (status: number, text = '<html>no</html>') => sentence(failureOf(status, text, () => null));
  expect(told(413)).toBe('This is too large for the proxy in front of the server. Ask your administrator.');
  expect(told(502)).toMatch(/doesn’t answer/);
  // A page in place of an answer.
  expect(told(200)).toMatch(/doesn’t answer/);
  expect(told(405)).toMatch(/between you and the server/);
  expect(told(413, JSON.stringify({ code: 'too_large', message: 'Too large for us.' }))).toBe('Too large for us.');
});

it('says what a full disk, or a channel that one was removed from, means for whoever asks', () => {
  const told = (status: number, code: string) =>
    sentence(failureOf(status, JSON.stringify({ code, message: code }), () => null));
  expect(told(507, 'storage_full')).toMatch(/no room left/);
  expect(told(403, 'removed')).toMatch(/Ask someone who manages it/);
  expect(told(500, 'internal')).toMatch(/had a problem/);
});
