/**
 * Synchronises drafts between the devices of an account. A draft is stored in this browser at once (`DraftsStore`) and uploaded when the user pauses
 * typing. Changes made offline are uploaded later with the time at which they were written. The newest version wins.
 */
import { ApiError, type Api } from '#lib/api/client.ts';
import type { Draft } from '#lib/features/scheduling/api.ts';
import type { Id, ServerFrame } from '#lib/api/types.ts';
import { DraftsStore, FIRST_QUESTION, type DraftStorage } from './drafts.svelte.ts';

export interface DraftUpdates {
  readonly ready: boolean;
  on(handler: (frame: ServerFrame) => void): () => void;
}

interface SyncState {
  /** Time of the last change by the server's clock, in milliseconds since 1970. */
  readonly at: number;
  /** Whether the change is not uploaded yet. */
  readonly isDirty: boolean;
  /** Whether the draft was uploaded before. If the server doesn't have it any more, it was sent or deleted on another device. */
  readonly isStored: boolean;
}

type Times = Pick<Storage, 'getItem' | 'setItem'>;

/** Pause in typing after which a draft is uploaded, in milliseconds. */
const REST = 900;
/** Delay before a failed upload is retried, in milliseconds. */
const RETRY_DELAY = 15_000;
/** Age of a change in milliseconds from which its upload states when it was written. */
const LATE_UPLOAD_AGE = 5_000;
const MAX_DRAFTS = 200;
/** Age in milliseconds from which the state of a sent or deleted draft is removed. */
const SETTLED = 60 * 60_000;
/** Status codes after which an upload is retried: the user may sign in again, or the rate limit ends. */
const LATER: ReadonlySet<number> = new Set([401, 429]);

export class DraftSync {
  readonly #api: Api;
  readonly #live: DraftUpdates;
  readonly #drafts: DraftsStore;
  readonly #storage: Times | undefined;
  readonly #name: string;
  readonly #shown: (conversationId: Id, text: string) => void;
  readonly #known = new Map<string, SyncState>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  /** Keys of drafts that are being uploaded. Two uploads of one draft could arrive in the wrong order. */
  readonly #telling = new Set<string>();
  readonly #leave: (() => void)[];
  /** Difference of the server's clock to that of this device, in milliseconds. */
  #ahead = 0;
  #again: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(
    api: Api,
    live: DraftUpdates,
    drafts: DraftsStore,
    userId: Id,
    shown: (conversationId: Id, text: string) => void,
    storage: Times | undefined
  ) {
    this.#api = api;
    this.#live = live;
    this.#drafts = drafts;
    this.#shown = shown;
    this.#storage = storage;
    this.#name = nameOf(userId);
    this.#restore();
    drafts.onwritten = (key) => this.#written(key);
    this.#leave = [live.on((frame) => this.#handleFrame(frame)), () => (drafts.onwritten = undefined)];
  }

  close(): void {
    this.#isClosed = true;
    for (const leave of this.#leave) leave();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    clearTimeout(this.#again);
  }

  /** Applies the drafts of the server and uploads those that have changed here. Called after each connection. */
  async exchange(): Promise<void> {
    try {
      const { items, total } = await this.#api.get('/drafts', { page_size: MAX_DRAFTS });
      if (this.#isClosed) return;
      for (const draft of items) this.#applyRemote(draft);
      const there = new Set(items.map(keyOf));
      for (const key of this.#drafts.all().keys()) {
        const known = this.#known.get(key);
        // The draft was stored by a version of the app that did not synchronise drafts.
        if (!known) this.#record(key, { at: 0, isDirty: true, isStored: false });
        else if (known.isStored && !known.isDirty && !there.has(key) && total <= MAX_DRAFTS)
          this.#adopt(key, '', null, known.at);
      }
    } catch {
      // The next connection tries again.
      return;
    }
    this.#trim();
    this.#uploadAll();
  }

  /** Removes the state of old empty drafts: the whole state is written at each change, so it must stay small. */
  #trim(): void {
    for (const [key, { at, isDirty }] of this.#known)
      if (!isDirty && this.#drafts.get(key) === '' && this.#now() - at > SETTLED) this.#known.delete(key);
  }

  #now(): number {
    return Date.now() + this.#ahead;
  }

  #written(key: string): void {
    this.#record(key, { at: this.#now(), isDirty: true, isStored: this.#known.get(key)?.isStored ?? false });
    clearTimeout(this.#timers.get(key));
    const wait = this.#drafts.get(key) === '' ? 0 : REST;
    this.#timers.set(
      key,
      setTimeout(() => {
        this.#timers.delete(key);
        void this.#upload(key);
      }, wait)
    );
  }

  async #upload(key: string): Promise<void> {
    // The server stores drafts by conversation, so that of a first question stays on this device.
    if (key === FIRST_QUESTION || this.#telling.has(key)) return;
    this.#telling.add(key);
    while (await this.#isWrittenOn(key));
    this.#telling.delete(key);
  }

  /** Uploads one draft. Returns true if it has changed meanwhile and must be uploaded again. */
  async #isWrittenOn(key: string): Promise<boolean> {
    const known = this.#known.get(key);
    if (!known?.isDirty || !this.#live.ready) return false;
    const [conversationId = '', thread_id] = key.split('/');
    const content = this.#drafts.get(key);
    const reply_to = content === '' ? null : this.#drafts.replyOf(key);
    const isLate = this.#now() - known.at > LATE_UPLOAD_AGE;
    try {
      const stored = await this.#api.put(`/conversations/${conversationId}/draft`, {
        content,
        ...(thread_id && { thread_id }),
        ...(reply_to && { reply_to }),
        ...(isLate && { updated_at: new Date(known.at).toISOString() })
      });
      if (this.#known.get(key) !== known) return !this.#timers.has(key);
      this.#record(key, { at: Math.max(known.at, Date.parse(stored.updated_at)), isDirty: false, isStored: true });
      const isOther = stored.content !== content || (stored.reply_to ?? null) !== reply_to;
      if (isOther) this.#adopt(key, stored.content, stored.reply_to ?? null, Date.parse(stored.updated_at));
    } catch (error) {
      if (this.#known.get(key) !== known) return !this.#timers.has(key);
      // The server has rejected the draft, so it stays on this device.
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && !LATER.has(error.status))
        this.#record(key, { at: known.at, isDirty: false, isStored: false });
      // Retries later; if the connection was lost, the draft is uploaded at the next one, which comes sooner.
      else if (!this.#isClosed) this.#again ??= setTimeout(() => this.#uploadAll(), RETRY_DELAY);
    }
    return false;
  }

  #uploadAll(): void {
    clearTimeout(this.#again);
    this.#again = undefined;
    for (const [key, { isDirty }] of this.#known) if (isDirty) void this.#upload(key);
  }

  #handleFrame(frame: ServerFrame): void {
    const at = Date.parse(frame.timestamp);
    if (Number.isFinite(at)) this.#ahead = at - Date.now();
    if (frame.type === 'draft.updated') this.#applyRemote(frame.payload);
  }

  #applyRemote(draft: Draft): void {
    const key = keyOf(draft);
    const at = Date.parse(draft.updated_at);
    const known = this.#known.get(key);
    // The local draft is newer, or this is the event about its own upload.
    if (known && known.at >= at) return;
    if (known?.isDirty && (this.#timers.has(key) || this.#telling.has(key))) return;
    this.#adopt(key, draft.content, draft.reply_to ?? null, at);
  }

  #adopt(key: string, text: string, replyTo: Id | null, at: number): void {
    if (this.#isClosed) return;
    this.#record(key, { at, isDirty: false, isStored: true });
    this.#drafts.adopt(key, text, replyTo);
    if (!key.includes('/')) this.#shown(key, text);
  }

  #record(key: string, known: SyncState): void {
    this.#known.set(key, known);
    // Nothing is stored after the account has signed out.
    if (this.#isClosed) return;
    try {
      this.#storage?.setItem(this.#name, JSON.stringify([...this.#known]));
    } catch {
      // The storage is full, so the upload can't be recorded. The draft is uploaded again after the next page load.
    }
  }

  #restore(): void {
    for (const [key, known] of storedState(this.#storage, this.#name)) this.#known.set(key, known);
  }
}

/** Keys of drafts that exist in this browser only. */
export function unsyncedDrafts(storage: DraftStorage, userId: Id): string[] {
  const told = new Set(
    storedState(storage, nameOf(userId)).flatMap(([key, { isDirty, isStored }]) => (isStored && !isDirty ? [key] : []))
  );
  const drafts = new DraftsStore(storage);
  drafts.open(userId);
  return [...drafts.all().keys()].filter((key) => !told.has(key));
}

const nameOf = (userId: Id) => `natter.drafts.${userId}`;

function storedState(storage: Pick<Storage, 'getItem'> | undefined, name: string): [string, SyncState][] {
  try {
    return JSON.parse(storage?.getItem(name) ?? '[]') as [string, SyncState][];
  } catch {
    // Stored data that can't be parsed is ignored.
    return [];
  }
}

function keyOf({ conversation_id, thread_id }: Draft): string {
  return thread_id ? `${conversation_id}/${thread_id}` : conversation_id;
}
