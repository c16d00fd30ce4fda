import type { App } from '#lib/app/app.ts';
import { perAccount } from '#lib/app/per-account.ts';
import type { Conversation, Id } from '#lib/api/types.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';

type OpenStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** Number of conversations that are remembered for each workspace. If the last one was deleted or left, the one before it is opened. */
const MAX_REMEMBERED = 5;

/** Conversations that were open last on this device, by workspace. The storage key contains the account, so that signing out removes them. */
export class LastOpenStore {
  readonly #storage: OpenStorage;
  readonly #key: string;

  constructor(storage: OpenStorage, userId: Id) {
    this.#storage = storage;
    this.#key = `natter.last-open.${userId}`;
  }

  record({ id, workspace_id }: Pick<Conversation, 'id' | 'workspace_id'>): void {
    const all = this.#all();
    const others = (all[workspace_id] ?? []).filter((other) => other !== id);
    all[workspace_id] = [id, ...others].slice(0, MAX_REMEMBERED);
    this.#storage.setItem(this.#key, JSON.stringify(all));
  }

  /** Id of the conversation of the workspace that was open last and is still readable; undefined if there is none. */
  find(workspaceId: Id, isReadable: (id: Id) => boolean): Id | undefined {
    return this.#all()[workspaceId]?.find(isReadable);
  }

  #all(): Record<Id, Id[]> {
    try {
      const stored: unknown = JSON.parse(this.#storage.getItem(this.#key) ?? '{}');
      if (typeof stored !== 'object' || stored === null) return {};
      return Object.fromEntries(Object.entries(stored).filter(([, ids]) => Array.isArray(ids))) as Record<Id, Id[]>;
    } catch {
      // Stored data that can't be parsed is ignored.
      return {};
    }
  }
}

/** Last open conversations of the current account. */
export const lastOpenOf = perAccount((app) => new LastOpenStore(persistentStorage, app.session.account?.id ?? ''));

/** Id of the conversation of a workspace that was open last on this device and is still in the list; undefined if there is none. */
export function lastOpenIn(app: App, workspaceId: Id): Id | undefined {
  return lastOpenOf(app).find(workspaceId, (id) => {
    const conversation = app.conversations.get(id);
    return !!conversation?.own && !conversation.archived_at;
  });
}
