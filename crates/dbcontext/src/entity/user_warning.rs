//! Warnings sent to users by moderators.

use appcore::{ConversationId, MessageId, Timestamp, UserId, WarningId, view::ReportReason};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_warnings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WarningId,
    pub user_id: UserId,
    pub issued_by: UserId,
    pub message_id: Option<MessageId>,
    pub conversation_id: Option<ConversationId>,
    pub reason: ReportReason,
    pub comment: Option<String>,
    pub seen_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
