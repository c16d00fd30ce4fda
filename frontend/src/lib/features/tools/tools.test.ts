import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import type { OfferedServer } from '#lib/api/tools.ts';
import { variablesOf } from '#lib/features/prompts/templates.ts';
import { connectAccount, madePrompts, signInAt, ToolConnectionsStore } from './tools.svelte.ts';

const forge: OfferedServer = {
  id: 'forge',
  name: 'Forge',
  description: null,
  tools: [],
  prompts: [
    {
      name: 'triage',
      title: 'Triage an issue',
      description: 'Fills {{nothing}} in.',
      arguments: [
        { name: 'number', description: null, is_required: true },
        { name: 'team', description: null, is_required: false }
      ]
    },
    { name: 'greet', title: null, description: null, arguments: [] }
  ]
};

it('builds prompts from those of a server and their arguments', async () => {
  const post = vi.fn(() => Promise.resolve({ text: 'What is to be done?' }));
  const api = { post } as unknown as Api;
  const [triage, greet] = madePrompts(api, [forge, { ...forge, id: 'bare', prompts: [] }]);
  expect(triage).toMatchObject({ command: 'triage', title: 'Triage an issue', server: 'Forge', needed: ['number'] });
  expect(variablesOf(triage?.content ?? '')).toEqual(['number', 'team']);
  expect([greet?.title, greet?.content]).toEqual(['greet', '']);
  expect(await triage?.make?.({ number: '482', team: '' })).toBe('What is to be done?');
  const asked = { name: 'triage', arguments: { number: '482', team: '' } };
  expect(post).toHaveBeenCalledWith('/mcp_servers/forge/prompts', asked);
});

it('lists connected accounts and disconnects one', async () => {
  const box = { server_id: 'box', server: 'Box', description: null, state: 'connected', connected_at: '2026-11-26' };
  const calls: unknown[] = [];
  const api = {
    get: () => Promise.resolve({ items: [box], total: 1, page: 1, page_size: 100 }),
    post: (...call: unknown[]) => {
      calls.push(call);
      return Promise.resolve({ url: 'https://box.example/authorize', server: 'Box', next: '/c/1' });
    },
    delete: (...call: unknown[]) => {
      calls.push(call);
      return Promise.resolve();
    }
  } as unknown as Api;
  const connections = new ToolConnectionsStore(api);
  expect(connections.of('box')).toBeUndefined();
  await connections.list.load();
  const known = connections.of('box');
  expect(known).toMatchObject({ id: 'box', state: 'connected' });
  if (known) await connections.disconnect(known);
  expect(connections.of('box')).toMatchObject({ state: 'none', connected_at: null });
  expect(await signInAt(api, 'box', '/c/1')).toBe('https://box.example/authorize');
  const result = { state: 's', code: 'c', error: null, iss: null };
  expect(await connectAccount(api, result)).toMatchObject({ next: '/c/1' });
  expect(calls).toEqual([
    ['/mcp_servers/box/connection'],
    ['/mcp_servers/box/connection', { next: '/c/1' }],
    ['/mcp_connections', result]
  ]);
});
