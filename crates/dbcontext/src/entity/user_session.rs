//! A sign-in on one device: the family of its refresh tokens.

use appcore::{SessionId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub user_id: UserId,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    /// Where that is: two letters, and a city where one is known.
    pub country: Option<String>,
    pub city: Option<String>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    /// However often it is refreshed.
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// When it was last shown that it is them, after the sign-in.
    pub confirmed_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
