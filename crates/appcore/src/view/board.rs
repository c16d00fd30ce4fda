//! Board of a conversation: columns with tasks.

use serde::Serialize;
use utoipa::ToSchema;

use super::ConversationKind;
use crate::{BoardColumnId, ConversationId, MessageId, TaskId, Timestamp, UserId};

/// Board of a conversation without its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Board {
    pub conversation_id: ConversationId,
    /// Number of changes, as in events and `hello`, to notice missed ones.
    pub version: i64,
    /// Columns, by position.
    pub columns: Vec<BoardColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BoardColumn {
    pub id: BoardColumnId,
    pub conversation_id: ConversationId,
    pub name: String,
    /// Sort key, compared by bytes.
    pub position: String,
    /// True if its tasks count as done and have no reminders.
    pub done: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Task {
    pub id: TaskId,
    pub conversation_id: ConversationId,
    pub column_id: BoardColumnId,
    pub title: String,
    /// Description in Markdown; may be empty.
    pub description: String,
    /// Sort key in the column, compared by bytes.
    pub position: String,
    /// Number of changes so far.
    pub version: i64,
    pub assignee_ids: Vec<UserId>,
    /// Assignees with their names.
    pub assignees: Vec<TaskPerson>,
    pub labels: Vec<String>,
    #[schema(required)]
    pub due_at: Option<Timestamp>,
    /// Message that the task was created from.
    #[schema(required)]
    pub message_id: Option<MessageId>,
    /// Time of archiving; null if none. Archived tasks are not on the board and have no reminders.
    #[schema(required)]
    pub archived_at: Option<Timestamp>,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Assignee of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskPerson {
    pub id: UserId,
    pub name: String,
}

/// Task that is assigned to the caller, on any board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnTask {
    #[serde(flatten)]
    pub task: Task,
    pub column_name: String,
    /// True if archived or in a column of done tasks.
    pub done: bool,
    pub conversation: TaskConversation,
}

/// Conversation of the board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TaskPlace)]
pub struct TaskConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    #[schema(required)]
    pub title: Option<String>,
}
