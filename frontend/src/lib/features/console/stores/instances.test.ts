import { describe, expect, it } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import type { Instance } from '../api.ts';
import { InstancesStore } from './instances.svelte.ts';

const one = (id: string, host: string, version: string, redis: boolean | null): Instance => ({
  id,
  host,
  version,
  redis,
  is_own: false,
  started_at: '2026-01-01T00:00:00Z',
  seen_at: '2026-01-01T00:00:00Z',
  role: 'all',
  connections: 0,
  writer_queue: 0,
  latency_ms: null,
  delivery_ms: null,
  memory: 0,
  database: true,
  database_ms: 1,
  redis_ms: null
});

const all = [
  one('a1', 'Natter-A', '1.0.0', true),
  one('b2', 'natter-b', '1.1.0', false),
  one('c3', 'other', '1.1.0', null)
];

describe('InstancesStore', () => {
  it.each([
    [{ text: '', version: '', state: '' as const }, 'a1 b2 c3'],
    [{ text: ' NATTER', version: '', state: '' as const }, 'a1 b2'],
    [{ text: 'b2', version: '', state: '' as const }, 'b2'],
    [{ text: '', version: '1.1.0', state: 'fine' as const }, 'c3'],
    [{ text: '', version: '', state: 'wrong' as const }, 'b2'],
    [{ text: 'nobody', version: '', state: '' as const }, '']
  ])('filters by %o', async (filter, expected) => {
    const instances = new InstancesStore({ get: () => Promise.resolve(all) } as unknown as Api);
    instances.find(filter);
    await expect.poll(() => instances.list.isKnown).toBe(true);
    expect(instances.list.items.map(({ id }) => id).join(' ')).toBe(expected);
    expect(instances.versions).toEqual(['1.0.0', '1.1.0']);
  });
});
