import type { FilterOf } from '#lib/api/calls.ts';
import type { Api } from '#lib/api/client.ts';
import type {
  Account,
  AccountDetails,
  AccountsAction,
  AccountInput,
  ChangedAccounts,
  InvitedAccount,
  SentLink,
  UserRole
} from '../api.ts';
import type { Device, Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

export type AccountFilter = FilterOf<'/admin/users'>;

/** All accounts of the installation, for admins. */
export class AccountsStore {
  readonly list: PagedResource<Account>;
  readonly #api: Api;
  #filter: AccountFilter = {};

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) => api.get('/admin/users', { ...this.#filter, page, page_size: PAGE_SIZE }));
  }

  find(filter: AccountFilter): void {
    this.#filter = filter;
    void this.list.load();
  }

  details(id: Id): Resource<AccountDetails> {
    return new Resource(() => this.#api.get(`/admin/users/${id}`));
  }

  devices(id: Id): PagedResource<Device> {
    return new PagedResource((page) => this.#api.get(`/admin/users/${id}/sessions`, { page, page_size: 10 }));
  }

  async invite(input: AccountInput): Promise<InvitedAccount> {
    const made = await this.#api.post('/admin/users', input);
    await this.list.load();
    return made;
  }

  async setRole(id: Id, role: UserRole): Promise<void> {
    await this.#api.patch(`/admin/users/${id}`, { role });
    await this.#reload();
  }

  async suspend(id: Id, reason: string): Promise<void> {
    await this.#api.patch(`/admin/users/${id}`, { status: 'suspended', reason: reason || undefined });
    await this.#reload();
  }

  async restore(id: Id): Promise<void> {
    await this.#api.patch(`/admin/users/${id}`, { status: 'active' });
    await this.#reload();
  }

  /** Applies an action to several accounts. The failure of one doesn't affect the others. */
  async applyToAll(ids: Id[], action: AccountsAction, reason?: string): Promise<ChangedAccounts> {
    const done = await this.#api.post('/admin/users/batch', {
      ids,
      action,
      reason: reason || undefined
    });
    await this.#reload();
    return done;
  }

  async revokeSessions(id: Id): Promise<void> {
    await this.#api.delete(`/admin/users/${id}/sessions`);
  }

  async revokeSession(id: Id, session: Id): Promise<void> {
    await this.#api.delete(`/admin/users/${id}/sessions/${session}`);
  }

  resetPassword(id: Id): Promise<SentLink> {
    return this.#api.post(`/admin/users/${id}/password-reset`);
  }

  async removeSecondFactor(id: Id): Promise<void> {
    await this.#api.delete(`/admin/users/${id}/second-factor`);
    await this.#reload();
  }

  exportData(id: Id): Promise<unknown> {
    return this.#api.get(`/admin/users/${id}/export`);
  }

  async delete(id: Id): Promise<void> {
    await this.#api.delete(`/admin/users/${id}`);
    await this.#reload();
  }

  #reload(): Promise<void> {
    return this.list.load(this.list.page || 1);
  }
}
