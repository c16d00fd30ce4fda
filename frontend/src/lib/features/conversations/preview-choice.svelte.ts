import type { Api } from '#lib/api/client.ts';
import { Asked } from '#lib/api/resource.svelte.ts';

/** Whether links are previewed: those in one’s own messages, or those in a workspace. */
export class PreviewChoice {
  readonly asked: Asked<{ is_on: boolean }>;
  readonly #api: Pick<Api, 'get' | 'put'>;
  readonly #path: '/users/me/previews' | `/workspaces/${string}/previews`;

  constructor(api: Pick<Api, 'get' | 'put'>, workspaceId?: string) {
    this.#api = api;
    this.#path = workspaceId ? `/workspaces/${workspaceId}/previews` : '/users/me/previews';
    this.asked = new Asked(() => this.#api.get(this.#path));
  }

  async turn(is_on: boolean): Promise<void> {
    this.asked.tell(await this.#api.put(this.#path, { is_on }));
  }
}
