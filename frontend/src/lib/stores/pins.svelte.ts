/** The pinned messages of a conversation, those pinned last first. */
import type { Api } from '#lib/api/client.ts';
import type { Id, Message, Page, ServerFrame } from '#lib/api/types.ts';
import { Listing } from './listing.svelte.ts';

/** As many as a conversation can have. */
const MOST = 100;

export class Pins {
  readonly list: Listing<Message>;
  readonly #api: Api;
  readonly #id: Id;

  constructor(api: Api, id: Id) {
    this.#api = api;
    this.#id = id;
    this.list = new Listing((page) => api.get<Page<Message>>(`/conversations/${id}/pins`, { page, page_size: MOST }));
  }

  follow(line: { on(handler: (frame: ServerFrame) => void): () => void }): () => void {
    return line.on((frame) => {
      if (frame.type === 'message.pinned') {
        if (frame.payload.conversation_id === this.#id) void this.list.load();
      } else if (frame.type === 'message.unpinned' || frame.type === 'message.deleted') {
        this.list.drop(({ id }) => id === frame.payload.message_id);
      }
    });
  }

  async unpin(id: Id): Promise<void> {
    await this.#api.delete(`/messages/${id}/pin`);
    this.list.drop((message) => message.id === id);
  }
}
