//! What may be spent by a key, a person or a workspace, and what was.

use appcore::{Timestamp, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "budgets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope_id: Uuid,
    pub spending_limit: MicroCredits,
    pub period: String,
    pub period_start: Timestamp,
    pub spent: MicroCredits,
    pub held: MicroCredits,
}

impl ActiveModelBehavior for ActiveModel {}
