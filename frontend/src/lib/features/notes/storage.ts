/** Local storage of notes in IndexedDB, for offline use. */
import { createStore, delMany, entries, keys, set, type UseStore } from 'idb-keyval';
import type { Id, Timestamp } from '#lib/api/types.ts';
import { DATABASE } from './offline-sync.ts';

/** Note as stored on this device. */
export interface StoredNote {
  id: Id;
  title: string;
  content: string;
  pinned: boolean;
  edited_at: Timestamp;
  /** Server version that the local text is based on; 0 if not uploaded. */
  base: number;
  /** Not uploaded yet. */
  isDirty: boolean;
  /** Deleted locally, not yet on the server. */
  isGone: boolean;
  /** Original of a conflict copy. */
  copyOf?: Id;
}

export interface StoredNotes {
  notes: StoredNote[];
  /** Sync cursor. */
  since: Timestamp | null;
}

export interface NoteStorage {
  load(userId: Id): Promise<StoredNotes>;
  /** Resolves to false if nothing can be stored. */
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
