import { expect, it } from 'vitest';
import type { Assistant } from '#lib/api/assistants.ts';
import { AssistantDraft } from './draft.svelte.ts';

const QUILL: Assistant = {
  id: 'a1',
  workspace_id: 'w1',
  name: 'Quill',
  description: 'Writes status notes',
  model: 'small',
  system_prompt: 'Numbers first.',
  temperature: 0.4,
  max_answer_tokens: 800,
  picture: { glyph: 'feather', hue: 190 },
  tools_enabled: false,
  tools: [],
  visibility: 'private',
  answers_mentions: false,
  model_choice: false,
  starters: ['What was decided?'],
  is_default: false,
  may_edit: true,
  created_by: 'u1',
  created_at: '2026-11-20T09:00:00.000Z',
  updated_at: '2026-11-20T09:00:00.000Z'
};

it('reports unsaved changes until they are saved', () => {
  const draft = new AssistantDraft(QUILL);
  expect(draft.isChanged).toBe(false);
  draft.starters.push('');
  expect(draft.isChanged).toBe(false);
  draft.starters[1] = 'And today?';
  draft.picture = null;
  expect(draft.isChanged).toBe(true);
  draft.markSaved();
  expect(draft.isChanged).toBe(false);
});

it('trims text and sends empty fields as null', () => {
  const draft = new AssistantDraft(QUILL);
  draft.form.values.name = '  Quill 2 ';
  draft.form.values.description = ' ';
  draft.form.values.max_answer_tokens = '';
  draft.temperature = null;
  expect(draft.input).toMatchObject({ name: 'Quill 2', description: '', max_answer_tokens: null, temperature: null });
});

it('starts with an assistant that everyone may use', () => {
  expect(new AssistantDraft(null).input).toEqual({
    name: '',
    description: '',
    system_prompt: '',
    model: '',
    temperature: null,
    max_answer_tokens: null,
    picture: null,
    tools_enabled: false,
    visibility: 'workspace',
    answers_mentions: true,
    model_choice: true,
    starters: []
  });
});

it('sends the allowed tools only if they were changed', () => {
  const draft = new AssistantDraft({ ...QUILL, tools: [{ server_id: 's1', tools: null }] });
  expect(draft.input).not.toHaveProperty('tools');
  draft.tools = [];
  expect(draft.isChanged).toBe(true);
  expect(draft.input.tools).toEqual([]);
  draft.markSaved();
  expect(draft.isChanged).toBe(false);
});
