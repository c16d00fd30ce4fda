import type { ComponentProps } from 'svelte';
import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import type { Attachment } from '#lib/realtime/pending-attachments.ts';
import { createTestAppWith } from '#lib/testing/app.ts';
import { CONVERSATION, conversationOf, UNBROKEN } from '#lib/testing/data.ts';
import { expectEllipsis, expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import Tray from './tray.svelte';

const attachment = (more: Partial<Attachment> = {}): Attachment => ({
  key: 'k1',
  name: 'tides.txt',
  media_type: 'text/plain',
  size: 2048,
  state: 'ready',
  share: 1,
  failure: null,
  isFinal: false,
  preview: null,
  upload: null,
  ...more
});

/** Renders the tray in a conversation. */
async function renderTray(props: ComponentProps<typeof Tray>, options: { dir?: 'ltr' | 'rtl'; width?: number } = {}) {
  const testApp = await createTestAppWith([conversationOf()]);
  return render(Tray, props, { in: testApp, conversationId: CONVERSATION, ...options });
}

const nothing = { onremove: () => undefined, onretry: () => undefined };

it('lists the attached files, each with a button to remove it', async () => {
  const onremove = vi.fn();
  await renderTray({ attached: [attachment(), attachment({ key: 'k2', name: 'map.txt' })], ...nothing, onremove });
  expect(page.getByRole('list', { name: 'Attached files' }).getByRole('listitem').elements()).toHaveLength(2);
  await page.getByRole('button', { name: 'Remove map.txt' }).click();
  expect(onremove).toHaveBeenCalledExactlyOnceWith('k2');
});

it.each([
  ['waiting', 0, 'Waiting to upload'],
  ['uploading', 0.429, 'Uploading, 42%']
] as const)('shows the progress of an upload that is %s', async (state, share, words) => {
  const onremove = vi.fn();
  await renderTray({ attached: [attachment({ state, share })], ...nothing, onremove });
  await expect.element(page.getByText(words)).toBeVisible();
  await expect.element(page.getByRole('progressbar', { name: 'tides.txt' })).toHaveAttribute('value', String(share));
  await page.getByRole('button', { name: 'Cancel upload of tides.txt' }).click();
  expect(onremove).toHaveBeenCalledOnce();
});

it('says why an upload failed, and tries again', async () => {
  const onretry = vi.fn();
  const failure = { code: 'network', message: 'Can’t reach the server.' };
  await renderTray({ attached: [attachment({ state: 'failed', failure })], ...nothing, onretry });
  await expect.element(page.getByRole('alert')).toMatchTextContent('Can’t reach the server.');
  await page.getByRole('button', { name: 'Upload tides.txt again' }).click();
  expect(onretry).toHaveBeenCalledExactlyOnceWith('k1');
});

it('doesn’t try again what can’t succeed', async () => {
  const failure = { code: 'too_large', message: 'Too large.' };
  await renderTray({ attached: [attachment({ state: 'failed', failure, isFinal: true })], ...nothing });
  await expect.element(page.getByRole('alert')).toMatchTextContent('Too large.');
  await expect.element(page.getByRole('button', { name: /again/ })).not.toBeInTheDocument();
  await expect.element(page.getByRole('button', { name: 'Remove tides.txt' })).toBeVisible();
});

it('cuts a long name with an ellipsis', async () => {
  const { stage } = await renderTray({ attached: [attachment({ name: UNBROKEN })], ...nothing }, { width: 300 });
  expectNoOverflow(stage);
  expectEllipsis(elementOf(page.getByTitle(UNBROKEN)));
});

it.each(['ltr', 'rtl'] as const)('follows the direction of the page (%s)', async (dir) => {
  const { stage } = await renderTray({ attached: [attachment()], ...nothing }, { dir });
  const parts = ['.thumb', '.name', 'button'].map((part) => stage.querySelector(part) as Element);
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
