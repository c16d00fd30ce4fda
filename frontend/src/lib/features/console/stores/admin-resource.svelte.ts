import type { Api } from '#lib/api/client.ts';
import type { AdminMember } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

type Path = '/admin/conversations' | '/admin/workspaces';

/** Workspaces or conversations, which admins see with owner and members even if they aren't members. */
export abstract class AdminResource<One> {
  abstract readonly list: PagedResource<One>;
  protected readonly api: Api;
  readonly #path: Path;

  constructor(api: Api, path: Path) {
    this.api = api;
    this.#path = path;
  }

  details(id: Id): Resource<One> {
    return new Resource(() => this.api.get(`${this.#path}/${id}`) as Promise<One>);
  }

  /** Members of one of them, filtered by `text`. */
  members(id: Id, text: () => string): PagedResource<AdminMember> {
    return new PagedResource((page) =>
      this.api.get(`${this.#path}/${id}/members`, { q: text() || undefined, page, page_size: 20 })
    );
  }

  async setOwner(id: Id, owner: Id): Promise<void> {
    await this.api.patch(`${this.#path}/${id}`, { owner_id: owner });
    await this.#reload();
  }

  /** Deletes one of them. The server requires its name, or its id if it has none, as confirmation. */
  async delete(id: Id, name: string): Promise<void> {
    await this.api.delete(`${this.#path}/${id}`, { name });
    await this.#reload();
  }

  #reload(): Promise<void> {
    return this.list.load(this.list.page || 1);
  }
}
