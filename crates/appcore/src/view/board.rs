//! Board of a conversation: columns with tasks.

use serde::Serialize;
use utoipa::ToSchema;

use super::ConversationKind;
use crate::{BoardColumnId, ConversationId, MessageId, TaskId, Timestamp, UserId};

/// Board of a conversation without its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Board {
    pub conversation_id: ConversationId,
    /// Number of changes so far. Events and `hello` contain it as well, so that clients notice when
    /// they have missed a change.
    pub version: i64,
    /// Columns of the board, ordered by position.
    pub columns: Vec<BoardColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BoardColumn {
    pub id: BoardColumnId,
    pub conversation_id: ConversationId,
    pub name: String,
    /// Sort key. Columns are ordered by its bytes.
    pub position: String,
    /// True if tasks in this column count as done, so that no reminders are sent.
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
    /// Sort key. The tasks of a column are ordered by its bytes.
    pub position: String,
    /// Number of changes so far. Each change increases it by one.
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
    /// Time at which the task was archived; null if it isn't. The board doesn't show archived
    /// tasks, and no reminders are sent for them.
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
    /// True if the task is archived, or in a column whose tasks count as done.
    pub done: bool,
    pub conversation: TaskConversation,
}

/// Conversation that the task's board belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TaskPlace)]
pub struct TaskConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    #[schema(required)]
    pub title: Option<String>,
}
