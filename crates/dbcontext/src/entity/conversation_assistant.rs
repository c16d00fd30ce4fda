//! Which assistants are members of a conversation.

use appcore::{AssistantId, ConversationId, Timestamp};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation_assistants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: ConversationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub assistant_id: AssistantId,
    pub joined_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
