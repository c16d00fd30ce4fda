import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { ConversationFiles, type SentFile } from './conversation-files.svelte.ts';
import { FakeLine } from './testing.ts';

const fileOf = (seq: number, name = `picture ${seq}.png`): SentFile => ({
  upload: { id: `u${seq}`, name, media_type: 'image/png', size: 10, status: 'ready' },
  message_id: `m${seq}`,
  seq,
  sender: { kind: 'user', id: 'anna', name: 'Anna' },
  created_at: '2026-11-20T09:00:00.000Z'
});

/** The newest first, two at a time. */
function server(all: SentFile[]) {
  const get = vi.fn(async (_path: string, { before_seq = Infinity }: { before_seq?: number; author?: string } = {}) => {
    const older = all.filter(({ seq }) => seq < before_seq);
    return { items: older.slice(0, 2), has_more: older.length > 2 };
  });
  return { get, files: new ConversationFiles({ get } as unknown as Api, 'c1') };
}

const seqs = (files: ConversationFiles) => files.shown.map(({ seq }) => seq);

it('brings older ones until there are none', async () => {
  const { files, get } = server([5, 4, 3, 2, 1].map((seq) => fileOf(seq)));
  await files.list.load();
  expect(seqs(files)).toEqual([5, 4]);
  for (let page = 0; page < 5; page += 1) {
    files.more();
    await vi.waitFor(() => expect(files.list.isLoading).toBe(false));
  }
  expect(seqs(files)).toEqual([5, 4, 3, 2, 1]);
  expect(get).toHaveBeenCalledTimes(3);
});

it('finds names without their marks, and goes on only when asked once it has looked through much', async () => {
  const many = Array.from({ length: 100 }, (_, at) => fileOf(200 - at));
  const { files, get } = server([...many, fileOf(1, 'Bản đồ.png')]);
  await files.list.load();
  files.search('ban DO');
  for (let page = 0; page < 40; page += 1) {
    files.more();
    await vi.waitFor(() => expect(files.list.isLoading).toBe(false));
  }
  expect([seqs(files), files.isPaused, get.mock.calls.length]).toEqual([[], true, 20]);
  files.goOn();
  await vi.waitFor(() => expect(files.list.isLoading).toBe(false));
  expect(files.isPaused).toBe(false);
  files.search('');
  expect(files.isPaused).toBe(false);
});

it('asks for those of one person anew', async () => {
  const { files, get } = server([fileOf(2), fileOf(1)]);
  await files.list.load();
  await files.show({ author: 'anna' });
  expect(get).toHaveBeenLastCalledWith('/conversations/c1/files', { kind: 'picture', limit: 60, author: 'anna' });
});

it('forgets those of a message that is deleted', async () => {
  const { files } = server([fileOf(2), fileOf(1)]);
  const line = new FakeLine();
  await files.list.load();
  const leave = files.follow(line);
  line.receive({ type: 'message.deleted', payload: { conversation_id: 'c2', message_id: 'm1', seq: 9 } });
  expect(seqs(files)).toEqual([2, 1]);
  line.receive({ type: 'message.deleted', payload: { conversation_id: 'c1', message_id: 'm2', seq: 9 } });
  expect(seqs(files)).toEqual([1]);
  leave();
});
