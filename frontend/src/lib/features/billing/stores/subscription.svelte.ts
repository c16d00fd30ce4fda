import type { Api } from '#lib/api/client.ts';
import type {
  StartedPayment,
  BillingDetails,
  ChangePreview,
  PaymentMethod,
  PlanChange,
  Price,
  Subscription
} from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

/** Subscription of a user or workspace. */
export class SubscriptionStore {
  readonly resource: Resource<{ subscription: Subscription | null }>;
  readonly #api: Api;
  readonly #payer: { workspace_id?: Id };
  /** Workspace that subscribes; undefined for the user's own subscription. */
  readonly workspaceId: Id | undefined;

  constructor(api: Api, workspaceId?: Id) {
    this.#api = api;
    this.workspaceId = workspaceId;
    this.#payer = workspaceId ? { workspace_id: workspaceId } : {};
    this.resource = new Resource(() => api.get('/subscription', this.#payer));
  }

  /** Subscription; null if there is none or it isn't loaded. */
  get current(): Subscription | null {
    const found = this.resource.value?.subscription ?? null;
    return found?.status === 'ended' ? null : found;
  }

  async cancel(): Promise<Subscription> {
    return this.#set(await this.#api.post('/subscription/cancel', this.#payer));
  }

  async resume(): Promise<Subscription> {
    return this.#set(await this.#api.post('/subscription/resume', this.#payer));
  }

  async startTrial(planId: Id): Promise<Subscription> {
    return this.#set(await this.#api.post('/subscription/trial', { plan_id: planId }));
  }

  /** Requests the price of a plan change without making it. */
  preview(planId: Id, seats?: number): Promise<ChangePreview> {
    return this.#api.post('/subscription/change/preview', { plan_id: planId, seats, ...this.#payer });
  }

  /** Changes the plan. `price`: the price per period that the user has seen. */
  async change(planId: Id, seats?: number, price?: Price): Promise<PlanChange> {
    const input = { plan_id: planId, seats, price, ...this.#payer };
    const done = await this.#api.post('/subscription/change', input);
    this.#set(done.subscription);
    return done;
  }

  /** Starts the manual payment of the next period. */
  pay(): Promise<StartedPayment> {
    return this.#api.post('/subscription/pay', this.#payer);
  }

  #set(subscription: Subscription): Subscription {
    this.resource.set({ subscription });
    return subscription;
  }
}

/** Payment methods that gateways have saved. */
export class PaymentMethodsStore {
  readonly list: PagedResource<PaymentMethod>;
  readonly #api: Api;
  readonly #query: '' | `?workspace_id=${string}`;
  readonly #payer: { workspace_id?: Id };

  constructor(api: Api, workspaceId?: Id) {
    this.#api = api;
    this.#query = workspaceId ? `?workspace_id=${encodeURIComponent(workspaceId)}` : '';
    this.#payer = workspaceId ? { workspace_id: workspaceId } : {};
    this.list = new PagedResource(() => api.get('/payment_methods', this.#payer));
  }

  /** Starts saving a payment method; returns the URL of the gateway's page. */
  async setUp(gateway: string): Promise<string> {
    const query = new URLSearchParams(this.#payer as Record<string, string>).toString();
    const input = { gateway, return_url: query ? `/plans/billing?${query}` : undefined, ...this.#payer };
    return (await this.#api.post('/payment_methods/setups', input)).redirect_url;
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`/payment_methods/${id}${this.#query}`);
    await this.list.load();
  }

  async prefer(id: Id): Promise<void> {
    await this.#api.post(`/payment_methods/${id}/default`, this.#payer);
    await this.list.load();
  }
}

export class BillingDetailsStore {
  readonly resource: Resource<BillingDetails>;
  readonly #api: Api;
  readonly #payer: { workspace_id?: Id };

  constructor(api: Api, workspaceId?: Id) {
    this.#api = api;
    this.#payer = workspaceId ? { workspace_id: workspaceId } : {};
    this.resource = new Resource(() => api.get('/billing_details', this.#payer));
  }

  async save(details: BillingDetails): Promise<void> {
    this.resource.set(await this.#api.put('/billing_details', { ...details, ...this.#payer }));
  }
}
