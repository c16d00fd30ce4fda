/** Fake server and browser storage with the notes of one account. */
import { ApiError } from '#lib/api/client.ts';
import type { Note } from '../api.ts';
import type { StoredNotes, StoredNote, NoteStorage } from '../storage.ts';

export class MemoryNotes implements NoteStorage {
  readonly kept = new Map<string, StoredNote>();
  since: string | null = null;
  load = (): Promise<StoredNotes> => Promise.resolve({ notes: [...this.kept.values()], since: this.since });
  put = (_: string, note: StoredNote) => Promise.resolve(!!this.kept.set(note.id, note));
  remove = (_: string, ids: readonly string[]) => Promise.resolve(ids.forEach((id) => this.kept.delete(id)));
  setSince = (_: string, since: string | null) => Promise.resolve(void (this.since = since));
}

export class NotesServer {
  readonly notes = new Map<string, Note>();
  isAway = false;
  /** Promise for which the response to a deletion waits. */
  answering: Promise<void> = Promise.resolve();
  /** Called on each change. */
  onchange: () => void = () => undefined;
  #moment = 0;

  store(id: string, change: Partial<Note>): Note {
    const have = this.notes.get(id);
    this.#moment += 1;
    const stamp = new Date(Date.UTC(2030, 0, 1) + this.#moment).toISOString();
    const note = {
      ...{ id, title: '', content: '', pinned: false, created_at: stamp, edited_at: stamp, deleted_at: null },
      ...have,
      ...change,
      version: (have?.version ?? 0) + 1,
      updated_at: stamp
    };
    this.notes.set(id, note);
    this.onchange();
    return note;
  }

  remove(id: string): void {
    this.store(id, { title: '', content: '', deleted_at: '2030-01-01T00:00:00.000Z' });
  }

  readonly api = this.apiFor(() => true);

  /** API client of a device that may be offline. */
  apiFor(isConnected: () => boolean): never {
    const answer = () => {
      if (this.isAway || !isConnected()) throw new ApiError(0, 'network', 'away');
    };
    const isStale = (id: string, version: number) => (this.notes.get(id)?.version ?? 0) !== version;
    return {
      get: (_: string, { since }: { since?: string }) => {
        answer();
        const all = [...this.notes.values()].sort((a, b) => a.updated_at.localeCompare(b.updated_at));
        const items = all.filter((note) => (since ? note.updated_at > since : !note.deleted_at)).slice(0, 2);
        return Promise.resolve({ items, page: 1, page_size: 2, total: items.length });
      },
      put: (path: string, body: { title: string; content: string; pinned: boolean; version: number }) => {
        answer();
        const id = path.split('/').pop() ?? '';
        if (isStale(id, body.version)) throw new ApiError(409, 'stale', 'stale');
        const { title, content, pinned } = body;
        if (content === 'fault') throw new ApiError(500, 'internal', 'Something went wrong.');
        if (content === 'refused') throw new ApiError(422, 'invalid', 'Too long.');
        return Promise.resolve(this.store(id, { title, content, pinned, deleted_at: null }));
      },
      delete: (path: string) => {
        answer();
        const [id = '', query = ''] = (path.split('/').pop() ?? '').split('?');
        if (isStale(id, Number(new URLSearchParams(query).get('version')))) throw new ApiError(409, 'stale', 'stale');
        this.remove(id);
        return this.answering;
      }
    } as never;
  }
}
