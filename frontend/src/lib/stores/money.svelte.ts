import { newId, type Api } from '#lib/api/client.ts';
import type { BegunPayment, Entitlements, LedgerEntry, Payment, PaymentGateway, Plan } from '#lib/api/money.ts';
import type { Id, Page } from '#lib/api/types.ts';
import { Asked } from './asked.svelte.ts';
import { Listing } from './listing.svelte.ts';
import type { Line } from './workspace-list.svelte.ts';

const PAGE_SIZE = 50;

/** The account: what one may use, what can be bought, and what was. */
export class Money {
  readonly entitlements: Asked<Entitlements>;
  readonly plans: Listing<Plan>;
  readonly gateways: Listing<PaymentGateway>;
  readonly payments: Listing<Payment>;
  readonly ledger: Listing<LedgerEntry>;
  readonly #api: Api;
  /** The same order, asked for again because its answer got lost, is one payment. */
  readonly #keys = new Map<string, string>();

  constructor(api: Api) {
    this.#api = api;
    this.entitlements = new Asked(() => api.get<Entitlements>('/entitlements/me'));
    this.plans = new Listing(() => api.get<Page<Plan>>('/pricing_plans'));
    this.gateways = new Listing(() => api.get<Page<PaymentGateway>>('/payment_gateways'));
    this.payments = new Listing((page) => api.get('/payments', { page, page_size: PAGE_SIZE }));
    this.ledger = new Listing(async (page) => {
      const found = await api.get<Page<LedgerEntry>>('/ledger', { page, page_size: PAGE_SIZE });
      // What is held and let go again leaves the balance as it is.
      return { ...found, items: found.items.filter(({ kind }) => kind !== 'hold' && kind !== 'release') };
    });
  }

  /** Keeps what one may use as the server tells it; answers how to stop that. */
  follow(line: Line): () => void {
    return line.on((frame) => {
      if (frame.type === 'quota.updated') this.entitlements.tell(frame.payload);
    });
  }

  /** Whether anything is charged here; null while that isn’t known. */
  get isCharging(): boolean | null {
    const { value } = this.entitlements;
    return value === null ? null : value.credits !== null;
  }

  async begin(planId: Id, gateway: string, currency: string): Promise<BegunPayment> {
    const order = `${planId} ${gateway} ${currency}`;
    const key = this.#keys.get(order) ?? newId();
    this.#keys.set(order, key);
    return await this.#api.post<BegunPayment>(
      '/payments/checkout',
      { plan_id: planId, gateway, currency },
      { 'Idempotency-Key': key }
    );
  }

  /** Where no real money is asked for, the payer says how it ends. */
  endDemo(id: Id, outcome: 'paid' | 'failed'): Promise<Payment> {
    return this.#api.post<Payment>(`/payments/${id}/demo`, { outcome });
  }
}
