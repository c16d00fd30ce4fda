import type { Api } from '#lib/api/client.ts';
import type {
  AiProvider,
  GatewayModel,
  ModelDefinition,
  NewProvider,
  ProviderChange,
  ProviderKey,
  ProviderTest
} from '../api.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 200;

/** Model as a row of a table, which requires an id. */
export type ModelRow = GatewayModel & { id: string };

/** Models of the gateway: those from the configuration, and those that admins have defined. */
export class GatewayModelsStore {
  readonly list: PagedResource<ModelRow>;
  /** Names of all models, regardless of the search. */
  readonly names: Resource<readonly string[]>;
  readonly #api: Api;
  #query: string | undefined;

  constructor(api: Api) {
    this.#api = api;
    const ask = (more: { q?: string | undefined; page: number; page_size: number }) => api.get('/admin/models', more);
    this.list = new PagedResource(async (page) => {
      const found = await ask({ q: this.#query, page, page_size: PAGE_SIZE });
      return { ...found, items: found.items.map((model) => ({ ...model, id: model.name })) };
    });
    this.names = new Resource(async () => {
      const names: string[] = [];
      for (let page = 1; ; page += 1) {
        const { items, total } = await ask({ page, page_size: MAX_PAGE_SIZE });
        names.push(...items.map(({ name }) => name));
        if (items.length === 0 || names.length >= total) return names;
      }
    });
  }

  /** Searches by the name of the model or of its provider. */
  find(text: string): void {
    this.#query = text || undefined;
    void this.list.load();
  }

  async save(name: string, definition: ModelDefinition): Promise<void> {
    await this.#api.put(path(name), definition);
    await this.#reload();
  }

  /** Deletes the definition that an admin has made. A model that the configuration also defines stays with that definition. */
  async remove(name: string): Promise<void> {
    await this.#api.delete(path(name));
    await this.#reload();
  }

  #reload(): Promise<void> {
    void this.names.load();
    return this.list.load(this.list.page || 1);
  }
}

function path(name: string) {
  return `/admin/models/${encodeURIComponent(name)}` as const;
}

/** Key of a provider as a table row. */
export interface KeyRow {
  id: string;
  provider: string;
  of: AiProvider;
  /** Whether this is the first listed key of its provider. */
  isFirst: boolean;
  key: ProviderKey;
}

export interface KeyFilter {
  provider: string;
  state: ProviderKey['state'] | '';
}

/** Providers with the state of their keys. They are filtered in the browser, because there are few. */
export class ProvidersStore {
  readonly list: PagedResource<KeyRow>;
  /** Names of all providers, regardless of the filter. */
  names = $state.raw<string[]>([]);
  /** Results of connection tests by provider; `under way` while a test runs. */
  tests = $state.raw<Record<string, ProviderTest | 'under way'>>({});
  readonly #api: Api;
  #filter: KeyFilter = { provider: '', state: '' };

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource(async () => {
      const all = await api.get('/admin/providers');
      this.names = all.map(({ name }) => name);
      const items = all.flatMap((one) => this.#rows(one));
      return { items, page: 1, page_size: Math.max(items.length, 1), total: items.length };
    });
  }

  find(filter: KeyFilter): void {
    this.#filter = filter;
    void this.list.load();
  }

  #rows(of: AiProvider): KeyRow[] {
    const { name, keys } = of;
    const { provider, state } = this.#filter;
    if (provider !== '' && provider !== name) return [];
    const shown = keys.filter((key) => state === '' || key.state === state);
    return shown.map((key, at) => ({ id: `${name}/${key.id}`, provider: name, of, isFirst: at === 0, key }));
  }

  async add(input: NewProvider): Promise<AiProvider> {
    const added = await this.#api.post('/admin/providers', input);
    await this.list.load();
    return added;
  }

  async change(name: string, input: ProviderChange): Promise<AiProvider> {
    const changed = await this.#api.patch(providerPath(name), input);
    this.#dropTest(name);
    await this.list.load();
    return changed;
  }

  async remove(name: string): Promise<void> {
    await this.#api.delete(providerPath(name));
    await this.list.load();
  }

  /** Pauses a key for a number of seconds. */
  async pauseKey(provider: string, key: string, seconds: number): Promise<void> {
    await this.#api.post(`${keyPath(provider, key)}/rest`, { seconds });
    await this.list.load();
  }

  async reactivateKey(provider: string, key: string): Promise<void> {
    await this.#api.post(`${keyPath(provider, key)}/revive`);
    await this.list.load();
  }

  /** Forgets what was learned from refusals about a model. */
  async forget(provider: string, model: string): Promise<void> {
    await this.#api.post(`${providerPath(provider)}/forget`, { model });
    await this.list.load();
  }

  async test(provider: string): Promise<void> {
    this.tests = { ...this.tests, [provider]: 'under way' };
    try {
      const result = await this.#api.post(`${providerPath(provider)}/test`);
      this.tests = { ...this.tests, [provider]: result };
    } catch (error) {
      this.#dropTest(provider);
      throw error;
    }
  }

  #dropTest(provider: string): void {
    const { [provider]: _, ...others } = this.tests;
    this.tests = others;
  }
}

function providerPath(name: string) {
  return `/admin/providers/${encodeURIComponent(name)}` as const;
}

function keyPath(provider: string, key: string) {
  return `${providerPath(provider)}/keys/${encodeURIComponent(key)}` as const;
}
