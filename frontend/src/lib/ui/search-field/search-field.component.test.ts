import { expect, it, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { expectLeftToRight, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import { SearchField } from './index.ts';

it('searches after a pause in typing, and at once when it is cleared', async () => {
  const onsearch = vi.fn();
  render(SearchField, { value: '', label: 'Search people', onsearch });
  const field = page.getByRole('searchbox', { name: 'Search people' });
  await field.fill('ben');
  await expect.poll(() => onsearch.mock.lastCall).toEqual(['ben']);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const input = elementOf(field) as HTMLInputElement;
  input.value = 'be';
  input.dispatchEvent(new InputEvent('input', { bubbles: true }));
  vi.advanceTimersByTime(199);
  expect(onsearch).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1);
  expect(onsearch).toHaveBeenLastCalledWith('be');
  input.value = '';
  input.dispatchEvent(new InputEvent('input', { bubbles: true }));
  vi.advanceTimersByTime(0);
  expect(onsearch).toHaveBeenLastCalledWith('');
});

it('leads into the list by the arrow key', async () => {
  const ondown = vi.fn();
  render(SearchField, { value: '', label: 'Search people', ondown });
  await page.getByRole('searchbox').click();
  await userEvent.keyboard('{ArrowDown}');
  expect(ondown).toHaveBeenCalledOnce();
});

it('shows an example while it is empty', async () => {
  const { update } = render(SearchField, { value: '', label: 'Search people' });
  await expect.element(page.getByPlaceholder('Search people')).toBeVisible();
  update({ placeholder: 'Ben, or ben@example.com' });
  await expect.element(page.getByPlaceholder('Ben, or ben@example.com')).toHaveAccessibleName('Search people');
});

it.each(['ltr', 'rtl'] as const)('has its icon before the text (%s)', (dir) => {
  const { stage } = render(SearchField, { value: '', label: 'Search people' }, { dir });
  const parts = [stage.querySelector('svg') as Element, elementOf(page.getByRole('searchbox'))];
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
