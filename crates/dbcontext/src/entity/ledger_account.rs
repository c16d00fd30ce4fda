//! Accounts of people and workspaces in the ledger.

use appcore::{Timestamp, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: String,
    pub balance: MicroCredits,
    pub held: MicroCredits,
    pub owed: MicroCredits,
    /// Below which its holder is warned; none: a part of what came last.
    pub low_threshold: Option<MicroCredits>,
    pub is_low: bool,
    /// Balance below which the account is marked as due for a check.
    pub check_threshold: Option<MicroCredits>,
    pub is_due: bool,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
