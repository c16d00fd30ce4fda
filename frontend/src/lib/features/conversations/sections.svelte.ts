import type { Api } from '#lib/api/client.ts';
import type { Section } from '#lib/features/channels/api.ts';
import type { Id } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';

/** Sections of the user's sidebar, in order. */
export class SectionsStore {
  #items = $state.raw<Section[]>([]);
  readonly #api: Api;
  #loading: Promise<void> | undefined;
  #requestedAt: number | null = null;
  /** Number of moves whose requests are in progress. */
  #moves = 0;
  /** Whether the sections must be reloaded after the moves, because a move was rejected or an event arrived. */
  #isUnsure = false;

  constructor(api: Api, live?: LiveUpdates) {
    this.#api = api;
    live?.on((frame) => {
      if (frame.type !== 'sections.changed') return;
      // During a move, events contain intermediate orders, which would make the list jump.
      if (this.#moves > 0) this.#isUnsure = true;
      else this.#setItems(frame.payload.sections);
    });
    // The sections may have changed on another device while this one was disconnected.
    live?.onStale(this, () => void this.load());
  }

  /** Time of the last request; null if never requested, -Infinity if it failed. */
  get requestedAt(): number | null {
    return this.#requestedAt;
  }

  get items(): readonly Section[] {
    return this.#items;
  }

  get(id: Id): Section | undefined {
    return this.#items.find((section) => section.id === id);
  }

  load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async create(name: string): Promise<Section> {
    const section = await this.#api.post('/sections', { name });
    this.#setItems([...this.#items.filter(({ id }) => id !== section.id), section]);
    return section;
  }

  async rename(id: Id, name: string): Promise<void> {
    this.#upsert(await this.#api.patch(`/sections/${id}`, { name }));
  }

  /** Moves a section up (-1) or down (1). */
  async move(id: Id, by: -1 | 1): Promise<void> {
    const at = this.#items.findIndex((section) => section.id === id);
    const [section, other] = [this.#items[at], this.#items[at + by]];
    if (!section || !other) return;
    this.#setItems(
      [
        { ...section, position: other.position },
        { ...other, position: section.position }
      ],
      this.#items
    );
    this.#moves += 1;
    try {
      await this.#api.patch(`/sections/${section.id}`, { position: other.position });
      await this.#api.patch(`/sections/${other.id}`, { position: section.position });
    } catch (error) {
      this.#isUnsure = true;
      throw error;
    } finally {
      this.#moves -= 1;
      await this.#reloadIfUnsure();
    }
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`/sections/${id}`);
    this.#items = this.#items.filter((section) => section.id !== id);
  }

  reset(): void {
    this.#items = [];
    this.#requestedAt = null;
  }

  /** Reloads the sections after the last move, if needed. */
  async #reloadIfUnsure(): Promise<void> {
    if (this.#moves > 0 || !this.#isUnsure) return;
    this.#isUnsure = false;
    await this.load();
  }

  async #read(): Promise<void> {
    this.#requestedAt = Date.now();
    try {
      this.#setItems((await this.#api.get('/sections', { page_size: 100 })).items);
    } catch {
      // The list of conversations works without sections. The next connection tries again.
      this.#requestedAt = -Infinity;
    }
  }

  #upsert(changed: Section): void {
    this.#setItems([changed], this.#items);
  }

  /** Replaces changed sections and sorts all of them by position. */
  #setItems(changed: readonly Section[], others: readonly Section[] = []): void {
    const rest = others.filter(({ id }) => !changed.some((section) => section.id === id));
    this.#items = [...rest, ...changed].sort((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1));
  }
}
