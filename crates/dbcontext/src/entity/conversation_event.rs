//! Event log: durable changes of conversations, numbered without gaps.

use appcore::{ConversationId, MessageId, Timestamp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: ConversationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub kind: String,
    pub payload: String,
    /// Outbox entry of the batch that the event was committed in; `None` if no other instance must
    /// be notified.
    pub outbox_id: Option<Uuid>,
    /// Message whose text the event contains; `None` for the event that created the message.
    pub message_id: Option<MessageId>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
