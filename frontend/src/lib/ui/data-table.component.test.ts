import { createColumnHelper } from '@tanstack/svelte-table';
import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { ApiError } from '#lib/api/client.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import { pending } from '#lib/testing/app.ts';
import { LONG_NAME, listingOf, pageOf, UNBROKEN } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render, text } from '#lib/testing/render.svelte.ts';
import DataTable, { type features } from './data-table.svelte';

interface Job {
  id: string;
  name: string;
  runs: number;
}

const column = createColumnHelper<typeof features, Job>();
const columns = column.columns([
  column.accessor('name', { header: 'Name' }),
  column.accessor('runs', { header: 'Runs' })
]);
const jobs = Array.from({ length: 50 }, (_, index): Job => ({
  id: `j${index}`,
  name: `Job ${index + 1}`,
  runs: index
}));
const shown = { columns, caption: 'Jobs', failed: 'Couldn’t load jobs', empty: text('No jobs yet') };

it('has a name, column headers and a row for each item', async () => {
  render(DataTable<Job>, { listing: await listingOf(async () => pageOf(jobs.slice(0, 2))), ...shown });
  await expect.element(page.getByRole('table', { name: 'Jobs' })).toBeVisible();
  const headers = page
    .getByRole('columnheader')
    .elements()
    .map(({ textContent }) => textContent?.trim());
  expect(headers).toEqual(['Name', 'Runs']);
  await expect.element(page.getByRole('row').nth(2)).toMatchTextContent('Job 2');
  await expect.element(page.getByRole('status')).toMatchTextContent('1–2 of 2');
  await expect.element(page.getByRole('button')).not.toBeInTheDocument();
});

it('says that it is loading, that there is nothing, or what failed', async () => {
  const listing = new PagedResource<Job>(pending);
  void listing.load();
  const { update } = render(DataTable<Job>, { listing, ...shown });
  await expect.element(page.getByRole('status', { name: 'Loading' })).toBeVisible();
  update({ listing: await listingOf(async () => pageOf<Job>([])) });
  await expect.element(page.getByText('No jobs yet')).toBeVisible();
  update({ listing: await listingOf<Job>(() => Promise.reject(new ApiError(0, 'network', ''))) });
  await expect.element(page.getByRole('alert')).toMatchTextContent('Couldn’t load jobs');
  await expect.element(page.getByRole('table')).not.toBeInTheDocument();
});

it('turns its pages, and stops at both ends', async () => {
  const listing = new PagedResource<Job>(async (number) => pageOf(number === 1 ? jobs : jobs.slice(0, 7), 57));
  await listing.load();
  render(DataTable<Job>, { listing, ...shown });
  const [previous, next] = ['Previous page', 'Next page'].map((name) => page.getByRole('button', { name }));
  await expect.element(page.getByRole('status')).toMatchTextContent('1–50 of 57');
  await expect.element(previous!).toBeDisabled();
  await next!.click();
  await expect.element(page.getByRole('status')).toMatchTextContent('51–57 of 57');
  await expect.element(next!).toBeDisabled();
  await previous!.click();
  await expect.element(page.getByRole('status')).toMatchTextContent('1–50 of 57');
});

it('is busy while it turns a page, and keeps its rows', async () => {
  const listing = new PagedResource<Job>((number) => (number > 1 ? pending() : Promise.resolve(pageOf(jobs, 99))));
  await listing.load();
  const { stage } = render(DataTable<Job>, { listing, ...shown });
  await page.getByRole('button', { name: 'Next page' }).click();
  await expect.poll(() => stage.querySelector('[aria-busy="true"]')).not.toBeNull();
  await expect.element(page.getByRole('cell', { name: 'Job 50' })).toBeInTheDocument();
});

it('states no total that the server doesn’t know', async () => {
  render(DataTable<Job>, { listing: await listingOf(async () => pageOf(jobs)), ...shown, isCounted: false });
  await expect.element(page.getByRole('status')).toMatchTextContent(/^1–50$/);
});

it('wraps long texts, and scrolls if that is not enough', async () => {
  const long = [{ id: 'j', name: `${LONG_NAME} ${UNBROKEN}`, runs: 1e20 }];
  const { stage } = render(
    DataTable<Job>,
    { listing: await listingOf(async () => pageOf(long)), ...shown },
    { width: 200 }
  );
  await expect.element(page.getByRole('cell').first()).toMatchTextContent(UNBROKEN);
  expectNoOverflow(stage);
});

it('has its columns and pager in the direction of the page', async () => {
  const listing = await listingOf(async () => pageOf(jobs, 99));
  const parts = () => [
    page.getByRole('columnheader').elements(),
    [elementOf(page.getByRole('status')), ...page.getByRole('button').elements()]
  ];
  const { stage } = render(DataTable<Job>, { listing, ...shown });
  await expect.element(page.getByRole('table')).toBeVisible();
  for (const part of parts()) expectLeftToRight(...part);
  document.documentElement.dir = 'rtl';
  expect(stage.matches(':dir(rtl)')).toBe(true);
  for (const part of parts()) expectRightToLeft(...part);
});
