import Bell from '@lucide/svelte/icons/bell';
import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { expectLeftToRight, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render, text } from '#lib/testing/render.svelte.ts';
import SubNav from './sub-nav.svelte';

const sections = [
  { id: 'profile', label: 'Profile', icon: Bell },
  { id: 'sounds', label: 'Sounds', icon: Bell }
];

it('has links to its sections, of which the first is current', async () => {
  render(SubNav, { title: 'Settings', sections, children: text('Content') });
  await expect.element(page.getByRole('navigation', { name: 'Settings' })).toBeVisible();
  await expect.element(page.getByRole('link', { name: 'Profile' })).toHaveAttribute('aria-current', 'true');
  await expect.element(page.getByRole('link', { name: 'Sounds' })).not.toHaveAttribute('aria-current');
  await expect.element(page.getByRole('link', { name: 'Sounds' })).toHaveAttribute('href', '#sounds');
  await expect.element(page.getByRole('main')).toMatchTextContent('Content');
});

it.each(['ltr', 'rtl'] as const)('has the icon of a link before its text (%s)', (dir) => {
  render(SubNav, { title: 'Settings', sections, children: text('Content') }, { dir });
  const link = elementOf(page.getByRole('link', { name: 'Sounds' }));
  const range = document.createRange();
  range.selectNodeContents(link.lastChild as Node);
  const parts = [link.querySelector('svg') as Element, range as unknown as Element];
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
