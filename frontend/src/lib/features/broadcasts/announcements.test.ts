import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Announcement } from './api.ts';
import { Api, ApiError } from '#lib/api/client.ts';
import { AnnouncementsStore } from './announcements.svelte.ts';

class FakeApi extends Api {
  active: Announcement[] = [];
  asked: string[] = [];
  refuses = false;

  override get<T>(): Promise<T> {
    return Promise.resolve({ items: this.active, page: 1, page_size: 50, total: this.active.length } as T);
  }

  override post<T>(path: string, ..._: unknown[]): Promise<T> {
    this.asked.push(path);
    return this.refuses ? Promise.reject(new ApiError(503, 'unavailable', '')) : Promise.resolve(null as T);
  }
}

const announced = (id: string, change: Partial<Announcement> = {}): Announcement => ({
  id,
  title: id,
  body: '',
  severity: 'info',
  dismissible: true,
  status: 'active',
  starts_at: '2026-11-24T10:00:00.000Z',
  ends_at: null,
  updated_at: '2026-11-24T10:00:00.000Z',
  ...change
});

let api: FakeApi;
let announcements: AnnouncementsStore;
const ids = () => announcements.items.map(({ id }) => id);

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-11-24T12:00:00.000Z') });
  api = new FakeApi();
  announcements = new AnnouncementsStore(api);
});
afterEach(() => void vi.useRealTimers());

describe('AnnouncementsStore', () => {
  it('sorts by severity, then newest first', () => {
    announcements.upsert(announced('old'));
    announcements.upsert(announced('fire', { severity: 'critical' }));
    announcements.upsert(announced('new', { starts_at: '2026-11-24T11:00:00.000Z' }));
    announcements.upsert(announced('slow', { severity: 'warning' }));
    expect(ids()).toEqual(['fire', 'slow', 'new', 'old']);
  });

  it('keeps the latest version, whatever the order of events', () => {
    announcements.upsert(announced('a', { title: 'second', updated_at: '2026-11-24T11:00:00.000Z' }));
    announcements.upsert(announced('a', { title: 'first' }));
    expect(announcements.items[0]?.title).toBe('second');
    announcements.upsert(announced('a', { status: 'withdrawn', updated_at: '2026-11-24T11:30:00.000Z' }));
    announcements.upsert(announced('a', { updated_at: '2026-11-24T11:30:00.000Z' }));
    expect(ids()).toEqual([]);
  });

  it('removes announcements at their end', () => {
    announcements.upsert(announced('a', { ends_at: '2026-11-24T12:00:05.000Z' }));
    announcements.upsert(announced('b', { ends_at: '2027-11-24T12:00:05.000Z' }));
    announcements.upsert(announced('over', { ends_at: '2026-11-24T11:00:00.000Z' }));
    expect(ids()).toEqual(['a', 'b']);
    vi.advanceTimersByTime(5_000);
    expect(ids()).toEqual(['b']);
  });

  it('replaces its items by the response of the server', async () => {
    announcements.upsert(announced('gone'));
    api.active = [announced('there')];
    await announcements.load();
    expect(ids()).toEqual(['there']);
  });

  it('dismisses at once and restores after a failure', async () => {
    const item = announced('a');
    announcements.upsert(item);
    api.refuses = true;
    const put = announcements.dismiss(item);
    expect(ids()).toEqual([]);
    await expect(put).rejects.toThrow();
    expect(ids()).toEqual(['a']);
    api.refuses = false;
    await announcements.dismiss(item);
    announcements.upsert(announced('a', { title: 'other', updated_at: '2026-11-24T12:00:00.000Z' }));
    expect(ids()).toEqual([]);
    expect(api.asked).toEqual(['/broadcasts/a/dismiss', '/broadcasts/a/dismiss']);
  });

  it('keeps an announcement that is not dismissible', () => {
    announcements.upsert(announced('a', { dismissible: false }));
    announcements.markDismissed('a');
    expect(ids()).toEqual(['a']);
  });

  it('reports an announcement as seen once', async () => {
    announcements.markSeen('a');
    announcements.markSeen('a');
    expect(api.asked).toEqual(['/broadcasts/a/seen']);
    api.refuses = true;
    announcements.markSeen('b');
    await vi.advanceTimersByTimeAsync(0);
    announcements.markSeen('b');
    expect(api.asked).toHaveLength(3);
  });
});
