import { beforeEach, expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { lastOpenOf } from '#lib/features/conversations/last-open.ts';
import { goto } from '#lib/testing/app-navigation.ts';
import { createTestAppWith } from '#lib/testing/app.ts';
import { CONVERSATION, conversationOf } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import Start from './start.svelte';

/** Heading of the start page: the first steps, or that no conversation is open. */
const heading = page.getByRole('heading', { name: /^(Welcome|No conversation open)/ });

async function renderStart(opened = conversationOf(), width = 1280, hasLeftConversation = false) {
  await page.viewport(width, 800);
  const testApp = await createTestAppWith([conversationOf()]);
  lastOpenOf(testApp.app).record(opened);
  testApp.app.shell.hasLeftConversation = hasLeftConversation;
  render(Start, {}, { in: testApp });
}

beforeEach(() => void goto.mockClear());

it('opens the conversation that was open last', async () => {
  await renderStart();
  await expect.poll(() => goto.mock.calls).toEqual([[`/c/${CONVERSATION}`, { replace: true }]]);
  await expect.element(heading).not.toBeInTheDocument();
});

it.each<[string, Parameters<typeof renderStart>]>([
  ['the last conversation is gone', [conversationOf({ id: '00000000-0000-4000-8000-0000000000c9' })]],
  ['the last conversation is in another workspace', [conversationOf({ workspace_id: 'elsewhere' })]],
  ['the user has just left a conversation', [conversationOf(), 1280, true]],
  ['the screen is that of a phone', [conversationOf(), 390]]
])('stays if %s', async (_, given) => {
  await renderStart(...given);
  await expect.element(heading).toBeVisible();
  expect(goto).not.toHaveBeenCalled();
});
