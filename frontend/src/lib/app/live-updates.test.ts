import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { ConversationMembers } from '#lib/features/conversations/stores/conversation-members.svelte.ts';
import { Knowledge } from '#lib/features/assistants/stores/knowledge.svelte.ts';
import { Money } from '#lib/features/billing/stores/credits-account.svelte.ts';
import { Notes } from '#lib/features/notes/stores/notes.svelte.ts';
import { OwnEmoji } from '#lib/features/emoji/own-emoji.svelte.ts';
import { OwnTasks } from '#lib/features/boards/stores/own-tasks.svelte.ts';
import { Quota } from '#lib/features/billing/quota.svelte.ts';
import { Reminders } from '#lib/features/scheduling/reminders.svelte.ts';
import { Saved } from '#lib/features/bookmarks/saved.svelte.ts';
import { ScheduledMessages } from '#lib/features/scheduling/stores/scheduled.svelte.ts';
import { Sections } from '#lib/features/conversations/sections.svelte.ts';
import { FakeLine } from '#lib/features/conversations/store-testing.ts';
import { FollowedThreads } from '#lib/features/threads/stores/threads.svelte.ts';
import { ThreadsWaiting } from '#lib/features/threads/stores/unread-threads.svelte.ts';
import { assistantsOf } from '#lib/features/assistants/workspace-list.svelte.ts';
import { Workspaces } from '#lib/features/workspaces/workspaces.svelte.ts';

const noNotes = {
  load: () => Promise.resolve({ notes: [], since: null }),
  put: () => Promise.resolve(true),
  putSince: () => Promise.resolve(),
  remove: () => Promise.resolve()
} as never;

/** Each store that reads something once and follows what is told of it: as its page makes it. */
const stores: Record<string, (api: Api, line: FakeLine) => unknown> = {
  workspaces: (api, line) => new Workspaces(api, line).load(),
  sections: (api, line) => new Sections(api, line).load(),
  'the emoji of a workspace': (api, line) => new OwnEmoji(api, line, 'w1').load(),
  'scheduled messages': (api, line) => new ScheduledMessages(api, line),
  'saved messages': (api, line) => new Saved(api, line),
  reminders: (api, line) => new Reminders(api, line).list.load(),
  'what one may use': (api, line) => new Quota(api, line, undefined),
  'what one may buy': (api, line) => {
    const money = new Money(api);
    money.follow(line);
    return money.entitlements.load();
  },
  'threads that wait': (api, line) =>
    new ThreadsWaiting(
      api,
      () => 'me',
      () => false
    ).listen(line),
  'threads that are followed': (api, line) => {
    const threads = new FollowedThreads(api);
    threads.follow(line);
    return threads.list.load();
  },
  'own tasks': (api, line) => {
    const tasks = new OwnTasks(api);
    tasks.follow(line);
    return tasks.list.load();
  },
  'own notes': (api, line) => new Notes({ api, line, storage: noNotes, userId: 'me', copied: String }).open(),
  assistants: (api, line) => {
    const assistants = assistantsOf(api, 'w1');
    assistants.follow(line);
    return assistants.list.load();
  },
  knowledge: (api, line) => {
    const knowledge = new Knowledge(api, { assistant_id: 'a1' });
    knowledge.follow(line);
    return knowledge.load();
  },
  'the people of a conversation': (api, line) =>
    new ConversationMembers(api, line, { learn: () => undefined }, 'c1').list.load()
};

it.each(Object.entries(stores))('%s: asked for once at the start, and anew when the line is back', async (_, open) => {
  vi.useFakeTimers();
  const get = vi.fn(() => Promise.resolve({ items: [], files: [], page: 1, page_size: 50, total: 0, credits: null }));
  const line = new FakeLine();
  await open({ get } as unknown as Api, line);
  await vi.advanceTimersByTimeAsync(1_500);
  line.greet();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(get).toHaveBeenCalledTimes(1);
  line.lose();
  line.greet();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(get).toHaveBeenCalledTimes(2);
  vi.useRealTimers();
});

it('what could not be read is asked for again with the first hello, and nothing that nobody asked for', async () => {
  const get = vi.fn(() => Promise.reject(new Error('away')));
  const line = new FakeLine();
  const reminders = new Reminders({ get } as unknown as Api, line);
  line.greet();
  expect(get).not.toHaveBeenCalled();
  const saved = new FakeLine();
  void new Saved({ get } as unknown as Api, saved);
  await vi.waitFor(() => expect(get).toHaveBeenCalledTimes(1));
  await Promise.resolve();
  saved.greet();
  expect(get).toHaveBeenCalledTimes(2);
  expect(reminders.list.isKnown).toBe(false);
});
