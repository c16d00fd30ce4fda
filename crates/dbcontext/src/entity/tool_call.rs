//! Tool calls of an answer, each stored with the answer's version.

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
    /// Id of the call at the provider.
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
    /// True if the call is idempotent and may therefore be repeated.
    pub is_repeatable: bool,
    pub requested_by: UserId,
    /// Position in the answer, in UTF-16 code units.
    pub text_offset: i64,
    /// Claim number (`attempt`) of the job that runs the call.
    pub attempt: i32,
    pub asked_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Arguments written by the model, if the user has edited them.
    pub model_arguments: Option<String>,
    /// Pictures returned by the tool, as JSON.
    pub pictures: Option<String>,
    pub picture_count: i32,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
