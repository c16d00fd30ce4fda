//! Settings of credit accounts, automatic top-ups, and revenue.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Price, stored_by_name};
use crate::credits::MicroCredits;

/// Low-balance warning and automatic top-up of a credit account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreditSettings {
    pub low_balance: LowBalance,
    /// Automatic top-up; null if none.
    #[schema(required)]
    pub top_up: Option<TopUp>,
}

/// Low-balance warning of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LowBalance {
    /// Balance in micro-credits below which the owner is warned; 0 for no warning.
    pub threshold: MicroCredits,
    /// True if set by the owner; otherwise a tenth of the latest purchase or grant.
    pub is_chosen: bool,
    pub is_low: bool,
}

/// Automatic purchase of credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopUp {
    pub plan_id: Uuid,
    /// Payment method; null if removed.
    #[schema(required)]
    pub method_id: Option<Uuid>,
    pub currency: String,
    /// Price of one purchase, in minor units.
    pub price: i64,
    /// Balance in micro-credits below which credits are bought.
    pub threshold: MicroCredits,
    /// Maximum charges per UTC month, in minor units.
    pub monthly_limit: i64,
    /// This month's completed and pending charges, in minor units.
    pub spent_this_month: i64,
    pub is_on: bool,
    /// Reason for the suspension; null if active.
    #[schema(required)]
    pub stopped: Option<StoppedTopUp>,
    /// True if a charge is pending.
    pub pending: bool,
}

/// Reason why an automatic top-up is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoppedTopUp {
    Declined,
    /// The card was removed, or the account of the user who chose it was deleted.
    MethodRemoved,
    /// The plan is no longer sold, or has another price now.
    PlanWithdrawn,
    /// The monthly limit is reached. The top-up continues next month.
    MonthlyLimit,
}

/// Grouping of the revenue report.
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

/// Revenue of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revenue {
    /// Days or months, earliest first.
    pub groups: Vec<RevenueGroup>,
    pub total: RevenueSum,
    pub subscriptions: SubscriptionCounts,
    /// Monthly recurring revenue; yearly subscriptions count with a twelfth.
    pub mrr: Vec<Price>,
    /// Credits of users and workspaces now, in micro-credits.
    pub credits_outstanding: MicroCredits,
    pub credits_owed: MicroCredits,
}

/// Revenue of one day or month (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueGroup {
    /// UTC date `2026-11-23` or month `2026-11`.
    pub key: String,
    pub money: Vec<RevenueMoney>,
    pub credits: RevenueCredits,
}

/// Sum of all groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueSum {
    pub money: Vec<RevenueMoney>,
    pub credits: RevenueCredits,
}

/// Revenue in one currency, in minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueMoney {
    pub currency: String,
    pub paid: i64,
    pub refunded: i64,
    /// Amount of disputes, without won ones.
    pub disputed: i64,
    pub net: i64,
    /// Number of paid payments.
    pub payments: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueCredits {
    pub sold: MicroCredits,
    pub granted: MicroCredits,
    pub used: MicroCredits,
    pub expired: MicroCredits,
    /// Credits taken back by refunds, disputes and administrators, minus returned ones.
    pub clawed_back: MicroCredits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionCounts {
    pub active: i64,
    pub trialing: i64,
    pub past_due: i64,
    /// Number of subscriptions that end after the paid period.
    pub canceling: i64,
}
