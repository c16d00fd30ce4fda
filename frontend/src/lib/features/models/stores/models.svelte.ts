import type { Api } from '#lib/api/client.ts';
import type { Model } from '#lib/api/assistants.ts';
import type { Id } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

/** Models that the user may use, in a workspace if one is given. */
export class ModelsStore {
  readonly list: PagedResource<Model>;

  constructor(api: Api, workspaceId?: Id) {
    this.list = new PagedResource<Model>((page) =>
      api.get('/models', { page, page_size: 200, workspace_id: workspaceId })
    );
  }
}
