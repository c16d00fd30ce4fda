import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import { PasswordField } from './index.ts';

it('hides the password until it is to be shown', async () => {
  render(PasswordField, { label: 'Password', value: 'correct horse' });
  const field = page.getByLabelText('Password', { exact: true });
  await expect.element(field).toHaveAttribute('type', 'password');
  await page.getByRole('button', { name: 'Show password', pressed: false }).click();
  await expect.element(field).toHaveAttribute('type', 'text');
  await page.getByRole('button', { name: 'Hide password', pressed: true }).click();
  await expect.element(field).toHaveAttribute('type', 'password');
});

it('is reached by keyboard before its button', async () => {
  render(PasswordField, { label: 'Password', value: '' });
  await page.getByLabelText('Password', { exact: true }).click();
  await userEvent.keyboard('hunter2');
  await userEvent.tab();
  await expect.element(page.getByRole('button', { name: 'Show password' })).toHaveFocus();
  await userEvent.keyboard(' ');
  await expect.element(page.getByLabelText('Password', { exact: true })).toHaveValue('hunter2');
  await expect.element(page.getByRole('button', { name: 'Hide password' })).toHaveFocus();
});

it('keeps a long password beside its button', () => {
  render(PasswordField, { label: 'Password', value: 'x'.repeat(200) }, { width: 280 });
  const field = elementOf(page.getByLabelText('Password', { exact: true }));
  const end = field.getBoundingClientRect().right - parseFloat(getComputedStyle(field).paddingRight);
  expect(end).toBeLessThanOrEqual(elementOf(page.getByRole('button')).getBoundingClientRect().left);
});

it('is not corrected or capitalised', async () => {
  render(PasswordField, { label: 'Password', value: '' });
  const field = page.getByLabelText('Password', { exact: true });
  await expect.element(field).toHaveAttribute('autocapitalize', 'off');
  await expect.element(field).toHaveAttribute('spellcheck', 'false');
});
