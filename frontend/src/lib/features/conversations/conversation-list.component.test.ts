import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import '../../../styles/base.css';
import '../../../styles/shell.css';
import { newId } from '#lib/api/client.ts';
import type { Conversation } from '#lib/api/types.ts';
import { createTestAppWith, type TestApp } from '#lib/testing/app.ts';
import { CONVERSATION, conversationOf } from '#lib/testing/data.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import ConversationList from './conversation-list.svelte';

type Kind = Conversation['kind'];
const named = (title: string, kind: Kind, more: Parameters<typeof conversationOf>[0] = {}) =>
  conversationOf({ id: newId(), title, kind, last_activity_at: new Date().toISOString(), ...more });
const waiting = { unread: 1, own: { unread: 1 } };

async function renderList(conversations: readonly Conversation[], height = 700): Promise<TestApp> {
  const testApp = await createTestAppWith(conversations);
  const { stage } = render(ConversationList, {}, { in: testApp, width: 300, conversationId: CONVERSATION });
  const list = stage.querySelector<HTMLElement>('.list');
  if (list) Object.assign(list.style, { height: `${height}px`, display: 'flex', flexDirection: 'column' });
  return testApp;
}

const section = (name: string) => page.getByRole('region', { name, exact: true });
const toggle = (name: string) => section(name).getByRole('button', { name, exact: true });
const nav = page.getByRole('navigation', { name: 'Conversations' });

it('has sections for channels, direct messages and AI chats', async () => {
  await renderList([named('harbour', 'public_channel'), named('Crew', 'group'), named('Tides', 'assistant')]);
  await expect.element(section('Channels').getByRole('link')).toHaveTextContent('harbour');
  await expect.element(section('Direct messages').getByRole('link')).toHaveTextContent('Crew');
  await expect.element(section('AI chats').getByRole('link')).toHaveTextContent('Tides');
  await expect.element(section('AI chats').getByRole('heading', { level: 3 })).toHaveTextContent('Today');
});

it('collapses a section by keyboard', async () => {
  await renderList([named('harbour', 'public_channel')]);
  await expect.element(toggle('Channels')).toHaveAttribute('aria-expanded', 'true');
  (elementOf(toggle('Channels')) as HTMLElement).focus();
  await userEvent.keyboard('{Enter}');
  await expect.element(toggle('Channels')).toHaveAttribute('aria-expanded', 'false');
  await expect.element(section('Channels').getByRole('link')).not.toBeInTheDocument();
  await expect.element(section('Channels').getByText('1', { exact: true })).toBeVisible();
});

it('has a button in each section that starts what belongs there', async () => {
  const { app } = await renderList([named('harbour', 'public_channel')]);
  await section('Channels').getByRole('button', { name: 'Add channel' }).click();
  expect(app.shell.dialog).toBe('new-channel');
  await section('Direct messages').getByRole('button', { name: 'New direct message' }).click();
  expect(app.shell.dialog).toBe('new-chat');
  await expect.element(section('AI chats').getByRole('button', { name: 'New AI chat' })).toBeVisible();
});

it('offers no new channel to guests', async () => {
  const { app } = await renderList([named('harbour', 'public_channel')]);
  app.workspaces.items = app.workspaces.items.map((workspace) => ({ ...workspace, role: 'guest' as const }));
  await expect.element(page.getByRole('button', { name: 'Add channel' })).not.toBeInTheDocument();
});

it('counts unread conversations above and below the visible part, and scrolls to the nearest', async () => {
  const many = Array.from({ length: 30 }, (_, index) => named(`channel ${index}`, 'public_channel'));
  const first = named('urgent', 'single', waiting);
  const second = named('later', 'group', waiting);
  await renderList([first, second, ...many], 420);
  await expect.element(page.getByRole('link', { name: 'later' })).toBeVisible();
  await expect.element(page.getByRole('button', { name: /unread (above|below)/ })).not.toBeInTheDocument();
  elementOf(nav).scrollTop = 800;
  const above = page.getByRole('button', { name: '2 unread above' });
  await expect.element(above).toBeVisible();
  await above.click();
  await expect.element(page.getByRole('link', { name: /later|Ben/ }).last()).toHaveFocus();
  await expect.element(above).not.toBeInTheDocument();
});

it('shows that a message has arrived in a conversation that is out of view', async () => {
  const many = Array.from({ length: 30 }, (_, index) => named(`channel ${index}`, 'public_channel'));
  const direct = named('Crew', 'group', { last_activity_at: '2024-01-01T00:00:00.000Z' });
  const { receive } = await renderList([...many, direct], 420);
  await expect.element(page.getByRole('link', { name: 'channel 1', exact: true })).toBeVisible();
  elementOf(nav).scrollTop = 10_000;
  await expect.element(page.getByRole('button', { name: /unread above/ })).not.toBeInTheDocument();
  receive('conversation.unread', { conversation_id: direct.id, read_seq: 0, unread: 1, unread_mentions: 0 });
  await expect.element(page.getByRole('button', { name: '1 unread above' })).toBeVisible();
});

it('selects AI chats, and returns the focus when that ends', async () => {
  await renderList([named('Tides', 'assistant'), named('Winds', 'assistant'), named('harbour', 'public_channel')]);
  await section('AI chats').getByRole('button', { name: 'Select AI chats' }).click();
  await expect.element(page.getByRole('checkbox', { name: 'Select all' })).toHaveFocus();
  await expect.element(page.getByText('harbour')).not.toBeInTheDocument();
  await expect.element(page.getByRole('button', { name: 'Delete' })).toBeDisabled();
  await page.getByRole('checkbox', { name: /Tides/ }).click();
  await expect.element(page.getByRole('status')).toHaveTextContent('1 selected');
  await page.getByRole('checkbox', { name: 'Select all' }).click();
  await expect.element(page.getByRole('status')).toHaveTextContent('2 selected');
  await userEvent.keyboard('{Escape}');
  await expect.element(section('AI chats').getByRole('button', { name: 'Select AI chats' })).toHaveFocus();
});
