//! How accounts of credits are watched and filled, and what an installation earns.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Price, stored_by_name};
use crate::credits::MicroCredits;

/// How an account of credits is watched, and how it buys some by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreditSettings {
    pub low_balance: LowBalance,
    /// Null: it doesn't.
    #[schema(required)]
    pub top_up: Option<TopUp>,
}

/// When an account's holder is warned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LowBalance {
    /// Below which balance. Nothing: never.
    pub threshold: MicroCredits,
    /// Otherwise it is a tenth of what was bought or given last.
    pub is_chosen: bool,
    pub is_low: bool,
}

/// How credits are bought when a balance has fallen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopUp {
    pub plan_id: Uuid,
    /// Null: it was removed.
    #[schema(required)]
    pub method_id: Option<Uuid>,
    pub currency: String,
    /// What one purchase costs, in the currency's smallest unit.
    pub price: i64,
    /// Below which balance.
    pub threshold: MicroCredits,
    /// The most that is charged in a month of UTC.
    pub monthly_limit: i64,
    /// What was charged in this one, or is about to be.
    pub spent_this_month: i64,
    pub is_on: bool,
    /// Why nothing is bought.
    #[schema(required)]
    pub stopped: Option<StoppedTopUp>,
    /// Whether a charge is pending.
    pub pending: bool,
}

/// Why no credits are bought any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoppedTopUp {
    Declined,
    /// The card was removed, or whoever chose it is gone.
    MethodRemoved,
    /// It isn't sold any more, or not for this price.
    PlanWithdrawn,
    /// It goes on with the next month.
    MonthlyLimit,
}

/// How revenue is put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevenueGrouping {
    #[default]
    Day,
    Month,
}

stored_by_name! {
    StoppedTopUp {
        Declined = "declined", MethodRemoved = "method_removed", PlanWithdrawn = "plan_withdrawn", MonthlyLimit = "monthly_limit",
    }
    RevenueGrouping { Day = "day", Month = "month" }
}

/// What an installation has earned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revenue {
    /// Every day or month, the earliest first.
    pub groups: Vec<RevenueGroup>,
    pub total: RevenueSum,
    pub subscriptions: SubscriptionCounts,
    /// What the subscriptions come to in a month that go on: those for a year with a twelfth.
    pub mrr: Vec<Price>,
    /// What people and workspaces have now.
    pub credits_outstanding: MicroCredits,
    pub credits_owed: MicroCredits,
}

/// One day or month of UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueGroup {
    /// `2026-11-23`, or `2026-11`.
    pub key: String,
    pub money: Vec<RevenueMoney>,
    pub credits: RevenueCredits,
}

/// All of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueSum {
    pub money: Vec<RevenueMoney>,
    pub credits: RevenueCredits,
}

/// In the currency's smallest unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueMoney {
    pub currency: String,
    pub paid: i64,
    pub refunded: i64,
    /// Taken by disputes that were not won.
    pub disputed: i64,
    pub net: i64,
    /// How many were paid.
    pub payments: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueCredits {
    pub sold: MicroCredits,
    pub granted: MicroCredits,
    pub used: MicroCredits,
    pub expired: MicroCredits,
    /// Credits clawed back by refunds, disputes and administrators, less those returned.
    pub clawed_back: MicroCredits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionCounts {
    pub active: i64,
    pub trialing: i64,
    pub past_due: i64,
    /// They end with what is paid.
    pub canceling: i64,
}
