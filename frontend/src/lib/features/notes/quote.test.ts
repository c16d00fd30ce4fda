import { expect, it } from 'vitest';
import { quoteOf } from './quote.ts';

it('quotes a message with a link to it', () => {
  const sender = { kind: 'user' as const, id: 'u', name: 'Mai [PM]' };
  const said = { content: '**Call** Jonas\n\nby noon\n', sender, time: Date.UTC(2026, 10, 26, 12) };
  const { title, content } = quoteOf(said, 'https://natter.test/c/1/m/2');
  expect(title).toBe('Call Jonas');
  expect(content).toMatch(
    /^> \*\*Call\*\* Jonas\n>\n> by noon\n\n\[Mai {2}PM, [^\]]+\]\(https:\/\/natter\.test\/c\/1\/m\/2\)\n\n$/
  );
});
