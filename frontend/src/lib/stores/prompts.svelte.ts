import type { Api } from '#lib/api/client.ts';
import type { Prompt, PromptWish } from '#lib/api/assistants.ts';
import type { Id } from '#lib/api/types.ts';
import type { Line } from './assistants.svelte.ts';
import { Listing } from './listing.svelte.ts';

const byCommand = (a: Prompt, b: Prompt) => a.command.localeCompare(b.command);

/** The prompts of one workspace: those that its people share, and one's own. */
export class Prompts {
  readonly list: Listing<Prompt>;
  readonly #api: Api;
  readonly #workspaceId: Id;

  constructor(api: Api, workspaceId: Id) {
    this.#api = api;
    this.#workspaceId = workspaceId;
    this.list = new Listing(
      (page) => api.get('/prompts', { workspace_id: workspaceId, page, page_size: 200 }),
      ({ id }) => id
    );
  }

  /** Reads the list again when others change it; answers how to stop that. */
  follow(line: Line): () => void {
    return line.on((frame) => {
      const isAbout = frame.type === 'prompts.changed' && frame.payload.workspace_id === this.#workspaceId;
      if (isAbout && this.list.isKnown) void this.list.load();
    });
  }

  async create(wish: PromptWish): Promise<void> {
    this.#put(await this.#api.post<Prompt>('/prompts', { ...wish, workspace_id: this.#workspaceId }));
  }

  async change(id: Id, wish: PromptWish): Promise<void> {
    this.#put(await this.#api.patch<Prompt>(`/prompts/${id}`, wish));
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`/prompts/${id}`);
    this.list.drop((prompt) => prompt.id === id);
  }

  #put(prompt: Prompt): void {
    this.list.put(prompt, ({ id }) => id === prompt.id, byCommand);
  }
}
