import { describe, expect, it } from 'vitest';
import type { SearchResults } from '../api.ts';
import { namedZone } from '#lib/features/people/timezones.ts';
import { FindInConversationStore } from './find-in-conversation.svelte.ts';

const results = (ids: string[], next: string | null = null, count = ids.length): SearchResults =>
  ({ items: ids.map((id) => ({ message: { id } })), next, total: { count, is_all: true } }) as never;

/** Store on a fake server whose answers depend on the query parameters. */
function finding(answer: (query: Record<string, unknown>) => SearchResults | Promise<SearchResults>) {
  const asked: Record<string, unknown>[] = [];
  const get = async (_: string, query: Record<string, unknown>) => {
    asked.push(query);
    return answer(query);
  };
  return { asked, find: new FindInConversationStore({ get } as never, 'place') };
}

const id = (message: { id: string } | undefined) => message?.id;

describe('FindInConversationStore', () => {
  it('requests the newest matches in this conversation, once for the same words', async () => {
    const { asked, find } = finding(() => results(['b', 'a']));
    find.text = ' plan ';
    await find.search();
    await find.search();
    const place = { conversation_id: 'place', timezone: namedZone() };
    expect(asked).toEqual([{ q: 'plan', ...place, sort: 'newest', limit: 50, cursor: undefined }]);
    expect([find.count, find.selectedIndex, find.isKnown, find.isLoading]).toEqual([2, -1, true, false]);
  });

  it('moves to older and newer matches and wraps around', async () => {
    const { find } = finding(() => results(['c', 'b', 'a']));
    find.text = 'plan';
    expect(id(await find.selectOlder())).toBe('c');
    expect(id(await find.selectOlder())).toBe('b');
    expect(id(await find.selectNewer())).toBe('c');
    expect(id(await find.selectNewer())).toBe('a');
    expect(id(await find.selectOlder())).toBe('c');
  });

  it('starts with the newest match in either direction', async () => {
    const { find } = finding(() => results(['b', 'a']));
    find.text = 'plan';
    expect(id(await find.selectNewer())).toBe('b');
  });

  it('loads the next page at the last match, without duplicates', async () => {
    const { asked, find } = finding(({ cursor }) => (cursor ? results(['b', 'a']) : results(['c', 'b'], 'x', 3)));
    find.text = 'plan';
    await find.selectOlder();
    // The oldest match isn't loaded, so the newest one stays selected.
    expect(id(await find.selectNewer())).toBe('c');
    expect(id(await find.selectOlder())).toBe('b');
    expect(id(await find.selectOlder())).toBe('a');
    expect(id(await find.selectOlder())).toBe('c');
    expect(asked.length).toBe(2);
    expect(find.found.map(id)).toEqual(['c', 'b', 'a']);
  });

  it('skips empty pages', async () => {
    const { find } = finding(({ cursor }) => (cursor ? results(['a']) : results([], 'x', 1)));
    find.text = 'plan';
    expect(id(await find.selectOlder())).toBe('a');
  });

  it('keeps the response to the latest text', async () => {
    let release = (_: SearchResults): void => undefined;
    const slow = new Promise<SearchResults>((resolve) => (release = resolve));
    const { find } = finding(({ q }) => (q === 'slow' ? slow : results(['new'])));
    find.text = 'slow';
    const first = find.search();
    find.text = 'quick';
    await find.search();
    release(results(['old']));
    await first;
    expect([find.found.map(id), find.isLoading]).toEqual([['new'], false]);
  });

  it('is empty without text', async () => {
    const { asked, find } = finding(() => results(['a']));
    find.text = 'plan';
    await find.selectOlder();
    find.text = ' ';
    expect(await find.selectOlder()).toBeUndefined();
    expect([asked.length, find.count, find.isKnown]).toEqual([1, 0, false]);
  });

  it('reports a failure and retries', async () => {
    let isAway = true;
    const { find } = finding(() => (isAway ? Promise.reject(new Error('away')) : results(['a'])));
    find.text = 'plan';
    expect(await find.selectOlder()).toBeUndefined();
    expect([(find.error as Error).message, find.isKnown]).toEqual(['away', false]);
    isAway = false;
    expect(id(await find.selectOlder())).toBe('a');
    expect(find.error).toBeNull();
  });
});
