import { flushSync } from 'svelte';
import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import { UNBROKEN } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import { toast } from './toast.svelte.ts';
import Toaster from './toaster.svelte';

it('announces a message in a region that was there before', async () => {
  render(Toaster, {});
  await expect.element(page.getByRole('status')).toHaveTextContent('');
  toast('Note deleted.');
  await expect.element(page.getByRole('status')).toMatchTextContent('Note deleted.');
  await page.getByRole('button', { name: 'Close' }).click();
  await expect.element(page.getByRole('status')).toHaveTextContent('');
});

it('disappears after six seconds', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { stage } = render(Toaster, {});
  toast('Note deleted.');
  vi.advanceTimersByTime(5999);
  flushSync();
  expect(stage.textContent).toContain('Note deleted.');
  vi.advanceTimersByTime(1);
  flushSync();
  expect(stage.textContent).toBe('');
});

it('shows the last three messages', async () => {
  render(Toaster, {});
  for (const message of ['One', 'Two', 'Three', 'Four']) toast(message);
  await expect.element(page.getByText('Four')).toBeVisible();
  expect(page.getByRole('button', { name: 'Close' }).elements()).toHaveLength(3);
  await expect.element(page.getByText('One')).not.toBeInTheDocument();
});

it('closes when its action is run', async () => {
  const run = vi.fn();
  render(Toaster, {});
  toast('Note deleted.', { action: { label: 'Undo', run } });
  await page.getByRole('button', { name: 'Undo' }).click();
  expect(run).toHaveBeenCalledOnce();
  await expect.element(page.getByText('Note deleted.')).not.toBeInTheDocument();
});

it('wraps a long message beside its buttons', async () => {
  render(Toaster, {});
  toast(UNBROKEN, { action: { label: 'Undo', run: () => undefined } });
  await expect.element(page.getByText(UNBROKEN)).toBeVisible();
  expectNoOverflow(elementOf(page.getByRole('status')));
});

it.each(['ltr', 'rtl'] as const)('has its buttons behind the message (%s)', async (dir) => {
  render(Toaster, {}, { dir });
  toast('Note deleted.', { action: { label: 'Undo', run: () => undefined } });
  await expect.element(page.getByText('Note deleted.')).toBeVisible();
  const parts = [page.getByText('Note deleted.'), page.getByText('Undo'), page.getByRole('button', { name: 'Close' })];
  if (dir === 'ltr') expectLeftToRight(...parts.map(elementOf));
  else expectRightToLeft(...parts.map(elementOf));
});
