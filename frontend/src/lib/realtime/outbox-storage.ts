/** Stores messages in IndexedDB that aren't sent yet, so that they survive a reload. */
import type * as idb from 'idb-keyval';
import type { Outgoing } from './state.ts';

export interface OutboxStorage {
  load(userId: string): Promise<Outgoing[]>;
  put(userId: string, outgoing: Outgoing): Promise<void>;
  remove(userId: string, clientId: string): Promise<void>;
  /** Registers a background sync, by which the service worker sends the outbox even if no page is open. */
  wake(): void;
}

/** Name of the background sync. */
export const SYNC_TAG = 'natter-outbox';

type WakeChannel = ServiceWorkerRegistration & { readonly sync?: { register(tag: string): Promise<void> } };

/** Stores the messages in memory if IndexedDB is unavailable, as in strict private windows. */
export class BrowserOutboxStorage implements OutboxStorage {
  #store: idb.UseStore | undefined;

  async load(userId: string): Promise<Outgoing[]> {
    const all = await this.#try(({ entries }, store) => entries<string, Outgoing>(store));
    return (all ?? [])
      .filter(([key]) => key.startsWith(`${userId}/`))
      .map(([, outgoing]) => outgoing)
      .sort((a, b) => a.created_at.localeCompare(b.created_at));
  }

  async put(userId: string, outgoing: Outgoing): Promise<void> {
    await this.#try(({ set }, store) => set(`${userId}/${outgoing.client_id}`, outgoing, store));
  }

  async remove(userId: string, clientId: string): Promise<void> {
    await this.#try(({ del }, store) => del(`${userId}/${clientId}`, store));
  }

  wake(): void {
    // If the browser has no Background Sync, the outbox is sent when the app is opened.
    void registration()
      .then((worker) => worker?.sync?.register(SYNC_TAG))
      .catch(() => undefined);
  }

  async #try<T>(act: (database: typeof idb, store: idb.UseStore) => Promise<T>): Promise<T | undefined> {
    try {
      const database = await import('idb-keyval');
      this.#store ??= database.createStore('natter-outbox', 'messages');
      return await act(database, this.#store);
    } catch {
      return undefined;
    }
  }
}

async function registration(): Promise<WakeChannel | undefined> {
  return 'serviceWorker' in navigator ? navigator.serviceWorker.getRegistration() : undefined;
}
