import type { Id } from '#lib/api/types.ts';
import { FileStorage } from '#lib/realtime/file-storage.ts';
import { BrowserOutboxStorage, type OutboxStorage } from '#lib/realtime/outbox-storage.ts';
import type { Outgoing } from '#lib/realtime/state.ts';
import { hasStoredNotes } from '#lib/features/notes/offline-sync.ts';
import { RecentSearchesStore } from '#lib/features/search/recent-searches.svelte.ts';
import { unsyncedDrafts } from '#lib/features/conversations/draft-sync.svelte.ts';
import { EDIT, type DraftStorage } from '#lib/features/conversations/drafts.svelte.ts';

/** Local stores that hold content of the user. */
export interface LocalStores {
  readonly storage: DraftStorage | undefined;
  readonly outbox: Pick<OutboxStorage, 'load' | 'remove'>;
  readonly files: Pick<FileStorage, 'load' | 'remove'>;
  readonly notes: {
    /** Number of notes with changes that the server doesn't have yet. */
    unsent(userId: Id): Promise<number>;
    clear(userId: Id): Promise<void>;
  };
}

/** Content on this device that the server doesn't have yet. */
export interface Unsent {
  readonly messages: readonly Outgoing[];
  readonly notes: number;
  /** Number of drafts. Includes started edits of own messages, and drafts that have only files. */
  readonly drafts: number;
}

export function localStoresOf(storage: DraftStorage | undefined): LocalStores {
  return { storage, outbox: new BrowserOutboxStorage(), files: new FileStorage(), notes: NOTES };
}

export async function unsentOf(userId: Id, { storage, outbox, files, notes }: LocalStores): Promise<Unsent> {
  const drafts = new Set(storage ? [...unsyncedDrafts(storage, userId), ...editsOf(storage, userId)] : []);
  for (const { conversationId } of await files.load(userId)) if (conversationId !== null) drafts.add(conversationId);
  return {
    messages: await outbox.load(userId),
    notes: await notes.unsent(userId),
    drafts: drafts.size
  };
}

/** Clears the local data of an account after it signed out or was deleted. */
export async function clearAfterSignOut(userId: Id, { storage, outbox, files, notes }: LocalStores): Promise<void> {
  if (storage) {
    new RecentSearchesStore(storage, userId).clear();
    // Removes the drafts and their sync state.
    for (const key of keysOf(storage)) if (key.startsWith('natter.') && key.includes(userId)) storage.removeItem(key);
  }
  for (const { client_id } of await outbox.load(userId)) await outbox.remove(userId, client_id);
  for (const { taken } of await files.load(userId)) await files.remove(userId, taken.key);
  await notes.clear(userId);
}

const keysOf = (storage: DraftStorage) =>
  Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '');

/** Storage keys of the messages whose edit was started but not saved. */
const editsOf = (storage: DraftStorage, userId: Id) =>
  keysOf(storage).filter((key) => key.startsWith(`${EDIT}${userId}.`));

/** Stored notes; their module is loaded only if there are any. */
const NOTES: LocalStores['notes'] = {
  unsent: async (userId) => {
    if (!(await hasStoredNotes())) return 0;
    const { BrowserNoteStorage } = await import('#lib/features/notes/storage.ts');
    const { notes } = await new BrowserNoteStorage().load(userId);
    return notes.filter(({ isDirty, isGone }) => isDirty && !isGone).length;
  },
  clear: async (userId) => {
    if (!(await hasStoredNotes())) return;
    const { clearNotes } = await import('#lib/features/notes/account-notes.svelte.ts');
    await clearNotes(userId);
  }
};
