import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import type { OfferedServer } from '#lib/api/tools.ts';
import { variablesOf } from '#lib/chat/templates.ts';
import { madePrompts } from './tools.svelte.ts';

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

it('makes the prompts of a server out of what they ask for, and nothing else', async () => {
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
