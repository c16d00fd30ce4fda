import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { createTestAppWith } from '#lib/testing/app.ts';
import {
  ARABIC,
  BEN,
  CONVERSATION,
  conversationOf,
  LONG_NAME,
  ME,
  memberOf,
  messageOf,
  UNBROKEN
} from '#lib/testing/data.ts';
import { expectEllipsis, expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import ConversationRow from './conversation-row.svelte';

const link = page.getByRole('link');

/** Pattern of a text whose spaces may be non-breaking ones. */
const words = (text: string) => new RegExp(`^${text.replaceAll(' ', '\\s')}$`);

it('is a link with the name, described by the last message', async () => {
  render(ConversationRow, {
    conversation: conversationOf({ last_message: messageOf('Tide at six') }),
    isCurrent: false
  });
  await expect.element(page.getByRole('link', { name: 'Ben Okafor' })).toHaveAttribute('href', `/c/${CONVERSATION}`);
  await expect.element(link).toHaveAccessibleDescription('Tide at six');
  await expect.element(link).not.toHaveAttribute('aria-current');
});

it('can be translated by the browser, but for the name', async () => {
  const last_message = messageOf('Tide at six');
  render(ConversationRow, { conversation: conversationOf({ last_message }), isCurrent: false });
  const isTranslated = (text: string) => (page.getByText(text).element() as HTMLElement).translate;
  await expect.element(link).toBeVisible();
  expect(['Ben Okafor', 'Tide at six'].map(isTranslated)).toEqual([false, true]);
});

it('says that it is open', async () => {
  render(ConversationRow, { conversation: conversationOf(), isCurrent: true });
  await expect.element(link).toHaveAttribute('aria-current', 'page');
});

it.each([
  ['no message', {}, 'No messages yet'],
  [
    'an own message',
    { last_message: messageOf('Tide at six', { sender: { kind: 'user', id: ME, name: 'Anna' } }) },
    'You: Tide at six'
  ],
  ['a message in a group', { kind: 'group', last_message: messageOf('Tide at six') }, 'Ben: Tide at six'],
  ['a deleted message', { last_message: messageOf('', { deleted_at: '2026-11-20T10:00:00.000Z' }) }, 'Message deleted'],
  [
    'an answer that is written',
    { last_message: messageOf('T', { status: 'streaming', sender: { kind: 'assistant', id: 'a', name: 'Skipper' } }) },
    'Skipper is answering…'
  ],
  ['an answer that failed', { last_message: messageOf('', { status: 'failed' }) }, 'Answer failed']
] as const)('describes %s', async (_, more, description) => {
  render(ConversationRow, { conversation: conversationOf(more), isCurrent: false });
  await expect.element(link).toHaveAccessibleDescription(words(description));
});

it('shows the draft instead of the last message, but not while it is open', async () => {
  const conversation = conversationOf({ last_message: messageOf('Tide at six') });
  const testApp = await createTestAppWith([conversation]);
  testApp.app.conversations.drafts.set(CONVERSATION, 'On my way');
  const { update } = render(ConversationRow, { conversation, isCurrent: false }, { in: testApp });
  await expect.element(link).toHaveAccessibleDescription('Draft: On my way');
  update({ isCurrent: true });
  await expect.element(link).toHaveAccessibleDescription('Tide at six');
});

it('counts what is unread, and says that the user is mentioned', async () => {
  const conversation = conversationOf({
    unread: 120,
    last_message: messageOf('Hi'),
    own: { unread: 120, unread_mentions: 1 }
  });
  render(ConversationRow, { conversation, isCurrent: false });
  await expect.element(page.getByText('99+')).toBeVisible();
  await expect.element(link).toHaveAccessibleDescription('Hi Mentions you 120 unread');
});

it('says that it is muted', async () => {
  const conversation = conversationOf({ own: { muted_until: '2999-01-01T00:00:00.000Z' } });
  render(ConversationRow, { conversation, isCurrent: false });
  await expect.element(page.getByText('Muted')).toBeInTheDocument();
});

it('says the presence of the other person', async () => {
  const conversation = conversationOf({ members: [memberOf('Ben Okafor', { user_id: BEN, presence: 'online' })] });
  render(ConversationRow, { conversation, isCurrent: false }, { in: await createTestAppWith([conversation]) });
  await expect.element(link).toHaveAccessibleDescription(/Online$/);
});

it('opens its menu by a right click, and returns the focus to the link', async () => {
  render(
    ConversationRow,
    { conversation: conversationOf(), isCurrent: false },
    { in: await createTestAppWith([conversationOf()]) }
  );
  await link.click({ button: 'right' });
  await expect.element(page.getByRole('menu')).toBeVisible();
  await userEvent.keyboard('{Escape}');
  await expect.element(page.getByRole('menu')).not.toBeInTheDocument();
  await expect.element(link).toHaveFocus();
});

it('is one stop of the Tab key', async () => {
  render(ConversationRow, { conversation: conversationOf(), isCurrent: false });
  await userEvent.tab();
  await expect.element(link).toHaveFocus();
  await userEvent.tab();
  expect(document.activeElement).toBe(document.body);
});

it('cuts a long name and message with an ellipsis, and keeps time and count', async () => {
  const conversation = conversationOf({
    kind: 'group',
    title: LONG_NAME,
    unread: 7,
    last_message: messageOf(UNBROKEN)
  });
  const { stage } = render(ConversationRow, { conversation, isCurrent: false }, { width: 260 });
  await expect.element(link).toHaveAccessibleName(LONG_NAME);
  expectNoOverflow(stage);
  expectEllipsis(elementOf(link));
  for (const part of [page.getByRole('time'), page.getByText('7', { exact: true })])
    expect(elementOf(part).getBoundingClientRect().right).toBeLessThan(stage.getBoundingClientRect().right);
});

it('follows the direction of the page', () => {
  const order = (dir: 'ltr' | 'rtl') => {
    const { stage } = render(
      ConversationRow,
      { conversation: conversationOf({ title: dir, kind: 'group' }), isCurrent: false },
      { dir, width: 300 }
    );
    return ['.av', 'a', 'time'].map((part) => stage.querySelector(part) as Element);
  };
  expectLeftToRight(...order('ltr'));
  expectRightToLeft(...order('rtl'));
});

it('writes a message in its own direction', () => {
  const conversation = conversationOf({ last_message: messageOf(ARABIC) });
  const { stage } = render(ConversationRow, { conversation, isCurrent: false });
  expect(getComputedStyle(stage.querySelector('.l2 .truncate') as Element).unicodeBidi).toBe('plaintext');
});
