import type { CustomStatus, Id, Member, PresenceStatus, ServerFrame, Timestamp, User } from '#lib/api/types.ts';
import { SvelteMap } from 'svelte/reactivity';
import type { Connection } from '#lib/realtime/connection.svelte.ts';
import type { Session } from '#lib/features/auth/session.svelte.ts';

export type OwnStatus = Exclude<PresenceStatus, 'offline'>;

type Choosing = Pick<Session, 'choose'>;

/** As many people as the server tells about at a time. */
const MOST_WATCHED = 500;
const WATCH_AFTER = 500;
/** After a restart of the server everybody is back at once: not all ask then. */
const WATCH_AGAIN_WITHIN = 4000;
/** A page that nobody has looked at for this long is away. */
const AWAY_AFTER = 5 * 60_000;
/** A browser's timers are no longer than 24 days. */
const LONGEST_TIMER = 86_400_000;

/**
 * Who is here. Own status: what the person chose, here or on another device, or away when the page has long been out of sight. Of
 * several pages the server shows the most active.
 */
export class Presence {
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
    connection.on((frame) => this.#hear(frame));
    connection.onHello(() => {
      this.#tell();
      if (connection.wasLost) {
        this.#isAsking = this.#watched.size > 0;
        this.#others.clear();
      }
      if (this.#watched.size > 0) this.#watchLater(WATCH_AFTER + Math.random() * WATCH_AGAIN_WITHIN);
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
  saidBy(userId: Id): CustomStatus | undefined {
    return this.#said.get(userId);
  }

  /** Holds for all devices of the person; shown at once, and taken back where the server doesn't take it. */
  async choose(status: OwnStatus): Promise<void> {
    const before = this.#chosen;
    this.follow(status);
    try {
      await this.#session.choose({ chosen_presence: status });
    } catch (error) {
      this.follow(before);
      throw error;
    }
  }

  /** What the account says was chosen, here or on another device. */
  follow(chosen: OwnStatus): void {
    if (chosen === this.#chosen) return;
    this.#chosen = chosen;
    this.#tell();
  }

  /** Answers that name people say who of them is here, too. */
  learn(people: readonly (User | Member)[]): void {
    for (const person of people) {
      const id = 'user_id' in person ? person.user_id : person.id;
      if (person.presence) {
        this.#others.set(id, { status: person.presence, lastSeen: person.last_seen ?? null });
        if ('custom_status' in person) this.#hearSaid(id, person.custom_status);
        this.#watch(id);
      }
    }
  }

  visibilityChanged(isVisible: boolean): void {
    clearTimeout(this.#idleTimer);
    if (!isVisible) {
      this.#idleTimer = setTimeout(() => {
        this.#isIdle = true;
        this.#tell();
      }, AWAY_AFTER);
    } else if (this.#isIdle) {
      this.#isIdle = false;
      this.#tell();
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
    if (this.#watched.size > MOST_WATCHED) {
      const [oldest] = this.#watched;
      this.#watched.delete(oldest!);
    }
    if (isNew) this.#watchLater(WATCH_AFTER);
  }

  #watchLater(milliseconds: number): void {
    this.#watchTimer ??= setTimeout(() => {
      this.#watchTimer = undefined;
      this.#connection.notify('presence.watch', { user_ids: [...this.#watched] });
    }, milliseconds);
  }

  #hear(frame: ServerFrame): void {
    if (frame.type !== 'presence' && frame.type !== 'presences') return;
    const told = frame.type === 'presence' ? [frame.payload] : frame.payload.items;
    if (frame.type === 'presences') this.#isAsking = false;
    for (const { user_id, status, last_seen, custom_status } of told) {
      this.#others.set(user_id, { status, lastSeen: last_seen });
      this.#hearSaid(user_id, custom_status);
    }
  }

  #hearSaid(userId: Id, said: CustomStatus | null | undefined): void {
    if (said) this.#said.set(userId, said);
    else this.#said.delete(userId);
    this.#forgetSaid();
  }

  /** Nobody tells when a time is over. */
  #forgetSaid(): void {
    clearTimeout(this.#saidTimer);
    const now = Date.now();
    let next = Infinity;
    for (const [id, { until }] of this.#said) {
      const end = until ? Date.parse(until) : Infinity;
      if (end <= now) this.#said.delete(id);
      else next = Math.min(next, end);
    }
    if (next < Infinity) this.#saidTimer = setTimeout(() => this.#forgetSaid(), Math.min(next - now, LONGEST_TIMER));
  }

  #tell(): void {
    this.#connection.notify('presence', { status: this.own });
  }
}
