import type { Api } from '#lib/api/client.ts';
import type { ChannelChange } from './api.ts';
import type { Conversation, ConversationKind, Id, Member, Message } from '#lib/api/types.ts';
import type { ConversationsStore } from '#lib/features/conversations/conversations.svelte.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

export type ChannelFilter = 'all' | 'not_joined' | 'archived';

/** Content of the preview of a channel. */
export interface Preview {
  channel: Conversation;
  /** First members of the channel, its owners first. */
  people: Member[];
  messages: Message[];
}

const PAGE_SIZE = 50;
const PREVIEWED_PEOPLE = 5;
const PREVIEWED_MESSAGES = 20;

/** Requests about channels. */
export class ChannelsStore {
  readonly #api: Api;
  readonly #conversations: ConversationsStore;

  constructor(api: Api, conversations: ConversationsStore) {
    this.#api = api;
    this.#conversations = conversations;
  }

  /** Public channels of a workspace, sorted by number of members. */
  browse(workspaceId: Id, query: () => { q: string; filter: ChannelFilter }): PagedResource<Conversation> {
    return new PagedResource((page) => {
      const { q, filter } = query();
      return this.#api.get('/conversations', {
        scope: 'browse',
        workspace_id: workspaceId,
        q: q || undefined,
        archived: filter === 'archived',
        joined: filter === 'not_joined' ? false : undefined,
        page,
        page_size: PAGE_SIZE
      });
    });
  }

  /** The user's archived chats with assistants in a workspace. */
  archivedChats(workspaceId: Id): PagedResource<Conversation> {
    return new PagedResource((page) =>
      this.#api.get('/conversations', {
        workspace_id: workspaceId,
        kind: 'assistant',
        archived: true,
        page,
        page_size: PAGE_SIZE
      })
    );
  }

  async find(workspaceId: Id, q: string, most: number): Promise<Conversation[]> {
    const found = await this.#api.get('/conversations', {
      scope: 'browse',
      workspace_id: workspaceId,
      q,
      page_size: most
    });
    return found.items;
  }

  async preview(id: Id): Promise<Preview> {
    const [channel, people, messages] = await Promise.all([
      this.#api.get(`/conversations/${id}`),
      this.#api.get(`/conversations/${id}/members`, { page_size: PREVIEWED_PEOPLE }),
      this.#api.get(`/conversations/${id}/messages`, { limit: PREVIEWED_MESSAGES })
    ]);
    return { channel, people: people.items, messages: messages.items.filter(({ deleted_at }) => !deleted_at) };
  }

  async join(id: Id): Promise<void> {
    await this.#api.post(`/conversations/${id}/join`);
    await this.#conversations.refresh(id);
  }

  async archive(id: Id): Promise<void> {
    await this.#api.post(`/conversations/${id}/archive`);
    await this.#conversations.refresh(id);
  }

  async unarchive(id: Id): Promise<void> {
    await this.#api.post(`/conversations/${id}/unarchive`);
    await this.#conversations.refresh(id);
  }

  async convert(id: Id, kind: ConversationKind): Promise<void> {
    await this.#api.post(`/conversations/${id}/convert`, { kind });
    await this.#conversations.refresh(id);
  }

  change(id: Id, change: ChannelChange): Promise<void> {
    return this.#conversations.update(id, change);
  }

  admins(id: Id): PagedResource<Member> {
    return new PagedResource((page) =>
      this.#api.get(`/conversations/${id}/members`, { role: 'admin', page, page_size: PAGE_SIZE })
    );
  }

  async findMembers(id: Id, q: string): Promise<Member[]> {
    const found = await this.#api.get(`/conversations/${id}/members`, {
      q: q || undefined,
      role: 'member',
      page_size: 20
    });
    return found.items;
  }
}
