//! A code that stands in once for a lost authenticator.

use appcore::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "recovery_codes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: UserId,
    /// SHA-256: the code has 120 random bits and so needs no salt.
    pub code_hash: Vec<u8>,
    pub used_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
