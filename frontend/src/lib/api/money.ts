/** The wire contract of plans, credits and payments. Credits are millionths, money is a currency’s smallest unit. */
import type { Id, Timestamp } from './types.ts';

export type QuotaMetric = 'answers' | 'gateway_calls' | 'tokens';

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
}

export interface QuotaUse {
  metric: QuotaMetric;
  used: number;
  limit: number;
  resets_at: Timestamp;
}

export interface Price {
  currency: string;
  amount: number;
}

export type PlanInterval = 'month' | 'year';

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

/** A way to pay. */
export interface PaymentGateway {
  name: string;
  enabled: boolean;
  currencies: string[];
  /** Only for show: no real money. */
  is_demo: boolean;
}

export type PaymentStatus =
  'created' | 'pending' | 'paid' | 'failed' | 'expired' | 'partly_refunded' | 'refunded' | 'disputed' | 'quarantined';

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
}

export interface BegunPayment {
  payment_id: Id;
  redirect_url: string;
  expires_at: Timestamp;
}

export interface LedgerEntry {
  id: Id;
  kind: string;
  /** Less than nothing: it was taken. */
  amount: number;
  balance_after: number;
  source: string;
  note: string | null;
  created_at: Timestamp;
}
