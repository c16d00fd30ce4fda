//! Drafts. An empty draft marks one that was sent or discarded, so that an update made earlier, but
//! received later, is ignored.

use appcore::{ConversationId, MessageId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "drafts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: ConversationId,
    /// Root message of the thread; the nil UUID for a draft of the main conversation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub thread_id: Uuid,
    pub content: String,
    pub reply_to: Option<MessageId>,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
