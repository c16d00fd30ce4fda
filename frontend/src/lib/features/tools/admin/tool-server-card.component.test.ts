import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import type { Api } from '#lib/api/client.ts';
import type { ToolMode, ToolServer } from '#lib/api/tools.ts';
import { render } from '#lib/testing/render.svelte.ts';
import { ToolConnectionsStore, ToolServersStore } from '../tools.svelte.ts';
import ToolServerCard from './tool-server-card.svelte';

const tool = (name: string, is_read_only: boolean, mode: ToolMode = 'ask') => ({
  name,
  title: null,
  description: null,
  is_read_only,
  mode
});

function renderCard(tools: object[]) {
  const server = { id: 'forge', name: 'Forge', is_enabled: true, auth: 'secrets', error: null, tools, prompts: [] };
  const patch = vi.fn(() => Promise.resolve(server));
  const api = { patch } as unknown as Api;
  render(ToolServerCard, {
    servers: new ToolServersStore(api),
    connections: new ToolConnectionsStore(api),
    server: server as unknown as ToolServer,
    onedit: () => undefined
  });
  return patch;
}

const button = page.getByRole('button', { name: 'Run all read-only tools automatically' });

it('lets all read-only tools run automatically at once', async () => {
  const patch = renderCard([tool('find', true), tool('read', true), tool('list', true, 'off'), tool('close', false)]);
  await button.click();
  expect(patch).toHaveBeenCalledExactlyOnceWith('/admin/mcp_servers/forge', { modes: { find: 'auto', read: 'auto' } });
});

it('offers that only for several tools that ask', async () => {
  renderCard([tool('find', true), tool('read', true, 'auto'), tool('close', false)]);
  await expect.element(page.getByRole('rowheader', { name: /close/i })).toBeVisible();
  await expect.element(button).not.toBeInTheDocument();
});
