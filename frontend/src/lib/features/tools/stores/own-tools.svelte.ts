import type { Api } from '#lib/api/client.ts';
import type { OwnTools, ToolMode } from '#lib/api/tools.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';

/** Natter's own tools in a workspace. */
export class WorkspaceToolsStore {
  readonly resource: Resource<OwnTools>;
  readonly #api: Pick<Api, 'get' | 'patch'>;
  readonly #path: `/workspaces/${Id}/tools`;

  constructor(api: Pick<Api, 'get' | 'patch'>, workspaceId: Id) {
    this.#api = api;
    this.#path = `/workspaces/${workspaceId}/tools`;
    this.resource = new Resource(() => this.#api.get(this.#path));
  }

  async setMode(tool: string, mode: ToolMode): Promise<void> {
    this.resource.set(await this.#api.patch(this.#path, { modes: { [tool]: mode } }));
  }
}
