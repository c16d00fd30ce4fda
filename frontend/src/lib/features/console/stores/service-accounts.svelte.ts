import type { Api } from '#lib/api/client.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import type { Id } from '#lib/api/types.ts';
import type { ServiceAccount, ServiceAccountChange, ServiceAccountInput } from '../api.ts';

const PATH = '/admin/service_accounts';
const PAGE_SIZE = 50;

/** Service accounts of the installation, for admins. */
export class ServiceAccountsStore {
  readonly list: PagedResource<ServiceAccount>;
  readonly #api: Api;
  #text = '';

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) => api.get(PATH, { q: this.#text || undefined, page, page_size: PAGE_SIZE }));
  }

  /** Loads the service accounts whose name contains `text`. */
  find(text: string): void {
    this.#text = text;
    void this.list.load();
  }

  details(id: Id): Resource<ServiceAccount> {
    return new Resource(() => this.#api.get(`${PATH}/${id}`));
  }

  async create(input: ServiceAccountInput): Promise<ServiceAccount> {
    const created = await this.#api.post(PATH, input);
    await this.#reload();
    return created;
  }

  async change(id: Id, change: ServiceAccountChange): Promise<void> {
    await this.#api.patch(`${PATH}/${id}`, change);
    await this.#reload();
  }

  async delete(id: Id): Promise<void> {
    await this.#api.delete(`${PATH}/${id}`);
    await this.#reload();
  }

  #reload(): Promise<void> {
    return this.list.load(this.list.page || 1);
  }
}
