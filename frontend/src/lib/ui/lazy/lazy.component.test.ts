import { createRawSnippet, type Component } from 'svelte';
import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import { pending } from '#lib/testing/app.ts';
import { render } from '#lib/testing/render.svelte.ts';
import Mark from '#lib/ui/mark/mark.svelte';
import { toasts } from '#lib/ui/toast/toast.svelte.ts';
import { Lazy, LazyPage } from './index.ts';

const children = createRawSnippet((part: () => { name: string }) => ({ render: () => `<p>${part().name}</p>` }));

it('Lazy: renders nothing until the part has loaded', async () => {
  const { promise, resolve } = Promise.withResolvers<{ name: string }>();
  const { stage } = render(Lazy<{ name: string }>, { load: () => promise, onfail: () => undefined, children });
  expect(stage.textContent).toBe('');
  resolve({ name: 'Settings' });
  await expect.element(page.getByText('Settings')).toBeVisible();
});

it('Lazy: says that the part couldn’t be loaded, and tells its owner', async () => {
  const onfail = vi.fn();
  render(Lazy<{ name: string }>, { load: () => Promise.reject(new Error('offline')), onfail, children });
  await expect.poll(() => toasts.at(-1)?.message).toBe('Couldn’t load this. Check your connection, then try again.');
  expect(onfail).toHaveBeenCalledOnce();
});

it('LazyPage: says that it is loading', async () => {
  render(LazyPage, { load: pending });
  await expect.element(page.getByRole('status')).toMatchTextContent('Loading');
});

it('LazyPage: shows the page, or why there is none', async () => {
  const { stage, update } = render(LazyPage, { load: () => Promise.resolve({ default: Mark as Component }) });
  await expect.poll(() => stage.querySelector('svg')).not.toBeNull();
  update({ load: () => Promise.reject(new Error('offline')) });
  await expect.element(page.getByRole('alert')).toMatchTextContent('Couldn’t load this page');
  await expect.element(page.getByRole('button', { name: 'Try again' })).toBeVisible();
});
