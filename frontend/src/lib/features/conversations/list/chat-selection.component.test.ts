import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import { newId } from '#lib/api/client.ts';
import { createTestAppWith, Refusal } from '#lib/testing/app.ts';
import { conversationOf, ME, memberOf } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import { pendingQuestion } from '#lib/ui/confirm/confirm.svelte.ts';
import ChatSelection from './chat-selection.svelte';

const chat = (title: string, more: Parameters<typeof conversationOf>[0] = {}) =>
  conversationOf({
    id: newId(),
    kind: 'assistant',
    title,
    member_count: 1,
    members: [memberOf('Anna Berg', { user_id: ME })],
    last_activity_at: new Date().toISOString(),
    ...more
  });
const tides = chat('Tides', { unread: 2, last_seq: 7, own: { unread: 2 } });
const winds = chat('Winds');
const waves = chat('Waves');

async function renderSelection(answers = {}) {
  const testApp = await createTestAppWith([tides, winds, waves], answers);
  const onclose = vi.fn();
  render(ChatSelection, { onclose }, { in: testApp });
  return { ...testApp, onclose };
}

const select = (name: RegExp) => page.getByRole('checkbox', { name }).click();
const act = (name: string) => page.getByRole('button', { name, exact: true }).click();
const calls = (requests: readonly { method: string; path: string }[], method: string) =>
  requests.filter((request) => request.method === method).map(({ path }) => path);

it('deletes the selected chats after a confirmation', async () => {
  const { app, server, onclose } = await renderSelection({
    [`DELETE /conversations/${tides.id}`]: {},
    [`DELETE /conversations/${winds.id}`]: {}
  });
  await select(/Tides/);
  await select(/Winds/);
  await act('Delete');
  await expect.poll(() => pendingQuestion.question?.title).toBe('Delete 2 AI chats?');
  expect(calls(server.requests, 'DELETE')).toEqual([]);
  pendingQuestion.question?.answer(true);
  await expect.poll(() => onclose.mock.calls.length).toBe(1);
  expect(calls(server.requests, 'DELETE').sort()).toEqual(
    [tides, winds].map(({ id }) => `/conversations/${id}`).sort()
  );
  expect(app.conversations.joined(undefined).map(({ id }) => id)).toEqual([waves.id]);
});

it('archives the selected chats', async () => {
  const archived = (one: typeof winds) => ({ ...one, archived_at: new Date().toISOString() });
  const { app, server, onclose } = await renderSelection({
    [`POST /conversations/${winds.id}/archive`]: archived(winds),
    [`GET /conversations/${winds.id}`]: archived(winds)
  });
  await select(/Winds/);
  await act('Archive');
  await expect.poll(() => onclose.mock.calls.length).toBe(1);
  expect(calls(server.requests, 'POST')).toEqual([`/conversations/${winds.id}/archive`]);
  expect(app.sidebar.chats(undefined).map(({ id }) => id)).not.toContain(winds.id);
});

it('deletes nothing if the user cancels', async () => {
  const { server, onclose } = await renderSelection();
  await select(/Tides/);
  await act('Delete');
  await expect.poll(() => pendingQuestion.question?.title).toBe('Delete 1 AI chat?');
  pendingQuestion.question?.answer(false);
  await expect.element(page.getByRole('checkbox', { name: /Tides/ })).toBeChecked();
  expect(calls(server.requests, 'DELETE')).toEqual([]);
  expect(onclose).not.toHaveBeenCalled();
});

it('goes on with the other chats if the change of one fails, and stays open', async () => {
  const { app, onclose } = await renderSelection({
    [`DELETE /conversations/${tides.id}`]: new Refusal(403, 'forbidden', 'No.'),
    [`DELETE /conversations/${winds.id}`]: {}
  });
  await page.getByRole('checkbox', { name: /Tides/ }).click();
  await select(/Winds/);
  await act('Delete');
  await expect.poll(() => pendingQuestion.question).not.toBeNull();
  pendingQuestion.question?.answer(true);
  await expect.element(page.getByRole('checkbox', { name: /Winds/ })).not.toBeInTheDocument();
  await expect.element(page.getByRole('status')).toHaveTextContent('1 selected');
  expect(app.conversations.get(tides.id)).toBeDefined();
  expect(onclose).not.toHaveBeenCalled();
});

it('marks only the unread ones of the selected chats as read', async () => {
  const { server, onclose } = await renderSelection({ [`POST /conversations/${tides.id}/read`]: {} });
  await page.getByRole('checkbox', { name: 'Select all' }).click();
  await act('Mark as read');
  await expect.poll(() => onclose.mock.calls.length).toBe(1);
  expect(server.bodiesOf(`POST /conversations/${tides.id}/read`)).toEqual([{ seq: 7 }]);
  expect(calls(server.requests, 'POST')).toEqual([`/conversations/${tides.id}/read`]);
});

it('mutes the selected chats, and unmutes them if all are muted', async () => {
  const path = `/conversations/${winds.id}/own`;
  const { server } = await renderSelection({ [`PATCH ${path}`]: {} });
  await select(/Winds/);
  await act('Mute');
  await act('Unmute');
  await expect.poll(() => server.bodiesOf(`PATCH ${path}`).length).toBe(2);
  expect(server.bodiesOf(`PATCH ${path}`)[1]).toEqual({ muted_until: null });
});
