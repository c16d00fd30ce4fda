import { beforeEach, describe, expect, it, vi } from 'vitest';
import { PicturesStore } from './pictures.svelte.ts';

function pictures(has: Record<string, string>) {
  const asked: string[] = [];
  let now = 0;
  let isAway = false;
  const api = {
    get: async (_: string, { user_id }: { user_id: string }) => {
      asked.push(user_id);
      if (isAway) throw new Error('away');
      return user_id.split(',').flatMap((id) => (has[id] ? [{ user_id: id, upload_id: has[id] }] : []));
    },
    put: async (_: string, { upload_id }: { upload_id: string }) => ({ user_id: 'me', upload_id }),
    delete: async () => undefined
  };
  return {
    asked,
    store: new PicturesStore(api as never, () => now),
    later: (by: number) => (now += by),
    away: (is: boolean) => (isAway = is)
  };
}

describe('PicturesStore', () => {
  beforeEach(() => void vi.useFakeTimers());

  it('loads the pictures of one frame in a single request', async () => {
    const { asked, store } = pictures({ anna: 'a' });
    for (const id of ['anna', 'ben', 'anna']) store.request(id);
    await vi.runAllTimersAsync();
    store.request('ben');
    await vi.runAllTimersAsync();
    expect([asked, store.of('anna'), store.of('ben')]).toEqual([['anna,ben'], 'a', undefined]);
  });

  it('requests at most fifty at once', async () => {
    const { asked, store } = pictures({});
    for (let at = 0; at < 60; at += 1) store.request(`p${at}`);
    await vi.runAllTimersAsync();
    expect(asked.map((ids) => ids.split(',').length)).toEqual([50, 10]);
  });

  it('applies changed and removed pictures from events', async () => {
    const { asked, store } = pictures({ anna: 'a' });
    store.request('anna');
    await vi.runAllTimersAsync();
    const told = { user_id: 'anna', display_name: 'Anna', deleted: false };
    store.applyChange({ ...told, picture: 'b' });
    expect(store.of('anna')).toBe('b');
    store.applyChange({ ...told, picture: null });
    expect(store.of('anna')).toBeUndefined();
    expect(asked).toEqual(['anna']);
  });

  it('reloads a picture after ten minutes', async () => {
    const has: Record<string, string> = { anna: 'a' };
    const { later, store } = pictures(has);
    store.request('anna');
    await vi.runAllTimersAsync();
    delete has.anna;
    later(11 * 60_000);
    store.request('anna');
    await vi.runAllTimersAsync();
    expect(store.of('anna')).toBeUndefined();
  });

  it('reloads a picture at once that was changed elsewhere, if it was shown', async () => {
    const has: Record<string, string> = { anna: 'a' };
    const { asked, store } = pictures(has);
    store.refetch('anna');
    await vi.runAllTimersAsync();
    expect(asked).toEqual([]);
    store.request('anna');
    await vi.runAllTimersAsync();
    has.anna = 'b';
    store.refetch('anna');
    await vi.runAllTimersAsync();
    expect([asked, store.of('anna')]).toEqual([['anna', 'anna'], 'b']);
  });

  it('retries after a failure', async () => {
    const { away, store } = pictures({ anna: 'a' });
    away(true);
    store.request('anna');
    await vi.runAllTimersAsync();
    away(false);
    store.request('anna');
    await vi.runAllTimersAsync();
    expect(store.of('anna')).toBe('a');
  });

  it('shows the own picture at once', async () => {
    const { store } = pictures({});
    await store.choose('new');
    expect(store.of('me')).toBe('new');
    await store.remove('me');
    expect(store.of('me')).toBeUndefined();
  });
});
