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
    /// Null if there is no automatic top-up.
    #[schema(required)]
    pub top_up: Option<TopUp>,
}

/// Low-balance warning of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LowBalance {
    /// Balance below which the account's owner is warned. 0: never.
    pub threshold: MicroCredits,
    /// True if the threshold was set by the owner. Otherwise it is a tenth of the latest purchase
    /// or grant.
    pub is_chosen: bool,
    pub is_low: bool,
}

/// Automatic purchase of credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopUp {
    pub plan_id: Uuid,
    /// Null if the payment method was removed.
    #[schema(required)]
    pub method_id: Option<Uuid>,
    pub currency: String,
    /// Price of one purchase, in the currency's smallest unit.
    pub price: i64,
    /// Balance below which credits are bought.
    pub threshold: MicroCredits,
    /// Maximum total of charges per month (UTC), in the currency's smallest unit.
    pub monthly_limit: i64,
    /// Total of this month's completed and pending charges.
    pub spent_this_month: i64,
    pub is_on: bool,
    /// Reason for which the top-up is stopped.
    #[schema(required)]
    pub stopped: Option<StoppedTopUp>,
    /// True if a charge is pending.
    pub pending: bool,
}

/// Reason for which an automatic top-up is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoppedTopUp {
    Declined,
    /// The card was removed, or the account of the user who chose it was deleted.
    MethodRemoved,
    /// The plan is not sold any more, or not at this price.
    PlanWithdrawn,
    /// The monthly limit is reached; the top-up continues next month.
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
    /// All days or months, the earliest first.
    pub groups: Vec<RevenueGroup>,
    pub total: RevenueSum,
    pub subscriptions: SubscriptionCounts,
    /// Monthly recurring revenue of renewing subscriptions; yearly ones count with a twelfth.
    pub mrr: Vec<Price>,
    /// Credits that users and workspaces have now.
    pub credits_outstanding: MicroCredits,
    pub credits_owed: MicroCredits,
}

/// Revenue of one day or month (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueGroup {
    /// Date such as `2026-11-23`, or month such as `2026-11`.
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

/// Revenue in one currency, in its smallest unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueMoney {
    pub currency: String,
    pub paid: i64,
    pub refunded: i64,
    /// Amount of disputes that were not won.
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
    /// Credits clawed back by refunds, disputes and administrators, less those returned.
    pub clawed_back: MicroCredits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionCounts {
    pub active: i64,
    pub trialing: i64,
    pub past_due: i64,
    /// Subscriptions that end after the paid period.
    pub canceling: i64,
}
