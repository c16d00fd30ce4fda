import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import { ApiError } from '#lib/api/client.ts';
import { LONG_NAME } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import ErrorState from './error-state.svelte';

const unreachable = new ApiError(0, 'network', 'no connection');

it.each([false, true])('announces what failed, why, and offers to try again (small: %s)', async (small) => {
  const onretry = vi.fn();
  render(ErrorState, { title: 'Couldn’t load notes', error: unreachable, small, onretry });
  const alert = page.getByRole('alert');
  await expect.element(alert).toMatchTextContent('Couldn’t load notes');
  await expect.element(alert).toMatchTextContent('Can’t reach the server. Check your connection.');
  await page.getByRole('button', { name: 'Try again' }).click();
  expect(onretry).toHaveBeenCalledOnce();
});

it('has a heading only where it fills a page', async () => {
  const { update } = render(ErrorState, { title: 'Couldn’t load notes', error: unreachable, onretry: () => undefined });
  await expect.element(page.getByRole('heading', { level: 2 })).toMatchTextContent('Couldn’t load notes');
  update({ small: true });
  await expect.element(page.getByRole('heading')).not.toBeInTheDocument();
});

it.each([false, true])('names the request that an admin can look up (small: %s)', async (small) => {
  const error = new ApiError(500, 'internal', 'it broke', 'req-42');
  const { update } = render(ErrorState, { title: 'Couldn’t load notes', error, small, onretry: () => undefined });
  await expect.element(page.getByText(/give your admin this request ID: \W*req-42/)).toBeVisible();
  update({ error: unreachable });
  await expect.element(page.getByText('request ID')).not.toBeInTheDocument();
});

it.each([false, true])('wraps long texts (small: %s)', async (small) => {
  const error = new ApiError(400, 'refused', LONG_NAME, LONG_NAME);
  const { stage } = render(
    ErrorState,
    { title: `Couldn’t load ${LONG_NAME}`, error, small, onretry: () => undefined },
    { width: 300 }
  );
  await expect.element(page.getByRole('alert')).toMatchTextContent(LONG_NAME);
  expectNoOverflow(stage);
});

it.each(['ltr', 'rtl'] as const)('has its icon before the text and the button behind it (%s)', async (dir) => {
  const { stage } = render(
    ErrorState,
    { title: 'Notes', error: unreachable, small: true, onretry: () => undefined },
    { dir }
  );
  const icon = stage.querySelector('.icon') as Element;
  const parts = [icon, elementOf(page.getByText('Notes')), elementOf(page.getByRole('button'))];
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
