import type { Api } from '#lib/api/client.ts';
import type { Identity, Provider } from '#lib/api/identity.ts';
import type { Id, Page } from '#lib/api/types.ts';
import { Listing } from './listing.svelte.ts';

/** Accounts elsewhere that sign this one in, and the providers that could. */
export class Identities {
  readonly list: Listing<Identity>;
  providers = $state.raw<Provider[]>([]);
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new Listing(async (page) => {
      const [found, providers] = await Promise.all([
        api.get<Page<Identity>>('/auth/identities', { page, page_size: 50 }),
        api.get<Provider[]>('/auth/oauth/providers')
      ]);
      this.providers = providers;
      return found;
    });
  }

  /** Those that are not linked yet. */
  get open(): Provider[] {
    return this.providers.filter(({ name }) => !this.list.items.some(({ provider }) => provider === name));
  }

  /** Where the browser has to go to link one; it comes back to `next`. */
  linkTo(provider: Provider, next: string): string {
    return `/r1/auth/oauth/${encodeURIComponent(provider.name)}/start?${new URLSearchParams({ link: 'true', next })}`;
  }

  async unlink(id: Id): Promise<void> {
    await this.#api.delete(`/auth/identities/${id}`);
    this.list.drop((identity) => identity.id === id);
  }
}
