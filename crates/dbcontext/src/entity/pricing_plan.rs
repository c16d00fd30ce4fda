//! What can be bought.

use appcore::{PlanId, Timestamp, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pricing_plans")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PlanId,
    pub name: String,
    pub kind: String,
    pub interval: Option<String>,
    /// JSON.
    pub prices: String,
    pub credits: MicroCredits,
    /// JSON.
    pub quotas: String,
    /// JSON.
    pub features: String,
    pub trial_days: i64,
    pub is_active: bool,
    pub position: i64,
    pub created_at: Timestamp,
    /// The id of the first version of it. None: it is the first.
    pub family: Option<PlanId>,
}

impl ActiveModelBehavior for ActiveModel {}
