import { newId, type Api } from '#lib/api/client.ts';
import type { StartedPayment, Entitlements, LedgerEntry, Payment, PaymentGateway, Plan, Price } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

export type DemoOutcome = 'paid' | 'paid_once' | 'failed';

/** Paying workspace with one seat per member. */
export interface Seats {
  workspace_id: Id;
  seats?: number;
}

/** Gateway or saved method. */
export type PaymentRoute = { gateway: string } | { payment_method_id: Id };

/** Credits account: entitlements, plans, payments. */
export class CreditsAccountStore {
  readonly entitlements: Resource<Entitlements>;
  readonly plans: PagedResource<Plan>;
  readonly gateways: PagedResource<PaymentGateway>;
  readonly payments: PagedResource<Payment>;
  readonly ledger: PagedResource<LedgerEntry>;
  readonly #api: Api;
  #payer: Id | undefined;
  /** Idempotency keys by order, for retries. */
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
      // Reservations that were released don't change the balance.
      return { ...found, items: found.items.filter(({ kind }) => kind !== 'hold' && kind !== 'release') };
    });
  }

  /** Applies events; returns a function that stops it. */
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

  /** Selects payments of a workspace; undefined for own ones. */
  bought(workspaceId: Id | undefined): void {
    this.#payer = workspaceId;
    void this.payments.load();
  }

  /** Selects the account of a workspace; undefined for the own one. */
  paidBy(workspaceId: Id | undefined): void {
    this.bought(workspaceId);
    void this.ledger.load();
  }

  /** Whether this server charges; null until known. */
  get isCharging(): boolean | null {
    const { value } = this.entitlements;
    return value === null ? null : value.credits !== null;
  }

  /** `price`: the displayed total. `seats`: for workspace plans. */
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

  /** Finishes a demo payment. `paid_once`: renewals will be declined. */
  finishDemo(id: Id, outcome: DemoOutcome): Promise<Payment> {
    return this.#api.post(`/payments/${id}/demo`, { outcome });
  }
}
