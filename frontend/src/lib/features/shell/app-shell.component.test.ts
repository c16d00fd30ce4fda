import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { createTestAppWith } from '#lib/testing/app.ts';
import { pageOf } from '#lib/testing/data.ts';
import { render, text } from '#lib/testing/render.svelte.ts';
import AppShell from './app-shell.svelte';

it('opens the palette by a shortcut that is pressed before the shortcuts are loaded', async () => {
  const testApp = await createTestAppWith([], { 'GET /users': pageOf([]) });
  render(AppShell, { children: text('Harbour') }, { in: testApp });
  const press = () => new KeyboardEvent('keydown', { key: 'k', ctrlKey: true, bubbles: true, cancelable: true });
  const presses = [press(), press()];
  for (const event of presses) document.body.dispatchEvent(event);
  expect(presses.map(({ defaultPrevented }) => defaultPrevented)).toEqual([true, true]);
  await expect.element(page.getByRole('dialog', { name: 'Command palette' })).toBeVisible();
});
