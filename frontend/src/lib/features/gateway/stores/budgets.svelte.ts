import type { Api } from '#lib/api/client.ts';
import type { BudgetLimit, ScopedBudget } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

export class BudgetsStore {
  readonly list: PagedResource<ScopedBudget>;
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) => api.get('/admin/budgets', { page, page_size: PAGE_SIZE }));
  }

  async set(scope: ScopedBudget['scope'], id: Id, limit: BudgetLimit): Promise<void> {
    await this.#api.put(`/admin/budgets/${scope}/${id}`, limit);
    await this.list.load(this.list.page || 1);
  }

  async lift({ scope, id }: ScopedBudget): Promise<void> {
    await this.#api.delete(`/admin/budgets/${scope}/${id}`);
    await this.list.load(this.list.items.length === 1 ? Math.max(1, this.list.page - 1) : this.list.page);
  }
}
