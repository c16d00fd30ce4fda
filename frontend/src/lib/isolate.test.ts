import { expect, it } from 'vitest';
import { isolated } from './isolate.ts';
import { m } from './paraglide/messages.js';

const NAMES = ['محمد', 'נועה לוי', 'ܐܒܐ', '\u{1e900}\u{1e901}', 'Anna محمد'];

it.each(NAMES)('keeps the direction of %s to the name', (name) => {
  const apart = `\u2068${name}\u2069`;
  expect(isolated(name)).toBe(apart);
  expect(m.chat_typing_one({ name })).toBe(`${apart} is typing`);
  expect(m.chat_typing_two({ name: 'Mai', other: name })).toBe(`Mai and ${apart} are typing`);
  expect(m.channels_count({ count: 2, amount: '2', workspace: name })).toBe(`2 public channels in ${apart}`);
});

it('adds nothing where all is from the left', () => {
  for (const text of ['Mai Trần', 'Анна', '小明', '민수', '😀', '12', '']) expect(isolated(text)).toBe(text);
  expect(isolated(12)).toBe(12);
  expect(m.chat_typing_two({ name: 'Mai', other: 'Trần' })).toBe('Mai and Trần are typing');
});
