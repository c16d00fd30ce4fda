import { expect, it } from 'vitest';
import { domainOf, domainProblem } from './domain.ts';

it.each([
  ['example.com', 'example.com'],
  [' Anna@Example.COM ', 'example.com'],
  ['https://example.com/about?x=1', 'example.com'],
  ['@acme.co.uk', 'acme.co.uk']
])('reads %s as %s', (text, domain) => {
  expect(domainOf(text)).toBe(domain);
  expect(domainProblem(text)).toBeUndefined();
});

it.each(['', 'example', '.com', 'a..b', '-a.com', 'exa mple.com'])('rejects “%s”', (text) => {
  expect(domainProblem(text)).toBeDefined();
});
