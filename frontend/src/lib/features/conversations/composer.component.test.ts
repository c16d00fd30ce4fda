import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { newId } from '#lib/api/client.ts';
import type { Conversation } from '#lib/api/types.ts';
import { createTestAppWith } from '#lib/testing/app.ts';
import { accountOf, ARABIC, CONVERSATION, conversationOf, UNBROKEN } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import { composerTargetOf } from './composer-target.svelte.ts';
import Composer from './composer.svelte';

interface Options {
  dir?: 'ltr' | 'rtl';
  width?: number;
  conversation?: Conversation;
}

async function renderComposer({
  conversation = conversationOf({ kind: 'group', title: 'Crew' }),
  ...options
}: Options = {}) {
  const testApp = await createTestAppWith([conversation]);
  // An account of its own, because messages that aren't sent stay in the database of the browser.
  testApp.app.session.account = accountOf({ id: newId() });
  return render(Composer, {}, { in: testApp, conversationId: CONVERSATION, width: 640, ...options });
}

const field = page.getByRole('textbox', { name: 'Message' });
const send = page.getByRole('button', { name: 'Send', exact: true });

it('has the focus, and says where a message goes', async () => {
  await renderComposer();
  await expect.element(field).toHaveFocus();
  await expect.element(field).toHaveAttribute('placeholder', 'Message Crew');
});

it('sends no empty message', async () => {
  const { view } = await renderComposer();
  await expect.element(send).toBeDisabled();
  for (const invisible of ['   ', '\u200b\u3164 \u2800']) {
    await field.fill(invisible);
    await expect.element(send).toBeDisabled();
    await userEvent.keyboard('{Enter}');
  }
  expect(view.log.items).toEqual([]);
  await field.fill('\u200bseen');
  await expect.element(send).toBeEnabled();
});

it('sends by Enter, and is empty and focused again', async () => {
  const { view } = await renderComposer();
  await field.fill('Tide at six');
  await expect.element(send).toBeEnabled();
  await userEvent.keyboard('{Enter}');
  await expect.element(field).toHaveValue('');
  await expect.element(field).toHaveFocus();
  expect(view.log.items.map(({ view: { content } }) => content)).toEqual(['Tide at six']);
});

it('sends by its button', async () => {
  const { view } = await renderComposer();
  await field.fill('Tide at six');
  await send.click();
  await expect.poll(() => view.log.items.map(({ view: { content } }) => content)).toEqual(['Tide at six']);
});

it('grows with the lines that Shift and Enter begin', async () => {
  const { view } = await renderComposer();
  await field.click();
  const { height } = elementOf(field).getBoundingClientRect();
  await userEvent.keyboard('One{Shift>}{Enter}{/Shift}Two{Shift>}{Enter}{/Shift}Three');
  await expect.element(field).toHaveValue('One\nTwo\nThree');
  expect(elementOf(field).getBoundingClientRect().height).toBeGreaterThan(height * 1.5);
  expect(view.log.items).toEqual([]);
});

it('keeps the text as a draft', async () => {
  const { app } = await renderComposer();
  await field.fill('Tide at');
  expect(app.conversations.drafts.get(CONVERSATION)).toBe('Tide at');
});

it('says how much too long a message is, and doesn’t send it', async () => {
  await renderComposer();
  await field.fill('x'.repeat(5003));
  await expect
    .element(page.getByRole('alert'))
    .toMatchTextContent('Messages can have up to 5,000 characters. Shorten this one by 3.');
  await expect.element(field).toHaveAttribute('aria-invalid', 'true');
  await expect.element(send).toBeDisabled();
  await field.fill('x'.repeat(4999));
  await expect.element(page.getByText('1 left')).toBeVisible();
  await expect.element(send).toBeEnabled();
});

it('shows and saves the message that is edited', async () => {
  const { view, server } = await renderComposer();
  await field.fill('Tide at six');
  await userEvent.keyboard('{Enter}');
  await expect.poll(() => view.log.items).toHaveLength(1);
  const [row] = view.log.items;
  composerTargetOf(view).edit({ ...row!.view, id: newId() });
  await expect.element(field).toHaveValue('Tide at six');
  await expect.element(page.getByRole('button', { name: 'Save' })).toBeVisible();
  await field.fill('Tide at seven');
  await userEvent.keyboard('{Enter}');
  await expect
    .poll(() =>
      server.requests.some(
        ({ method, body }) => method === 'PATCH' && (body as { content?: string }).content === 'Tide at seven'
      )
    )
    .toBe(true);
});

it('suggests the people that a mention may mean', async () => {
  await renderComposer();
  await field.click();
  await userEvent.keyboard('@be');
  await expect.element(page.getByRole('option', { name: /Ben Okafor/ })).toBeVisible();
  await userEvent.keyboard('{Enter}');
  await expect.element(field).toHaveValue('@Ben Okafor ');
  await expect.element(page.getByRole('option')).not.toBeInTheDocument();
});

it('undoes what was inserted, and then what was typed', async () => {
  await renderComposer();
  await field.click();
  await userEvent.keyboard('Ask @be');
  await expect.element(page.getByRole('option', { name: /Ben Okafor/ })).toBeVisible();
  await userEvent.keyboard('{Enter}');
  await expect.element(field).toHaveValue('Ask @Ben Okafor ');
  await userEvent.keyboard('{Control>}z{/Control}');
  await expect.element(field).toHaveValue('Ask @be');
  await userEvent.keyboard('{Control>}z{/Control}');
  await expect.element(field).not.toHaveValue('Ask @be');
});

it('removes a long text that is sent as a file, and restores it by undo', async () => {
  await renderComposer();
  const long = 'at step\n'.repeat(60);
  await field.click();
  await userEvent.keyboard('Why?{Shift>}{Enter}{/Shift}');
  const clipboardData = new DataTransfer();
  clipboardData.setData('text/plain', long);
  elementOf(field).dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  document.execCommand('insertText', false, long);
  await expect.element(field).toHaveValue(`Why?\n${long}`);
  await page.getByRole('button', { name: 'Send it as a file' }).click();
  await expect.element(field).toHaveValue('Why?');
  await userEvent.keyboard('{Control>}z{/Control}');
  await expect.element(field).toHaveValue(`Why?\n${long}`);
});

it('runs only commands that are typed whole or chosen', async () => {
  const { view } = await renderComposer();
  await field.click();
  await userEvent.keyboard('/shr');
  await expect.element(page.getByRole('option', { name: /shrug/ })).toBeVisible();
  await userEvent.keyboard('{Enter}');
  await expect.element(field).toHaveValue('/shrug ');
  expect(view.log.items).toEqual([]);
  await userEvent.keyboard('{Enter}');
  await expect.poll(() => view.log.items.length).toBe(1);
});

it('says that the connection is lost', async () => {
  const { app } = await renderComposer();
  app.connection.start();
  Object.defineProperty(navigator, 'onLine', { value: false, configurable: true });
  app.connection.networkChanged();
  await expect.element(page.getByRole('status').filter({ hasText: 'Offline' })).toBeVisible();
  Reflect.deleteProperty(navigator, 'onLine');
});

it('wraps a long text', async () => {
  const { stage } = await renderComposer({ width: 340 });
  await field.fill(UNBROKEN);
  await expect.element(send).toBeEnabled();
  expectNoOverflow(stage);
  expect(elementOf(field).scrollWidth).toBe(elementOf(field).clientWidth);
});

it('writes in the direction of the text', async () => {
  await renderComposer();
  await field.fill(ARABIC);
  expect(elementOf(field).matches(':dir(rtl)')).toBe(true);
  await field.fill('Tide');
  expect(elementOf(field).matches(':dir(ltr)')).toBe(true);
});

it.each(['ltr', 'rtl'] as const)('has the button that sends at the end (%s)', async (dir) => {
  await renderComposer({ dir });
  await expect.element(send).toBeVisible();
  const parts = [elementOf(page.getByRole('button', { name: 'Insert emoji' })), elementOf(send)];
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
