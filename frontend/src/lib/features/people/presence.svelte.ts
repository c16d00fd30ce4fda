import type { CustomStatus, Id, Member, PresenceStatus, ServerFrame, Timestamp, User } from '#lib/api/types.ts';
import { SvelteMap } from 'svelte/reactivity';
import type { Connection } from '#lib/realtime/connection.svelte.ts';
import type { SessionStore } from '#lib/features/auth/session.svelte.ts';

export type OwnStatus = Exclude<PresenceStatus, 'offline'>;

type Choosing = Pick<SessionStore, 'updatePreferences'>;

/** Limit of the server. */
const MAX_WATCHED = 500;
const WATCH_DELAY = 500;
/** Spreads requests after a server restart, in milliseconds. */
const WATCH_AGAIN_WITHIN = 4000;
/** Idle time until a hidden page is away, in milliseconds. */
const AWAY_AFTER = 5 * 60_000;
/** Maximum delay of a timer. */
const MAX_TIMEOUT = 86_400_000;

/** Presence. The own status is the chosen one, or away when hidden for long; the server shows the most active connection. */
export class PresenceStore {
  readonly #others = new SvelteMap<Id, { status: PresenceStatus; lastSeen: Timestamp | null }>();
  /** Custom statuses. */
  readonly #said = new SvelteMap<Id, CustomStatus>();
  #saidTimer: ReturnType<typeof setTimeout> | undefined;
  /** Watched users, latest last. */
  readonly #watched = new Set<Id>();
  #watchTimer: ReturnType<typeof setTimeout> | undefined;
  /** Known values may be stale after a reconnect. */
  #isAsking = $state(false);
  #chosen = $state<OwnStatus>('online');
  #isIdle = $state(false);

  readonly #connection: Connection;
  readonly #session: Choosing;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(connection: Connection, session: Choosing) {
    this.#connection = connection;
    this.#session = session;
    connection.on((frame) => this.#handleFrame(frame));
    connection.onConnect(() => {
      this.#reportStatus();
      if (connection.wasLost) {
        this.#isAsking = this.#watched.size > 0;
        this.#others.clear();
      }
      if (this.#watched.size > 0) this.#watchLater(WATCH_DELAY + Math.random() * WATCH_AGAIN_WITHIN);
    });
  }

  get own(): OwnStatus {
    return this.#chosen === 'online' && this.#isIdle ? 'away' : this.#chosen;
  }

  /** Undefined if unknown or disconnected. `otherwise`: default for unwatched users. */
  of(userId: Id, otherwise?: PresenceStatus | null): PresenceStatus | undefined {
    if (this.#connection.isLost) return undefined;
    const told = this.#others.get(userId)?.status;
    return told ?? (this.#isAsking ? undefined : (otherwise ?? undefined));
  }

  lastSeen(userId: Id): Timestamp | null {
    return this.#others.get(userId)?.lastSeen ?? null;
  }

  /** Current custom status of a user. */
  customStatusOf(userId: Id): CustomStatus | undefined {
    return this.#said.get(userId);
  }

  /** Sets the presence of the account optimistically. */
  async choose(status: OwnStatus): Promise<void> {
    const before = this.#chosen;
    this.follow(status);
    try {
      await this.#session.updatePreferences({ chosen_presence: status });
    } catch (error) {
      this.follow(before);
      throw error;
    }
  }

  /** Applies the status chosen on another device. */
  follow(chosen: OwnStatus): void {
    if (chosen === this.#chosen) return;
    this.#chosen = chosen;
    this.#reportStatus();
  }

  /** Applies presence contained in user data. */
  add(people: readonly (User | Member)[]): void {
    for (const person of people) {
      const id = 'user_id' in person ? person.user_id : person.id;
      if (person.presence) {
        this.#others.set(id, { status: person.presence, lastSeen: person.last_seen ?? null });
        if ('custom_status' in person) this.#setCustomStatus(id, person.custom_status);
        this.#watch(id);
      }
    }
  }

  visibilityChanged(isVisible: boolean): void {
    clearTimeout(this.#idleTimer);
    if (!isVisible) {
      this.#idleTimer = setTimeout(() => {
        this.#isIdle = true;
        this.#reportStatus();
      }, AWAY_AFTER);
    } else if (this.#isIdle) {
      this.#isIdle = false;
      this.#reportStatus();
    }
  }

  reset(): void {
    this.#others.clear();
    this.#said.clear();
    clearTimeout(this.#saidTimer);
    this.#watched.clear();
    clearTimeout(this.#watchTimer);
    this.#watchTimer = undefined;
    this.#isAsking = false;
  }

  #watch(id: Id): void {
    const isNew = !this.#watched.delete(id);
    this.#watched.add(id);
    if (this.#watched.size > MAX_WATCHED) {
      const [oldest] = this.#watched;
      this.#watched.delete(oldest!);
    }
    if (isNew) this.#watchLater(WATCH_DELAY);
  }

  #watchLater(milliseconds: number): void {
    this.#watchTimer ??= setTimeout(() => {
      this.#watchTimer = undefined;
      this.#connection.notify('presence.watch', { user_ids: [...this.#watched] });
    }, milliseconds);
  }

  #handleFrame(frame: ServerFrame): void {
    if (frame.type !== 'presence' && frame.type !== 'presences') return;
    const told = frame.type === 'presence' ? [frame.payload] : frame.payload.items;
    if (frame.type === 'presences') this.#isAsking = false;
    for (const { user_id, status, last_seen, custom_status } of told) {
      this.#others.set(user_id, { status, lastSeen: last_seen });
      this.#setCustomStatus(user_id, custom_status);
    }
  }

  #setCustomStatus(userId: Id, said: CustomStatus | null | undefined): void {
    if (said) this.#said.set(userId, said);
    else this.#said.delete(userId);
    this.#clearExpired();
  }

  /** Custom statuses expire without an event. */
  #clearExpired(): void {
    clearTimeout(this.#saidTimer);
    const now = Date.now();
    let next = Infinity;
    for (const [id, { until }] of this.#said) {
      const end = until ? Date.parse(until) : Infinity;
      if (end <= now) this.#said.delete(id);
      else next = Math.min(next, end);
    }
    if (next < Infinity) this.#saidTimer = setTimeout(() => this.#clearExpired(), Math.min(next - now, MAX_TIMEOUT));
  }

  #reportStatus(): void {
    this.#connection.notify('presence', { status: this.own });
  }
}
