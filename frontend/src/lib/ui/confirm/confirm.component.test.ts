import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { UNBROKEN } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import Confirm from './confirm.svelte';
import { confirmed } from './index.ts';

const question = { title: 'Delete the note?', body: 'Its text will be deleted for everyone.', action: 'Delete note' };

it('is closed until something is asked', async () => {
  render(Confirm, {});
  await expect.element(page.getByRole('alertdialog')).not.toBeInTheDocument();
});

it('asks, and reports the confirmation', async () => {
  render(Confirm, {});
  const answer = confirmed(question);
  const dialog = page.getByRole('alertdialog', { name: 'Delete the note?' });
  await expect.element(dialog).toHaveAccessibleDescription('Its text will be deleted for everyone.');
  await page.getByRole('button', { name: 'Delete note' }).click();
  expect(await answer).toBe(true);
  await expect.element(dialog).not.toBeInTheDocument();
});

it('has the focus, so that Enter confirms nothing, and is refused by Escape', async () => {
  render(Confirm, {});
  const answer = confirmed({ ...question, keep: 'Keep note' });
  await expect.element(page.getByRole('alertdialog')).toHaveFocus();
  await userEvent.keyboard('{Enter}');
  await expect.element(page.getByRole('button', { name: 'Keep note' })).toBeVisible();
  await userEvent.keyboard('{Escape}');
  expect(await answer).toBe(false);
});

it('refuses a question when the next one is asked', async () => {
  render(Confirm, {});
  const first = confirmed(question);
  const second = confirmed({ ...question, title: 'Delete all notes?' });
  expect(await first).toBe(false);
  await expect.element(page.getByRole('alertdialog', { name: 'Delete all notes?' })).toBeVisible();
  await page.getByRole('button', { name: 'Cancel' }).click();
  expect(await second).toBe(false);
});

it('wraps long texts', async () => {
  render(Confirm, {});
  const answer = confirmed({ title: UNBROKEN, body: UNBROKEN, action: 'Delete' });
  await expect.element(page.getByRole('alertdialog')).toBeVisible();
  expectNoOverflow(elementOf(page.getByRole('alertdialog')));
  await userEvent.keyboard('{Escape}');
  await answer;
});

it.each(['ltr', 'rtl'] as const)('has the dangerous button last (%s)', async (dir) => {
  render(Confirm, {}, { dir });
  const answer = confirmed(question);
  await expect.element(page.getByRole('alertdialog')).toBeVisible();
  const buttons = ['Cancel', 'Delete note'].map((name) => elementOf(page.getByRole('button', { name })));
  if (dir === 'ltr') expectLeftToRight(...buttons);
  else expectRightToLeft(...buttons);
  await userEvent.keyboard('{Escape}');
  await answer;
});
