//! Votes in polls.

use appcore::{MessageId, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "poll_votes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: MessageId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Index of the chosen option.
    #[sea_orm(primary_key, auto_increment = false)]
    pub choice: i16,
    /// Sequence number of the vote's event, by which voters are ordered.
    pub seq: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
