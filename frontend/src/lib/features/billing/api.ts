/** The wire contract of plans, credits and payments. Credits are millionths, money is a currency’s smallest unit. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always, Id } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';

/** What begins anew each day. */
export type DailyMetric = Exclude<QuotaMetric, 'storage' | 'members'>;
/** `storage`: bytes of one’s files and texts; `members`: those of a workspace. */
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

/** A payment method. */
export type PaymentGateway = Described.PaymentGateway;

/** `GET /r1/admin/gateways`: with what was heard of it. */
export type AdminPaymentGateway = Always<Described.AdminPaymentGateway, 'last_event_at' | 'last_paid_at'>;

export type PaymentStatus = Described.PaymentStatus;

export type Payment = Described.Payment;

export type StartedPayment = Described.BegunPayment;

/** `GET /r1/entitlements/workspaces/{id}` */
export type WorkspaceEntitlements = Described.WorkspaceEntitlements;

/** `GET /r1/credit_settings` */
export type CreditSettings = Described.CreditSettings;

export type StoppedTopUp = Described.StoppedTopUp;

/** Credits that are bought when few are left. */
export type TopUp = Described.TopUp;

/** What admins and owners choose of it. */
export type TopUpInput = Pick<TopUp, 'plan_id' | 'currency' | 'threshold' | 'monthly_limit'> & { method_id: Id };

/** Somebody saves a payment method. */
export type MethodSetup = Described.PaymentMethodSetup;

export type LedgerEntry = Described.LedgerEntry;

export type SubscriptionStatus = Described.SubscriptionStatus;

/** A plan that is paid for again and again. */
export type Subscription = Omit<Described.Subscription, 'plan'> & { plan: Plan };

/** A card, or what a gateway keeps like one. */
export type PaymentMethod = Described.PaymentMethod;

/** What a change would mean, before it is made. */
export type ChangePreview = Described.ChangePreview;

/** With an address the payer still has to go there. */
export type PlanChange = Omit<Described.ChangedSubscription, 'subscription'> & { subscription: Subscription };

/** What stands on receipts. */
export type BillingDetails = Described.BillingDetails;

/** A receipt for what was given back. */
export type CreditNote = Described.CreditNote;

/** A payment as admins see it. */
export type AdminPayment = Described.AdminPayment;

/** What a gateway has told of it. */
export type PaymentEvent = Described.PaymentEvent;

/** `last_answer`: what the gateway has said instead of what became of it. */
export type Refund = Omit<Described.PaymentRefund, 'state'> & { state: 'pending' | 'done' | 'failed' };

/** What an admin says of a refund that is under way. `ask`: the gateway is asked again. */
export type RefundDecision = Described.RefundDecision;

/** `amount`: what of the payment is kept back for it. */
export type Dispute = Omit<Described.PaymentDispute, 'state'> & { state: 'open' | 'won' | 'lost' };

/** `GET /r1/admin/payments/{id}` */
export type PaymentDetails = Omit<Described.AdminPaymentDetails, 'refunds' | 'disputes'> & {
  refunds: Refund[];
  disputes: Dispute[];
};

/** How a payment leaves quarantine. */
export type Release = Described.ReleaseAs;

/** What admins say of a plan. */
export type PlanDefinition = Pick<Plan, 'name' | 'prices' | 'credits' | 'quotas' | 'features' | 'trial_days'>;

/** A subscription as admins see it. */
export type AdminSubscription = Subscription & Pick<Described.AdminSubscription, 'user_id'>;

export type DifferenceState = Described.DifferenceState;

/** What a gateway has and we don’t, or the other way round. */
export type PaymentDifference = Described.PaymentDifference;

/** What was earned in one currency. */
export type RevenueMoney = Described.RevenueMoney;

export type RevenueSum = Described.RevenueSum;

/** `GET /r1/admin/revenue` */
export type Revenue = Described.Revenue;

/** Fetches how much storage the account uses. */
export const fetchStorageUse = (api: Api) => api.get('/users/me/storage');

export const fetchMethodSetup = (api: Api, id: Id) => api.get(`/payment_methods/setups/${encodeURIComponent(id)}`);

/** Ends the set-up of a payment method at the demo gateway. */
export const finishDemoSetup = (api: Api, id: Id, outcome: string) =>
  api.post(`/payment_methods/setups/${encodeURIComponent(id)}/demo`, { outcome });

export const fetchPayment = (api: Api, id: Id) => api.get(`/payments/${encodeURIComponent(id)}`);

export const fetchWorkspaceEntitlements = (api: Api, workspaceId: Id) =>
  api.get(`/entitlements/workspaces/${workspaceId}`);

export const fetchRevenue = (api: Api, group: 'day' | 'month') => api.get('/admin/revenue', { group });

/** Fetches the plans, for admins. */
export const fetchPlans = (api: Api) => api.get('/admin/pricing_plans');
