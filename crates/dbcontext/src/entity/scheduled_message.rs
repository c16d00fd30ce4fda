//! Messages that are sent at a later time.

use appcore::{ConversationId, ScheduledId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "scheduled_messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ScheduledId,
    pub user_id: UserId,
    pub conversation_id: ConversationId,
    pub client_id: String,
    /// Message to send, as JSON.
    pub payload: String,
    pub send_at: Timestamp,
    /// Time at which sending started; while it is set, the message can't be edited.
    pub sending_at: Option<Timestamp>,
    pub failure: Option<String>,
    pub failure_message: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
