/** Stores files in IndexedDB that were chosen but not sent yet, so that they survive a reload. */
import { createStore, del, entries, set, type UseStore } from 'idb-keyval';
import type { Upload } from '#lib/api/files.ts';
import type { AttachedFile } from './pending-attachments.ts';

export interface StoredFile {
  readonly taken: AttachedFile;
  /** Id of the conversation whose draft has the file; null if it belongs to a message in the outbox. */
  readonly conversationId: string | null;
  /** Content of the file; null after the upload. */
  readonly blob: Blob | null;
  readonly upload: Upload | null;
  /** URL of an incomplete upload; null if there is none. */
  readonly begunAt?: string | null;
  readonly keptAt: number;
}

/** Stores the files in memory if IndexedDB is unavailable or full. */
export class FileStorage {
  #store: UseStore | undefined;

  async load(userId: string): Promise<StoredFile[]> {
    const all = await this.#try((store) => entries<string, StoredFile>(store));
    return (all ?? [])
      .filter(([key]) => key.startsWith(`${userId}/`))
      .map(([, kept]) => kept)
      .sort((a, b) => a.keptAt - b.keptAt);
  }

  async put(userId: string, kept: StoredFile): Promise<void> {
    await this.#try((store) => set(`${userId}/${kept.taken.key}`, kept, store));
  }

  async remove(userId: string, key: string): Promise<void> {
    await this.#try((store) => del(`${userId}/${key}`, store));
  }

  async #try<T>(act: (store: UseStore) => Promise<T>): Promise<T | undefined> {
    try {
      this.#store ??= createStore('natter-files', 'files');
      return await act(this.#store);
    } catch {
      return undefined;
    }
  }
}
