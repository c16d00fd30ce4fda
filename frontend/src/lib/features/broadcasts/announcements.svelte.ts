import type { Api } from '#lib/api/client.ts';
import type { Announcement, Severity } from './api.ts';
import type { Id } from '#lib/api/types.ts';
import { lookUp } from '#lib/util/enum-lookup.ts';

const WEIGHT: Record<Severity, number> = { critical: 0, warning: 1, info: 2 };
const weightOf = ({ severity }: Announcement) => lookUp(WEIGHT, severity) ?? WEIGHT.info;
/** Longest delay that browsers allow for a timer, in milliseconds. */
const MAX_TIMEOUT = 2 ** 31 - 1;

/** Announcements for the current account, updated by events and reloaded after each connection. */
export class AnnouncementsStore {
  #items = $state.raw<Announcement[]>([]);
  readonly #api: Pick<Api, 'get' | 'post'>;
  /** Time of the last known change by id. An announcement replaces the known one only if its change is later, in whatever order they arrive. */
  readonly #changedAt = new Map<Id, string>();
  /** Ids of the announcements that were dismissed here or on another device. */
  readonly #dismissed = new Set<Id>();
  readonly #seen = new Set<Id>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turn = 0;

  constructor(api: Pick<Api, 'get' | 'post'>) {
    this.#api = api;
  }

  /** Active announcements by severity, then newest first. */
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
      // The next connection tries again.
      return;
    }
    if (turn !== this.#turn) return;
    const ids = new Set(active.map(({ id }) => id));
    // Announcements that are missing in the response were dismissed or have expired.
    this.#setItems(this.#items.filter(({ id }) => ids.has(id)));
    active.forEach((item) => this.upsert(item));
  }

  upsert(item: Announcement): void {
    const before = this.#changedAt.get(item.id);
    if (before !== undefined && before > item.updated_at) return;
    // Counts an expired announcement as changed later, so that the same change can't show it again.
    const isOver = item.status !== 'active';
    this.#changedAt.set(item.id, isOver ? `${item.updated_at}~` : item.updated_at);
    const others = this.#items.filter(({ id }) => id !== item.id);
    const isShown = !isOver && !(item.dismissible && this.#dismissed.has(item.id));
    this.#setItems(isShown ? [...others, item] : others);
  }

  /** Hides an announcement that was dismissed here or on another device. */
  markDismissed(id: Id): void {
    this.#dismissed.add(id);
    this.#setItems(this.#items.filter((item) => item.id !== id || !item.dismissible));
  }

  /** Hides an announcement at once; shows it again if the server rejects that. */
  async dismiss(item: Announcement): Promise<void> {
    this.markDismissed(item.id);
    try {
      await this.#api.post(`/broadcasts/${item.id}/dismiss`, {});
    } catch (error) {
      this.#dismissed.delete(item.id);
      this.#setItems([...this.#items.filter(({ id }) => id !== item.id), item]);
      throw error;
    }
  }

  /** Reports that an announcement was seen, once per page load. */
  markSeen(id: Id): void {
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    this.#api.post(`/broadcasts/${id}/seen`, {}).catch(() => this.#seen.delete(id));
  }

  reset(): void {
    this.#turn += 1;
    this.#changedAt.clear();
    this.#dismissed.clear();
    this.#seen.clear();
    this.#setItems([]);
  }

  #setItems(items: Announcement[]): void {
    const now = Date.now();
    const left = items.filter(({ ends_at }) => ends_at === null || Date.parse(ends_at) > now);
    this.#items = left.sort((a, b) => weightOf(a) - weightOf(b) || Date.parse(b.starts_at) - Date.parse(a.starts_at));
    clearTimeout(this.#timer);
    const ends = left.flatMap(({ ends_at }) => (ends_at === null ? [] : [Date.parse(ends_at)]));
    if (ends.length > 0)
      this.#timer = setTimeout(
        () => this.#setItems(this.#items.slice()),
        Math.min(Math.min(...ends) - now, MAX_TIMEOUT)
      );
  }
}
