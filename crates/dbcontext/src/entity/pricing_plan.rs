//! Plans that can be bought. A changed plan is a new version in the same family.

use appcore::{
    PlanId, Timestamp,
    credits::MicroCredits,
    view::{PlanInterval, PlanKind},
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pricing_plans")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PlanId,
    pub name: String,
    pub kind: PlanKind,
    /// Billing interval of subscriptions.
    pub interval: Option<PlanInterval>,
    /// Prices per currency as JSON.
    pub prices: String,
    pub credits: MicroCredits,
    pub quotas: String,
    pub features: String,
    pub trial_days: i64,
    pub is_active: bool,
    pub position: i64,
    /// Id of the first version of the plan; `None` if this is the first version.
    pub family: Option<PlanId>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
