//! Knowledge files of assistants, folders and workspaces, and citations of them in answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{AssistantId, KnowledgeFileId, SectionId, Timestamp, UploadId, UserId, WorkspaceId, credits::MicroCredits};

/// Knowledge files of an assistant, a folder or a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Knowledge {
    /// Null if the files don't belong to an assistant.
    pub assistant_id: Option<AssistantId>,
    /// Null if the files don't belong to a folder.
    pub section_id: Option<SectionId>,
    /// Workspace whose assistants all use the files. Null if they belong to an assistant or a
    /// folder.
    pub workspace_id: Option<WorkspaceId>,
    /// Model that embeds the files. Null if the server has none, so no files can be added.
    pub model: Option<String>,
    /// Number of chunks of all files.
    pub pieces: u64,
    pub limits: KnowledgeLimits,
    /// The newest first.
    pub files: Vec<KnowledgeFile>,
}

/// Limits per assistant, folder or workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnowledgeLimits {
    pub files: u64,
    /// Maximum size of a file, in bytes.
    pub file_bytes: u64,
    /// Maximum number of chunks of all files.
    pub pieces: u64,
}

/// Knowledge file of an assistant, a folder or a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnowledgeFile {
    pub id: KnowledgeFileId,
    /// Null if the file doesn't belong to an assistant.
    pub assistant_id: Option<AssistantId>,
    /// Null if the file doesn't belong to a folder.
    pub section_id: Option<SectionId>,
    /// Workspace whose assistants all use the file. Null if it belongs to an assistant or a folder.
    pub workspace_id: Option<WorkspaceId>,
    pub upload_id: UploadId,
    pub name: String,
    pub media_type: String,
    /// Size in bytes.
    pub size: i64,
    pub state: KnowledgeState,
    /// Reason for a failure or a retry, as a sentence for users.
    pub error: Option<String>,
    /// Number of chunks; 0 until the file is split.
    pub pieces: u64,
    /// Number of embedded chunks.
    pub embedded: u64,
    /// Model that embeds the file.
    pub model: Option<String>,
    /// Cost of the embeddings so far, in micro-credits.
    pub cost: MicroCredits,
    /// User who added the file. Null if the account was deleted.
    pub added_by: Option<KnowledgeContributor>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// User who added a knowledge file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = KnowledgeGiver)]
pub struct KnowledgeContributor {
    pub id: UserId,
    pub name: String,
}

/// Processing state of a knowledge file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KnowledgeState {
    /// Waiting for processing, or for a retry; `error` has the reason.
    Waiting,
    /// Being split and embedded.
    Reading,
    /// Searchable.
    Ready,
    /// Failed permanently; not retried.
    Failed,
}

/// Result of the knowledge search for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerKnowledge {
    pub state: KnowledgeSearch,
    /// Reason for which the answer was written without the files.
    pub reason: Option<String>,
    /// Number of files that were searched.
    pub files: u64,
    /// Number of files that were not searched because they are being processed or failed.
    pub missing: u64,
    /// Number of chunks in the model's context.
    pub pieces: u64,
}

/// Outcome of a knowledge search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KnowledgeSearch {
    Searched,
    /// The answer was written without the files.
    Failed,
}

/// Citation of a passage in a knowledge file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Citation {
    /// Number in square brackets in the text.
    pub n: u32,
    pub file_id: KnowledgeFileId,
    pub upload_id: UploadId,
    pub file_name: String,
    /// Index of the chunk in its file, from 0.
    pub piece: u32,
    /// Page number, from 1, if the file has pages.
    pub page: Option<u32>,
    /// Headings above the passage.
    pub heading: Option<String>,
    /// First line, from 1, if the file has lines.
    pub line: Option<u32>,
    /// First words of the chunk.
    pub excerpt: String,
}

/// Cited chunk with its context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CitedPiece {
    pub n: u32,
    pub file_id: KnowledgeFileId,
    pub upload_id: UploadId,
    pub file_name: String,
    pub piece: u32,
    pub page: Option<u32>,
    pub heading: Option<String>,
    pub line: Option<u32>,
    /// Text of the chunk.
    pub text: String,
    /// True if the caller may read the file itself, at `/files/{upload_id}/{name}`.
    pub may_read_file: bool,
    /// Previous chunk; may overlap with this one.
    pub before: Option<String>,
    /// Next chunk; may overlap with this one.
    pub after: Option<String>,
}

stored_by_name! {
    KnowledgeState { Waiting = "waiting", Reading = "reading", Ready = "ready", Failed = "failed" }
}
