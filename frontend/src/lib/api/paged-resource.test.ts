import { describe, expect, it } from 'vitest';
import type { Page } from '#lib/api/types.ts';
import { PagedResource } from './paged-resource.svelte.ts';

const PAGES: Record<number, string[]> = { 1: ['a', 'b'], 2: ['c'] };

function pageOf(page: number): Page<string> {
  return { items: PAGES[page] ?? [], page, page_size: 2, total: 3 };
}

describe('PagedResource', () => {
  it('appends pages until all items are loaded', async () => {
    const list = new PagedResource<string>(async (page) => pageOf(page));
    expect([list.isKnown, list.isEmpty]).toEqual([false, false]);
    await list.load();
    expect([list.items, list.hasMore]).toEqual([['a', 'b'], true]);
    await list.more();
    expect([list.items, list.hasMore]).toEqual([['a', 'b', 'c'], false]);
    await list.load(2);
    expect(list.items).toEqual(['c']);
  });

  it('skips duplicates by key and inserts a new item in order', async () => {
    const pages: Record<number, string[]> = { 1: ['a', 'c'], 2: ['c', 'd'] };
    const ask = async (page: number) => ({ ...pageOf(page), items: pages[page] ?? [], total: 4 });
    const list = new PagedResource<string>(ask, (item) => item);
    await list.load();
    await list.more();
    expect(list.items).toEqual(['a', 'c', 'd']);
    list.upsert(
      'b',
      (other) => other === 'b',
      (one, other) => one.localeCompare(other)
    );
    expect([list.items, list.total]).toEqual([['a', 'b', 'c', 'd'], 5]);
  });

  it('retries the failed page instead of the first one', async () => {
    let isAway = false;
    const list = new PagedResource<string>(async (page) => {
      if (isAway) throw new Error('away');
      return pageOf(page);
    });
    await list.load();
    isAway = true;
    await list.more();
    expect(list.error).not.toBeNull();
    isAway = false;
    await list.retry();
    expect([list.items, list.error]).toEqual([['a', 'b', 'c'], null]);
  });

  it('reloads all loaded pages in place', async () => {
    let there = ['a', 'b', 'c', 'd', 'e'];
    const asked: number[] = [];
    const list = new PagedResource<string>(
      async (page) => {
        asked.push(page);
        return { items: there.slice(page * 2 - 2, page * 2), page, page_size: 2, total: there.length };
      },
      (item) => item
    );
    await list.refresh();
    await list.more();
    expect(list.items).toEqual(['a', 'b', 'c', 'd']);
    there = ['new', ...there];
    await list.refresh();
    expect([list.items, list.page, list.hasMore]).toEqual([['new', 'a', 'b', 'c'], 2, true]);
    await list.more();
    expect(list.items).toEqual(['new', 'a', 'b', 'c', 'd', 'e']);
    there = ['a'];
    await list.refresh();
    expect([list.items, list.page, list.hasMore]).toEqual([['a'], 1, false]);
    // A list that shows only page 2 reloads only page 2.
    there = ['a', 'b', 'c', 'd', 'e'];
    await list.load(2);
    asked.length = 0;
    await list.refresh();
    expect([list.items, asked]).toEqual([['c', 'd'], [2]]);
  });

  it('reloads after an item was added or removed during a load', async () => {
    let there = ['a', 'b'];
    const waiting: (() => void)[] = [];
    const list = new PagedResource<string>(async () => {
      const items = [...there];
      await new Promise<void>((resolve) => waiting.push(resolve));
      return { items, page: 1, page_size: 2, total: items.length };
    });
    const loading = list.load();
    // The response in flight still contains the removed item.
    there = ['b'];
    list.remove((item) => item === 'a');
    waiting.shift()?.();
    await expect.poll(() => waiting.length).toBe(1);
    waiting.shift()?.();
    await loading;
    expect([list.items, list.total, list.isLoading]).toEqual([['b'], 1, false]);
  });

  it('reloads after an item was changed during a load', async () => {
    const waiting: (() => void)[] = [];
    let name = 'Anna';
    const list = new PagedResource<string>(async () => {
      const items = [name];
      await new Promise<void>((resolve) => waiting.push(resolve));
      return { items, page: 1, page_size: 2, total: 1 };
    });
    const loading = list.load();
    name = 'Anna Bell';
    list.change((items) => items.map(() => name));
    waiting.shift()?.();
    await expect.poll(() => waiting.length).toBe(1);
    waiting.shift()?.();
    await loading;
    expect(list.items).toEqual(['Anna Bell']);
    list.change((items) => items.map(() => 'Ann'));
    expect(list.items).toEqual(['Ann']);
  });

  it('ignores the response to an older request', async () => {
    const waiting: ((page: Page<string>) => void)[] = [];
    const list = new PagedResource<string>(() => new Promise((resolve) => waiting.push(resolve)));
    const [slow, quick] = [list.load(1), list.load(2)];
    waiting[1]?.(pageOf(2));
    await quick;
    waiting[0]?.(pageOf(1));
    await slow;
    expect([list.items, list.page, list.isLoading]).toEqual([['c'], 2, false]);
  });

  it('keeps its items and the error when a page fails to load', async () => {
    let isBroken = false;
    const list = new PagedResource<string>(async (page) => {
      if (isBroken) throw new Error('away');
      return pageOf(page);
    });
    await list.load();
    isBroken = true;
    await list.more();
    expect(list.items).toEqual(['a', 'b']);
    expect(list.error).toEqual(new Error('away'));
    isBroken = false;
    await list.more();
    expect([list.items.length, list.error]).toEqual([3, null]);
  });

  it('updates the total on insert and removal', async () => {
    const list = new PagedResource<string>(async () => ({ items: [], page: 1, page_size: 2, total: 0 }));
    await list.load();
    expect(list.isEmpty).toBe(true);
    list.upsert('new', (item) => item === 'new');
    list.upsert('new', (item) => item === 'new');
    expect([list.items, list.total]).toEqual([['new'], 1]);
    list.remove((item) => item === 'new');
    expect([list.items, list.total]).toEqual([[], 0]);
  });
});
