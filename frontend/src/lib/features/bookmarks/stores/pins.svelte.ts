/** Pinned messages of a conversation, latest pin first. */
import type { Api } from '#lib/api/client.ts';
import type { Id, Message } from '#lib/api/types.ts';
import { renameUser } from '#lib/realtime/user-rename.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

/** Maximum number of pins per conversation. */
const MAX_PINS = 100;

export class PinsStore {
  readonly list: PagedResource<Message>;
  readonly #api: Api;
  readonly #id: Id;

  constructor(api: Api, id: Id) {
    this.#api = api;
    this.#id = id;
    this.list = new PagedResource((page) => api.get(`/conversations/${id}/pins`, { page, page_size: MAX_PINS }));
  }

  follow(live: LiveUpdates): () => void {
    const leave = live.on((frame) => {
      if (frame.type === 'message.pinned') {
        if (frame.payload.conversation_id === this.#id) void this.list.refresh();
      } else if (frame.type === 'message.unpinned' || frame.type === 'message.deleted') {
        this.list.remove(({ id }) => id === frame.payload.message_id);
      } else if (frame.type === 'message.updated') {
        this.#update(frame.payload.message);
      } else if (frame.type === 'user.changed') {
        this.list.change((items) => renameUser(items, frame.payload));
      } else if (frame.type === 'resync') {
        const named = frame.payload.conversation_ids;
        if (!named || named.includes(this.#id)) void this.list.refresh();
      }
    });
    const unsubscribeStale = live.onStale(this.list, () => void this.list.refresh());
    return () => {
      leave();
      unsubscribeStale();
    };
  }

  /** Updates the text of a pinned message. */
  #update(message: Message): void {
    const isSame = ({ id }: Message) => id === message.id;
    if (this.list.items.some(isSame)) this.list.upsert(message, isSame);
  }

  async unpin(id: Id): Promise<void> {
    await this.#api.delete(`/messages/${id}/pin`);
    this.list.remove((message) => message.id === id);
  }
}
