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
