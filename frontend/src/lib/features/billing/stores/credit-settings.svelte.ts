import type { Api } from '#lib/api/client.ts';
import type { CreditSettings, TopUpInput } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';

/** Settings of the low-balance warning and the automatic top-up, of the user or a workspace. */
export class CreditSettingsStore {
  readonly resource: Resource<CreditSettings>;
  readonly #api: Api;
  readonly #payer: { workspace_id?: Id };

  constructor(api: Api, workspaceId?: Id) {
    this.#api = api;
    this.#payer = workspaceId ? { workspace_id: workspaceId } : {};
    this.resource = new Resource(() => api.get('/credit_settings', this.#payer));
  }

  /** Sets the balance in micro-credits below which a warning is sent. Null: a tenth of the last purchase; 0: never. */
  async warnBelow(threshold: number | null): Promise<void> {
    await this.#api.put('/credit_settings/low_balance', { threshold, ...this.#payer });
    await this.resource.load();
  }

  async topUp(input: TopUpInput): Promise<void> {
    await this.#api.put('/credit_settings/top_up', { ...input, ...this.#payer });
    await this.resource.load();
  }

  async stop(): Promise<void> {
    const { workspace_id } = this.#payer;
    const query = workspace_id ? (`?workspace_id=${encodeURIComponent(workspace_id)}` as const) : '';
    await this.#api.delete(`/credit_settings/top_up${query}`);
    await this.resource.load();
  }
}
