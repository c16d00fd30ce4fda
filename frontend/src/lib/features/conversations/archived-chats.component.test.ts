import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { newId } from '#lib/api/client.ts';
import { createTestAppWith, Refusal } from '#lib/testing/app.ts';
import { conversationOf } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import ArchivedChats from './archived-chats.svelte';

const tides = conversationOf({ id: newId(), kind: 'assistant', title: 'Tides', archived_at: new Date().toISOString() });
const pageOf = (...items: (typeof tides)[]) => ({ items, total: items.length, page: 1, page_size: 50 });

async function renderArchived(answers: Parameters<typeof createTestAppWith>[1]) {
  const testApp = await createTestAppWith([], answers);
  render(ArchivedChats, {}, { in: testApp });
  return testApp;
}

it('takes a restored chat off the list', async () => {
  const { server } = await renderArchived({
    'GET /conversations': pageOf(tides),
    [`POST /conversations/${tides.id}/unarchive`]: { ...tides, archived_at: null },
    [`GET /conversations/${tides.id}`]: { ...tides, archived_at: null }
  });
  await expect.element(page.getByRole('link', { name: /^Tides/ })).toHaveAttribute('href', `/c/${tides.id}`);
  await page.getByRole('button', { name: 'Unarchive Tides' }).click();
  await expect.element(page.getByText(/^No archived AI chats/)).toBeVisible();
  const sent = server.requests.filter(({ method }) => method === 'POST').map(({ path }) => path);
  expect(sent).toEqual([`/conversations/${tides.id}/unarchive`]);
});

it('keeps a chat on the list if it can’t be restored', async () => {
  await renderArchived({
    'GET /conversations': pageOf(tides),
    [`POST /conversations/${tides.id}/unarchive`]: new Refusal(
      503,
      'unavailable',
      'The server is temporarily unavailable.'
    )
  });
  await page.getByRole('button', { name: 'Unarchive Tides' }).click();
  await expect.element(page.getByRole('link', { name: /^Tides/ })).toBeVisible();
});

it('says what an archive is for if it is empty', async () => {
  await renderArchived({ 'GET /conversations': pageOf() });
  await expect.element(page.getByText(/^No archived AI chats/)).toBeVisible();
});
