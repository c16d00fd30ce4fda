import { expect, it, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render, text } from '#lib/testing/render.svelte.ts';
import { Button } from './index.ts';

it('is pressed by pointer and keyboard', async () => {
  const onclick = vi.fn();
  render(Button, { onclick, children: text('Save') });
  await page.getByRole('button', { name: 'Save' }).click();
  await userEvent.keyboard('{Enter}');
  await userEvent.keyboard(' ');
  expect(onclick).toHaveBeenCalledTimes(3);
});

it('submits no form unless asked to', async () => {
  const { update } = render(Button, { children: text('Save') });
  await expect.element(page.getByRole('button')).toHaveAttribute('type', 'button');
  update({ type: 'submit' });
  await expect.element(page.getByRole('button')).toHaveAttribute('type', 'submit');
});

it('can’t be pressed while it is busy, and says so', async () => {
  const onclick = vi.fn();
  const { update } = render(Button, { busy: true, onclick, children: text('Save') });
  const button = page.getByRole('button', { name: 'Save' });
  await expect.element(button).toHaveAttribute('aria-busy', 'true');
  await expect.element(button).toBeDisabled();
  await button.click({ force: true });
  expect(onclick).not.toHaveBeenCalled();
  update({ busy: false });
  await expect.element(button).toBeEnabled();
  await expect.element(button).not.toHaveAttribute('aria-busy');
});

it('is skipped by Tab while it is disabled', async () => {
  render(Button, { disabled: true, children: text('Delete') });
  render(Button, { children: text('Save') });
  await expect.element(page.getByRole('button', { name: 'Delete' })).toBeDisabled();
  await userEvent.tab();
  await expect.element(page.getByRole('button', { name: 'Save' })).toHaveFocus();
});
