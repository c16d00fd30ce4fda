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
  readonly asked: Resource<{ subscription: Subscription | null }>;
  readonly #api: Api;
  readonly #payer: { workspace_id?: Id };
  /** Undefined for an own subscription. */
  readonly workspaceId: Id | undefined;

  constructor(api: Api, workspaceId?: Id) {
    this.#api = api;
    this.workspaceId = workspaceId;
    this.#payer = workspaceId ? { workspace_id: workspaceId } : {};
    this.asked = new Resource(() => api.get('/subscription', this.#payer));
  }

  /** Null if none or unknown. */
  get current(): Subscription | null {
    const found = this.asked.value?.subscription ?? null;
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

  /** Preview of a plan change. */
  preview(planId: Id, seats?: number): Promise<ChangePreview> {
    return this.#api.post('/subscription/change/preview', { plan_id: planId, seats, ...this.#payer });
  }

  /** `price`: the displayed price per period. */
  async change(planId: Id, seats?: number, price?: Price): Promise<PlanChange> {
    const input = { plan_id: planId, seats, price, ...this.#payer };
    const done = await this.#api.post('/subscription/change', input);
    this.#set(done.subscription);
    return done;
  }

  /** Pays the next period manually. */
  pay(): Promise<StartedPayment> {
    return this.#api.post('/subscription/pay', this.#payer);
  }

  #set(subscription: Subscription): Subscription {
    this.asked.set({ subscription });
    return subscription;
  }
}

/** Payment methods saved by gateways. */
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

  /** Starts saving a method; returns the gateway's URL. */
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

/** Billing details. */
export class BillingDetailsStore {
  readonly asked: Resource<BillingDetails>;
  readonly #api: Api;
  readonly #payer: { workspace_id?: Id };

  constructor(api: Api, workspaceId?: Id) {
    this.#api = api;
    this.#payer = workspaceId ? { workspace_id: workspaceId } : {};
    this.asked = new Resource(() => api.get('/billing_details', this.#payer));
  }

  async save(details: BillingDetails): Promise<void> {
    this.asked.set(await this.#api.put('/billing_details', { ...details, ...this.#payer }));
  }
}
