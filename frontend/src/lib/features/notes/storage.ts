/** Stores notes in IndexedDB, so that they can be used offline. */
import { createStore, delMany, entries, keys, set, type UseStore } from 'idb-keyval';
import type { Id, Timestamp } from '#lib/api/types.ts';
import { DATABASE } from './offline-sync.ts';

/** Note as it is stored on this device. */
export interface StoredNote {
  id: Id;
  title: string;
  content: string;
  pinned: boolean;
  edited_at: Timestamp;
  /** Version on the server from which the local text was edited; 0 if the note was never uploaded. */
  base: number;
  /** Whether there is a change that isn't uploaded yet. */
  isDirty: boolean;
  /** Whether the note was deleted here but not yet on the server. */
  isGone: boolean;
  /** Id of the note of which this one is a copy because of a conflict. */
  copyOf?: Id;
}

export interface StoredNotes {
  notes: StoredNote[];
  /** Position up to which the server's changes are applied; null if none are. */
  since: Timestamp | null;
}

export interface NoteStorage {
  load(userId: Id): Promise<StoredNotes>;
  /** Stores a note. Resolves to false if that is impossible. */
  put(userId: Id, note: StoredNote): Promise<boolean>;
  remove(userId: Id, ids: readonly Id[]): Promise<void>;
  setSince(userId: Id, since: Timestamp | null): Promise<void>;
}

const SINCE = '#since';

export class BrowserNoteStorage implements NoteStorage {
  #store: UseStore | undefined;

  async load(userId: Id): Promise<StoredNotes> {
    const all = (await this.#try((store) => entries<string, unknown>(store))) ?? [];
    const own = all.filter(([key]) => key.startsWith(`${userId}/`));
    const since = own.find(([key]) => key.endsWith(SINCE))?.[1];
    return {
      notes: own.filter(([key]) => !key.endsWith(SINCE)).map(([, note]) => note as StoredNote),
      since: typeof since === 'string' ? since : null
    };
  }

  async put(userId: Id, note: StoredNote): Promise<boolean> {
    return (await this.#try((store) => set(`${userId}/${note.id}`, note, store).then(() => true))) ?? false;
  }

  async remove(userId: Id, ids: readonly Id[]): Promise<void> {
    const keys = ids.map((id) => `${userId}/${id}`);
    await this.#try((store) => delMany(keys, store));
  }

  async setSince(userId: Id, since: Timestamp | null): Promise<void> {
    await this.#try((store) => set(`${userId}/${SINCE}`, since, store));
  }

  /** Deletes the notes of a user. */
  async clear(userId: Id): Promise<void> {
    await this.#try(async (store) => {
      const all = await keys<string>(store);
      await delMany(
        all.filter((key) => key.startsWith(`${userId}/`)),
        store
      );
    });
  }

  async #try<T>(act: (store: UseStore) => Promise<T>): Promise<T | undefined> {
    try {
      this.#store ??= createStore(DATABASE, 'notes');
      return await act(this.#store);
    } catch {
      return undefined;
    }
  }
}
