//! Plans and prices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::QuotaMetric;
use crate::{PlanId, credits::MicroCredits, view::stored_by_name};

/// Kind of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// Plan with credits and quotas for a period.
    Subscription,
    /// Plan with credits that don't expire.
    Credits,
}

/// Billing period of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanInterval {
    Month,
    Year,
}

/// Amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Currency, as ISO 4217 code.
    pub currency: String,
    /// Amount in minor units: cents for most currencies, but whole yen and dong.
    pub amount: i64,
}

/// Plan that can be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PricingPlan {
    #[schema(value_type = String, format = Uuid)]
    pub id: PlanId,
    pub name: String,
    pub kind: PlanKind,
    /// Billing period; null without a subscription.
    #[schema(required)]
    pub interval: Option<PlanInterval>,
    pub prices: Vec<Price>,
    /// Granted micro-credits, once or in each period.
    pub credits: MicroCredits,
    /// Quotas by metric; absent ones are unlimited.
    pub quotas: BTreeMap<QuotaMetric, i64>,
    /// Features to list with the plan.
    pub features: Vec<String>,
    pub trial_days: u32,
    pub is_active: bool,
}

/// Reference to a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanName {
    pub id: Uuid,
    pub name: String,
    #[schema(required)]
    pub interval: Option<PlanInterval>,
}

stored_by_name! {
    PlanKind { Subscription = "subscription", Credits = "credits" }
    PlanInterval { Month = "month", Year = "year" }
}
