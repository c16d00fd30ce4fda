//! Tasks on boards.

use appcore::{BoardColumnId, ConversationId, MessageId, TaskId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TaskId,
    pub conversation_id: ConversationId,
    pub column_id: BoardColumnId,
    pub title: String,
    pub description: String,
    pub position: String,
    /// Labels as a JSON array.
    pub labels: String,
    pub due_at: Option<Timestamp>,
    pub message_id: Option<MessageId>,
    pub created_by: UserId,
    pub version: i64,
    pub archived_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
