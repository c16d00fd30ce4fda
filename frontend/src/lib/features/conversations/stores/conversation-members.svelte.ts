import type { Api } from '#lib/api/client.ts';
import type { Id, Member, MemberRole, ServerFrame } from '#lib/api/types.ts';
import { renameUser } from '#lib/realtime/user-rename.ts';
import type { Connection } from '#lib/realtime/connection.svelte.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import type { PresenceStore } from '#lib/features/people/presence.svelte.ts';

const PAGE_SIZE = 50;
/** Maximum number of members whose presence is watched at a time. */
const MAX_WATCHED = 500;

const RANK: Partial<Record<MemberRole, number>> = { owner: 0, admin: 1, member: 2 };
const rankOf = (role: MemberRole) => RANK[role] ?? 3;

/** Members of a conversation, loaded page by page, searchable, and updated by events. */
export class ConversationMembersStore {
  readonly list: PagedResource<Member>;
  #query = $state('');
  #role = $state<MemberRole | null>(null);
  readonly #id: Id;
  readonly #connection: Pick<Connection, 'notify'>;
  readonly #leave: readonly (() => void)[];

  constructor(
    api: Api,
    connection: LiveUpdates & Pick<Connection, 'notify'>,
    presence: Pick<PresenceStore, 'add'>,
    id: Id
  ) {
    this.#id = id;
    this.#connection = connection;
    this.list = new PagedResource(
      async (page) => {
        const found = await api.get(`/conversations/${id}/members`, {
          q: this.#query || undefined,
          role: this.#role ?? undefined,
          page,
          page_size: PAGE_SIZE
        });
        presence.add(found.items);
        return found;
      },
      // Given because members may change between the requests for two pages and then be returned twice.
      ({ user_id }) => user_id
    );
    this.#leave = [
      connection.on((frame) => this.#apply(frame)),
      // Changes of members may be in no log, so they aren't caught up after a disconnect.
      connection.onStale(this.list, () => void this.list.refresh())
    ];
  }

  /** Text that the names must contain; empty for all members. */
  get query(): string {
    return this.#query;
  }

  search(query: string): Promise<void> {
    this.#query = query.trim();
    return this.list.load();
  }

  /** Role that the members must have; null for all. */
  get role(): MemberRole | null {
    return this.#role;
  }

  pick(role: MemberRole | null): Promise<void> {
    this.#role = role;
    return this.list.load();
  }

  /** Clears both filters. */
  showAll(): Promise<void> {
    this.#query = '';
    return this.pick(null);
  }

  /** Number of members with a role; null if not all of them are loaded. */
  countOf(role: MemberRole): number | null {
    const { items, total, hasMore, isKnown } = this.list;
    if (!isKnown) return null;
    const loaded = items.filter((member) => member.role === role).length;
    if (!hasMore) return loaded;
    const last = items.at(-1)?.role;
    if (last === undefined) return null;
    // The server orders members by role, so the roles before that of the last loaded member are complete.
    if (rankOf(role) < rankOf(last)) return loaded;
    return role === 'member' && last === 'member' ? total - (items.length - loaded) : null;
  }

  /** Watches the presence of the given members. In large conversations the server sends only the presence of watched members. */
  watch(shown: readonly Member[]): void {
    const user_ids = shown.slice(0, MAX_WATCHED).map(({ user_id }) => user_id);
    this.#connection.notify('presence.watch', { user_ids });
  }

  close(): void {
    for (const leave of this.#leave) leave();
  }

  #apply(frame: ServerFrame): void {
    switch (frame.type) {
      case 'member.added':
      case 'member.updated': {
        const { conversation_id, member } = frame.payload;
        if (conversation_id === this.#id) this.#upsert(member);
        return;
      }
      case 'member.removed': {
        const { conversation_id, user_id } = frame.payload;
        if (conversation_id === this.#id) this.list.remove((member) => member.user_id === user_id);
        return;
      }
      case 'user.changed':
        this.list.change((items) => renameUser(items, frame.payload));
        return;
      case 'resync':
        if (frame.payload.conversation_ids?.includes(this.#id) !== false) void this.list.refresh();
    }
  }

  #upsert(member: Member): void {
    const isSame = (other: Member) => other.user_id === member.user_id;
    const isShown = this.list.items.some(isSame);
    if (this.#role !== null && member.role !== this.#role) return this.list.remove(isSame);
    if (!isShown && this.#query !== '') return;
    // If pages are missing and the member isn't loaded, the member is on one of these and comes with it.
    if (isShown || !this.list.hasMore) this.list.upsert(member, isSame, byRoleAndName);
    else this.list.total += 1;
  }
}

/** Sorts members in the same way as the server. */
function byRoleAndName(a: Member, b: Member): number {
  return rankOf(a.role) - rankOf(b.role) || a.display_name.localeCompare(b.display_name);
}
