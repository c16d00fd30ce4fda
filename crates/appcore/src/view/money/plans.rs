//! Plans and prices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::QuotaMetric;
use crate::{PlanId, credits::MicroCredits, view::stored_by_name};

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
    #[schema(value_type = String, format = Uuid)]
    pub id: PlanId,
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

/// A plan by its name.
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
