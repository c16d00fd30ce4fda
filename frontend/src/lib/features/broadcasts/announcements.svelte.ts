import type { Api } from '#lib/api/client.ts';
import type { Announcement, Severity } from './api.ts';
import type { Id } from '#lib/api/types.ts';
import { known } from '#lib/util/enum-lookup.ts';

const WEIGHT: Record<Severity, number> = { critical: 0, warning: 1, info: 2 };
const weightOf = ({ severity }: Announcement) => known(WEIGHT, severity) ?? WEIGHT.info;
/** A timer can’t wait longer. */
const MAX_TIMEOUT = 2 ** 31 - 1;

/** What the administrators announce to whoever is signed in: asked for at each hello, then as the server tells it. */
export class AnnouncementsStore {
  #items = $state.raw<Announcement[]>([]);
  readonly #api: Pick<Api, 'get' | 'post'>;
  /** What was heard of each last: of two frames the later one counts, in whatever order they come. */
  readonly #heard = new Map<Id, string>();
  /** Put away on this device or another one. */
  readonly #dismissed = new Set<Id>();
  readonly #seen = new Set<Id>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turn = 0;

  constructor(api: Pick<Api, 'get' | 'post'>) {
    this.#api = api;
  }

  /** What matters most first; of those that matter alike the newest. */
  get items(): readonly Announcement[] {
    return this.#items;
  }

  async load(): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    let active: Announcement[];
    try {
      active = (await this.#api.get('/broadcasts/active')).items;
    } catch {
      // The next hello asks again.
      return;
    }
    if (turn !== this.#turn) return;
    const ids = new Set(active.map(({ id }) => id));
    // The server knows what was put away, and what is over though nobody was told here.
    this.#become(this.#items.filter(({ id }) => ids.has(id)));
    active.forEach((item) => this.upsert(item));
  }

  upsert(item: Announcement): void {
    const before = this.#heard.get(item.id);
    if (before !== undefined && before > item.updated_at) return;
    // Told once that it is over, it does not come back with the same words.
    const isOver = item.status !== 'active';
    this.#heard.set(item.id, isOver ? `${item.updated_at}~` : item.updated_at);
    const others = this.#items.filter(({ id }) => id !== item.id);
    const isShown = !isOver && !(item.dismissible && this.#dismissed.has(item.id));
    this.#become(isShown ? [...others, item] : others);
  }

  /** It was put away, here or on another device. */
  markDismissed(id: Id): void {
    this.#dismissed.add(id);
    this.#become(this.#items.filter((item) => item.id !== id || !item.dismissible));
  }

  /** Puts it away at once; where the server could not be told it comes back. */
  async dismiss(item: Announcement): Promise<void> {
    this.markDismissed(item.id);
    try {
      await this.#api.post(`/broadcasts/${item.id}/dismiss`, {});
    } catch (error) {
      this.#dismissed.delete(item.id);
      this.#become([...this.#items.filter(({ id }) => id !== item.id), item]);
      throw error;
    }
  }

  /** It is before somebody’s eyes. Told once for each page that is opened. */
  markSeen(id: Id): void {
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    this.#api.post(`/broadcasts/${id}/seen`, {}).catch(() => this.#seen.delete(id));
  }

  reset(): void {
    this.#turn += 1;
    this.#heard.clear();
    this.#dismissed.clear();
    this.#seen.clear();
    this.#become([]);
  }

  #become(items: Announcement[]): void {
    const now = Date.now();
    const left = items.filter(({ ends_at }) => ends_at === null || Date.parse(ends_at) > now);
    this.#items = left.sort((a, b) => weightOf(a) - weightOf(b) || Date.parse(b.starts_at) - Date.parse(a.starts_at));
    clearTimeout(this.#timer);
    const ends = left.flatMap(({ ends_at }) => (ends_at === null ? [] : [Date.parse(ends_at)]));
    if (ends.length > 0)
      this.#timer = setTimeout(() => this.#become(this.#items.slice()), Math.min(Math.min(...ends) - now, MAX_TIMEOUT));
  }
}
