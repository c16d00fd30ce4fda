import { createRawSnippet } from 'svelte';
import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { ApiError } from '#lib/api/client.ts';
import { LONG_NAME, listingOf, pageOf, UNBROKEN } from '#lib/testing/data.ts';
import { expectEllipsis, expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, itemOf, render, text } from '#lib/testing/render.svelte.ts';
import { Entries, Entry } from './index.ts';

interface Key {
  id: string;
  name: string;
}

const keys: Key[] = ['Backup', 'Website', 'Phone'].map((name, index) => ({ id: `k${index}`, name }));
const shown = {
  id: 'keys',
  title: 'API keys',
  about: 'For programs',
  failed: 'Couldn’t load API keys',
  none: 'No API keys yet.',
  entry: itemOf<Key>(({ name }) => name)
};

it('Entries: is a section with a list of the same name', async () => {
  render(Entries<Key>, { listing: await listingOf(async () => pageOf(keys)), ...shown });
  await expect.element(page.getByRole('region', { name: 'API keys' })).toMatchTextContent('For programs');
  await expect.element(page.getByRole('heading', { level: 2 })).toMatchTextContent('API keys');
  const list = page.getByRole('list', { name: 'API keys' });
  expect(list.getByRole('listitem').elements()).toHaveLength(3);
  await expect.element(page.getByRole('button')).not.toBeInTheDocument();
});

it('Entries: says that there are none, or what failed', async () => {
  const { update } = render(Entries<Key>, { listing: await listingOf(async () => pageOf<Key>([])), ...shown });
  await expect.element(page.getByText('No API keys yet.')).toBeVisible();
  update({ listing: await listingOf<Key>(() => Promise.reject(new ApiError(0, 'network', ''))) });
  await expect.element(page.getByRole('alert')).toMatchTextContent('Couldn’t load API keys');
});

it('Entries: opens what adds an entry, which closes itself', async () => {
  const adding = createRawSnippet((close: () => () => void) => ({
    render: () => '<button type="button">Done</button>',
    setup: (button) => void (button as HTMLElement).addEventListener('click', () => close()())
  }));
  render(Entries<Key>, { listing: await listingOf(async () => pageOf(keys)), ...shown, add: 'Add a key', adding });
  await expect.element(page.getByRole('button', { name: 'Done' })).not.toBeInTheDocument();
  await page.getByRole('button', { name: 'Add a key' }).click();
  await page.getByRole('button', { name: 'Done' }).click();
  await expect.element(page.getByRole('button', { name: 'Done' })).not.toBeInTheDocument();
});

it('Entry: has a name, a text below it, and what stands behind them', async () => {
  render(Entry, { name: 'Backup', about: 'Used today', children: text('Revoke') });
  await expect.element(page.getByRole('listitem')).toMatchTextContent(/Backup\s*Used today\s*Revoke/);
});

it('Entry: cuts long texts with an ellipsis', () => {
  const { stage } = render(Entry, { name: LONG_NAME, about: UNBROKEN, children: text('Revoke') }, { width: 260 });
  stage.classList.add('card', 'rows');
  expectNoOverflow(stage);
  expectEllipsis(elementOf(page.getByText(LONG_NAME)));
  expectEllipsis(elementOf(page.getByText(UNBROKEN)));
});

it('Entry: follows the direction of the page', async () => {
  const order = (dir: 'ltr' | 'rtl') => {
    const { stage } = render(
      Entry,
      { name: dir, about: 'Used today', children: text(`${dir} end`) },
      { dir, width: 360 }
    );
    stage.classList.add('card', 'rows');
    return [elementOf(page.getByText(dir, { exact: true })), elementOf(page.getByText(`${dir} end`))];
  };
  expectLeftToRight(...order('ltr'));
  expectRightToLeft(...order('rtl'));
});
