import { beforeEach, expect, it, vi } from 'vitest';
import { toasts } from '#lib/ui/toast/toast.svelte.ts';
import { ExportStore } from './exports.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

let live: FakeLiveUpdates;
let answer: () => void;
let running: Promise<ExportStore>;

beforeEach(() => {
  toasts.length = 0;
  live = new FakeLiveUpdates();
  const api = {
    get: () => Promise.resolve({ id: 'u1', name: 'conversation.zip', status: 'ready' }),
    post: () => new Promise((resolve) => (answer = () => resolve({ id: 'u1' })))
  } as never;
  running = ExportStore.start(api, live, 'c', { format: 'html', files: false });
});

const progress = (upload_id: string, messages: number) =>
  live.receive({ type: 'export.progress', payload: { conversation_id: 'c', upload_id, messages, of: 10 } });
const end = (upload_id: string, upload: object | null) =>
  live.receive({ type: 'export.ended', payload: { conversation_id: 'c', upload_id, upload } });

it('applies progress received before the response, and ignores other exports', async () => {
  progress('u1', 4);
  end('u0', null);
  answer();
  const { exportedMessages, totalMessages, state } = await running;
  expect({ exportedMessages, totalMessages, state }).toEqual({
    exportedMessages: 4,
    totalMessages: 10,
    state: 'running'
  });
});

it('ends silently while its dialog is open', async () => {
  answer();
  const seen = await running;
  end('u1', { id: 'u1', name: 'conversation.zip' });
  expect(seen.state).toBe('ready');
  expect(toasts).toHaveLength(0);
});

it('reloads the state after a reconnect', async () => {
  answer();
  const seen = await running;
  live.greet([]);
  live.greet([]);
  await vi.waitFor(() => expect(seen.state).toBe('ready'));
});

it('shows a toast at the end when its dialog is closed', async () => {
  answer();
  const left = await running;
  left.unwatch();
  end('u1', null);
  expect(left.state).toBe('failed');
  expect(toasts).toHaveLength(2);
});
