import type { Api } from '#lib/api/client.ts';
import type { Device, Id } from '#lib/api/types.ts';
import { Listing } from '#lib/api/paged-resource.svelte.ts';

/** Where this account is signed in; this device first. */
export class Devices {
  readonly list: Listing<Device>;
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new Listing(async (page) => {
      const found = await api.get('/usersessions', { page, page_size: 50 });
      return { ...found, items: found.items.toSorted((a, b) => Number(b.current) - Number(a.current)) };
    });
  }

  async end(id: Id): Promise<void> {
    await this.#api.delete(`/usersessions/${id}`);
    this.list.drop((device) => device.id === id);
  }

  async endOthers(): Promise<void> {
    await this.#api.delete('/usersessions');
    this.list.drop((device) => !device.current);
    await this.list.load();
  }
}
