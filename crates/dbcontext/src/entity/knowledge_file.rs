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
    /// Owner: an assistant, or the section or workspace with this id.
    pub assistant_id: AssistantId,
    pub workspace_id: WorkspaceId,
    pub upload_id: UploadId,
    /// `None`: the account was deleted.
    pub added_by: Option<UserId>,
    pub name: String,
    pub media_type: String,
    pub size: i64,
    pub state: KnowledgeState,
    pub error: Option<String>,
    pub pieces: i64,
    pub embedded: i64,
    /// Embedding model; `space` identifies comparable vectors.
    pub model: Option<String>,
    pub space: Option<String>,
    /// Owning section; `None`: an assistant or the workspace owns the file.
    pub section_id: Option<SectionId>,
    pub cost: MicroCredits,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
