import type { Id, Member, PresenceStatus, ServerFrame, Timestamp, User } from '#lib/api/types.ts';
import { SvelteMap } from 'svelte/reactivity';
import type { Connection } from './connection.svelte.ts';

export type OwnStatus = Exclude<PresenceStatus, 'offline'>;

const CHOSEN = 'natter.presence';
/** A page that nobody has looked at for this long is away. */
const AWAY_AFTER = 5 * 60_000;

/** Who is here. Own status: what the person chose, or away when the page has long been out of sight. */
export class Presence {
  readonly #others = new SvelteMap<Id, { status: PresenceStatus; lastSeen: Timestamp | null }>();
  #chosen = $state<OwnStatus>('online');
  #isIdle = $state(false);

  readonly #connection: Connection;
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'> | undefined;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(connection: Connection, storage?: Pick<Storage, 'getItem' | 'setItem'>) {
    this.#connection = connection;
    this.#storage = storage;
    const kept = storage?.getItem(CHOSEN);
    if (kept === 'away' || kept === 'dnd') this.#chosen = kept;
    connection.on((frame) => this.#hear(frame));
    connection.onHello(() => this.#tell());
  }

  get own(): OwnStatus {
    return this.#chosen === 'online' && this.#isIdle ? 'away' : this.#chosen;
  }

  /** Undefined while nobody has said. */
  of(userId: Id): PresenceStatus | undefined {
    return this.#others.get(userId)?.status;
  }

  lastSeen(userId: Id): Timestamp | null {
    return this.#others.get(userId)?.lastSeen ?? null;
  }

  choose(status: OwnStatus): void {
    this.#chosen = status;
    this.#storage?.setItem(CHOSEN, status);
    this.#tell();
  }

  /** Answers that name people say who of them is here, too. */
  learn(people: readonly (User | Member)[]): void {
    for (const person of people) {
      const id = 'user_id' in person ? person.user_id : person.id;
      if (person.presence) this.#others.set(id, { status: person.presence, lastSeen: person.last_seen ?? null });
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
  }

  #hear(frame: ServerFrame): void {
    if (frame.type !== 'presence' && frame.type !== 'presences') return;
    const told = frame.type === 'presence' ? [frame.payload] : frame.payload.items;
    for (const { user_id, status, last_seen } of told) this.#others.set(user_id, { status, lastSeen: last_seen });
  }

  #tell(): void {
    this.#connection.notify('presence', { status: this.own });
  }
}
