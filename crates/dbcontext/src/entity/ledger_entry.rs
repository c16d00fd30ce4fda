//! Double-entry bookkeeping: each entry moves an amount between two accounts.

use appcore::{Timestamp, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Account of a user or workspace that the entry concerns; the other side is a house account,
    /// which has no row.
    pub account_id: Uuid,
    pub from_account: Uuid,
    pub to_account: Uuid,
    pub kind: String,
    pub amount: MicroCredits,
    pub balance_after: MicroCredits,
    pub source: String,
    pub source_id: String,
    pub note: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
