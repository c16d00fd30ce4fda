//! Delivery of announcements to users.

use appcore::{BroadcastId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "broadcast_receipts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub broadcast_id: BroadcastId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub delivered_at: Timestamp,
    pub seen_at: Option<Timestamp>,
    pub dismissed_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
