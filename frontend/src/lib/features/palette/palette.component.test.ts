import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { goto } from '#lib/testing/app-navigation.ts';
import { createTestAppWith, type TestApp } from '#lib/testing/app.ts';
import { CONVERSATION, conversationOf, LONG_NAME, pageOf, userOf } from '#lib/testing/data.ts';
import { expectNoOverflow } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import Palette from './palette.svelte';

const crew = conversationOf({ kind: 'group', title: 'Harbour crew' });

async function renderPalette(people: ReturnType<typeof userOf>[] = []): Promise<TestApp> {
  const testApp = await createTestAppWith([crew], { 'GET /users': pageOf(people) });
  testApp.app.shell.dialog = 'palette';
  render(Palette, {}, { in: testApp });
  return testApp;
}

const field = page.getByRole('combobox', { name: 'Search, jump to or run a command' });
const group = (name: string) => page.getByRole('group', { name, exact: true });
const selected = page.getByRole('option', { selected: true });

it('offers conversations and commands, with the focus in its field', async () => {
  await renderPalette();
  await expect.element(page.getByRole('dialog', { name: 'Command palette' })).toBeVisible();
  await expect.element(field).toHaveFocus();
  await expect.element(group('Go to').getByRole('option')).toMatchTextContent('Harbour crew');
  await expect.element(group('Actions').getByRole('option').first()).toBeVisible();
  await expect.element(selected).toMatchTextContent('Harbour crew');
});

it('opens the conversation that is selected', async () => {
  const { app } = await renderPalette();
  await field.fill('crew');
  await expect.element(selected).toMatchTextContent('Harbour crew');
  await userEvent.keyboard('{Enter}');
  await expect.poll(() => goto.mock.lastCall?.[0]).toBe(`/c/${CONVERSATION}`);
  expect(app.shell.dialog).not.toBe('palette');
});

it('runs the command that is clicked', async () => {
  await renderPalette();
  await field.fill('settings');
  await page.getByRole('option', { name: /^Settings/ }).click();
  await expect.poll(() => goto.mock.lastCall?.[0]).toBe('/settings');
});

it('leads through its options by the arrow keys', async () => {
  await renderPalette();
  await expect.element(selected).toMatchTextContent('Harbour crew');
  await userEvent.keyboard('{ArrowDown}');
  await expect.element(selected).not.toMatchTextContent('Harbour crew');
  await expect.element(field).toHaveAttribute('aria-activedescendant', elementOf(selected).id);
  await userEvent.keyboard('{ArrowUp}');
  await expect.element(selected).toMatchTextContent('Harbour crew');
});

it('finds people', async () => {
  await renderPalette([userOf('Zoe Marsh')]);
  await field.fill('zoe');
  await expect.element(page.getByRole('option', { name: /Zoe Marsh/ })).toBeVisible();
});

it('narrows a search by a filter', async () => {
  await renderPalette();
  await page.getByRole('group', { name: 'Narrow by' }).getByRole('button').first().click();
  await expect.element(field).toHaveValue(expect.stringMatching(/^\w+:$/));
  await expect.element(field).toHaveFocus();
});

it('is closed by Escape', async () => {
  const { app } = await renderPalette();
  await expect.element(field).toHaveFocus();
  await userEvent.keyboard('{Escape}');
  await expect.poll(() => app.shell.dialog).not.toBe('palette');
});

it('cuts long names', async () => {
  await renderPalette([userOf(LONG_NAME.repeat(3))]);
  await field.fill('maxi');
  await expect.element(page.getByRole('option', { name: /Maximiliane/ })).toBeVisible();
  expectNoOverflow(elementOf(page.getByRole('listbox')));
});
