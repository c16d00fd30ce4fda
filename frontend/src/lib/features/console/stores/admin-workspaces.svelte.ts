import type { FilterOf } from '#lib/api/calls.ts';
import type { Api } from '#lib/api/client.ts';
import type { AdminWorkspace } from '../api.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import { AdminResource } from './admin-resource.svelte.ts';

const PATH = '/admin/workspaces';
const PAGE_SIZE = 50;

export type AdminWorkspaceFilter = FilterOf<'/admin/workspaces'>;

/** All workspaces of the installation without their content, for admins. */
export class AdminWorkspacesStore extends AdminResource<AdminWorkspace> {
  readonly list: PagedResource<AdminWorkspace>;
  #filter: AdminWorkspaceFilter = {};

  constructor(api: Api) {
    super(api, PATH);
    this.list = new PagedResource((page) => api.get(PATH, { ...this.#filter, page, page_size: PAGE_SIZE }));
  }

  find(filter: AdminWorkspaceFilter): void {
    this.#filter = filter;
    void this.list.load();
  }
}
