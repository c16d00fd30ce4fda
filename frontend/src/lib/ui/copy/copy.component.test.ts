import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import { UNBROKEN } from '#lib/testing/data.ts';
import { expectNoOverflow } from '#lib/testing/layout.ts';
import { render } from '#lib/testing/render.svelte.ts';
import { toasts } from '#lib/ui/toast/toast.svelte.ts';
import { CopyButton, Fresh } from './index.ts';

it('CopyButton: copies, says so, and is ready again after two seconds', async () => {
  const write = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  render(CopyButton, { text: 'natter-123', label: 'Copy key' });
  await page.getByRole('button', { name: 'Copy key' }).click();
  await expect.element(page.getByRole('status')).toMatchTextContent('Copied');
  await expect.element(page.getByRole('button', { name: 'Copied' })).toBeVisible();
  expect(write).toHaveBeenCalledExactlyOnceWith('natter-123');
  vi.advanceTimersByTime(2000);
  await expect.element(page.getByRole('button', { name: 'Copy key' })).toBeVisible();
  await expect.element(page.getByRole('status')).toHaveTextContent('');
});

it('CopyButton: says what to do if the browser refuses', async () => {
  vi.spyOn(navigator.clipboard, 'writeText').mockRejectedValue(new Error('refused'));
  vi.spyOn(document, 'execCommand').mockReturnValue(false);
  render(CopyButton, { text: 'natter-123' });
  await page.getByRole('button', { name: 'Copy' }).click();
  await expect.poll(() => toasts.at(-1)?.message).toMatch(/^Your browser blocked copying/);
  await expect.element(page.getByRole('button', { name: 'Copy' })).toBeVisible();
});

it('Fresh: announces a secret with a button to copy it, until it is closed', async () => {
  const write = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue();
  const onclose = vi.fn();
  render(Fresh, { about: 'Shown only once', text: 'secret', onclose });
  await expect.element(page.getByRole('status').first()).toMatchTextContent('Shown only once');
  await expect.element(page.getByRole('code')).toMatchTextContent('secret');
  await page.getByRole('button', { name: 'Copy' }).click();
  expect(write).toHaveBeenCalledExactlyOnceWith('secret');
  await page.getByRole('button', { name: 'Close' }).click();
  expect(onclose).toHaveBeenCalledOnce();
});

it('Fresh: shows the whole of a long secret', () => {
  const { stage } = render(Fresh, { about: UNBROKEN, text: UNBROKEN, onclose: () => undefined }, { width: 280 });
  expectNoOverflow(stage);
});
