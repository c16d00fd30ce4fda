//! Knowledge files of assistants, sections and workspaces, and their citations in answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{AssistantId, KnowledgeFileId, SectionId, Timestamp, UploadId, UserId, WorkspaceId, credits::MicroCredits};

/// Knowledge files of an assistant, a section or a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Knowledge {
    /// Assistant of the files, if any.
    pub assistant_id: Option<AssistantId>,
    /// Section of the files, if any.
    pub section_id: Option<SectionId>,
    /// Workspace of the files, for all of its assistants, if any.
    pub workspace_id: Option<WorkspaceId>,
    /// Embedding model; null if there is none, and then no files can be added.
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
    /// Assistant of the file, if any.
    pub assistant_id: Option<AssistantId>,
    /// Section of the file, if any.
    pub section_id: Option<SectionId>,
    /// Workspace of the file, for all of its assistants, if any.
    pub workspace_id: Option<WorkspaceId>,
    pub upload_id: UploadId,
    pub name: String,
    pub media_type: String,
    /// Size of the file, in bytes.
    pub size: i64,
    pub state: KnowledgeState,
    /// Reason for a failure or a retry, for users.
    pub error: Option<String>,
    /// Number of chunks; 0 until split.
    pub pieces: u64,
    /// Number of embedded chunks.
    pub embedded: u64,
    /// Model that embeds the file.
    pub model: Option<String>,
    /// Cost so far, in micro-credits.
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
    /// Reason why the files were not used.
    pub reason: Option<String>,
    /// Number of files that were searched.
    pub files: u64,
    /// Number of files not searched, because processing is not complete or has failed.
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
    /// Number of the citation, shown in square brackets.
    pub n: u32,
    pub file_id: KnowledgeFileId,
    pub upload_id: UploadId,
    pub file_name: String,
    /// Zero-based index of the chunk in its file.
    pub piece: u32,
    /// Page, from 1, if the file has pages.
    pub page: Option<u32>,
    /// Headings above the passage.
    pub heading: Option<String>,
    /// First line of the passage, from 1, if the file has lines.
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
    /// True if the caller may read `/files/{upload_id}/{name}`.
    pub may_read_file: bool,
    /// Previous chunk, which may overlap.
    pub before: Option<String>,
    /// Next chunk, which may overlap.
    pub after: Option<String>,
}

stored_by_name! {
    KnowledgeState { Waiting = "waiting", Reading = "reading", Ready = "ready", Failed = "failed" }
}
