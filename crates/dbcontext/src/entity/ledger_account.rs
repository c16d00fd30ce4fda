//! Accounts of users and workspaces. House accounts have no row; their balance is the sum of their entries.

use appcore::{Timestamp, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_accounts")]
pub struct Model {
    /// Id of the user or workspace that owns the account.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: String,
    /// Balance, including the reserved amount `held`.
    pub balance: MicroCredits,
    pub held: MicroCredits,
    /// Cost of usage and refunds beyond the balance, which the account owes.
    pub owed: MicroCredits,
    /// Balance below which the owner is warned; `None` to use a fraction of the last grant.
    pub low_threshold: Option<MicroCredits>,
    /// True if the owner has been warned of the low balance.
    pub is_low: bool,
    /// Balance below which the account is due for an examination (alert, automatic top-up).
    pub check_threshold: Option<MicroCredits>,
    /// True if the account is due for an examination.
    pub is_due: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
