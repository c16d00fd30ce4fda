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
    /// Automatic top-up; null if there is none.
    #[schema(required)]
    pub top_up: Option<TopUp>,
}

/// Low-balance warning of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LowBalance {
    /// Balance in micro-credits below which the account's owner is warned. 0 disables the warning.
    pub threshold: MicroCredits,
    /// True if the owner has set the threshold. Otherwise it is a tenth of the latest purchase or
    /// grant.
    pub is_chosen: bool,
    pub is_low: bool,
}

/// Automatic purchase of credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopUp {
    pub plan_id: Uuid,
    /// Payment method that is charged; null if it was removed.
    #[schema(required)]
    pub method_id: Option<Uuid>,
    pub currency: String,
    /// Price of one purchase, in the currency's smallest unit.
    pub price: i64,
    /// Balance in micro-credits below which credits are bought.
    pub threshold: MicroCredits,
    /// Maximum total of charges per UTC month, in the currency's smallest unit.
    pub monthly_limit: i64,
    /// Total of this month's completed and pending charges, in the currency's smallest unit.
    pub spent_this_month: i64,
    pub is_on: bool,
    /// Reason why the top-up is stopped; null if it isn't.
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
    /// Days or months of the period, with the earliest first.
    pub groups: Vec<RevenueGroup>,
    pub total: RevenueSum,
    pub subscriptions: SubscriptionCounts,
    /// Monthly recurring revenue of the subscriptions that renew. Yearly subscriptions count with a
    /// twelfth of their price.
    pub mrr: Vec<Price>,
    /// Credits that users and workspaces have now, in micro-credits.
    pub credits_outstanding: MicroCredits,
    pub credits_owed: MicroCredits,
}

/// Revenue of one day or month (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevenueGroup {
    /// Date such as `2026-11-23`, or month such as `2026-11`, in UTC.
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
    /// Amount of disputes, without those that were won.
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
    /// Credits that refunds, disputes and administrators have taken back, minus those that were
    /// returned.
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
