//! What was begun and waits for its other half: a visit to a provider, a second factor, a passkey's answer.

use appcore::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pending_sign_ins")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: String,
    pub user_id: Option<UserId>,
    /// SHA-256 of the handle, which has 256 random bits.
    pub handle_hash: Vec<u8>,
    /// What must be known when it goes on: sealed with the handle, unless there is nothing secret in it.
    pub state: Vec<u8>,
    /// Wrong answers so far.
    pub failures: i32,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
