import type { CustomStatus, Id, Member, PresenceStatus, ServerFrame, Timestamp, User } from '#lib/api/types.ts';
import { SvelteMap } from 'svelte/reactivity';
import type { Connection } from '#lib/realtime/connection.svelte.ts';
import type { SessionStore } from '#lib/features/auth/session.svelte.ts';

export type OwnStatus = Exclude<PresenceStatus, 'offline'>;

type Choosing = Pick<SessionStore, 'updatePreferences'>;

/** Maximum number of people that the server lets a connection watch. */
const MAX_WATCHED = 500;
const WATCH_DELAY = 500;
/** Time in milliseconds over which clients spread their requests after a server restart. */
const WATCH_AGAIN_WITHIN = 4000;
/** Time in milliseconds after which the user of a hidden page is away. */
const AWAY_AFTER = 5 * 60_000;
/** Longest delay of the timer for the end of custom statuses, in milliseconds. Later ends are checked again then. */
const MAX_TIMEOUT = 86_400_000;

/**
 * Presence of people. That of the user is the chosen one, or away if the page was hidden for long. The server shows others the most active of the
 * user's connections.
 */
export class PresenceStore {
  readonly #others = new SvelteMap<Id, { status: PresenceStatus; lastSeen: Timestamp | null }>();
  /** Custom statuses by user. */
  readonly #said = new SvelteMap<Id, CustomStatus>();
  #saidTimer: ReturnType<typeof setTimeout> | undefined;
  /** Ids of the people whose presence is watched, the most recently added last. */
  readonly #watched = new Set<Id>();
  #watchTimer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the presence of the watched people is requested after a reconnect, so that older values may be wrong. */
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

  /** Presence of a person; undefined if it is unknown or the connection is lost. `otherwise`: value for people who aren't watched. */
  of(userId: Id, otherwise?: PresenceStatus | null): PresenceStatus | undefined {
    if (this.#connection.isLost) return undefined;
    const told = this.#others.get(userId)?.status;
    return told ?? (this.#isAsking ? undefined : (otherwise ?? undefined));
  }

  lastSeen(userId: Id): Timestamp | null {
    return this.#others.get(userId)?.lastSeen ?? null;
  }

  customStatusOf(userId: Id): CustomStatus | undefined {
    return this.#said.get(userId);
  }

  /** Changes the presence of the user. The change is shown at once and reverted if the server rejects it. */
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

  /** Applies the presence that the user has chosen on another device. */
  follow(chosen: OwnStatus): void {
    if (chosen === this.#chosen) return;
    this.#chosen = chosen;
    this.#reportStatus();
  }

  /** Applies the presence that users and members in responses contain. */
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

  /** Removes custom statuses that have ended: there is no event about that. */
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
