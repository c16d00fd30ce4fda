import { expect, it } from 'vitest';
import { addressOf, networkProblem } from './network.ts';

it.each(['203.0.113.9', '203.0.113.0/24', '2001:db8::1', '2001:db8::/32', ' 10.0.0.0/8 '])('accepts %s', (text) => {
  expect(networkProblem(text)).toBeUndefined();
});

it.each(['', '203.0.113', '203.0.113.0/33', '300.1.1.1', 'example.com', '2001:db8::/129'])('rejects “%s”', (text) => {
  expect(networkProblem(text)).toBeDefined();
});

it('omits the prefix length of a single address', () => {
  expect(['203.0.113.9/32', '2001:db8::1/128', '10.0.0.0/8', '2001:db8::/32', '203.0.113.9'].map(addressOf)).toEqual([
    '203.0.113.9',
    '2001:db8::1',
    '10.0.0.0/8',
    '2001:db8::/32',
    '203.0.113.9'
  ]);
});
