import type { CustomStatus, Id, Member, PresenceStatus, ServerFrame, Timestamp, User } from '#lib/api/types.ts';
import { SvelteMap } from 'svelte/reactivity';
import type { Connection } from '#lib/realtime/connection.svelte.ts';
import type { SessionStore } from '#lib/features/auth/session.svelte.ts';

export type OwnStatus = Exclude<PresenceStatus, 'offline'>;

type Choosing = Pick<SessionStore, 'updatePreferences'>;

/** As many people as the server tells about at a time. */
const MAX_WATCHED = 500;
const WATCH_DELAY = 500;
/** After a restart of the server everybody is back at once: not all ask then. */
const WATCH_AGAIN_WITHIN = 4000;
/** A page that nobody has looked at for this long is away. */
const AWAY_AFTER = 5 * 60_000;
/** A browser's timers are no longer than 24 days. */
const MAX_TIMEOUT = 86_400_000;

/**
 * Who is here. Own status: what the person chose, here or on another device, or away when the page has long been out of sight. Of
 * several pages the server shows the most active.
 */
export class PresenceStore {
  readonly #others = new SvelteMap<Id, { status: PresenceStatus; lastSeen: Timestamp | null }>();
  /** What people say of themselves. */
  readonly #said = new SvelteMap<Id, CustomStatus>();
  #saidTimer: ReturnType<typeof setTimeout> | undefined;
  /** Whose presence the server tells, the latest last: those whom the latest answers named. */
  readonly #watched = new Set<Id>();
  #watchTimer: ReturnType<typeof setTimeout> | undefined;
  /** What was known is from before a loss, and not yet told anew. */
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
      this.#reportActivity();
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

  /** Undefined while nobody has said, and without a connection, when nobody can. `otherwise`: of whom nothing is told. */
  of(userId: Id, otherwise?: PresenceStatus | null): PresenceStatus | undefined {
    if (this.#connection.isLost) return undefined;
    const told = this.#others.get(userId)?.status;
    return told ?? (this.#isAsking ? undefined : (otherwise ?? undefined));
  }

  lastSeen(userId: Id): Timestamp | null {
    return this.#others.get(userId)?.lastSeen ?? null;
  }

  /** What somebody says of themselves now. */
  customStatusOf(userId: Id): CustomStatus | undefined {
    return this.#said.get(userId);
  }

  /** Holds for all devices of the person; shown at once, and taken back where the server doesn't take it. */
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

  /** What the account says was chosen, here or on another device. */
  follow(chosen: OwnStatus): void {
    if (chosen === this.#chosen) return;
    this.#chosen = chosen;
    this.#reportActivity();
  }

  /** Answers that name people say who of them is here, too. */
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
        this.#reportActivity();
      }, AWAY_AFTER);
    } else if (this.#isIdle) {
      this.#isIdle = false;
      this.#reportActivity();
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

  /** Nobody tells when a time is over. */
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

  #reportActivity(): void {
    this.#connection.notify('presence', { status: this.own });
  }
}
