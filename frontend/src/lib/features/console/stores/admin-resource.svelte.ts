import type { Api } from '#lib/api/client.ts';
import type { AdminMember } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

type Path = '/admin/conversations' | '/admin/workspaces';

/** Resource with owner and members, visible to admins regardless of membership. */
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

  /** Members filtered by `text`. */
  members(id: Id, text: () => string): PagedResource<AdminMember> {
    return new PagedResource((page) =>
      this.api.get(`${this.#path}/${id}/members`, { q: text() || undefined, page, page_size: 20 })
    );
  }

  async setOwner(id: Id, owner: Id): Promise<void> {
    await this.api.patch(`${this.#path}/${id}`, { owner_id: owner });
    await this.#again();
  }

  /** Deletes after confirmation by `name` (or id). */
  async delete(id: Id, name: string): Promise<void> {
    await this.api.delete(`${this.#path}/${id}`, { name });
    await this.#again();
  }

  #again(): Promise<void> {
    return this.list.load(this.list.page || 1);
  }
}
