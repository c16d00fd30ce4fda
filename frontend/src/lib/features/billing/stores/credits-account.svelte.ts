import { newId, type Api } from '#lib/api/client.ts';
import type { StartedPayment, Entitlements, LedgerEntry, Payment, PaymentGateway, Plan, Price } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

export type DemoOutcome = 'paid' | 'paid_once' | 'failed';

/** Workspace that pays, with one seat for each member. */
export interface Seats {
  workspace_id: Id;
  seats?: number;
}

/** Way to pay: a gateway or a saved payment method. */
export type PaymentRoute = { gateway: string } | { payment_method_id: Id };

/** Credits account of the user or a workspace: its entitlements, payments and ledger, and the plans on offer. */
export class CreditsAccountStore {
  readonly entitlements: Resource<Entitlements>;
  readonly plans: PagedResource<Plan>;
  readonly gateways: PagedResource<PaymentGateway>;
  readonly payments: PagedResource<Payment>;
  readonly ledger: PagedResource<LedgerEntry>;
  readonly #api: Api;
  #payer: Id | undefined;
  /** Idempotency keys by order, so that a retry doesn't start a second payment. */
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
      // Reservations and their releases are hidden, because together they don't change the balance.
      return { ...found, items: found.items.filter(({ kind }) => kind !== 'hold' && kind !== 'release') };
    });
  }

  /** Reloads on events; returns a function that stops this. */
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

  /** Loads the payments of a workspace, or the user's own if undefined. */
  loadPaymentsOf(workspaceId: Id | undefined): void {
    this.#payer = workspaceId;
    void this.payments.load();
  }

  /** Selects the account of a workspace, or the user's own if undefined. */
  selectPayer(workspaceId: Id | undefined): void {
    this.loadPaymentsOf(workspaceId);
    void this.ledger.load();
  }

  /** Whether this server charges for use; null until known. */
  get isCharging(): boolean | null {
    const { value } = this.entitlements;
    return value === null ? null : value.credits !== null;
  }

  /** Starts a payment. `price`: the total that the user has seen. `seats`: only for the plan of a workspace. */
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

  /** Finishes a payment at the demo gateway. The outcome `paid_once` pays now and declines the renewals. */
  finishDemo(id: Id, outcome: DemoOutcome): Promise<Payment> {
    return this.#api.post(`/payments/${id}/demo`, { outcome });
  }
}
