//! Usage aggregated per day (UTC).

use appcore::{Timestamp, UserId, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "usage_days")]
pub struct Model {
    /// Start of the day (UTC).
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: Timestamp,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// API key; the nil UUID for answers in chats.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub model: String,
    pub requests: i64,
    pub failed: i64,
    pub input_tokens: i64,
    pub cached_tokens: i64,
    pub output_tokens: i64,
    pub cost: MicroCredits,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
