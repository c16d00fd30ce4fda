/** API types of plans, credits and payments. Amounts of credits are in millionths of a credit, amounts of money in minor units such as cents. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always, Id } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';

/** Metrics whose quota renews daily. */
export type DailyMetric = Exclude<QuotaMetric, 'storage' | 'members'>;
/** Metric that a plan limits. `storage`: bytes of files and texts; `members`: members of a workspace. */
export type QuotaMetric = Described.QuotaMetric;

/** `GET /r1/entitlements/me`, and the frame `quota.updated` */
export type Entitlements = Described.Entitlements;

export type Credits = Described.Credits;

export type QuotaUse = Described.QuotaUse;

/** `GET /r1/users/me/storage`, and `storage` in `GET /r1/admin/users/{id}` */
export type StorageUse = Described.StorageUse;

export type Price = Described.Price;

export type PlanInterval = Described.PlanInterval;

export type Plan = Omit<Described.PricingPlan, 'quotas'> & { quotas: Partial<Record<QuotaMetric, number>> };

/** Gateway through which can be paid. */
export type PaymentGateway = Described.PaymentGateway;

/** `GET /r1/admin/gateways`: a gateway with its health. */
export type AdminPaymentGateway = Always<Described.AdminPaymentGateway, 'last_event_at' | 'last_paid_at'>;

export type PaymentStatus = Described.PaymentStatus;

export type Payment = Described.Payment;

export type StartedPayment = Described.BegunPayment;

/** `GET /r1/entitlements/workspaces/{id}` */
export type WorkspaceEntitlements = Described.WorkspaceEntitlements;

/** `GET /r1/credit_settings` */
export type CreditSettings = Described.CreditSettings;

export type StoppedTopUp = Described.StoppedTopUp;

/** Automatic top-up: buys credits when the balance falls below a threshold. */
export type TopUp = Described.TopUp;

/** Fields of an automatic top-up that the user can change. */
export type TopUpInput = Pick<TopUp, 'plan_id' | 'currency' | 'threshold' | 'monthly_limit'> & { method_id: Id };

/** Saving of a payment method that is in progress at a gateway. */
export type MethodSetup = Described.PaymentMethodSetup;

export type LedgerEntry = Described.LedgerEntry;

export type SubscriptionStatus = Described.SubscriptionStatus;

/** Subscription of a recurring plan. */
export type Subscription = Omit<Described.Subscription, 'plan'> & { plan: Plan };

/** Saved card or wallet. */
export type PaymentMethod = Described.PaymentMethod;

/** Price of a plan change before it is made. */
export type ChangePreview = Described.ChangePreview;

/** Result of a plan change. If it has a URL, the payer must confirm the payment there. */
export type PlanChange = Omit<Described.ChangedSubscription, 'subscription'> & { subscription: Subscription };

/** Name, address and tax number that receipts contain. */
export type BillingDetails = Described.BillingDetails;

/** Receipt of a refund. */
export type CreditNote = Described.CreditNote;

/** Payment as admins see it. */
export type AdminPayment = Described.AdminPayment;

/** Event that a gateway has sent. */
export type PaymentEvent = Described.PaymentEvent;

/** Refund. `last_answer`: the last response of the gateway, if that contained no outcome. */
export type Refund = Omit<Described.PaymentRefund, 'state'> & { state: 'pending' | 'done' | 'failed' };

/** Decision on a pending refund. `ask`: the gateway is queried again. */
export type RefundDecision = Described.RefundDecision;

/** Dispute of a payment. `amount`: the amount that the gateway withholds. */
export type Dispute = Omit<Described.PaymentDispute, 'state'> & { state: 'open' | 'won' | 'lost' };

/** `GET /r1/admin/payments/{id}` */
export type PaymentDetails = Omit<Described.AdminPaymentDetails, 'refunds' | 'disputes'> & {
  refunds: Refund[];
  disputes: Dispute[];
};

/** Way in which a payment leaves the quarantine. */
export type Release = Described.ReleaseAs;

/** Fields of a plan that admins define. */
export type PlanDefinition = Pick<Plan, 'name' | 'prices' | 'credits' | 'quotas' | 'features' | 'trial_days'>;

/** Subscription as admins see it. */
export type AdminSubscription = Subscription & Pick<Described.AdminSubscription, 'user_id'>;

export type DifferenceState = Described.DifferenceState;

/** Difference between a gateway's data on a payment and the database. */
export type PaymentDifference = Described.PaymentDifference;

/** Revenue in one currency. */
export type RevenueMoney = Described.RevenueMoney;

export type RevenueSum = Described.RevenueSum;

/** `GET /r1/admin/revenue` */
export type Revenue = Described.Revenue;

export const fetchStorageUse = (api: Api) => api.get('/users/me/storage');

export const fetchMethodSetup = (api: Api, id: Id) => api.get(`/payment_methods/setups/${encodeURIComponent(id)}`);

/** Finishes saving a payment method at the demo gateway with the given outcome. */
export const finishDemoSetup = (api: Api, id: Id, outcome: string) =>
  api.post(`/payment_methods/setups/${encodeURIComponent(id)}/demo`, { outcome });

export const fetchPayment = (api: Api, id: Id) => api.get(`/payments/${encodeURIComponent(id)}`);

export const fetchWorkspaceEntitlements = (api: Api, workspaceId: Id) =>
  api.get(`/entitlements/workspaces/${workspaceId}`);

export const fetchRevenue = (api: Api, group: 'day' | 'month') => api.get('/admin/revenue', { group });

/** Fetches all plans, including withdrawn ones; admins only. */
export const fetchPlans = (api: Api) => api.get('/admin/pricing_plans');
