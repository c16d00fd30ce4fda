import type { Api } from '#lib/api/client.ts';
import type { Id, Member, Page, ServerFrame } from '#lib/api/types.ts';
import type { Connection } from './connection.svelte.ts';
import { Listing } from './listing.svelte.ts';
import type { Presence } from './presence.svelte.ts';

const PAGE_SIZE = 50;

/** The people in one conversation, page by page; live. */
export class ConversationMembers {
  readonly list: Listing<Member>;
  readonly #id: Id;
  readonly #leave: () => void;

  constructor(api: Api, connection: Pick<Connection, 'on'>, presence: Pick<Presence, 'learn'>, id: Id) {
    this.#id = id;
    this.list = new Listing(async (page) => {
      const found = await api.get<Page<Member>>(`/conversations/${id}/members`, { page, page_size: PAGE_SIZE });
      presence.learn(found.items);
      return found;
    });
    this.#leave = connection.on((frame) => this.#apply(frame));
  }

  close(): void {
    this.#leave();
  }

  #apply(frame: ServerFrame): void {
    switch (frame.type) {
      case 'member.added':
      case 'member.updated': {
        const { conversation_id, member } = frame.payload;
        if (conversation_id === this.#id) this.#put(member);
        return;
      }
      case 'member.removed': {
        const { conversation_id, user_id } = frame.payload;
        if (conversation_id === this.#id) this.list.drop((member) => member.user_id === user_id);
        return;
      }
      case 'resync':
        if (frame.payload.conversation_ids?.includes(this.#id) !== false) void this.list.load();
    }
  }

  #put(member: Member): void {
    const isSame = (other: Member) => other.user_id === member.user_id;
    // Beyond the pages that are loaded: it comes with its page.
    if (this.list.items.some(isSame) || !this.list.hasMore) this.list.put(member, isSame);
  }
}
