import type { Assistant, AssistantInput, Prompt, PromptInput } from '#lib/api/assistants.ts';
import type { Api } from '#lib/api/client.ts';
import type { Id, Page } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

type Created = Assistant | Prompt;

interface Kind<T> {
  path: '/assistants' | '/prompts';
  /** Type of the event that announces changes of the list. */
  event: 'assistants.changed' | 'prompts.changed';
  order: (a: T, b: T) => number;
}

const PAGE_SIZE = 200;

/** Assistants or prompts of a workspace, updated by events. */
export class WorkspaceListStore<T extends Created, Wish extends AssistantInput | PromptInput> {
  readonly list: PagedResource<T>;
  readonly #api: Api;
  readonly #workspaceId: Id;
  readonly #kind: Kind<T>;

  constructor(api: Api, workspaceId: Id, kind: Kind<T>) {
    this.#api = api;
    this.#workspaceId = workspaceId;
    this.#kind = kind;
    this.list = new PagedResource(
      (page) => api.get(kind.path, { workspace_id: workspaceId, page, page_size: PAGE_SIZE }) as Promise<Page<T>>,
      ({ id }) => id
    );
  }

  /** Reloads the list when it changes; returns a function that stops this. */
  follow(live: LiveUpdates): () => void {
    const leave = live.on((frame) => {
      const isAbout = frame.type === this.#kind.event && frame.payload.workspace_id === this.#workspaceId;
      if (isAbout && this.list.isKnown) void this.list.refresh();
    });
    const unsubscribeStale = live.onStale(this.list, () => void this.list.refresh());
    return () => {
      leave();
      unsubscribeStale();
    };
  }

  async create(wish: Wish): Promise<T> {
    return this.#upsert(await this.#api.post(this.#kind.path, { ...wish, workspace_id: this.#workspaceId }));
  }

  async change(id: Id, wish: Wish): Promise<T> {
    return this.#upsert(await this.#api.patch(`${this.#kind.path}/${id}`, wish));
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`${this.#kind.path}/${id}`);
    this.list.remove((item) => item.id === id);
  }

  #upsert(made: Created): T {
    // `T` follows from the path, which the compiler can't infer.
    const item = made as T;
    this.list.upsert(item, ({ id }) => id === item.id, this.#kind.order);
    return item;
  }
}

export type Assistants = WorkspaceListStore<Assistant, AssistantInput>;
export type Prompts = WorkspaceListStore<Prompt, PromptInput>;

/** Assistants that the account may use: the default one first, then by name. */
export function assistantsOf(api: Api, workspaceId: Id): Assistants {
  return new WorkspaceListStore(api, workspaceId, {
    path: '/assistants',
    event: 'assistants.changed',
    order: (a, b) => Number(b.is_default) - Number(a.is_default) || a.name.localeCompare(b.name)
  });
}

/** Prompts of the workspace and the user's own. */
export function promptsOf(api: Api, workspaceId: Id): Prompts {
  return new WorkspaceListStore(api, workspaceId, {
    path: '/prompts',
    event: 'prompts.changed',
    order: (a, b) => a.command.localeCompare(b.command)
  });
}
