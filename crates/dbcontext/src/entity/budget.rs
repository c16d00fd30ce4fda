//! Budgets: spending limits of keys, users and workspaces, with the amounts spent.

use appcore::{Timestamp, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "budgets")]
pub struct Model {
    /// `key`, `user` or `workspace`.
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
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
