import type { Api } from '#lib/api/client.ts';
import type { Assistant, AssistantWish } from '#lib/api/assistants.ts';
import type { Id, ServerFrame } from '#lib/api/types.ts';
import { Listing } from './listing.svelte.ts';

/** What tells that somebody else changed something. */
export interface Line {
  on(handler: (frame: ServerFrame) => void): () => void;
}

/** The usual one first, then by name. */
const inOrder = (a: Assistant, b: Assistant) =>
  Number(b.is_default) - Number(a.is_default) || a.name.localeCompare(b.name);

/** The assistants of one workspace that this account may ask. */
export class Assistants {
  readonly list: Listing<Assistant>;
  readonly #api: Api;
  readonly #workspaceId: Id;

  constructor(api: Api, workspaceId: Id) {
    this.#api = api;
    this.#workspaceId = workspaceId;
    this.list = new Listing(
      (page) => api.get('/assistants', { workspace_id: workspaceId, page, page_size: 100 }),
      ({ id }) => id
    );
  }

  /** Reads the list again when others change it; answers how to stop that. */
  follow(line: Line): () => void {
    return line.on((frame) => {
      const isAbout = frame.type === 'assistants.changed' && frame.payload.workspace_id === this.#workspaceId;
      if (isAbout && this.list.isKnown) void this.list.load();
    });
  }

  static find(api: Api, id: Id): Promise<Assistant> {
    return api.get<Assistant>(`/assistants/${id}`);
  }

  async create(wish: AssistantWish): Promise<Assistant> {
    return this.#put(await this.#api.post<Assistant>('/assistants', { ...wish, workspace_id: this.#workspaceId }));
  }

  async change(id: Id, wish: AssistantWish): Promise<Assistant> {
    return this.#put(await this.#api.patch<Assistant>(`/assistants/${id}`, wish));
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`/assistants/${id}`);
    this.list.drop((assistant) => assistant.id === id);
  }

  #put(assistant: Assistant): Assistant {
    this.list.put(assistant, ({ id }) => id === assistant.id, inOrder);
    return assistant;
  }
}
