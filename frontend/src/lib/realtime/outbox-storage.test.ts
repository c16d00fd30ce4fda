import * as database from 'fake-indexeddb';
import { describe, expect, it, vi } from 'vitest';
import { BrowserOutboxStorage } from './outbox-storage.ts';
import { outgoing } from '#lib/features/conversations/testing.ts';

for (const [name, value] of Object.entries(database)) if (name !== 'default') vi.stubGlobal(name, value);

describe('BrowserOutboxStorage', () => {
  it('returns the messages of the account in the order of writing', async () => {
    const storage = new BrowserOutboxStorage();
    await storage.put('me', outgoing('b', { created_at: '2026-11-20T09:00:00.002Z' }));
    await storage.put('me', outgoing('a', { created_at: '2026-11-20T09:00:00.001Z' }));
    await storage.put('you', outgoing('c'));
    await storage.put('me', outgoing('d', { created_at: '2026-11-20T09:00:00.003Z' }));
    await storage.remove('me', 'd');
    const again = await new BrowserOutboxStorage().load('me');
    expect(again.map((one) => one.client_id)).toEqual(['a', 'b']);
  });
});
