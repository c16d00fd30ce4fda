import { newId, type Api } from '#lib/api/client.ts';
import type { StartedPayment, Entitlements, LedgerEntry, Payment, PaymentGateway, Plan, Price } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

export type DemoOutcome = 'paid' | 'paid_once' | 'failed';

/** A workspace that pays; of a plan one seat for each member. */
export interface Seats {
  workspace_id: Id;
  seats?: number;
}

/** By a gateway, or by what was saved. */
export type PaymentRoute = { gateway: string } | { payment_method_id: Id };

/** The account: what one may use, what can be bought, and what was. */
export class CreditsAccountStore {
  readonly entitlements: Resource<Entitlements>;
  readonly plans: PagedResource<Plan>;
  readonly gateways: PagedResource<PaymentGateway>;
  readonly payments: PagedResource<Payment>;
  readonly ledger: PagedResource<LedgerEntry>;
  readonly #api: Api;
  #payer: Id | undefined;
  /** The same order, asked for again because its answer got lost, is one payment. */
  readonly #keys = new Map<string, string>();

  constructor(api: Api) {
    this.#api = api;
    this.entitlements = new Resource(() => api.get('/entitlements/me'));
    this.plans = new PagedResource(() => api.get('/pricing_plans'));
    this.gateways = new PagedResource(() => api.get('/payment_gateways'));
    this.payments = new PagedResource((page) =>
      api.get('/payments', { workspace_id: this.#payer, page, page_size: PAGE_SIZE })
    );
    this.ledger = new PagedResource(async (page) => {
      const query = { workspace_id: this.#payer, page, page_size: PAGE_SIZE };
      const found = await api.get('/ledger', query);
      // What is held and let go again leaves the balance as it is.
      return { ...found, items: found.items.filter(({ kind }) => kind !== 'hold' && kind !== 'release') };
    });
  }

  /** Keeps what one may use as the server tells it; answers how to stop that. */
  follow(live: LiveUpdates): () => void {
    const leave = live.on((frame) => {
      if (frame.type === 'quota.updated') this.entitlements.set(frame.payload);
    });
    const unsubscribeStale = live.onStale(this.entitlements, () => void this.entitlements.load());
    return () => {
      leave();
      unsubscribeStale();
    };
  }

  /** What a workspace has paid; undefined: oneself. */
  bought(workspaceId: Id | undefined): void {
    this.#payer = workspaceId;
    void this.payments.load();
  }

  /** The account of a workspace; undefined: one’s own. */
  paidBy(workspaceId: Id | undefined): void {
    this.bought(workspaceId);
    void this.ledger.load();
  }

  /** Whether anything is charged here; null while that isn’t known. */
  get isCharging(): boolean | null {
    const { value } = this.entitlements;
    return value === null ? null : value.credits !== null;
  }

  /** `price`: as it is shown, seats counted. `seats`: for a workspace; left out, for oneself. */
  async startPayment(planId: Id, way: PaymentRoute, price: Price, seats?: Seats): Promise<StartedPayment> {
    const order = JSON.stringify([planId, way, price, seats]);
    const key = this.#keys.get(order) ?? newId();
    this.#keys.set(order, key);
    return await this.#api.post(
      '/payments/checkout',
      { plan_id: planId, ...way, currency: price.currency, price, ...seats },
      { 'Idempotency-Key': key }
    );
  }

  /** Where no real money is asked for, the payer says how it ends. `paid_once`: what it was paid with is declined later. */
  finishDemo(id: Id, outcome: DemoOutcome): Promise<Payment> {
    return this.#api.post(`/payments/${id}/demo`, { outcome });
  }
}
