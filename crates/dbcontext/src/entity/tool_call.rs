//! Tool calls of the versions of answers.

use appcore::{McpServerId, MessageId, Timestamp, ToolCallId, UserId, view::ToolCallStatus};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tool_calls")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ToolCallId,
    pub message_id: MessageId,
    pub version: i64,
    pub round: i32,
    pub place: i32,
    /// Provider's id of the call.
    pub call_id: String,
    pub function: String,
    pub signature: Option<String>,
    pub server_id: McpServerId,
    pub server: String,
    pub tool: String,
    pub title: Option<String>,
    pub arguments: String,
    pub status: ToolCallStatus,
    pub result: Option<String>,
    /// True if the call is idempotent.
    pub is_repeatable: bool,
    pub requested_by: UserId,
    /// Position in the answer, in UTF-16 code units.
    pub text_offset: i64,
    /// Claim of the job that runs it.
    pub attempt: i32,
    pub asked_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Model's arguments, if the user has edited them.
    pub model_arguments: Option<String>,
    /// JSON.
    pub pictures: Option<String>,
    pub picture_count: i32,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
