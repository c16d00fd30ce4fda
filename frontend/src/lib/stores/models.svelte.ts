import type { Api } from '#lib/api/client.ts';
import type { Model } from '#lib/api/assistants.ts';
import { Listing } from './listing.svelte.ts';

/** The models that one may ask. */
export class Models {
  readonly list: Listing<Model>;

  constructor(api: Api) {
    this.list = new Listing((page) => api.get('/models', { page, page_size: 200 }));
  }
}
