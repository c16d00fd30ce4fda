import type { Audience, Broadcast, BroadcastInput, Reach } from '../api.ts';
import type { FilterOf } from '#lib/api/calls.ts';
import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

/** Filter of the list of broadcasts. */
export type BroadcastQuery = FilterOf<'/broadcasts'>;

/** All broadcasts, for admins. */
export class BroadcastsStore {
  readonly list: PagedResource<Broadcast>;
  readonly #api: Api;
  #query: BroadcastQuery = {};

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) => api.get('/broadcasts', { ...this.#query, page, page_size: PAGE_SIZE }));
  }

  find(sought: BroadcastQuery): void {
    this.#query = sought;
    void this.list.load();
  }

  read(id: Id): Promise<Broadcast> {
    return this.#api.get(`/broadcasts/${id}`);
  }

  /** Requests the size of an audience and the number of its members who are online. */
  reach(audience: Audience): Promise<Reach> {
    return this.#api.post('/broadcasts/preview', { audience });
  }

  send(input: BroadcastInput): Promise<Broadcast> {
    return this.#api.post('/broadcasts', input);
  }

  change(id: Id, input: Partial<BroadcastInput>): Promise<Broadcast> {
    return this.#api.patch(`/broadcasts/${id}`, input);
  }

  async withdraw(id: Id): Promise<void> {
    await this.#api.post(`/broadcasts/${id}/withdraw`, {});
    await this.list.load(this.list.page || 1);
  }
}
