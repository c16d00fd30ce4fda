//! Accounts of users and workspaces. House accounts have no row; their balance is the sum of their entries.

use appcore::{Timestamp, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_accounts")]
pub struct Model {
    /// Id of the user or workspace.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: String,
    /// Includes `held`.
    pub balance: MicroCredits,
    pub held: MicroCredits,
    /// Usage and refunds beyond the balance.
    pub owed: MicroCredits,
    /// Balance below which the owner is warned; `None`: a fraction of the last grant.
    pub low_threshold: Option<MicroCredits>,
    /// True if the owner was warned.
    pub is_low: bool,
    /// Balance below which the account is examined.
    pub check_threshold: Option<MicroCredits>,
    /// True if the account is to be examined.
    pub is_due: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
