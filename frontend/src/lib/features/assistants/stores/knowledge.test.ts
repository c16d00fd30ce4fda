import { expect, it, vi } from 'vitest';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { Upload } from '#lib/api/files.ts';
import type { Knowledge as State, KnowledgeFile, KnowledgeOwner } from '../api.ts';
import { KnowledgeStore, ofFolder } from './knowledge.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

const fileOf = (id: string, change: Partial<KnowledgeFile> = {}): KnowledgeFile => ({
  id,
  upload_id: `u-${id}`,
  name: `${id}.md`,
  media_type: 'text/markdown',
  size: 10,
  state: 'waiting',
  error: null,
  pieces: 0,
  embedded: 0,
  cost: 0,
  created_at: '2026-11-20T09:00:00.000Z',
  updated_at: '2026-11-20T09:00:00.000Z',
  ...change
});

function server(files: KnowledgeFile[] = [], owner: KnowledgeOwner = { assistant_id: 'a1' }) {
  const state: State = {
    model: 'embed',
    pieces: 0,
    limits: { files: 3, file_bytes: 1_000, pieces: 100 },
    files
  };
  const api = {
    get: vi.fn(async (_path: string, _query?: object) => ({ ...state, files: [...state.files] })),
    post: vi.fn(async (_path: string, body?: { upload_id: string }) => fileOf(`f-${body?.upload_id}`)),
    delete: vi.fn(async () => undefined)
  };
  let count = 0;
  const transport = vi.fn(async () => ({ id: String(++count) }) as Upload);
  return { state, api, transport, knowledge: new KnowledgeStore(api as unknown as Api, owner, transport) };
}

const file = (name: string, size = 4) => new File(['x'.repeat(size)], name);

it('uploads the chosen files, adds them to the assistant and lists them first', async () => {
  const { knowledge, api } = server([fileOf('old')]);
  await knowledge.load();
  expect(knowledge.add([file('a.md'), file('b.md')])).toBe('');
  await vi.waitFor(() => expect(knowledge.adding.size).toBe(0));
  expect(api.post.mock.calls.map(([, body]) => body?.upload_id)).toEqual(['1', '2']);
  expect(knowledge.files.map(({ id }) => id)).toEqual(['f-2', 'f-1', 'old']);
  expect(knowledge.remainingFiles).toBe(0);
});

it('rejects unsuitable files and uploads the rest', async () => {
  const { knowledge, transport } = server([fileOf('one'), fileOf('two')]);
  await knowledge.load();
  const problem = knowledge.add([file('none.md', 0), file('huge.md', 2_000), file('a.md'), file('b.md')]);
  expect(problem).toMatch(/none\.md.*huge\.md.*3/);
  await vi.waitFor(() => expect(knowledge.adding.size).toBe(0));
  expect(transport).toHaveBeenCalledTimes(1);
});

it('keeps a failed file with its error and retries without a second upload', async () => {
  const { knowledge, api, transport } = server();
  await knowledge.load();
  api.post.mockRejectedValueOnce(new ApiError(503, 'unavailable', 'away'));
  knowledge.add([file('a.md')]);
  await vi.waitFor(() => expect([...knowledge.adding.values()][0]?.failure).toBeTruthy());
  const [failed] = [...knowledge.adding.values()];
  expect(failed?.isFinal).toBe(false);
  knowledge.retryUpload(failed?.key ?? '');
  await vi.waitFor(() => expect(knowledge.files).toHaveLength(1));
  expect(transport).toHaveBeenCalledTimes(1);
});

it('offers no retry for a refused file and deletes its upload on removal', async () => {
  const { knowledge, api } = server();
  await knowledge.load();
  api.post.mockRejectedValueOnce(new ApiError(415, 'type_refused', 'no'));
  knowledge.add([file('film.mov')]);
  await vi.waitFor(() => expect([...knowledge.adding.values()][0]?.isFinal).toBe(true));
  knowledge.removePending([...knowledge.adding.keys()][0] ?? '');
  expect(knowledge.adding.size).toBe(0);
  expect(api.delete).toHaveBeenCalledWith('/uploads/1');
});

it('follows events about its own files only', async () => {
  const { knowledge, state, api } = server([fileOf('one', { state: 'reading' })]);
  const live = new FakeLiveUpdates();
  await knowledge.load();
  const leave = knowledge.follow(live);
  state.files = [fileOf('one', { state: 'ready', pieces: 4, embedded: 4 })];
  live.receive({ type: 'knowledge.changed', payload: { assistant_id: 'a2' } });
  expect(api.get).toHaveBeenCalledTimes(1);
  live.receive({ type: 'knowledge.changed', payload: { assistant_id: 'a1' } });
  await vi.waitFor(() => expect(knowledge.files[0]?.state).toBe('ready'));
  expect(knowledge.announced).toContain('one.md');
  leave();
  live.receive({ type: 'knowledge.changed', payload: { assistant_id: 'a1' } });
  expect(api.get).toHaveBeenCalledTimes(2);
});

it('handles a ready event that arrives before the response to the upload', async () => {
  const { knowledge, state, api } = server();
  const live = new FakeLiveUpdates();
  await knowledge.load();
  knowledge.follow(live);
  api.post.mockImplementation(async (_path, body) => {
    state.files = [fileOf(`f-${body?.upload_id}`, { state: 'ready' })];
    live.receive({ type: 'knowledge.changed', payload: { assistant_id: 'a1' } });
    return fileOf(`f-${body?.upload_id}`);
  });
  knowledge.add([file('a.md')]);
  await vi.waitFor(() => expect(knowledge.files.map((one) => one.state)).toEqual(['ready']));
  expect(knowledge.adding.size).toBe(0);
});

it('scopes the files of a section to one workspace', async () => {
  const { knowledge, api } = server([], { section_id: 's1', workspace_id: 'w1' });
  const live = new FakeLiveUpdates();
  await knowledge.load();
  expect(api.get).toHaveBeenLastCalledWith('/sections/s1/knowledge', { workspace_id: 'w1' });
  knowledge.add([file('a.md')]);
  await vi.waitFor(() => expect(knowledge.adding.size).toBe(0));
  expect(api.post).toHaveBeenLastCalledWith('/sections/s1/knowledge', { upload_id: '1', workspace_id: 'w1' });
  knowledge.follow(live);
  live.receive({ type: 'knowledge.changed', payload: { section_id: 's1', workspace_id: 'w2' } });
  expect(api.get).toHaveBeenCalledTimes(1);
  live.receive({ type: 'knowledge.changed', payload: { section_id: 's1', workspace_id: 'w1' } });
  expect(api.get).toHaveBeenCalledTimes(2);
});

it('separates the files of a workspace from those of its assistants and sections', async () => {
  const { knowledge, api } = server([], { workspace_id: 'w1' });
  const live = new FakeLiveUpdates();
  await knowledge.load();
  expect(api.get).toHaveBeenLastCalledWith('/workspaces/w1/knowledge', {});
  knowledge.add([file('a.md')]);
  await vi.waitFor(() => expect(knowledge.adding.size).toBe(0));
  expect(api.post).toHaveBeenLastCalledWith('/workspaces/w1/knowledge', { upload_id: '1' });
  knowledge.follow(live);
  for (const payload of [{ workspace_id: 'w2' }, { workspace_id: 'w1', assistant_id: 'a1' }])
    live.receive({ type: 'knowledge.changed', payload });
  expect(api.get).toHaveBeenCalledTimes(1);
  live.receive({ type: 'knowledge.changed', payload: { workspace_id: 'w1' } });
  expect(api.get).toHaveBeenCalledTimes(2);
});

it('takes readable files of a folder with their relative paths', () => {
  const inFolder = (way: string, type = '') => {
    const made = new File(['x'], way.split('/').at(-1) ?? '', { type });
    Object.defineProperty(made, 'webkitRelativePath', { value: way });
    return made;
  };
  const files = ['docs/leave.md', 'docs/old/leave.md', 'docs/.git/config', 'docs/.hidden'].map((way) => inFolder(way));
  const found = ofFolder([...files, inFolder('docs/harbour.png', 'image/png')]);
  expect(found.map(({ name }) => name)).toEqual(['docs › leave.md', 'docs › old › leave.md']);
});
