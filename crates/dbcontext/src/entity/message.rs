//! Messages. `seq` is the number of the event that created the message.

use appcore::{ConversationId, MessageId, Timestamp};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub no: i64,
    pub sender_kind: String,
    pub sender_id: Option<Uuid>,
    pub client_id: Option<String>,
    pub content: String,
    /// As JSON.
    pub mentions: Option<String>,
    pub status: String,
    pub reply_to: Option<MessageId>,
    pub model: Option<String>,
    pub reason: Option<String>,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
