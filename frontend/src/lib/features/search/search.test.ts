import { describe, expect, it } from 'vitest';
import type { SearchResults } from './api.ts';
import { QueryInput } from './query-input.svelte.ts';
import { RecentSearchesStore } from './recent-searches.svelte.ts';
import { parametersOf, SearchStore, type SearchQuery } from './search.svelte.ts';

const results = (ids: string[], more: Partial<SearchResults> = {}): SearchResults => ({
  items: ids.map((id) => ({ message: { id } as never })),
  next: null,
  facets: { author: [], conversation: [], has: [], day: [] },
  total: { count: ids.length, is_all: true },
  searched_to: null,
  is_corrected: false,
  corrections: [],
  is_filling: false,
  timed_out: false,
  took_ms: 1,
  ...more
});

const ask = (change: Partial<SearchQuery> = {}): SearchQuery => ({
  chips: [],
  text: 'plan',
  type: 'message',
  sort: 'relevance',
  isExact: false,
  ...change
});

/** Fake server whose answers depend on the query parameters. */
function server(answer: (query: Record<string, unknown>) => SearchResults | Promise<SearchResults>) {
  const asked: Record<string, unknown>[] = [];
  const get = (_: string, query: Record<string, unknown>) => {
    asked.push(query);
    return Promise.resolve(answer(query));
  };
  return { asked, api: { get } as never };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

describe('SearchStore', () => {
  it('appends pages without duplicates', async () => {
    const { api } = server(({ cursor }) => (cursor ? results(['b', 'c']) : results(['a', 'b'], { next: 'x' })));
    const search = new SearchStore(api);
    await search.run(ask());
    expect(search.hasMore).toBe(true);
    await search.more();
    expect(search.items.map(({ message }) => message?.id)).toEqual(['a', 'b', 'c']);
    expect([search.hasMore, search.total?.count]).toEqual([false, 2]);
  });

  it('keeps the response to the latest query', async () => {
    let release = (_: SearchResults): void => undefined;
    const slow = new Promise<SearchResults>((resolve) => (release = resolve));
    const { api } = server(({ q, limit }) => (q === 'slow' && limit === 20 ? slow : results(['new'])));
    const search = new SearchStore(api);
    const first = search.run(ask({ text: 'slow' }));
    await search.run(ask());
    release(results(['old']));
    await first;
    expect(search.items.map(({ message }) => message?.id)).toEqual(['new']);
  });

  it('suggests filters to drop when nothing is found, most results first', async () => {
    const { api } = server(({ q }) => {
      const text = String(q);
      if (!text.includes('has:')) return results(['a']);
      return text.includes('from:') ? results([]) : results(['a', 'b', 'c']);
    });
    const search = new SearchStore(api);
    const chips = [
      { op: 'has', value: 'voice' },
      { op: 'from', value: 'anna' }
    ] as const;
    await search.run(ask({ chips, text: '"plan b"' }));
    await settled();
    expect(search.isEmpty).toBe(true);
    expect(search.relaxations).toEqual([
      { chip: { op: 'from', value: 'anna' }, count: 3 },
      { chip: { op: 'has', value: 'voice' }, count: 1 }
    ]);
  });

  it('sends chosen people by id', () => {
    const chips = [
      { op: 'from', value: 'Anna', id: 'a' },
      { op: 'from', value: 'Ben', id: 'b' },
      { op: 'is', value: 'pinned' }
    ] as const;
    expect(parametersOf(ask({ chips, workspaceId: 'w' }))).toMatchObject({
      q: 'is:pinned plan',
      author: 'a,b',
      workspace_id: 'w',
      type: 'message'
    });
    expect(parametersOf(ask({ chips, text: '"plan" -x', type: 'conversation' }))).toMatchObject({ q: 'plan' });
  });
});

describe('QueryInput', () => {
  it('turns complete operators into chips', () => {
    const query = new QueryInput();
    query.setText('from:an');
    expect([query.chips.length, query.pending?.value]).toEqual([0, 'an']);
    query.complete({ op: 'from', value: 'Anna', id: 'a' });
    query.setText('has:file plan');
    expect([query.text, query.q, query.chips.length]).toEqual(['plan', 'has:file plan', 2]);
    query.pop();
    expect(query.has({ op: 'from', value: 'whoever', id: 'a' })).toBe(true);
    query.reset('x on:today', []);
    expect([query.text, query.chips]).toEqual(['x', [{ op: 'on', value: 'today' }]]);
  });
});

describe('RecentSearchesStore', () => {
  it('keeps each search once, latest first, per account', () => {
    const kept = new Map<string, string>();
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key)
    };
    const recent = new RecentSearchesStore(storage, 'anna');
    for (const text of ['a', 'b', 'a', '']) recent.add({ chips: [], text });
    expect(recent.items.map(({ text }) => text)).toEqual(['a', 'b']);
    expect(new RecentSearchesStore(storage, 'anna').items).toHaveLength(2);
    expect(new RecentSearchesStore(storage, 'ben').items).toHaveLength(0);
    kept.set('natter.searches.ben', '[{"text":1},"x"]');
    expect(new RecentSearchesStore(storage, 'ben').items).toHaveLength(0);
    recent.clear();
    expect(kept.has('natter.searches.anna')).toBe(false);
  });
});
