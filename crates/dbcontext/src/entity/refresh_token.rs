//! Refresh tokens of sessions.

use appcore::{SessionId, Timestamp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub session_id: SessionId,
    pub token_hash: Vec<u8>,
    pub used_at: Option<Timestamp>,
    /// Response to the rotation that used up this token, returned again for retries with the same
    /// idempotency key. Sealed with a key derived from the token.
    pub successor: Option<Vec<u8>>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
