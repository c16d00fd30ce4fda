import { expect, it } from 'vitest';
import type { StoredFile } from '#lib/realtime/file-storage.ts';
import type { Outgoing } from '#lib/realtime/state.ts';
import { clearAfterSignOut, unsentOf, type LocalStores } from './clear-local-data.ts';
import { signOut } from './sign-out.ts';
import { pendingQuestion } from '#lib/ui/confirm/confirm.svelte.ts';

/** Fake browser that stores content of two accounts. */
class Browser {
  readonly items = new Map<string, string>();
  readonly messages = new Map<string, Outgoing[]>();
  readonly chosen = new Map<string, StoredFile[]>();
  readonly written = new Map<string, number>();

  leave(userId: string): void {
    for (const key of ['draft', 'bare', 'reply', 'meant', 'edit']) this.items.set(`natter.${key}.${userId}.c1`, 'half');
    this.items.set(`natter.drafts.${userId}`, '[["c2",{"isStored":true,"isDirty":false}]]');
    this.items.set(`natter.draft.${userId}.c2`, 'told');
    this.items.set(`natter.searches.${userId}`, '[]');
    this.messages.set(userId, [{ client_id: 'm1', conversation_id: 'c1', content: 'Hello?' } as Outgoing]);
    const [taken, chosen] = [null, 'c3'].map((conversationId) => ({
      taken: { key: `f${conversationId}` },
      conversationId
    }));
    this.chosen.set(userId, [taken, chosen] as StoredFile[]);
    this.written.set(userId, 2);
  }

  of(userId: string): unknown[] {
    const names = [...this.items.keys()].filter((name) => name.includes(userId));
    return [
      ...names,
      ...(this.messages.get(userId) ?? []),
      ...(this.chosen.get(userId) ?? []),
      ...(this.written.has(userId) ? ['notes'] : [])
    ];
  }

  get places(): LocalStores {
    const { items, messages, chosen, written } = this;
    return {
      storage: {
        get length() {
          return items.size;
        },
        key: (index) => [...items.keys()][index] ?? null,
        getItem: (name) => items.get(name) ?? null,
        setItem: (name, value) => void items.set(name, value),
        removeItem: (name) => void items.delete(name)
      },
      outbox: {
        load: async (userId) => messages.get(userId) ?? [],
        remove: async (userId, id) =>
          void messages.set(userId, messages.get(userId)?.filter(({ client_id }) => client_id !== id) ?? [])
      },
      files: {
        load: async (userId) => chosen.get(userId) ?? [],
        remove: async (userId, key) =>
          void chosen.set(userId, chosen.get(userId)?.filter(({ taken }) => taken.key !== key) ?? [])
      },
      notes: {
        unsent: async (userId) => written.get(userId) ?? 0,
        clear: async (userId) => void written.delete(userId)
      }
    };
  }
}

it('removes the data of the account and keeps that of others', async () => {
  const browser = new Browser();
  browser.leave('anna');
  browser.leave('ben');
  browser.items.set('natter.theme', 'dark');
  const of = browser.of('ben');
  expect(await unsentOf('anna', browser.places)).toMatchObject({
    messages: [{ client_id: 'm1' }],
    notes: 2,
    // The draft in c1, the started edit of a message and the file of the draft in c3. The other file belongs to the unsent message, so it doesn't
    // count.
    drafts: 3
  });
  await clearAfterSignOut('anna', browser.places);
  expect(browser.of('anna')).toEqual([]);
  expect(browser.of('ben')).toEqual(of);
  expect(browser.items.get('natter.theme')).toBe('dark');
  expect(await unsentOf('anna', browser.places)).toEqual({ messages: [], notes: 0, drafts: 0 });
});

it('asks before a sign-out with unsent data and cancels on request', async () => {
  const browser = new Browser();
  browser.leave('anna');
  let isOut = false;
  const app = {
    session: { user: { id: 'anna' }, account: { id: 'anna' }, signOut: async () => void (isOut = true) },
    conversations: { get: () => ({ kind: 'public_channel', title: 'harbour' }) },
    api: {}
  } as unknown as Parameters<typeof signOut>[0];
  const staying = signOut(app, browser.places);
  await expect.poll(() => pendingQuestion.question?.body).toContain('A message isn’t sent in #harbour.');
  expect(pendingQuestion.question?.body).toContain('2 notes aren’t saved on the server yet.');
  expect(pendingQuestion.question?.body).toContain('3 drafts are only on this device.');
  pendingQuestion.question?.answer(false);
  expect([await staying, isOut]).toEqual([false, false]);
  const leaving = signOut(app, browser.places);
  await expect.poll(() => pendingQuestion.question).not.toBeNull();
  pendingQuestion.question?.answer(true);
  expect([await leaving, isOut]).toEqual([true, true]);
});

it('asks nothing on a sign-out without unsent data', async () => {
  const app = { session: { user: { id: 'carla' }, signOut: async () => undefined } };
  expect(await signOut(app as unknown as Parameters<typeof signOut>[0], new Browser().places)).toBe(true);
  expect(pendingQuestion.question).toBeNull();
});

it('lists an unreadable conversation without a name', async () => {
  const browser = new Browser();
  browser.messages.set('anna', [{ client_id: 'm1', conversation_id: 'c1' } as Outgoing]);
  const app = {
    session: { user: { id: 'anna' }, account: { id: 'anna' } },
    conversations: { get: () => undefined },
    api: { get: () => Promise.reject(new Error('away')) }
  } as unknown as Parameters<typeof signOut>[0];
  const staying = signOut(app, browser.places);
  await expect
    .poll(() => pendingQuestion.question?.body)
    .toBe('A message isn’t sent yet. Signing out deletes this from the device.');
  pendingQuestion.question?.answer(false);
  expect(await staying).toBe(false);
});
