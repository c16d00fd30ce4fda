import type { Api } from '#lib/api/client.ts';
import type { Device, Id } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

/** Sessions of the account, the one of this browser first. */
export class DevicesStore {
  readonly list: PagedResource<Device>;
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource(async (page) => {
      const found = await api.get('/usersessions', { page, page_size: 50 });
      return { ...found, items: found.items.toSorted((a, b) => Number(b.current) - Number(a.current)) };
    });
  }

  async revoke(id: Id): Promise<void> {
    await this.#api.delete(`/usersessions/${id}`);
    this.list.remove((device) => device.id === id);
  }

  async revokeOthers(): Promise<void> {
    await this.#api.delete('/usersessions');
    this.list.remove((device) => !device.current);
    await this.list.load();
  }
}
