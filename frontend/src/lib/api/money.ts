/** The wire contract of plans, credits and payments. Credits are millionths, money is a currency’s smallest unit. */
import type * as Described from './generated/types.gen.ts';
import type { Id, Timestamp } from './types.ts';

/** What begins anew each day. */
export type DailyMetric = Exclude<QuotaMetric, 'storage' | 'members'>;
/** `storage`: bytes of one’s files; `members`: those of a workspace. */
export type QuotaMetric = Described.QuotaMetric;

/** `GET /r1/entitlements/me`, and the frame `quota.updated` */
export interface Entitlements {
  /** Null: none is paid for. */
  plan: { id: Id; name: string; renews_at: Timestamp | null; cancel_at: Timestamp | null } | null;
  /** Null: nothing is charged here. */
  credits: Credits | null;
  quotas: QuotaUse[];
  trial_ends_at: Timestamp | null;
}

export interface Credits {
  balance: number;
  /** For what is under way; a part of the balance. */
  held: number;
  available: number;
  /** Used beyond the balance: the next credits pay it first. */
  owed?: number;
  /** What the balance is left of. */
  granted?: number;
}

export type QuotaUse = Described.QuotaUse;

export type Price = Described.Price;

export type PlanInterval = Described.PlanInterval;

export interface Plan {
  id: Id;
  name: string;
  kind: 'subscription' | 'credits';
  /** Of subscriptions. */
  interval: PlanInterval | null;
  prices: Price[];
  credits: number;
  quotas: Partial<Record<QuotaMetric, number>>;
  features: string[];
  trial_days: number;
  is_active: boolean;
}

/** A payment method. */
export interface PaymentGateway {
  name: string;
  enabled: boolean;
  currencies: string[];
  /** Only for show: no real money. */
  is_demo: boolean;
  /** Whether it can keep what is paid with for later. */
  keeps?: boolean;
}

/** `GET /r1/admin/gateways`: with what was heard of it. */
export interface AdminPaymentGateway extends PaymentGateway {
  last_event_at: Timestamp | null;
  last_paid_at: Timestamp | null;
  /** Payments that have been open for ten minutes or more. */
  waiting: number;
  /** Refunds that it has not answered yet. */
  refunds_waiting: number;
  /** Refunds that it has not answered in a week: an admin has to end them. */
  refunds_stuck: number;
}

export type PaymentStatus = Described.PaymentStatus;

export interface Payment {
  id: Id;
  status: PaymentStatus;
  gateway: string;
  amount: number;
  currency: string;
  plan_id: Id;
  plan_name: string;
  /** Where it can still be paid. */
  redirect_url: string | null;
  created_at: Timestamp;
  expires_at: Timestamp;
  paid_at: Timestamp | null;
  refunded_amount: number;
  /** The number of its receipt. */
  receipt: string | null;
  credit_notes?: CreditNote[];
}

export interface BegunPayment {
  payment_id: Id;
  redirect_url: string;
  expires_at: Timestamp;
}

/** `GET /r1/entitlements/workspaces/{id}` */
export interface WorkspaceEntitlements extends Pick<Entitlements, 'plan' | 'credits' | 'quotas'> {
  workspace_id: Id;
  /** It has credits: they pay for its members. */
  pays: boolean;
}

/** `GET /r1/credit_settings` */
export interface CreditSettings {
  low_balance: { threshold: number; is_chosen: boolean; is_low: boolean };
  /** Null: none are bought by themselves. */
  top_up: TopUp | null;
}

export type StoppedTopUp = Described.StoppedTopUp;

/** Credits that are bought when few are left. */
export type TopUp = Described.TopUp;

/** What admins and owners choose of it. */
export type TopUpWish = Pick<TopUp, 'plan_id' | 'currency' | 'threshold' | 'monthly_limit'> & { method_id: Id };

/** Somebody saves a payment method. */
export type MethodSetup = Described.PaymentMethodSetup;

export type LedgerEntry = Described.LedgerEntry;

/** Who is paid for: oneself, or a workspace. */
export interface Payer {
  workspace_id?: Id;
}

export type SubscriptionStatus = Described.SubscriptionStatus;

/** A plan that is paid for again and again. */
export interface Subscription {
  id: Id;
  plan: Plan;
  status: SubscriptionStatus;
  /** Null: nothing was paid yet. */
  gateway: string | null;
  /** Of one period, all seats together. */
  price: Price | null;
  /** Null: one’s own. */
  seats: number | null;
  seats_used: number | null;
  workspace_id: Id | null;
  period_start: Timestamp;
  period_end: Timestamp;
  renews_at: Timestamp | null;
  /** Ends then, and can be resumed. */
  ends_at: Timestamp | null;
  trial_ends_at: Timestamp | null;
  /** Past due: until then it still works. */
  grace_until: Timestamp | null;
  renews_by_itself: boolean;
  next_attempt_at: Timestamp | null;
  failed_attempts: number;
  /** What waits for the end of the period. */
  next_plan: Pick<Plan, 'id' | 'name' | 'interval'> | null;
  next_seats: number | null;
  method: PaymentMethod | null;
}

/** A card, or what a gateway keeps like one. */
export type PaymentMethod = Described.PaymentMethod;

/** What a change would mean, before it is made. */
export interface ChangePreview {
  kind: 'upgrade' | 'downgrade';
  due_now: Price;
  /** The unused part of what was paid. */
  credit: Price;
  /** Null: now. */
  takes_effect_at: Timestamp | null;
  next: Price;
  /** Used today beyond what the new plan allows. */
  over: { metric: QuotaMetric; used: number; limit: number }[];
  /** Members who would have no seat. */
  seats_missing: number;
}

/** With an address the payer still has to go there. */
export interface PlanChange {
  subscription: Subscription;
  payment_id: Id | null;
  redirect_url: string | null;
}

/** What stands on receipts. */
export type BillingDetails = Described.BillingDetails;

/** A receipt for what was given back. */
export type CreditNote = Described.CreditNote;

/** A payment as admins see it. */
export interface AdminPayment extends Payment {
  user_id: Id;
  /** By which the gateway knows it. */
  reference: string | null;
  /** By which the gateway knows what was paid. None: it hasn’t said that anything was. */
  charge: string | null;
  /** What is wrong with it. */
  quarantine: string | null;
  /** What was really paid, where that is something else. */
  paid_amount?: number | null;
  paid_currency?: string | null;
  subscription_id?: Id | null;
  workspace_id?: Id | null;
}

/** What a gateway has told of it. */
export type PaymentEvent = Described.PaymentEvent;

export interface Refund {
  id: Id;
  amount: number;
  state: 'pending' | 'done' | 'failed';
  reason: string;
  created_at: Timestamp;
  /** How often the gateway was asked. */
  tries: number;
  /** What it has said instead of what became of it. */
  last_answer: string | null;
  /** When it is asked next. */
  next_try_at: Timestamp | null;
  /** It is pending, and nobody asks any more. */
  is_stuck: boolean;
}

/** What an admin says of a refund that is under way. `ask`: the gateway is asked again. */
export type RefundDecision = Described.RefundDecision;

export interface Dispute {
  /** By which the gateway knows it. */
  reference: string;
  /** What of the payment is kept back for it. */
  amount: number;
  /** What the gateway says that it is about, where that is known. */
  told: Price | null;
  state: 'open' | 'won' | 'lost';
  created_at: Timestamp;
}

/** `GET /r1/admin/payments/{id}` */
export interface PaymentDetails extends AdminPayment {
  events: PaymentEvent[];
  refunds: Refund[];
  disputes: Dispute[];
}

/** How a payment leaves quarantine. */
export type Release = Described.ReleaseAs;

/** What admins say of a plan. */
export interface PlanDefinition {
  name: string;
  prices: Price[];
  credits: number;
  quotas: Partial<Record<QuotaMetric, number>>;
  features: string[];
  trial_days: number;
}

/** A subscription as admins see it. */
export interface AdminSubscription extends Subscription {
  user_id: Id;
}

export type DifferenceState = Described.DifferenceState;

/** What a gateway has and we don’t, or the other way round. */
export type PaymentDifference = Described.PaymentDifference;

/** What was earned in one currency. */
export interface RevenueMoney extends Pick<Price, 'currency'> {
  paid: number;
  refunded: number;
  disputed: number;
  net: number;
  payments: number;
}

export interface RevenueSum {
  money: RevenueMoney[];
  credits: { sold: number; granted: number; used: number; expired: number; taken_back: number };
}

/** `GET /r1/admin/revenue` */
export interface Revenue {
  /** The earliest first. `key`: `2026-11-23`, or `2026-11`. */
  groups: (RevenueSum & { key: string })[];
  total: RevenueSum;
  subscriptions: { active: number; trialing: number; past_due: number; canceling: number };
  /** What the subscriptions come to in a month. */
  mrr: Price[];
  credits_outstanding: number;
  credits_owed: number;
}
