import Bell from '@lucide/svelte/icons/bell';
import { createRawSnippet, flushSync } from 'svelte';
import { afterEach, expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { page as appPage } from '#lib/testing/app-state.svelte.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render, text } from '#lib/testing/render.svelte.ts';
import SubNav from './sub-nav.svelte';

const sections = [
  { id: 'profile', label: 'Profile', icon: Bell },
  { id: 'sounds', label: 'Sounds', icon: Bell }
];

afterEach(() => {
  appPage.url = new URL('http://localhost/');
});

it('has links to its sections, of which the first is current', async () => {
  render(SubNav, { title: 'Settings', sections, children: text('Content') });
  await expect.element(page.getByRole('navigation', { name: 'Settings' })).toBeVisible();
  await expect.element(page.getByRole('link', { name: 'Profile' })).toHaveAttribute('aria-current', 'true');
  await expect.element(page.getByRole('link', { name: 'Sounds' })).not.toHaveAttribute('aria-current');
  await expect.element(page.getByRole('link', { name: 'Sounds' })).toHaveAttribute('href', '#sounds');
  await expect.element(page.getByRole('main')).toMatchTextContent('Content');
});

/** Waits until observers that were created before have been notified. */
async function observersNotified(element: Element): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const observer = new IntersectionObserver(() => resolve());
  observer.observe(element);
  await promise;
  observer.disconnect();
  flushSync();
}

it('marks the section whose link was followed though the section above it is in sight', async () => {
  const children = createRawSnippet(() => ({
    render: () => '<div><section id="profile">Name</section><section id="sounds">Volume</section></div>'
  }));
  render(SubNav, { title: 'Settings', sections, children });
  appPage.url = new URL('http://localhost/#sounds');
  flushSync();
  await observersNotified(elementOf(page.getByText('Volume')));
  await expect.element(page.getByRole('link', { name: 'Sounds' })).toHaveAttribute('aria-current', 'true');
  await expect.element(page.getByRole('link', { name: 'Profile' })).not.toHaveAttribute('aria-current');
});

it('wraps a long word of a label', async () => {
  const long = [{ id: 'second', label: 'Zwei-Faktor-Authentifizierungsverfahren', icon: Bell }];
  const { stage } = render(
    SubNav,
    { title: 'Einstellungen', sections: long, children: text('Inhalt') },
    { width: 216 }
  );
  await expect.element(page.getByRole('link', { name: long[0]!.label })).toBeVisible();
  expectNoOverflow(stage.querySelector('nav')!);
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
