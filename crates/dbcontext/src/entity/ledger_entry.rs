//! Entries of the ledger: an amount that went from one account to another.

use appcore::{Timestamp, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
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

impl ActiveModelBehavior for ActiveModel {}
