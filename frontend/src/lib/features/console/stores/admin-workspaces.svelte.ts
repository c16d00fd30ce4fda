import type { FilterOf } from '#lib/api/calls.ts';
import type { Api } from '#lib/api/client.ts';
import type { AnyWorkspace } from '../api.ts';
import { Listing } from '#lib/api/paged-resource.svelte.ts';
import { Overseen } from './admin-resource.svelte.ts';

const PATH = '/admin/workspaces';
const PAGE_SIZE = 50;

export type AnyWorkspaceFilter = FilterOf<'/admin/workspaces'>;

/** All workspaces of the installation, for its admins: how much is in them, never what. */
export class AnyWorkspaces extends Overseen<AnyWorkspace> {
  readonly list: Listing<AnyWorkspace>;
  #filter: AnyWorkspaceFilter = {};

  constructor(api: Api) {
    super(api, PATH);
    this.list = new Listing((page) => api.get(PATH, { ...this.#filter, page, page_size: PAGE_SIZE }));
  }

  /** Only these. */
  find(filter: AnyWorkspaceFilter): void {
    this.#filter = filter;
    void this.list.load();
  }
}
