import type { FilterOf } from '#lib/api/calls.ts';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { ProviderTest } from '#lib/features/gateway/api.ts';
import type {
  AdminPayment,
  AdminPaymentGateway,
  AdminSubscription,
  Credits,
  DifferenceState,
  LedgerEntry,
  PaymentDetails,
  PaymentDifference,
  Plan,
  PlanDefinition,
  RefundDecision,
  Release,
  SubscriptionStatus
} from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

export type PaymentFilter = FilterOf<'/admin/payments'>;

/** Payments of all accounts, for admins. */
export class AdminPaymentsStore {
  readonly list: PagedResource<AdminPayment>;
  readonly #api: Api;
  #filter: PaymentFilter = {};

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) =>
      api.get('/admin/payments', { ...this.#filter, page, page_size: PAGE_SIZE })
    );
  }

  find(filter: PaymentFilter): void {
    this.#filter = filter;
    void this.list.load();
  }

  /** Number of quarantined payments. */
  quarantined(): Promise<number> {
    return this.#count({ status: 'quarantined' });
  }

  /** Number of payments with a stuck refund. */
  stuck(): Promise<number> {
    return this.#count({ refund: 'stuck' });
  }

  async #count(filter: PaymentFilter): Promise<number> {
    const query = { ...filter, page: 1, page_size: 1 };
    return (await this.#api.get('/admin/payments', query)).total;
  }
}

/** Payment with its gateway events, for admins. */
export class AdminPaymentStore {
  readonly payment: Resource<PaymentDetails>;
  readonly #api: Api;
  readonly #path: `/admin/payments/${Id}`;

  constructor(api: Api, id: Id) {
    this.#api = api;
    this.#path = `/admin/payments/${id}`;
    this.payment = new Resource(() => api.get(this.#path));
  }

  /** Refunds an amount, given in minor units. */
  async refund(amount: number, reason: string): Promise<void> {
    await this.#api.post(`${this.#path}/refund`, { amount, reason });
    await this.payment.load();
  }

  async release(decision: Release, reason: string): Promise<void> {
    await this.#api.post(`${this.#path}/release`, { decision, reason });
    await this.payment.load();
  }

  /** Decides a pending refund. */
  async decide(refundId: Id, decision: RefundDecision, reason: string): Promise<void> {
    const path = `${this.#path}/refunds/${refundId}/decide` as const;
    try {
      this.payment.set(await this.#api.post(path, { decision, reason }));
    } catch (error) {
      // Another admin has decided it already, so the payment is reloaded.
      if (error instanceof ApiError && error.status === 409) void this.payment.load();
      throw error;
    }
  }

  /** Queries the gateway for the state of the payment. */
  async reconcile(): Promise<void> {
    await this.#api.post(`${this.#path}/reconcile`);
    await this.payment.load();
  }
}

/** Grants and deductions of credits by admins. */
export class GiftsStore {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  /** Grants an amount in micro-credits; a negative one is deducted. */
  grant(userId: Id, amount: number, reason: string): Promise<Credits> {
    return this.#api.post('/admin/credits', { user_id: userId, amount, reason });
  }
}

/** Ledger of an account, for admins. */
export class AdminLedgerStore {
  readonly list: PagedResource<LedgerEntry>;

  constructor(api: Api, userId: Id) {
    this.list = new PagedResource((page) => api.get('/admin/ledger', { user_id: userId, page, page_size: PAGE_SIZE }));
  }
}

/** Filter of plans by whether they are offered. */
export type PlanView = 'offered' | 'withdrawn' | 'all';

/** All plans, including withdrawn ones, for admins. */
export class AdminPlansStore {
  readonly list: PagedResource<Plan>;
  all = $state.raw<readonly Plan[]>([]);
  readonly #api: Api;
  #view: PlanView = 'offered';

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource(async () => {
      const found = await api.get('/admin/pricing_plans');
      this.all = found.items;
      const isShown = (plan: Plan) => this.#view === 'all' || plan.is_active === (this.#view === 'offered');
      const items = found.items.filter(isShown);
      return { ...found, items, total: items.length };
    });
  }

  show(view: PlanView): void {
    this.#view = view;
    void this.list.load();
  }

  async add(kind: Pick<Plan, 'kind' | 'interval'>, plan: PlanDefinition): Promise<void> {
    await this.#api.post('/admin/pricing_plans', { ...kind, ...plan });
    await this.list.load();
  }

  /** Changes a plan. A plan that was sold can't change: the response then is a new plan that replaces it. */
  async change(id: Id, plan: PlanDefinition): Promise<Plan> {
    const changed = await this.#api.patch(`/admin/pricing_plans/${id}`, plan);
    await this.list.load();
    return changed;
  }

  async offer(id: Id, isOffered: boolean): Promise<void> {
    await this.#api.patch(`/admin/pricing_plans/${id}`, { is_active: isOffered });
    await this.list.load();
  }
}

/** Payment gateways, for admins. */
export class AdminGatewaysStore {
  readonly list: PagedResource<AdminPaymentGateway>;
  /** Results of connection tests by gateway; `under way` while a test runs. */
  tests = $state.raw<Record<string, ProviderTest | 'under way'>>({});
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource(() => api.get('/admin/gateways'));
  }

  async setEnabled(name: string, isOn: boolean): Promise<void> {
    const changed = await this.#api.patch(`/admin/gateways/${name}`, { enabled: isOn });
    const isIt = (other: AdminPaymentGateway) => other.name === name;
    const before = this.list.items.find(isIt);
    if (before) this.list.upsert({ ...before, ...changed }, isIt);
  }

  async test(name: string): Promise<void> {
    this.tests = { ...this.tests, [name]: 'under way' };
    try {
      const result = await this.#api.post(`/admin/gateways/${name}/test`);
      this.tests = { ...this.tests, [name]: result };
    } catch (error) {
      const { [name]: _, ...others } = this.tests;
      this.tests = others;
      throw error;
    }
  }
}

/** Subscriptions of all accounts, for admins. */
export class AdminSubscriptionsStore {
  readonly list: PagedResource<AdminSubscription>;
  #status: SubscriptionStatus | undefined;

  constructor(api: Api) {
    this.list = new PagedResource((page) =>
      api.get('/admin/subscriptions', { status: this.#status, page, page_size: PAGE_SIZE })
    );
  }

  find(status: SubscriptionStatus | undefined): void {
    this.#status = status;
    void this.list.load();
  }
}

/** Differences between the gateways and the database, for admins. */
export class PaymentDifferencesStore {
  readonly list: PagedResource<PaymentDifference>;
  readonly #api: Api;
  #state: DifferenceState = 'open';

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) =>
      api.get('/admin/payment_differences', { state: this.#state, page, page_size: PAGE_SIZE })
    );
  }

  find(state: DifferenceState): void {
    this.#state = state;
    void this.list.load();
  }

  async close(id: Id, note: string): Promise<void> {
    await this.#api.post(`/admin/payment_differences/${id}/close`, { note });
    await this.list.load(this.list.page || 1);
  }
}
