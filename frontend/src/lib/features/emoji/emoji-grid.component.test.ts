import { expect, it, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import type { Name } from '#lib/features/conversations/mentions.ts';
import { createTestApp } from '#lib/testing/app.ts';
import { expectLeftToRight, expectRightToLeft } from '#lib/testing/layout.ts';
import { render } from '#lib/testing/render.svelte.ts';
import EmojiGrid from './emoji-grid.svelte';

const own: Name[] = [{ id: 'e1', name: 'anchor-up', kind: 'emoji' }];
const field = page.getByRole('searchbox', { name: 'Search emoji' });
const anchor = page.getByRole('button', { name: 'anchor', exact: true });

it('finds an emoji by its name, and picks the first one by Enter', async () => {
  const onpick = vi.fn();
  render(EmojiGrid, { onpick, isSought: true });
  await expect.element(field).toHaveFocus();
  await field.fill('anchor');
  await expect.element(anchor).toBeVisible();
  await userEvent.keyboard('{Enter}');
  expect(onpick).toHaveBeenCalledExactlyOnceWith('⚓');
});

it('offers the emoji that were picked recently', async () => {
  const testApp = createTestApp();
  localStorage.setItem('natter.emoji', '⚓');
  render(EmojiGrid, { onpick: () => undefined }, { in: testApp });
  await expect.element(page.getByRole('group', { name: 'Recent' })).toMatchTextContent('⚓');
});

it('says that nothing was found', async () => {
  render(EmojiGrid, { onpick: () => undefined });
  await field.fill('zzzz');
  await expect.element(page.getByRole('status')).toMatchTextContent('No emoji found.');
});

it('offers custom emoji first', async () => {
  const onpick = vi.fn();
  render(EmojiGrid, { own, onpick });
  await field.fill('anchor');
  await expect.element(page.getByRole('button', { name: ':anchor-up' })).toBeVisible();
  await field.click();
  await userEvent.keyboard('{Enter}');
  expect(onpick).toHaveBeenCalledExactlyOnceWith(':anchor-up');
});

it('picks in the skin tone that is chosen', async () => {
  const onpick = vi.fn();
  render(EmojiGrid, { onpick });
  await userEvent.selectOptions(page.getByRole('combobox'), '✋🏿');
  await field.fill('waving hand');
  await page.getByRole('button', { name: 'waving hand', exact: true }).click();
  expect(onpick).toHaveBeenCalledExactlyOnceWith('👋🏿');
});

it('has one stop of the Tab key, from which the arrow keys lead on', async () => {
  render(EmojiGrid, { onpick: () => undefined });
  await field.fill('anchor');
  await expect.element(anchor).toHaveAttribute('tabindex', '0');
  await field.fill('flag');
  await expect.element(page.getByRole('group').getByRole('button').nth(1)).toBeVisible();
  const [first, second] = page.getByRole('group').getByRole('button').elements() as HTMLElement[];
  first!.focus();
  await userEvent.keyboard('{ArrowRight}');
  expect(document.activeElement).toBe(second);
  expect([first!.tabIndex, second!.tabIndex]).toEqual([-1, 0]);
});

it('shows one group at a time', async () => {
  render(EmojiGrid, { onpick: () => undefined });
  const animals = page.getByRole('button', { name: /^Animals/ });
  await animals.click();
  await expect.element(animals).toHaveAttribute('aria-pressed', 'true');
  await expect.element(page.getByRole('button', { pressed: true })).toHaveAccessibleName(/^Animals/);
});

it('says what failed, and tries again', async () => {
  const testApp = createTestApp();
  const load = vi.fn(globalThis.fetch).mockRejectedValueOnce(new TypeError('Failed to fetch'));
  vi.stubGlobal('fetch', load);
  render(EmojiGrid, { onpick: () => undefined }, { in: testApp });
  await expect.element(page.getByRole('alert')).toBeVisible();
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect.element(field).toBeVisible();
});

it.each(['ltr', 'rtl'] as const)('follows the direction of the page (%s)', async (dir) => {
  render(EmojiGrid, { onpick: () => undefined }, { dir });
  await field.fill('flag');
  await expect.element(page.getByRole('group').getByRole('button').nth(2)).toBeVisible();
  const line = page.getByRole('group').getByRole('button').elements().slice(0, 3);
  if (dir === 'ltr') expectLeftToRight(...line);
  else expectRightToLeft(...line);
});
