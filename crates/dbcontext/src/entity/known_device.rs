//! Networks and user agents from which a user has signed in.

use appcore::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "known_devices")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// IPv4 address or IPv6 /64 network.
    #[sea_orm(primary_key, auto_increment = false)]
    pub network: String,
    /// User agent without version numbers.
    #[sea_orm(primary_key, auto_increment = false)]
    pub agent: String,
    pub last_seen_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
