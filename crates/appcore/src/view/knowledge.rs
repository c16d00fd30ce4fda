//! Knowledge files of assistants, sections and workspaces, and their citations in answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{AssistantId, KnowledgeFileId, SectionId, Timestamp, UploadId, UserId, WorkspaceId, credits::MicroCredits};

/// Knowledge files of an assistant, a section or a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Knowledge {
    /// Assistant that the files belong to, if any.
    pub assistant_id: Option<AssistantId>,
    /// Section that the files belong to, if any.
    pub section_id: Option<SectionId>,
    /// Workspace that the files belong to, so that all of its assistants use them. Null if they
    /// belong to an assistant or a section.
    pub workspace_id: Option<WorkspaceId>,
    /// Model that embeds the files. Null if the server has no such model; then no files can be
    /// added.
    pub model: Option<String>,
    /// Number of chunks in all files.
    pub pieces: u64,
    pub limits: KnowledgeLimits,
    /// Files, with the newest first.
    pub files: Vec<KnowledgeFile>,
}

/// Limits for the files of one assistant, section or workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnowledgeLimits {
    pub files: u64,
    /// Maximum size of a file, in bytes.
    pub file_bytes: u64,
    /// Maximum number of chunks in all files.
    pub pieces: u64,
}

/// Knowledge file of an assistant, a section or a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnowledgeFile {
    pub id: KnowledgeFileId,
    /// Assistant that the file belongs to, if any.
    pub assistant_id: Option<AssistantId>,
    /// Section that the file belongs to, if any.
    pub section_id: Option<SectionId>,
    /// Workspace that the file belongs to, so that all of its assistants use it. Null if it belongs
    /// to an assistant or a section.
    pub workspace_id: Option<WorkspaceId>,
    pub upload_id: UploadId,
    pub name: String,
    pub media_type: String,
    /// Size of the file, in bytes.
    pub size: i64,
    pub state: KnowledgeState,
    /// Reason for a failure or a retry, as a message for users.
    pub error: Option<String>,
    /// Number of chunks; 0 until the file was split.
    pub pieces: u64,
    /// Number of chunks that are embedded already.
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
    /// The file waits for processing, or for a retry; `error` contains the reason for a retry.
    Waiting,
    /// The file is being split and embedded.
    Reading,
    /// The file can be searched.
    Ready,
    /// Processing has failed permanently and is not retried.
    Failed,
}

/// Result of the search in knowledge files for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerKnowledge {
    pub state: KnowledgeSearch,
    /// Reason why the answer was written without the files.
    pub reason: Option<String>,
    /// Number of files that were searched.
    pub files: u64,
    /// Number of files that were not searched, because their processing is not complete or has
    /// failed.
    pub missing: u64,
    /// Number of chunks that the model was given.
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
    /// Number of the citation, which the text shows in square brackets.
    pub n: u32,
    pub file_id: KnowledgeFileId,
    pub upload_id: UploadId,
    pub file_name: String,
    /// Zero-based index of the chunk in its file.
    pub piece: u32,
    /// Number of the page, starting at 1, if the file has pages.
    pub page: Option<u32>,
    /// Headings above the passage.
    pub heading: Option<String>,
    /// Number of the passage's first line, starting at 1, if the file has lines.
    pub line: Option<u32>,
    /// First words of the chunk.
    pub excerpt: String,
}

/// Cited chunk and its neighbours.
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
    /// True if the caller may read the file itself, which is at `/files/{upload_id}/{name}`.
    pub may_read_file: bool,
    /// Chunk before this one. It may overlap with this one.
    pub before: Option<String>,
    /// Chunk after this one. It may overlap with this one.
    pub after: Option<String>,
}

stored_by_name! {
    KnowledgeState { Waiting = "waiting", Reading = "reading", Ready = "ready", Failed = "failed" }
}
