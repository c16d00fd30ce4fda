/** API types of plans, credits and payments. Credits are in millionths, money in minor units. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always, Id } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';

/** Quotas that renew daily. */
export type DailyMetric = Exclude<QuotaMetric, 'storage' | 'members'>;
/** `storage`: bytes of files and texts; `members`: of a workspace. */
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

/** Payment method. */
export type PaymentGateway = Described.PaymentGateway;

/** `GET /r1/admin/gateways`: includes health data. */
export type AdminPaymentGateway = Always<Described.AdminPaymentGateway, 'last_event_at' | 'last_paid_at'>;

export type PaymentStatus = Described.PaymentStatus;

export type Payment = Described.Payment;

export type StartedPayment = Described.BegunPayment;

/** `GET /r1/entitlements/workspaces/{id}` */
export type WorkspaceEntitlements = Described.WorkspaceEntitlements;

/** `GET /r1/credit_settings` */
export type CreditSettings = Described.CreditSettings;

export type StoppedTopUp = Described.StoppedTopUp;

/** Automatic top-up. */
export type TopUp = Described.TopUp;

/** Editable fields. */
export type TopUpInput = Pick<TopUp, 'plan_id' | 'currency' | 'threshold' | 'monthly_limit'> & { method_id: Id };

/** Saving of a payment method in progress. */
export type MethodSetup = Described.PaymentMethodSetup;

export type LedgerEntry = Described.LedgerEntry;

export type SubscriptionStatus = Described.SubscriptionStatus;

/** Recurring plan. */
export type Subscription = Omit<Described.Subscription, 'plan'> & { plan: Plan };

/** Saved card or wallet. */
export type PaymentMethod = Described.PaymentMethod;

/** Price of a plan change. */
export type ChangePreview = Described.ChangePreview;

/** With a URL the payer must confirm there. */
export type PlanChange = Omit<Described.ChangedSubscription, 'subscription'> & { subscription: Subscription };

/** Billing details for receipts. */
export type BillingDetails = Described.BillingDetails;

/** Receipt of a refund. */
export type CreditNote = Described.CreditNote;

/** Payment for admins. */
export type AdminPayment = Described.AdminPayment;

/** Event of a gateway. */
export type PaymentEvent = Described.PaymentEvent;

/** `last_answer`: last gateway response without an outcome. */
export type Refund = Omit<Described.PaymentRefund, 'state'> & { state: 'pending' | 'done' | 'failed' };

/** Decision on a pending refund. `ask`: query the gateway again. */
export type RefundDecision = Described.RefundDecision;

/** `amount`: withheld by the gateway. */
export type Dispute = Omit<Described.PaymentDispute, 'state'> & { state: 'open' | 'won' | 'lost' };

/** `GET /r1/admin/payments/{id}` */
export type PaymentDetails = Omit<Described.AdminPaymentDetails, 'refunds' | 'disputes'> & {
  refunds: Refund[];
  disputes: Dispute[];
};

/** Outcome of a quarantined payment. */
export type Release = Described.ReleaseAs;

/** Plan fields set by admins. */
export type PlanDefinition = Pick<Plan, 'name' | 'prices' | 'credits' | 'quotas' | 'features' | 'trial_days'>;

/** Subscription for admins. */
export type AdminSubscription = Subscription & Pick<Described.AdminSubscription, 'user_id'>;

export type DifferenceState = Described.DifferenceState;

/** Mismatch between a gateway and the database. */
export type PaymentDifference = Described.PaymentDifference;

/** Revenue in one currency. */
export type RevenueMoney = Described.RevenueMoney;

export type RevenueSum = Described.RevenueSum;

/** `GET /r1/admin/revenue` */
export type Revenue = Described.Revenue;

/** Fetches the storage usage of the account. */
export const fetchStorageUse = (api: Api) => api.get('/users/me/storage');

export const fetchMethodSetup = (api: Api, id: Id) => api.get(`/payment_methods/setups/${encodeURIComponent(id)}`);

/** Finishes the set-up of a payment method at the demo gateway. */
export const finishDemoSetup = (api: Api, id: Id, outcome: string) =>
  api.post(`/payment_methods/setups/${encodeURIComponent(id)}/demo`, { outcome });

export const fetchPayment = (api: Api, id: Id) => api.get(`/payments/${encodeURIComponent(id)}`);

export const fetchWorkspaceEntitlements = (api: Api, workspaceId: Id) =>
  api.get(`/entitlements/workspaces/${workspaceId}`);

export const fetchRevenue = (api: Api, group: 'day' | 'month') => api.get('/admin/revenue', { group });

/** Fetches all plans, for admins. */
export const fetchPlans = (api: Api) => api.get('/admin/pricing_plans');
