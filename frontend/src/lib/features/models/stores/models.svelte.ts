import type { Api } from '#lib/api/client.ts';
import type { Model } from '#lib/api/assistants.ts';
import type { Id } from '#lib/api/types.ts';
import { Listing } from '#lib/api/paged-resource.svelte.ts';

/** The models that one may ask, in a workspace where one is named. */
export class Models {
  readonly list: Listing<Model>;

  constructor(api: Api, workspaceId?: Id) {
    this.list = new Listing<Model>((page) => api.get('/models', { page, page_size: 200, workspace_id: workspaceId }));
  }
}
