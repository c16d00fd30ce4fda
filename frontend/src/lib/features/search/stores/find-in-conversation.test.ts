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

describe('Find', () => {
  it('asks for the newest in this conversation, and once for the same words', async () => {
    const { asked, find } = finding(() => results(['b', 'a']));
    find.text = ' plan ';
    await find.search();
    await find.search();
    const place = { conversation_id: 'place', timezone: namedZone() };
    expect(asked).toEqual([{ q: 'plan', ...place, sort: 'newest', limit: 50, cursor: undefined }]);
    expect([find.count, find.at, find.isKnown, find.isLoading]).toEqual([2, -1, true, false]);
  });

  it('goes to older ones, to newer ones, and round', async () => {
    const { find } = finding(() => results(['c', 'b', 'a']));
    find.text = 'plan';
    expect(id(await find.older())).toBe('c');
    expect(id(await find.older())).toBe('b');
    expect(id(await find.newer())).toBe('c');
    expect(id(await find.newer())).toBe('a');
    expect(id(await find.older())).toBe('c');
  });

  it('begins with the newest, whatever way', async () => {
    const { find } = finding(() => results(['b', 'a']));
    find.text = 'plan';
    expect(id(await find.newer())).toBe('b');
  });

  it('brings the next page where the last one ends, without what came twice', async () => {
    const { asked, find } = finding(({ cursor }) => (cursor ? results(['b', 'a']) : results(['c', 'b'], 'x', 3)));
    find.text = 'plan';
    await find.older();
    // The oldest match isn't loaded, so the newest one stays selected.
    expect(id(await find.newer())).toBe('c');
    expect(id(await find.older())).toBe('b');
    expect(id(await find.older())).toBe('a');
    expect(id(await find.older())).toBe('c');
    expect(asked.length).toBe(2);
    expect(find.found.map(id)).toEqual(['c', 'b', 'a']);
  });

  it('passes over pages in which there is nothing', async () => {
    const { find } = finding(({ cursor }) => (cursor ? results(['a']) : results([], 'x', 1)));
    find.text = 'plan';
    expect(id(await find.older())).toBe('a');
  });

  it('keeps the answer to what was typed last', async () => {
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

  it('has nothing where nothing is typed', async () => {
    const { asked, find } = finding(() => results(['a']));
    find.text = 'plan';
    await find.older();
    find.text = ' ';
    expect(await find.older()).toBeUndefined();
    expect([asked.length, find.count, find.isKnown]).toEqual([1, 0, false]);
  });

  it('says what went wrong, and asks again', async () => {
    let isAway = true;
    const { find } = finding(() => (isAway ? Promise.reject(new Error('away')) : results(['a'])));
    find.text = 'plan';
    expect(await find.older()).toBeUndefined();
    expect([(find.error as Error).message, find.isKnown]).toEqual(['away', false]);
    isAway = false;
    expect(id(await find.older())).toBe('a');
    expect(find.error).toBeNull();
  });
});
