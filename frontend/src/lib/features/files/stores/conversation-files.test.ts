import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import type { SentFile } from '#lib/api/files.ts';
import { ConversationFilesStore } from './conversation-files.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

const fileOf = (seq: number, name = `picture ${seq}.png`): SentFile => ({
  upload: { id: `u${seq}`, name, media_type: 'image/png', size: 10, status: 'ready' },
  message_id: `m${seq}`,
  seq,
  sender: { kind: 'user', id: 'anna', name: 'Anna' },
  created_at: '2026-11-20T09:00:00.000Z'
});

/** Fake server that returns the newest files first, two per page. */
function server(all: SentFile[]) {
  const get = vi.fn(async (_path: string, { before_seq = Infinity }: { before_seq?: number; author?: string } = {}) => {
    const older = all.filter(({ seq }) => seq < before_seq);
    return { items: older.slice(0, 2), has_more: older.length > 2 };
  });
  return { get, files: new ConversationFilesStore({ get } as unknown as Api, 'c1') };
}

const seqs = (files: ConversationFilesStore) => files.list.items.map(({ seq }) => seq);

it('loads older pages until the end', async () => {
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

it('searches names on the server across all pages', async () => {
  const { files, get } = server([3, 2, 1].map((seq) => fileOf(seq)));
  await files.list.load();
  files.search(' ban DO ');
  await vi.waitFor(() => expect(files.list.isLoading).toBe(false));
  expect(get).toHaveBeenLastCalledWith('/conversations/c1/files', { kind: 'picture', limit: 60, q: 'ban DO' });
  files.more();
  await vi.waitFor(() => expect(files.list.isLoading).toBe(false));
  expect(get).toHaveBeenLastCalledWith('/conversations/c1/files', {
    kind: 'picture',
    limit: 60,
    q: 'ban DO',
    before_seq: 2
  });
  files.search('ban DO');
  expect(get).toHaveBeenCalledTimes(3);
  files.search('');
  expect(files.isFiltered).toBe(false);
});

it('filters files by type, and ignores the type for pictures', async () => {
  const { files, get } = server([fileOf(1)]);
  await files.show({ kind: 'file', type: 'audio' });
  expect(get).toHaveBeenLastCalledWith('/conversations/c1/files', { kind: 'audio', limit: 60 });
  expect(files.isFiltered).toBe(true);
  await files.show({ kind: 'picture' });
  expect(get).toHaveBeenLastCalledWith('/conversations/c1/files', { kind: 'picture', limit: 60 });
  expect(files.isFiltered).toBe(false);
});

it('reloads for the files of one person', async () => {
  const { files, get } = server([fileOf(2), fileOf(1)]);
  await files.list.load();
  await files.show({ author: 'anna' });
  expect(get).toHaveBeenLastCalledWith('/conversations/c1/files', { kind: 'picture', limit: 60, author: 'anna' });
});

it('drops the files of a deleted message', async () => {
  const { files } = server([fileOf(2), fileOf(1)]);
  const live = new FakeLiveUpdates();
  await files.list.load();
  const leave = files.follow(live);
  live.receive({ type: 'message.deleted', payload: { conversation_id: 'c2', message_id: 'm1', seq: 9 } });
  expect(seqs(files)).toEqual([2, 1]);
  live.receive({ type: 'message.deleted', payload: { conversation_id: 'c1', message_id: 'm2', seq: 9 } });
  expect(seqs(files)).toEqual([1]);
  leave();
});

it('prepends new files without moving the reader', async () => {
  const all = [5, 4, 3, 2, 1].map((seq) => fileOf(seq));
  const { files, get } = server(all);
  const live = new FakeLiveUpdates();
  const leave = files.follow(live);
  const send = (...sent: number[]) => {
    for (const seq of sent) {
      all.unshift(fileOf(seq));
      const message = { id: `m${seq}`, conversation_id: 'c1', attachments: [{ id: `u${seq}` }] };
      live.receive({ type: 'message.created', payload: { conversation_id: 'c1', seq, message } });
    }
  };
  const become = (wanted: number[]) => vi.waitFor(() => expect(seqs(files)).toEqual(wanted), { timeout: 5_000 });
  live.greet();
  await files.list.load();
  files.more();
  await become([5, 4, 3, 2]);
  send(6);
  await become([6, 5, 4, 3, 2]);
  files.more();
  await become([6, 5, 4, 3, 2, 1]);
  // One file was sent and one hidden by a moderator while the client was disconnected.
  all.unshift(fileOf(7));
  live.greet();
  await become([7, 6, 5, 4, 3, 2, 1]);
  const hidden = { id: 'm7', conversation_id: 'c1', hidden_at: '2026-11-20T10:00:00.000Z', attachments: [] };
  live.receive({ type: 'message.updated', payload: { conversation_id: 'c1', seq: 8, message: hidden } });
  expect(seqs(files)).toEqual([6, 5, 4, 3, 2, 1]);
  // The event was lost although the connection stayed, as may happen in large channels.
  all[0] = fileOf(11);
  live.receive({ type: 'resync', payload: { conversation_ids: ['c1'] } });
  await become([11, 6, 5, 4, 3, 2, 1]);
  live.receive({ type: 'message.deleted', payload: { conversation_id: 'c1', message_id: 'm11', seq: 12 } });
  // There are more new files than a page contains, so the list is reloaded.
  all.shift();
  send(8, 9, 10);
  await become([10, 9]);
  expect(files.list.hasMore).toBe(true);
  expect(get).toHaveBeenCalled();
  leave();
});
