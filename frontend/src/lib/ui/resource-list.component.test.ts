import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { ApiError } from '#lib/api/client.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import type { Page } from '#lib/api/types.ts';
import { pending } from '#lib/testing/app.ts';
import { listingOf, pageOf } from '#lib/testing/data.ts';
import { buttonsOf, elementOf, render, text } from '#lib/testing/render.svelte.ts';
import ResourceList from './resource-list.svelte';

const unreachable = new ApiError(0, 'network', 'no connection');
const names = Array.from({ length: 6 }, (_, index) => `Note ${index + 1}`);
const shown = { failed: 'Couldn’t load notes', empty: text('No notes yet'), full: buttonsOf<string>((name) => name) };
const rows = () =>
  page
    .getByRole('listitem')
    .elements()
    .map(({ textContent }) => textContent);

it('says that it is loading, and then shows the items', async () => {
  const { promise, resolve } = Promise.withResolvers<Page<string>>();
  const listing = new PagedResource<string>(() => promise);
  render(ResourceList<string>, { listing, ...shown });
  void listing.load();
  await expect.element(page.getByRole('status', { name: 'Loading' })).toBeVisible();
  resolve(pageOf(names));
  await expect.poll(rows).toEqual(names);
  await expect.element(page.getByRole('status')).not.toBeInTheDocument();
});

it('says that there is nothing', async () => {
  render(ResourceList<string>, { listing: await listingOf(async () => pageOf<string>([])), ...shown });
  await expect.element(page.getByText('No notes yet')).toBeVisible();
});

it('shows a failure, and the items after another try', async () => {
  let isUp = false;
  const listing = await listingOf(async () => {
    if (isUp) return pageOf(names);
    throw unreachable;
  });
  render(ResourceList<string>, { listing, ...shown });
  await expect.element(page.getByRole('alert')).toMatchTextContent('Couldn’t load notes');
  await expect.element(page.getByText('No notes yet')).not.toBeInTheDocument();
  isUp = true;
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect.poll(rows).toEqual(names);
  await expect.element(page.getByRole('alert')).not.toBeInTheDocument();
});

it('tries again by itself when the connection is back', async () => {
  let isUp = false;
  const listing = await listingOf(async () => {
    if (isUp) return pageOf(names);
    throw unreachable;
  });
  const { receive } = render(ResourceList<string>, { listing, ...shown });
  await expect.element(page.getByRole('alert')).toBeVisible();
  isUp = true;
  receive('resync', { conversation_ids: [] });
  await expect.poll(rows).toEqual(names);
});

it('appends the next page', async () => {
  const listing = new PagedResource<string>(async (number) =>
    pageOf(number === 1 ? names.slice(0, 4) : names.slice(4), 6)
  );
  await listing.load();
  render(ResourceList<string>, { listing, ...shown });
  await expect.poll(rows).toEqual(names.slice(0, 4));
  await page.getByRole('button', { name: 'Show more' }).click();
  await expect.poll(rows).toEqual(names);
  await expect.element(page.getByRole('button', { name: 'Show more' })).not.toBeInTheDocument();
});

it('keeps the items if the next page can’t be loaded', async () => {
  const listing = new PagedResource<string>(async (number) => {
    if (number > 1) throw unreachable;
    return pageOf(names.slice(0, 4), 6);
  });
  await listing.load();
  render(ResourceList<string>, { listing, ...shown });
  await page.getByRole('button', { name: 'Show more' }).click();
  await expect.element(page.getByRole('alert')).toMatchTextContent('Couldn’t load notes: Can’t reach the server.');
  expect(rows()).toEqual(names.slice(0, 4));
});

it('is busy while the next page is loaded', async () => {
  const listing = new PagedResource<string>((number) => (number > 1 ? pending() : Promise.resolve(pageOf(names, 9))));
  await listing.load();
  render(ResourceList<string>, { listing, ...shown });
  const more = page.getByRole('button', { name: 'Show more' });
  await more.click();
  await expect.element(more).toHaveAttribute('aria-busy', 'true');
  await expect.element(more).toBeDisabled();
});

it('shows the rest only when it is asked to', async () => {
  render(ResourceList<string>, { listing: await listingOf(async () => pageOf(names)), most: 2, ...shown });
  await expect.poll(rows).toEqual(names.slice(0, 2));
  await page.getByRole('button', { name: 'Show more' }).click();
  await expect.poll(rows).toEqual(names);
});

it('keeps the focus nearby when the focused row is removed', async () => {
  const listing = await listingOf(async () => pageOf(names));
  const { stage } = render(ResourceList<string>, { listing, ...shown });
  await page.getByRole('button', { name: 'Note 2' }).click();
  listing.remove((name) => name === 'Note 2');
  await expect.poll(rows).toHaveLength(5);
  await expect.poll(() => document.activeElement).toBe(stage.firstElementChild);
  await userEvent.tab();
  expect(document.activeElement).toBe(elementOf(page.getByRole('button', { name: 'Note 1' })));
});
