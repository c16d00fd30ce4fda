import { expect, it } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { AdminConversationsStore } from './admin-conversations.svelte.ts';

it('pages forward and back by cursor', async () => {
  const asked: (string | undefined)[] = [];
  const api = {
    get: (_: string, { before }: { before?: string }) => {
      asked.push(before);
      const first = before === undefined ? 0 : Number(before) + 1;
      const items = Array.from({ length: first === 0 ? 50 : 3 }, (_, at) => ({ id: String(first + at) }));
      return Promise.resolve({ items, has_more: first === 0 });
    }
  } as unknown as Api;
  const { list } = new AdminConversationsStore(api);
  await list.load();
  expect([list.items.length, list.total]).toEqual([50, 51]);
  await list.load(2);
  expect([list.items[0]?.id, list.total]).toEqual(['50', 53]);
  await list.load(1);
  expect(asked).toEqual([undefined, '49', undefined]);
});
