//! Reports of messages to moderators.

use appcore::{
    ConversationId, MessageId, ReportId, Timestamp, UserId,
    view::{ReportReason, ReportStatus, SenderKind},
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message_reports")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ReportId,
    pub message_id: MessageId,
    pub conversation_id: ConversationId,
    pub reporter_id: UserId,
    pub author_kind: SenderKind,
    pub author_id: Option<Uuid>,
    pub reason: ReportReason,
    pub comment: Option<String>,
    /// Text of the message when it was reported; cleared when the report is closed.
    pub excerpt: Option<String>,
    pub status: ReportStatus,
    pub assigned_to: Option<UserId>,
    pub assigned_at: Option<Timestamp>,
    pub closed_by: Option<UserId>,
    pub closed_at: Option<Timestamp>,
    /// Comma-separated actions taken; empty if the report was dismissed.
    pub actions: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
