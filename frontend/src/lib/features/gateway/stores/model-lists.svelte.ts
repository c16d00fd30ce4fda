import type { Api } from '#lib/api/client.ts';
import type { ModelList } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

/** Lists of the models that users and workspaces are allowed to use. */
export class ModelListsStore {
  readonly list: PagedResource<ModelList>;
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) => api.get('/admin/model_lists', { page, page_size: PAGE_SIZE }));
  }

  async set(scope: ModelList['scope'], id: Id, models: readonly string[]): Promise<void> {
    await this.#api.put(`/admin/model_lists/${scope}/${id}`, { models });
    await this.list.load(this.list.page || 1);
  }

  async lift({ scope, id }: ModelList): Promise<void> {
    await this.#api.delete(`/admin/model_lists/${scope}/${id}`);
    await this.list.load(this.list.items.length === 1 ? Math.max(1, this.list.page - 1) : this.list.page);
  }
}
