import type { Api } from '#lib/api/client.ts';
import type { AiProvider, GatewayModel, ModelDefinition, ProviderTest } from '#lib/api/gateway.ts';
import type { Page } from '#lib/api/types.ts';
import { Listing } from './listing.svelte.ts';

const PAGE_SIZE = 50;

/** A row of a table needs an id. */
export type ModelRow = GatewayModel & { id: string };

/** The models of the gateway: those of the server's settings, and those that admins define. */
export class GatewayModels {
  readonly list: Listing<ModelRow>;
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new Listing(async (page) => {
      const found = await api.get<Page<GatewayModel>>('/admin/models', { page, page_size: PAGE_SIZE });
      return { ...found, items: found.items.map((model) => ({ ...model, id: model.name })) };
    });
  }

  async save(name: string, definition: ModelDefinition): Promise<void> {
    await this.#api.put(path(name), definition);
    await this.list.load(this.list.page || 1);
  }

  /** Where the settings know it, too, it is again as they say. */
  async remove(name: string): Promise<void> {
    await this.#api.delete(path(name));
    await this.list.load(this.list.page || 1);
  }
}

function path(name: string): string {
  return `/admin/models/${encodeURIComponent(name)}`;
}

/** Providers of models, and how their keys are. */
export class Providers {
  readonly list: Listing<AiProvider>;
  /** What the last test of each has shown. */
  tests = $state.raw<Record<string, ProviderTest | 'under way'>>({});
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new Listing(async () => {
      const items = await api.get<AiProvider[]>('/admin/providers');
      return { items, page: 1, page_size: items.length, total: items.length };
    });
  }

  /** Not asked for so many seconds. */
  async rest(provider: string, key: string, seconds: number): Promise<void> {
    await this.#api.post(`${keyPath(provider, key)}/rest`, { seconds });
    await this.list.load();
  }

  async revive(provider: string, key: string): Promise<void> {
    await this.#api.post(`${keyPath(provider, key)}/revive`);
    await this.list.load();
  }

  async test(provider: string): Promise<void> {
    this.tests = { ...this.tests, [provider]: 'under way' };
    try {
      const result = await this.#api.post<ProviderTest>(`/admin/providers/${encodeURIComponent(provider)}/test`);
      this.tests = { ...this.tests, [provider]: result };
    } catch (error) {
      const { [provider]: _, ...others } = this.tests;
      this.tests = others;
      throw error;
    }
  }
}

function keyPath(provider: string, key: string): string {
  return `/admin/providers/${encodeURIComponent(provider)}/keys/${encodeURIComponent(key)}`;
}
