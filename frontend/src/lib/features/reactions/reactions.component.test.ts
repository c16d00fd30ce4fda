import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import type { Conversation, Reaction } from '#lib/api/types.ts';
import { createTestAppWith } from '#lib/testing/app.ts';
import { BEN, CONVERSATION, conversationOf, ME, messageOf, viewOf } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { render } from '#lib/testing/render.svelte.ts';
import Reactions from './reactions.svelte';

const REACTIONS: Reaction[] = [
  { emoji: '👍', count: 5, user_ids: [BEN, ME] },
  { emoji: '⚓', count: 1, user_ids: [BEN] }
];

interface Options {
  reactions?: Reaction[];
  conversation?: Partial<Conversation>;
  dir?: 'ltr' | 'rtl';
  width?: number;
}

async function renderReactions({ reactions = REACTIONS, conversation, ...options }: Options = {}) {
  const view = viewOf(messageOf('Tide at six', { reactions }));
  const testApp = await createTestAppWith([conversationOf(conversation)]);
  return {
    ...render(Reactions, { view }, { in: testApp, conversationId: CONVERSATION, ...options }),
    messageView: view
  };
}

it('says who has reacted, the user first', async () => {
  await renderReactions();
  await expect.element(page.getByRole('list', { name: 'Reactions' })).toBeVisible();
  await expect
    .element(page.getByRole('button', { name: /^👍 5: You, \W*Ben Okafor\W*, 3 more$/ }))
    .toHaveAttribute('aria-pressed', 'true');
  await expect.element(page.getByRole('button', { name: /^⚓ 1/ })).toHaveAttribute('aria-pressed', 'false');
});

it.each([
  ['⚓', 'PUT'],
  ['👍', 'DELETE']
])('is toggled: %s by %s', async (emoji, method) => {
  const { server, messageView } = await renderReactions();
  await page.getByRole('button', { name: new RegExp(`^${emoji}`) }).click();
  const path = `/messages/${messageView.id}/reactions/${encodeURIComponent(emoji)}`;
  await expect.poll(() => server.requests.at(-1)).toMatchObject({ method, path });
});

it('opens the picker for another reaction', async () => {
  const { view } = await renderReactions();
  await page.getByRole('button', { name: 'Add a reaction' }).click();
  await expect.poll(() => view.dialogs.current?.kind).toBe('react');
});

it('can’t be changed where the user can’t react', async () => {
  await renderReactions({
    conversation: { kind: 'public_channel', title: 'harbour', archived_at: '2026-11-20T12:00:00.000Z' }
  });
  await expect.element(page.getByRole('button', { name: /^⚓/ })).toBeDisabled();
  await expect.element(page.getByRole('button', { name: 'Add a reaction' })).not.toBeInTheDocument();
});

it('wraps many reactions, and a long name of an emoji', async () => {
  const many = Array.from({ length: 30 }, (_, index) => ({
    emoji: `:emoji-${index}-with-a-long-name`,
    count: 1,
    user_ids: []
  }));
  const { stage } = await renderReactions({ reactions: many, width: 260 });
  await expect.element(page.getByRole('list')).toBeVisible();
  expectNoOverflow(stage);
});

it.each(['ltr', 'rtl'] as const)('follows the direction of the page (%s)', async (dir) => {
  await renderReactions({ dir });
  await expect.element(page.getByRole('list')).toBeVisible();
  const buttons = page.getByRole('button').elements();
  if (dir === 'ltr') expectLeftToRight(...buttons);
  else expectRightToLeft(...buttons);
});
