//! Uploads attached to messages.

use appcore::{ConversationId, MessageId, UploadId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message_uploads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: MessageId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub upload_id: UploadId,
    pub conversation_id: ConversationId,
    /// Workspace whose storage the upload counts against.
    pub workspace_id: WorkspaceId,
    pub size: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
