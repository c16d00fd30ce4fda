//! Sessions: sign-ins on one device each. A session is the family of its refresh tokens.

use appcore::{SessionId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub user_id: UserId,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub last_used_at: Timestamp,
    /// End of the session; refreshing its tokens doesn't extend it.
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub country: Option<String>,
    pub city: Option<String>,
    /// Time at which the user last confirmed their identity in this session.
    pub confirmed_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
