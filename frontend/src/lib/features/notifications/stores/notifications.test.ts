import { beforeEach, describe, expect, it } from 'vitest';
import { Api } from '#lib/api/client.ts';
import type { Notification } from '../api.ts';
import type { ServerFrame } from '#lib/api/types.ts';
import { NotificationsStore } from './notifications.svelte.ts';

class FakeApi extends Api {
  items: Notification[] = [];
  told: unknown[] = [];

  override get<T>(_: string, query?: Record<string, unknown>): Promise<T> {
    const items = this.items.filter(
      ({ kind, read_at }) => (!query?.kind || kind === query.kind) && (!query?.unread || !read_at)
    );
    return Promise.resolve({ items, page: 1, page_size: 50, total: items.length } as T);
  }

  override post<T>(_: string, ...[body]: unknown[]): Promise<T> {
    this.told.push(body);
    return Promise.resolve(null as T);
  }
}

class Line {
  say: (frame: unknown) => void = () => undefined;
  hello: () => void = () => undefined;

  on(handler: (frame: ServerFrame) => void) {
    this.say = handler as (frame: unknown) => void;
    return () => undefined;
  }

  onConnect(handler: () => void) {
    this.hello = handler;
    return () => undefined;
  }
}

const one = (id: string, change: Partial<Notification> = {}): Notification => ({
  id,
  kind: 'mention',
  conversation_id: 'c1',
  count: 1,
  title: 'Priya',
  text: 'hello',
  silent: false,
  created_at: '2026-11-24T10:00:00.000Z',
  read_at: null,
  ...change
});

let api: FakeApi;
let live: Line;
let store: NotificationsStore;
const tell = (type: string, payload: unknown) => live.say({ type, payload });

beforeEach(() => {
  api = new FakeApi();
  live = new Line();
  store = new NotificationsStore(api, live);
});

describe('NotificationsStore', () => {
  it('counts a notification once and alerts unless it is silent', () => {
    const heard: string[] = [];
    store.onArrival = ({ id }) => heard.push(id);
    tell('notification', one('a'));
    tell('notification', one('a', { count: 2 }));
    tell('notification', one('b', { silent: true }));
    expect(store.unread).toBe(2);
    expect(heard).toEqual(['a', 'a']);
  });

  it('takes the count of the server on each load', async () => {
    tell('notification', one('old'));
    api.items = [one('x'), one('y'), one('read', { read_at: '2026-11-24T10:00:00.000Z' })];
    await store.load();
    expect(store.unread).toBe(2);
    tell('notification', one('x', { count: 2 }));
    expect(store.unread).toBe(2);
  });

  it('follows read and withdrawn notifications, in the count and the list', async () => {
    api.items = [one('a'), one('b', { created_at: '2026-11-24T09:00:00.000Z' })];
    await store.load();
    const list = store.list('all');
    await list.load();
    tell('notification', one('c', { created_at: '2026-11-24T11:00:00.000Z' }));
    expect(list.items.map(({ id }) => id)).toEqual(['c', 'a', 'b']);
    tell('notifications.read', { ids: ['a'] });
    tell('notifications.withdrawn', { ids: ['b'] });
    expect(store.unread).toBe(1);
    expect(list.items.map(({ id, read_at }) => [id, !!read_at])).toEqual([
      ['c', false],
      ['a', true]
    ]);
    tell('notifications.read', { ids: null });
    expect(store.unread).toBe(0);
    expect(list.items.every(({ read_at }) => read_at)).toBe(true);
  });

  it('reports read and withdrawn notifications, and on load those no longer unread', async () => {
    const gone: boolean[][] = [];
    store.onGone = (isGone) => gone.push(['a', 'b', 'c'].map(isGone));
    for (const id of ['a', 'b', 'c']) tell('notification', one(id));
    tell('notifications.read', { ids: ['a'] });
    tell('notifications.withdrawn', { ids: ['b'] });
    tell('notifications.read', { ids: null });
    api.items = [one('b')];
    await store.load();
    expect(gone).toEqual([
      [true, false, false],
      [false, true, false],
      [true, true, true],
      [true, false, true]
    ]);
  });

  it('marks a notification as read if its conversation is visible', () => {
    store.isSeen = ({ conversation_id }) => conversation_id === 'open';
    tell('notification', one('a', { conversation_id: 'open' }));
    tell('notification', one('b'));
    expect(store.unread).toBe(1);
    expect(api.told).toEqual([{ ids: ['a'] }]);
  });

  it('adds to a filtered list only what matches', async () => {
    const list = store.list('reaction');
    await list.load();
    tell('notification', one('a'));
    tell('notification', one('b', { kind: 'reaction' }));
    expect(list.items.map(({ id }) => id)).toEqual(['b']);
  });
});
