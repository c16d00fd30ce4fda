import type { Api } from '#lib/api/client.ts';
import type { Identity } from './api.ts';
import type { Id } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

export class IdentitiesStore {
  readonly list: PagedResource<Identity>;
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) => api.get('/auth/identities', { page, page_size: 50 }));
  }

  async unlink(id: Id): Promise<void> {
    await this.#api.delete(`/auth/identities/${id}`);
    this.list.remove((identity) => identity.id === id);
  }
}
