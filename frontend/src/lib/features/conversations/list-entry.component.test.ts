import Bookmark from '@lucide/svelte/icons/bookmark';
import { afterEach, expect, it } from 'vitest';
import { page as screen } from 'vitest/browser';
import { page } from '#lib/testing/app-state.svelte.ts';
import { expectLeftToRight, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import ListEntry from './list-entry.svelte';

afterEach(() => void (page.route.id = null));

const shown = { icon: Bookmark, path: '/saved', label: 'Saved' };

it('is a link that knows whether its page is open', async () => {
  render(ListEntry, shown);
  const link = screen.getByRole('link', { name: 'Saved' });
  await expect.element(link).toHaveAttribute('href', '/saved');
  await expect.element(link).not.toHaveAttribute('aria-current');
  page.route.id = '/(app)/saved';
  await expect.element(link).toHaveAttribute('aria-current', 'page');
});

it.each([
  [1, '1'],
  [49, '49'],
  [50, '50+']
])('counts %i unread as %s', async (count, words) => {
  render(ListEntry, { ...shown, count });
  await expect.element(screen.getByText(words, { exact: true })).toBeVisible();
  await expect.element(screen.getByRole('link')).toHaveAccessibleName(`Saved ${count} unread`);
});

it.each(['ltr', 'rtl'] as const)('has the icon before the label and the number behind it (%s)', (dir) => {
  const { stage } = render(ListEntry, { ...shown, count: 3 }, { dir });
  const parts = [
    stage.querySelector('svg') as Element,
    elementOf(screen.getByText('Saved')),
    elementOf(screen.getByText('3', { exact: true }))
  ];
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
