import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { ConversationMembersStore } from '#lib/features/conversations/stores/conversation-members.svelte.ts';
import { KnowledgeStore } from '#lib/features/assistants/stores/knowledge.svelte.ts';
import { CreditsAccountStore } from '#lib/features/billing/stores/credits-account.svelte.ts';
import { NotesStore } from '#lib/features/notes/stores/notes.svelte.ts';
import { OwnEmojiStore } from '#lib/features/emoji/own-emoji.svelte.ts';
import { OwnTasksStore } from '#lib/features/boards/stores/own-tasks.svelte.ts';
import { QuotaStore } from '#lib/features/billing/quota.svelte.ts';
import { RemindersStore } from '#lib/features/scheduling/reminders.svelte.ts';
import { BookmarksStore } from '#lib/features/bookmarks/saved.svelte.ts';
import { ScheduledMessagesStore } from '#lib/features/scheduling/stores/scheduled.svelte.ts';
import { SectionsStore } from '#lib/features/conversations/sections.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';
import { ThreadsStore } from '#lib/features/threads/stores/threads.svelte.ts';
import { UnreadThreadsStore } from '#lib/features/threads/stores/unread-threads.svelte.ts';
import { assistantsOf } from '#lib/features/assistants/workspace-list.svelte.ts';
import { WorkspacesStore } from '#lib/features/workspaces/workspaces.svelte.ts';

const noNotes = {
  load: () => Promise.resolve({ notes: [], since: null }),
  put: () => Promise.resolve(true),
  setSince: () => Promise.resolve(),
  remove: () => Promise.resolve()
} as never;

/** Stores that load once and follow events, created in the same way as by their pages. */
const stores: Record<string, (api: Api, live: FakeLiveUpdates) => unknown> = {
  workspaces: (api, live) => new WorkspacesStore(api, live).load(),
  sections: (api, live) => new SectionsStore(api, live).load(),
  'the emoji of a workspace': (api, live) => new OwnEmojiStore(api, live, 'w1').load(),
  'scheduled messages': (api, live) => new ScheduledMessagesStore(api, live),
  'saved messages': (api, live) => new BookmarksStore(api, live),
  reminders: (api, live) => new RemindersStore(api, live).list.load(),
  'what one may use': (api, live) => new QuotaStore(api, live, undefined),
  'what one may buy': (api, live) => {
    const money = new CreditsAccountStore(api);
    money.follow(live);
    return money.entitlements.load();
  },
  'threads that wait': (api, live) =>
    new UnreadThreadsStore(
      api,
      () => 'me',
      () => false
    ).listen(live),
  'threads that are followed': (api, live) => {
    const threads = new ThreadsStore(api);
    threads.follow(live);
    return threads.list.load();
  },
  'own tasks': (api, live) => {
    const tasks = new OwnTasksStore(api);
    tasks.follow(live);
    return tasks.list.load();
  },
  'own notes': (api, live) => new NotesStore({ api, live, storage: noNotes, userId: 'me', copied: String }).open(),
  assistants: (api, live) => {
    const assistants = assistantsOf(api, 'w1');
    assistants.follow(live);
    return assistants.list.load();
  },
  knowledge: (api, live) => {
    const knowledge = new KnowledgeStore(api, { assistant_id: 'a1' });
    knowledge.follow(live);
    return knowledge.load();
  },
  'the people of a conversation': (api, live) =>
    new ConversationMembersStore(api, live, { add: () => undefined }, 'c1').list.load()
};

it.each(Object.entries(stores))('%s: loads once at the start and again after a reconnect', async (_, open) => {
  vi.useFakeTimers();
  const get = vi.fn(() => Promise.resolve({ items: [], files: [], page: 1, page_size: 50, total: 0, credits: null }));
  const live = new FakeLiveUpdates();
  await open({ get } as unknown as Api, live);
  await vi.advanceTimersByTimeAsync(1_500);
  live.greet();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(get).toHaveBeenCalledTimes(1);
  live.lose();
  live.greet();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(get).toHaveBeenCalledTimes(2);
  vi.useRealTimers();
});

it('retries a failed load on the first hello, and loads nothing that was never requested', async () => {
  const get = vi.fn(() => Promise.reject(new Error('away')));
  const live = new FakeLiveUpdates();
  const reminders = new RemindersStore({ get } as unknown as Api, live);
  live.greet();
  expect(get).not.toHaveBeenCalled();
  const saved = new FakeLiveUpdates();
  void new BookmarksStore({ get } as unknown as Api, saved);
  await vi.waitFor(() => expect(get).toHaveBeenCalledTimes(1));
  await Promise.resolve();
  saved.greet();
  expect(get).toHaveBeenCalledTimes(2);
  expect(reminders.list.isKnown).toBe(false);
});
