import { expect, it } from 'vitest';
import type { Conversation } from '#lib/api/types.ts';
import { chatDays } from './chat-days.ts';

const NOW = new Date(2026, 10, 20, 10, 0);
const chat = (id: string, at: Date) => ({ id, last_activity_at: at.toISOString() }) as Conversation;
const on = (month: number, day: number, hour = 12, year = 2026) => new Date(year, month - 1, day, hour);

it('groups chats by today, yesterday, the previous 7 and 30 days, and months', () => {
  const days = chatDays(
    [
      chat('a', on(11, 20, 9)),
      chat('b', on(11, 20, 0)),
      chat('c', on(11, 19, 23)),
      chat('d', on(11, 18)),
      chat('e', on(11, 13)),
      chat('f', on(11, 12)),
      chat('g', on(10, 21)),
      chat('h', on(10, 20)),
      chat('i', on(10, 1)),
      chat('j', on(9, 30)),
      chat('k', on(10, 20, 12, 2025))
    ],
    NOW
  );
  expect(days.map(({ label, items }) => [label, items.map(({ id }) => id).join(' ')])).toEqual([
    ['Today', 'a b'],
    ['Yesterday', 'c'],
    ['Previous 7 days', 'd e'],
    ['Previous 30 days', 'f g'],
    ['October', 'h i'],
    ['September', 'j'],
    ['October 2025', 'k']
  ]);
  expect(new Set(days.map(({ key }) => key)).size).toBe(days.length);
});

it('counts a time ahead of the clock of this device as today', () => {
  expect(chatDays([chat('a', on(11, 21))], NOW)[0]?.label).toBe('Today');
});
