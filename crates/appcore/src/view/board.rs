//! Board of a conversation: columns with tasks.

use serde::Serialize;
use utoipa::ToSchema;

use super::ConversationKind;
use crate::{BoardColumnId, ConversationId, MessageId, TaskId, Timestamp, UserId};

/// Board of a conversation without its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Board {
    pub conversation_id: ConversationId,
    /// Number of changes so far. Events and `hello` contain it, so that clients detect missed
    /// changes.
    pub version: i64,
    /// Columns in order of position.
    pub columns: Vec<BoardColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BoardColumn {
    pub id: BoardColumnId,
    pub conversation_id: ConversationId,
    pub name: String,
    /// Sort key: columns are ordered by its bytes.
    pub position: String,
    /// True if tasks in this column are done, so that no reminders are sent.
    pub done: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Task {
    pub id: TaskId,
    pub conversation_id: ConversationId,
    pub column_id: BoardColumnId,
    pub title: String,
    /// Markdown; may be empty.
    pub description: String,
    /// Sort key: tasks of a column are ordered by its bytes.
    pub position: String,
    /// Number of changes; increases by one with each.
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
    /// Time since which the task is archived: the board doesn't show it, and no reminders are sent.
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

/// Task of the caller on any board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnTask {
    #[serde(flatten)]
    pub task: Task,
    pub column_name: String,
    /// True if the task is in a column of done tasks, or is archived.
    pub done: bool,
    pub conversation: TaskConversation,
}

/// Conversation whose board has the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TaskPlace)]
pub struct TaskConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    #[schema(required)]
    pub title: Option<String>,
}
