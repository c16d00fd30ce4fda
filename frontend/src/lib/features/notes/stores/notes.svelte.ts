import { SvelteMap } from 'svelte/reactivity';
import { ApiError, newId, type Api } from '#lib/api/client.ts';
import type { Note } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { sentence } from '#lib/api/error-messages.ts';
import type { KeptNote, NoteStorage } from '../storage.ts';
import type { Line } from '#lib/realtime/live-updates.ts';

/** Keys that rest so long are sent. */
const SEND_AFTER = 700;
/** What could not be sent is tried again. */
const RETRY_AFTER = 8000;

/** How a note stands: everything is stored; on its way; on this device only; refused. */
export type SaveState = 'saved' | 'saving' | 'local' | 'refused';

interface Options {
  api: Pick<Api, 'get' | 'put' | 'delete'>;
  line: Line & { readonly ready: boolean };
  storage: NoteStorage;
  userId: Id;
  /** How a copy is called: “Call (copy from phone)”. */
  copied: (title: string) => string;
  now?: () => Date;
}

/** One’s own notes: kept on this device first, then on the server. Nothing that was written is ever replaced. */
export class Notes {
  readonly #notes = new SvelteMap<Id, KeptNote>();
  readonly #problems = new SvelteMap<Id, string>();
  isLoaded = $state(false);
  error = $state<unknown>(null);
  isSyncing = $state(false);
  syncedAt = $state<Date | null>(null);
  /** This browser forbids to keep anything: what isn’t sent goes with the page. */
  isForgetful = $state(false);
  /** A note that is being written became a copy under another id. */
  onCopied: (from: Id, to: Id) => void = () => undefined;

  readonly #options: Options;
  readonly #now: () => Date;
  #since: string | null = null;
  #askedAt: number | null = null;
  #again = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: Options) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
  }

  /** Pinned ones first, then what was written last. */
  readonly items = $derived.by(() =>
    [...this.#notes.values()]
      .filter(({ isGone }) => !isGone)
      .sort((a, b) => Number(b.pinned) - Number(a.pinned) || (a.edited_at < b.edited_at ? 1 : -1))
  );
  /** How many the server has yet to hear of. */
  readonly waiting = $derived.by(() => [...this.#notes.values()].filter(({ isDirty }) => isDirty).length);

  /** When the server was asked last; null: never yet, -Infinity: in vain. */
  get askedAt(): number | null {
    return this.#askedAt;
  }

  get(id: Id): KeptNote | undefined {
    const note = this.#notes.get(id);
    return note?.isGone ? undefined : note;
  }

  stateOf(id: Id): SaveState {
    if (this.#problems.has(id)) return 'refused';
    if (!this.#notes.get(id)?.isDirty) return 'saved';
    return this.#options.line.ready ? 'saving' : 'local';
  }

  problemOf(id: Id): string | undefined {
    return this.#problems.get(id);
  }

  /** Shows what this device has, then asks the server. Answers how to stop. */
  open(): () => void {
    const { line, storage, userId } = this.#options;
    void storage.load(userId).then(({ notes, since }) => {
      for (const note of notes) if (!this.#notes.has(note.id)) this.#notes.set(note.id, note);
      this.#since = since;
      if (notes.length > 0) this.isLoaded = true;
      return this.sync();
    });
    const leave = line.on(({ type }: { type: string }) => {
      if (type === 'note.changed') void this.sync();
    });
    const leaveReturn = line.onReturn(this, () => void this.sync());
    return () => {
      this.#isClosed = true;
      clearTimeout(this.#timer);
      leave();
      leaveReturn();
    };
  }

  create(): Id {
    const id = newId();
    this.#keep({ ...this.#blank(id), isDirty: false });
    return id;
  }

  write(id: Id, change: Partial<Pick<KeptNote, 'title' | 'content' | 'pinned'>>): void {
    const note = this.#notes.get(id) ?? this.#blank(id);
    const written = change.title !== undefined || change.content !== undefined;
    this.#problems.delete(id);
    this.#keep({ ...note, ...change, isDirty: true, ...(written && { edited_at: this.#now().toISOString() }) });
    this.#later(SEND_AFTER);
  }

  remove(id: Id): void {
    const note = this.#notes.get(id);
    if (!note) return;
    this.#problems.delete(id);
    if (note.base === 0) void this.#forget([id]);
    else {
      this.#keep({ ...note, isGone: true, isDirty: true });
      void this.sync();
    }
  }

  /** Brings back what was deleted a moment ago. */
  restore(note: KeptNote): void {
    const base = this.#notes.get(note.id)?.base ?? 0;
    const id = base === 0 ? newId() : note.id;
    this.#keep({ ...note, id, base, isGone: false, isDirty: true });
    void this.sync();
  }

  /** Both are kept: it is a note like any other from now on. */
  settle(id: Id): void {
    const note = this.#notes.get(id);
    if (!note) return;
    const { copyOf: _, ...rest } = note;
    this.#keep(rest);
  }

  retry(): Promise<void> {
    return this.sync();
  }

  /** Takes what the server has, and gives it what this device has. */
  async sync(): Promise<void> {
    if (this.isSyncing) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.isSyncing = true;
    this.error = null;
    this.#askedAt = Date.now();
    try {
      do {
        this.#again = false;
        await this.#pull();
        await this.#push();
      } while (this.#again && !this.#isClosed);
      this.syncedAt = this.#now();
      this.isLoaded = true;
    } catch (error) {
      this.error = error;
      this.#askedAt = -Infinity;
      if (this.waiting > 0 && !this.#isClosed) this.#later(RETRY_AFTER);
    } finally {
      this.isSyncing = false;
    }
  }

  async #pull(): Promise<void> {
    const { api, storage, userId } = this.#options;
    const isWhole = this.#since === null;
    const seen = new Set<Id>();
    for (;;) {
      let items: Note[];
      try {
        const query = this.#since === null ? {} : { since: this.#since };
        items = (await api.get('/notes', query)).items;
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== 'cursor_expired') throw error;
        this.#since = null;
        return this.#pull();
      }
      const last = items.at(-1);
      if (!last) break;
      for (const note of items) {
        if (!note.deleted_at) seen.add(note.id);
        this.#take(note);
      }
      this.#since = last.updated_at;
    }
    // What was deleted longer ago than the server remembers.
    if (isWhole) {
      const gone = [...this.#notes.values()].filter(({ id, base, isDirty }) => base > 0 && !isDirty && !seen.has(id));
      await this.#forget(gone.map(({ id }) => id));
    }
    if (!this.#isClosed) await storage.putSince(userId, this.#since);
  }

  /** What the server has of a note. */
  #take(note: Note): void {
    const have = this.#notes.get(note.id);
    if (have && note.version <= have.base) return;
    if (!have || !have.isDirty || (have.isGone && note.deleted_at)) {
      if (note.deleted_at) void this.#forget([note.id]);
      else this.#keep(fromServer(note, have));
    } else if (note.deleted_at) {
      // Deleted elsewhere, written here: what was written stays.
      this.#keep({ ...have, base: note.version });
    } else if (have.isGone || isSame(have, note)) {
      // Written elsewhere, deleted here: what was written stays, too.
      this.#keep(fromServer(note, have));
    } else if (have.content === note.content && have.title === note.title) {
      this.#keep({ ...have, base: note.version });
    } else {
      this.#keepBoth(have, note);
    }
  }

  #keepBoth(have: KeptNote, note: Note): void {
    const id = newId();
    const title = this.#options.copied(have.title);
    this.#keep({ ...have, id, title, pinned: false, base: 0, isDirty: true, copyOf: note.id });
    this.#keep(fromServer(note));
    this.onCopied(note.id, id);
  }

  async #push(): Promise<void> {
    let failure: ApiError | undefined;
    for (const { id } of [...this.#notes.values()].filter((note) => note.isDirty && !this.#problems.has(note.id))) {
      const note = this.#notes.get(id);
      if (!note?.isDirty) continue;
      try {
        await (note.isGone ? this.#pushDeletion(note) : this.#pushText(note));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.code === 'stale') this.#again = true;
        else if (error.status === 404) this.#lost(note);
        else if (error.status === 422 || error.status === 413) this.#problems.set(id, sentence(error));
        // The server fails at this very note: the others don't wait for it.
        else if (error.status === 500) failure = error;
        else throw error;
      }
    }
    if (failure) throw failure;
  }

  async #pushText(note: KeptNote): Promise<void> {
    const { id, title, content, pinned, base, edited_at } = note;
    const body = { title, content, pinned, version: base, updated_at: edited_at };
    const stored = await this.#options.api.put(`/notes/${id}`, body);
    const now = this.#notes.get(id);
    if (!now) return;
    // What was typed meanwhile is sent next.
    const isSent = now.title === title && now.content === content && now.pinned === pinned && !now.isGone;
    this.#keep({ ...now, base: stored.version, isDirty: !isSent });
    if (!isSent) this.#later(SEND_AFTER);
  }

  async #pushDeletion({ id, base }: KeptNote): Promise<void> {
    await this.#options.api.delete(`/notes/${id}?version=${base}`);
    await this.#gone(id);
  }

  /** The server has it no more. What was brought back meanwhile stays, and is written anew. */
  async #gone(id: Id): Promise<void> {
    if (this.#notes.get(id)?.isGone) await this.#forget([id]);
    else this.#again = true;
  }

  /** The server knows nothing of it any more. */
  #lost(note: KeptNote): void {
    if (note.isGone) void this.#gone(note.id);
    else {
      this.#keep({ ...note, base: 0 });
      this.#again = true;
    }
  }

  #blank(id: Id): KeptNote {
    const edited_at = this.#now().toISOString();
    return { id, title: '', content: '', pinned: false, edited_at, base: 0, isDirty: true, isGone: false };
  }

  #keep(note: KeptNote): void {
    this.#notes.set(note.id, note);
    // Whose they are has gone.
    if (this.#isClosed) return;
    const { storage, userId } = this.#options;
    void storage.put(userId, note).then((isKept) => (this.isForgetful = !isKept));
  }

  #forget(ids: readonly Id[]): Promise<void> {
    for (const id of ids) this.#notes.delete(id);
    return ids.length > 0 ? this.#options.storage.remove(this.#options.userId, ids) : Promise.resolve();
  }

  #later(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.sync(), wait);
  }
}

function fromServer({ id, title, content, pinned, edited_at, version }: Note, have?: KeptNote): KeptNote {
  const copy = have?.copyOf ? { copyOf: have.copyOf } : {};
  return { id, title, content, pinned, edited_at, base: version, isDirty: false, isGone: false, ...copy };
}

function isSame(have: KeptNote, note: Note): boolean {
  return have.title === note.title && have.content === note.content && have.pinned === note.pinned;
}
