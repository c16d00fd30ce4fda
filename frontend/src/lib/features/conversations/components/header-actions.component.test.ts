import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { CONVERSATION, conversationOf } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import HeaderActions from './header-actions.svelte';

const channel = conversationOf({ kind: 'public_channel', title: 'harbour' });
const button = (name: string) => page.getByRole('button', { name, exact: true });
const names = () =>
  page
    .getByRole('button')
    .elements()
    .map((element) => element.getAttribute('aria-label'));

it('has search, pins, files and board in a channel, and opens them', async () => {
  const { app } = render(HeaderActions, { conversation: channel, width: 900 });
  expect(names()).toEqual(['Search in this conversation', 'Pinned messages', 'Pictures and files', 'Board']);
  await button('Search in this conversation').click();
  expect(app.shell.finding).toBe(CONVERSATION);
  for (const [name, side] of [
    ['Pinned messages', 'kept'],
    ['Pictures and files', 'files'],
    ['Board', 'board']
  ] as const) {
    await button(name).click();
    expect([app.shell.panel, app.shell.side]).toEqual([true, side]);
    await expect.element(button(name)).toHaveAttribute('aria-expanded', 'true');
  }
  await button('Board').click();
  expect(app.shell.panel).toBe(false);
  await expect.element(button('Board')).toHaveAttribute('aria-expanded', 'false');
});

it('has search and sharing in a chat with an assistant', () => {
  const { app } = render(HeaderActions, { conversation: conversationOf({ kind: 'assistant' }), width: 900 });
  expect(names()).toEqual(['Search in this conversation', 'Share…']);
  expect(app.shell.panel).toBe(false);
});

it('leaves out what does not fit, from the last button on', () => {
  const { update } = render(HeaderActions, { conversation: channel, width: 540 });
  expect(names()).toEqual(['Search in this conversation', 'Pinned messages']);
  update({ width: 390 });
  expect(names()).toEqual([]);
});
