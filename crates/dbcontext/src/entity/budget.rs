//! Budgets: spending limits of keys, users, workspaces and end users, with the amounts spent.

use appcore::{ApiKeyId, Timestamp, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "budgets")]
pub struct Model {
    /// `key`, `user`, `workspace`, `end_user`, `model` or `tag`, or the metric of a quota.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope_id: Uuid,
    /// Spending limit per period.
    pub spending_limit: MicroCredits,
    pub period: String,
    pub period_start: Timestamp,
    pub spent: MicroCredits,
    pub held: MicroCredits,
    /// Key whose calls the budget covers in part.
    pub key_id: Option<ApiKeyId>,
    /// Name of the part, such as an end user.
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
