import { afterEach, expect, it } from 'vitest';
import { page as screen } from 'vitest/browser';
import { page } from '#lib/testing/app-state.svelte.ts';
import { render } from '#lib/testing/render.svelte.ts';
import ErrorPage from './error-page.svelte';

afterEach(() => void (page.status = 200));

it('says that a page doesn’t exist, and where to go', async () => {
  page.status = 404;
  render(ErrorPage, {});
  await expect.element(screen.getByRole('heading', { level: 1 })).toMatchTextContent('Page not found');
  await expect.element(screen.getByText('The link may be old or mistyped.')).toBeVisible();
  await expect.element(screen.getByRole('link', { name: 'Back to chats' })).toHaveAttribute('href', '/');
  await expect.element(screen.getByRole('button')).not.toBeInTheDocument();
  expect(document.title).toBe('Page not found · Natter');
});

it('offers to try again if a page couldn’t be loaded', async () => {
  page.status = 500;
  render(ErrorPage, {});
  await expect.element(screen.getByRole('heading', { level: 1 })).toMatchTextContent('Couldn’t load this page');
  await expect.element(screen.getByRole('button', { name: 'Try again' })).toBeVisible();
  await expect.element(screen.getByRole('link', { name: 'Back to chats' })).toBeVisible();
});
