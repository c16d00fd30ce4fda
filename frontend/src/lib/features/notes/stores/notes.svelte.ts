import { SvelteMap } from 'svelte/reactivity';
import { ApiError, newId, type Api } from '#lib/api/client.ts';
import type { Note } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { errorMessage } from '#lib/api/error-messages.ts';
import type { StoredNote, NoteStorage } from '../storage.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';

/** Pause in typing after which a note is uploaded, in milliseconds. */
const SEND_AFTER = 700;
/** Delay before a failed synchronisation is retried, in milliseconds. */
const RETRY_AFTER = 8000;

/** State of the notes: stored on the server, being uploaded, only on this device, or rejected by the server. */
export type SaveState = 'saved' | 'saving' | 'local' | 'refused';

interface Options {
  api: Pick<Api, 'get' | 'put' | 'delete'>;
  live: LiveUpdates & { readonly ready: boolean };
  storage: NoteStorage;
  userId: Id;
  /** Returns the title of a copy: “Call (copy from phone)”. */
  copied: (title: string) => string;
  now?: () => Date;
}

/**
 * Notes of the user. Each change is stored on this device and then synchronised. If two devices change a note, one version becomes a copy, so that no
 * text is lost.
 */
export class NotesStore {
  readonly #notes = new SvelteMap<Id, StoredNote>();
  readonly #problems = new SvelteMap<Id, string>();
  isLoaded = $state(false);
  error = $state<unknown>(null);
  isSyncing = $state(false);
  syncedAt = $state<Date | null>(null);
  /** Whether nothing can be stored on this device, so that changes are lost with the page unless they are uploaded. */
  isForgetful = $state(false);
  /** Called when a conflict turns the text of a note into a copy, which may be the one being edited. */
  onCopied: (from: Id, to: Id) => void = () => undefined;

  readonly #options: Options;
  readonly #now: () => Date;
  #since: string | null = null;
  #requestedAt: number | null = null;
  #needsSync = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: Options) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
  }

  /** Notes: pinned ones first, then by time of change. */
  readonly items = $derived.by(() =>
    [...this.#notes.values()]
      .filter(({ isGone }) => !isGone)
      .sort((a, b) => Number(b.pinned) - Number(a.pinned) || (a.edited_at < b.edited_at ? 1 : -1))
  );
  /** Number of notes with changes that aren't uploaded yet. */
  readonly waiting = $derived.by(() => [...this.#notes.values()].filter(({ isDirty }) => isDirty).length);

  /** Time of the last synchronisation; null if there was none, -Infinity if it failed. */
  get requestedAt(): number | null {
    return this.#requestedAt;
  }

  get(id: Id): StoredNote | undefined {
    const note = this.#notes.get(id);
    return note?.isGone ? undefined : note;
  }

  stateOf(id: Id): SaveState {
    if (this.#problems.has(id)) return 'refused';
    if (!this.#notes.get(id)?.isDirty) return 'saved';
    return this.#options.live.ready ? 'saving' : 'local';
  }

  problemOf(id: Id): string | undefined {
    return this.#problems.get(id);
  }

  /** Loads the stored notes and synchronises them; returns a function that stops this. */
  open(): () => void {
    const { live, storage, userId } = this.#options;
    void storage.load(userId).then(({ notes, since }) => {
      for (const note of notes) if (!this.#notes.has(note.id)) this.#notes.set(note.id, note);
      this.#since = since;
      if (notes.length > 0) this.isLoaded = true;
      return this.sync();
    });
    const leave = live.on(({ type }: { type: string }) => {
      if (type === 'note.changed') void this.sync();
    });
    const unsubscribeStale = live.onStale(this, () => void this.sync());
    return () => {
      this.#isClosed = true;
      clearTimeout(this.#timer);
      leave();
      unsubscribeStale();
    };
  }

  create(): Id {
    const id = newId();
    this.#store({ ...this.#blank(id), isDirty: false });
    return id;
  }

  write(id: Id, change: Partial<Pick<StoredNote, 'title' | 'content' | 'pinned'>>): void {
    const note = this.#notes.get(id) ?? this.#blank(id);
    const written = change.title !== undefined || change.content !== undefined;
    this.#problems.delete(id);
    this.#store({ ...note, ...change, isDirty: true, ...(written && { edited_at: this.#now().toISOString() }) });
    this.#scheduleSync(SEND_AFTER);
  }

  remove(id: Id): void {
    const note = this.#notes.get(id);
    if (!note) return;
    this.#problems.delete(id);
    if (note.base === 0) void this.#remove([id]);
    else {
      this.#store({ ...note, isGone: true, isDirty: true });
      void this.sync();
    }
  }

  /** Restores a note that was deleted a moment ago. */
  restore(note: StoredNote): void {
    const base = this.#notes.get(note.id)?.base ?? 0;
    const id = base === 0 ? newId() : note.id;
    this.#store({ ...note, id, base, isGone: false, isDirty: true });
    void this.sync();
  }

  /** Resolves a conflict by keeping both notes. */
  resolveConflict(id: Id): void {
    const note = this.#notes.get(id);
    if (!note) return;
    const { copyOf: _, ...rest } = note;
    this.#store(rest);
  }

  retry(): Promise<void> {
    return this.sync();
  }

  /** Applies the changes of the server and uploads those of this device. */
  async sync(): Promise<void> {
    if (this.isSyncing) {
      this.#needsSync = true;
      return;
    }
    clearTimeout(this.#timer);
    this.isSyncing = true;
    this.error = null;
    this.#requestedAt = Date.now();
    try {
      do {
        this.#needsSync = false;
        await this.#pull();
        await this.#push();
      } while (this.#needsSync && !this.#isClosed);
      this.syncedAt = this.#now();
      this.isLoaded = true;
    } catch (error) {
      this.error = error;
      this.#requestedAt = -Infinity;
      if (this.waiting > 0 && !this.#isClosed) this.#scheduleSync(RETRY_AFTER);
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
        this.#applyServerNote(note);
      }
      this.#since = last.updated_at;
    }
    // Notes that are missing on the server were deleted so long ago that it doesn't report that any more.
    if (isWhole) {
      const gone = [...this.#notes.values()].filter(({ id, base, isDirty }) => base > 0 && !isDirty && !seen.has(id));
      await this.#remove(gone.map(({ id }) => id));
    }
    if (!this.#isClosed) await storage.setSince(userId, this.#since);
  }

  /** Merges a note of the server into the local one. */
  #applyServerNote(note: Note): void {
    const have = this.#notes.get(note.id);
    if (have && note.version <= have.base) return;
    if (!have || !have.isDirty || (have.isGone && note.deleted_at)) {
      if (note.deleted_at) void this.#remove([note.id]);
      else this.#store(fromServer(note, have));
    } else if (note.deleted_at) {
      // The note was deleted on another device and changed here: the text is kept.
      this.#store({ ...have, base: note.version });
    } else if (have.isGone || isSame(have, note)) {
      // The note was changed on another device and deleted here, or both have the same text: the server's version is taken.
      this.#store(fromServer(note, have));
    } else if (have.content === note.content && have.title === note.title) {
      this.#store({ ...have, base: note.version });
    } else {
      this.#splitConflict(have, note);
    }
  }

  #splitConflict(have: StoredNote, note: Note): void {
    const id = newId();
    const title = this.#options.copied(have.title);
    this.#store({ ...have, id, title, pinned: false, base: 0, isDirty: true, copyOf: note.id });
    this.#store(fromServer(note));
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
        if (error.code === 'stale') this.#needsSync = true;
        else if (error.status === 404) this.#recreate(note);
        else if (error.status === 422 || error.status === 413) this.#problems.set(id, errorMessage(error));
        // A server error at one note doesn't prevent the upload of the others.
        else if (error.status === 500) failure = error;
        else throw error;
      }
    }
    if (failure) throw failure;
  }

  async #pushText(note: StoredNote): Promise<void> {
    const { id, title, content, pinned, base, edited_at } = note;
    const body = { title, content, pinned, version: base, updated_at: edited_at };
    const stored = await this.#options.api.put(`/notes/${id}`, body);
    const now = this.#notes.get(id);
    if (!now) return;
    // If the note has been changed during the upload, it is uploaded again soon.
    const isSent = now.title === title && now.content === content && now.pinned === pinned && !now.isGone;
    this.#store({ ...now, base: stored.version, isDirty: !isSent });
    if (!isSent) this.#scheduleSync(SEND_AFTER);
  }

  async #pushDeletion({ id, base }: StoredNote): Promise<void> {
    await this.#options.api.delete(`/notes/${id}?version=${base}`);
    await this.#removePurged(id);
  }

  /** Removes a note that the server doesn't have any more. If it was restored here meanwhile, it is uploaded again. */
  async #removePurged(id: Id): Promise<void> {
    if (this.#notes.get(id)?.isGone) await this.#remove([id]);
    else this.#needsSync = true;
  }

  /** Handles that the server doesn't have a note any more: creates it again, unless it was deleted here too. */
  #recreate(note: StoredNote): void {
    if (note.isGone) void this.#removePurged(note.id);
    else {
      this.#store({ ...note, base: 0 });
      this.#needsSync = true;
    }
  }

  #blank(id: Id): StoredNote {
    const edited_at = this.#now().toISOString();
    return { id, title: '', content: '', pinned: false, edited_at, base: 0, isDirty: true, isGone: false };
  }

  #store(note: StoredNote): void {
    this.#notes.set(note.id, note);
    // Nothing is stored after the account has signed out.
    if (this.#isClosed) return;
    const { storage, userId } = this.#options;
    void storage.put(userId, note).then((isKept) => (this.isForgetful = !isKept));
  }

  #remove(ids: readonly Id[]): Promise<void> {
    for (const id of ids) this.#notes.delete(id);
    return ids.length > 0 ? this.#options.storage.remove(this.#options.userId, ids) : Promise.resolve();
  }

  #scheduleSync(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.sync(), wait);
  }
}

function fromServer({ id, title, content, pinned, edited_at, version }: Note, have?: StoredNote): StoredNote {
  const copy = have?.copyOf ? { copyOf: have.copyOf } : {};
  return { id, title, content, pinned, edited_at, base: version, isDirty: false, isGone: false, ...copy };
}

function isSame(have: StoredNote, note: Note): boolean {
  return have.title === note.title && have.content === note.content && have.pinned === note.pinned;
}
