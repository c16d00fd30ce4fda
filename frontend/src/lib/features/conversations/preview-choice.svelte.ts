import type { Api } from '#lib/api/client.ts';
import { Resource } from '#lib/api/resource.svelte.ts';

/** Setting of the user or a workspace whether links have previews. */
export class PreviewChoiceStore {
  readonly resource: Resource<{ is_on: boolean }>;
  readonly #api: Pick<Api, 'get' | 'put'>;
  readonly #path: '/users/me/previews' | `/workspaces/${string}/previews`;

  constructor(api: Pick<Api, 'get' | 'put'>, workspaceId?: string) {
    this.#api = api;
    this.#path = workspaceId ? `/workspaces/${workspaceId}/previews` : '/users/me/previews';
    this.resource = new Resource(() => this.#api.get(this.#path));
  }

  async turn(is_on: boolean): Promise<void> {
    this.resource.set(await this.#api.put(this.#path, { is_on }));
  }
}
