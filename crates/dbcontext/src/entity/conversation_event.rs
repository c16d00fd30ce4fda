//! The event log: every durable change of a conversation, without a gap.

use appcore::{ConversationId, Timestamp};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: ConversationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub kind: String,
    pub payload: String,
    pub created_at: Timestamp,
    pub outbox_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
