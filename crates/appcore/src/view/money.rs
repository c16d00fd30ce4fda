//! Credits, plans and payments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::stored_by_name;
use crate::{Timestamp, UserId, credits::MicroCredits};

/// What somebody may use, and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entitlements {
    /// The plan that is paid for; null: none.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    /// Null: nothing is charged here.
    #[schema(required)]
    pub credits: Option<Credits>,
    pub quotas: Vec<QuotaUse>,
    #[schema(required)]
    pub trial_ends_at: Option<Timestamp>,
}

/// The plan that somebody has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrentPlan {
    pub id: Uuid,
    pub name: String,
    /// Null: it is not renewed by itself.
    #[schema(required)]
    pub renews_at: Option<Timestamp>,
    /// When it ends unless it is renewed.
    #[schema(required)]
    pub cancel_at: Option<Timestamp>,
}

/// Credits, in micro-credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credits {
    /// What is held is part of it.
    pub balance: MicroCredits,
    /// For what is under way.
    pub held: MicroCredits,
    pub available: MicroCredits,
    /// What was used or given back beyond the balance: the next credits pay it first.
    pub owed: MicroCredits,
}

/// What a plan allows of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaMetric {
    /// Answers of assistants in a day.
    Answers,
    /// Calls of `/v1` in a day.
    GatewayCalls,
    /// Tokens in a day.
    Tokens,
}

/// How much of a quota is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUse {
    pub metric: QuotaMetric,
    pub used: i64,
    pub limit: i64,
    pub resets_at: Timestamp,
}

/// What a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// Credits and quotas for a period.
    Subscription,
    /// Credits that don't expire.
    Credits,
}

/// For how long a subscription is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanInterval {
    Month,
    Year,
}

/// What a payment is to those who look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// It was asked for; the gateway may not know of it.
    Created,
    /// The gateway waits for the payer, or for the payer's bank.
    Pending,
    Paid,
    Failed,
    Expired,
    PartlyRefunded,
    Refunded,
    Disputed,
    /// What the gateway says doesn't fit: an administrator has to look.
    Quarantined,
}

stored_by_name! {
    QuotaMetric { Answers = "answers", GatewayCalls = "gateway_calls", Tokens = "tokens" }
    PlanKind { Subscription = "subscription", Credits = "credits" }
    PlanInterval { Month = "month", Year = "year" }
    PaymentStatus {
        Created = "created",
        Pending = "pending",
        Paid = "paid",
        Failed = "failed",
        Expired = "expired",
        PartlyRefunded = "partly_refunded",
        Refunded = "refunded",
        Disputed = "disputed",
        Quarantined = "quarantined",
    }
}

/// What something costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// ISO 4217.
    pub currency: String,
    /// In the currency's smallest unit: cents, but whole yen and dong.
    pub amount: i64,
}

/// Something that can be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PricingPlan {
    pub id: Uuid,
    pub name: String,
    pub kind: PlanKind,
    /// Of subscriptions.
    #[schema(required)]
    pub interval: Option<PlanInterval>,
    pub prices: Vec<Price>,
    /// Micro-credits: once, or for each period.
    pub credits: MicroCredits,
    /// What is not in it has no limit.
    pub quotas: BTreeMap<QuotaMetric, i64>,
    /// Sentences for the page with the plans.
    pub features: Vec<String>,
    pub trial_days: u32,
    pub is_active: bool,
}

/// A payment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    pub id: Uuid,
    pub status: PaymentStatus,
    pub gateway: String,
    /// In the currency's smallest unit.
    pub amount: i64,
    pub currency: String,
    pub plan_id: Uuid,
    pub plan_name: String,
    /// Where the payer pays, while the payer can.
    #[schema(required)]
    pub redirect_url: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    #[schema(required)]
    pub paid_at: Option<Timestamp>,
    pub refunded_amount: i64,
    /// Of the receipt, such as `2026-0001`.
    #[schema(required)]
    pub receipt: Option<String>,
}

/// A payment as administrators see it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminPayment {
    #[serde(flatten)]
    pub payment: Payment,
    pub user_id: UserId,
    /// What is wrong with it.
    #[schema(required)]
    pub quarantine: Option<String>,
    /// By which the gateway knows it.
    #[schema(required)]
    pub reference: Option<String>,
}

/// A way to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentGateway {
    pub name: String,
    /// Whether it can be used now.
    pub enabled: bool,
    /// The currencies that it takes.
    pub currencies: Vec<String>,
    /// Whether it is only for show: no real money.
    pub is_demo: bool,
}

/// One line of somebody's account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LedgerEntry {
    pub id: Uuid,
    /// `purchase`, `grant`, `hold`, `release`, `settle`, `expire`, `refund`, …
    pub kind: String,
    /// Less than nothing: it was taken.
    pub amount: MicroCredits,
    pub balance_after: MicroCredits,
    /// What it was for, such as `payment:0199…`.
    pub source: String,
    #[schema(required)]
    pub note: Option<String>,
    pub created_at: Timestamp,
}
