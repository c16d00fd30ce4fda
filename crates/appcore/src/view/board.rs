//! The board of a conversation: columns with tasks.

use serde::Serialize;
use utoipa::ToSchema;

use super::ConversationKind;
use crate::{BoardColumnId, ConversationId, MessageId, TaskId, Timestamp, UserId};

/// The board of a conversation without its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Board {
    pub conversation_id: ConversationId,
    /// Counts the changes; 0 before the first one. Events and `hello` tell it too, so that a client knows whether it has missed something.
    pub version: i64,
    /// In their order.
    pub columns: Vec<BoardColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BoardColumn {
    pub id: BoardColumnId,
    pub conversation_id: ConversationId,
    pub name: String,
    /// Columns are ordered by the bytes of it.
    pub position: String,
    /// What stands in it is done: nobody is reminded of it.
    pub done: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Task {
    pub id: TaskId,
    pub conversation_id: ConversationId,
    pub column_id: BoardColumnId,
    pub title: String,
    /// Markdown; empty where there is none.
    pub description: String,
    /// Tasks of a column are ordered by the bytes of it.
    pub position: String,
    /// Rises by one with each change.
    pub version: i64,
    pub assignee_ids: Vec<UserId>,
    /// Those of `assignee_ids`, with their names.
    pub assignees: Vec<TaskPerson>,
    pub labels: Vec<String>,
    #[schema(required)]
    pub due_at: Option<Timestamp>,
    /// The message that it was made from.
    #[schema(required)]
    pub message_id: Option<MessageId>,
    /// Since when it is put away: its board doesn't show it, and nobody is reminded of it.
    #[schema(required)]
    pub archived_at: Option<Timestamp>,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Somebody who is to do a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskPerson {
    pub id: UserId,
    pub name: String,
}

/// One of one's own tasks, on whatever board it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnTask {
    #[serde(flatten)]
    pub task: Task,
    pub column_name: String,
    /// Whether it stands in a column of what is done, or is archived.
    pub done: bool,
    pub conversation: TaskPlace,
}

/// The conversation on whose board a task stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskPlace {
    pub id: ConversationId,
    pub kind: ConversationKind,
    #[schema(required)]
    pub title: Option<String>,
}
