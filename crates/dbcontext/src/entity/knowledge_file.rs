//! Files from which assistants and sections retrieve.

use appcore::{
    AssistantId, KnowledgeFileId, SectionId, Timestamp, UploadId, UserId, WorkspaceId, credits::MicroCredits,
    view::KnowledgeState,
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "knowledge_files")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: KnowledgeFileId,
    /// Owner of the file: an assistant, or the section or workspace that has this id.
    pub assistant_id: AssistantId,
    pub workspace_id: WorkspaceId,
    pub upload_id: UploadId,
    /// User who added the file; `None` if the account was deleted.
    pub added_by: Option<UserId>,
    pub name: String,
    pub media_type: String,
    pub size: i64,
    pub state: KnowledgeState,
    pub error: Option<String>,
    pub pieces: i64,
    pub embedded: i64,
    /// Embedding model. `space` names the vector space; only vectors of the same space are
    /// comparable.
    pub model: Option<String>,
    pub space: Option<String>,
    /// Section that owns the file; `None` if an assistant or the workspace owns it.
    pub section_id: Option<SectionId>,
    pub cost: MicroCredits,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
