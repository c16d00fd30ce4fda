import type { Audience, Broadcast, BroadcastWish, Reach } from '../api.ts';
import type { FilterOf } from '#lib/api/calls.ts';
import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';
import { Listing } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

/** Which announcements are looked for. */
export type Sought = FilterOf<'/broadcasts'>;

/** The announcements that were written, as admins see them. */
export class Broadcasts {
  readonly list: Listing<Broadcast>;
  readonly #api: Api;
  #sought: Sought = {};

  constructor(api: Api) {
    this.#api = api;
    this.list = new Listing((page) => api.get('/broadcasts', { ...this.#sought, page, page_size: PAGE_SIZE }));
  }

  /** Only these. */
  find(sought: Sought): void {
    this.#sought = sought;
    void this.list.load();
  }

  read(id: Id): Promise<Broadcast> {
    return this.#api.get(`/broadcasts/${id}`);
  }

  /** How many an audience has, and how many of them are here. */
  reach(audience: Audience): Promise<Reach> {
    return this.#api.post('/broadcasts/preview', { audience });
  }

  send(wish: BroadcastWish): Promise<Broadcast> {
    return this.#api.post('/broadcasts', wish);
  }

  change(id: Id, wish: Partial<BroadcastWish>): Promise<Broadcast> {
    return this.#api.patch(`/broadcasts/${id}`, wish);
  }

  async withdraw(id: Id): Promise<void> {
    await this.#api.post(`/broadcasts/${id}/withdraw`, {});
    await this.list.load(this.list.page || 1);
  }
}
