import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import type { Conversation } from '#lib/api/types.ts';
import { createTestAppWith } from '#lib/testing/app.ts';
import { CONVERSATION, conversationOf, LONG_NAME, workspaceOf } from '#lib/testing/data.ts';
import { expectNoOverflow } from '#lib/testing/layout.ts';
import { render } from '#lib/testing/render.svelte.ts';
import EmptyConversation from './empty-conversation.svelte';

async function renderIn(conversation: Conversation, width = 480) {
  const onidea = vi.fn();
  const testApp = await createTestAppWith([conversation]);
  testApp.app.workspaces.items = [workspaceOf({ role: 'member' })];
  const { stage } = render(EmptyConversation, { onidea }, { in: testApp, conversationId: CONVERSATION, width });
  return { onidea, stage };
}

const assistant = { id: 'a1', name: 'Skipper' } as NonNullable<Conversation['assistants']>[number];

it.each([
  [{}, 'Say hello to Ben Okafor', 'Only the two of you can read what you write here.'],
  [{ kind: 'group', title: 'Crew' }, 'No messages yet', 'Everyone in Crew can read what you write here.'],
  [{ kind: 'public_channel', title: 'harbour' }, 'No messages in harbour yet', 'Be the first to post.']
] as const)('says who will read the first message: %j', async (more, title, next) => {
  await renderIn(conversationOf(more));
  await expect.element(page.getByRole('heading', { level: 2 })).toMatchTextContent(title);
  await expect.element(page.getByText(next)).toBeVisible();
  await expect.element(page.getByRole('button')).not.toBeInTheDocument();
});

it('doesn’t ask to write in a channel in which only admins post', async () => {
  await renderIn(conversationOf({ kind: 'public_channel', title: 'harbour', posting: 'admins' }));
  await expect.element(page.getByRole('heading')).toBeVisible();
  await expect.element(page.getByText('Be the first to post.')).not.toBeInTheDocument();
});

it('offers questions to an assistant', async () => {
  const { onidea } = await renderIn(conversationOf({ kind: 'assistant', assistants: [assistant] }));
  await expect.element(page.getByRole('heading')).toMatchTextContent('Ask Skipper');
  await page.getByRole('button', { name: 'Explain how encryption works' }).click();
  expect(onidea).toHaveBeenCalledExactlyOnceWith('Explain how encryption works');
});

it('wraps a long name', async () => {
  const { stage } = await renderIn(conversationOf({ kind: 'group', title: LONG_NAME }), 300);
  expectNoOverflow(stage);
});
