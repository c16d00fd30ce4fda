//! Models allowed to a user or a workspace.

use appcore::{Timestamp, view::BudgetScope};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "model_lists")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: BudgetScope,
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope_id: Uuid,
    /// Allowed models as JSON.
    pub models: String,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
