//! A refresh token, used at most once.

use appcore::{SessionId, Timestamp};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub session_id: SessionId,
    /// SHA-256 of the token, which has 256 random bits and so needs no salt.
    pub token_hash: Vec<u8>,
    pub created_at: Timestamp,
    pub used_at: Option<Timestamp>,
    /// What its use was answered with, sealed.
    pub successor: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
