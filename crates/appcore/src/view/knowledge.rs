//! Files that an assistant knows, or a section or a workspace has, and the places in them that answers cite.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{AssistantId, KnowledgeFileId, SectionId, Timestamp, UploadId, UserId, WorkspaceId, credits::MicroCredits};

/// All that an assistant knows, or that a section or a workspace has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Knowledge {
    /// Null: they are no assistant's.
    pub assistant_id: Option<AssistantId>,
    /// Null: they are no section's.
    pub section_id: Option<SectionId>,
    /// Of files from which all assistants answer in a workspace; null: they are an assistant's or a section's.
    pub workspace_id: Option<WorkspaceId>,
    /// The model that embeds the files. Null: this server has none, so nothing can be given.
    pub model: Option<String>,
    /// Pieces of all files together.
    pub pieces: u64,
    pub limits: KnowledgeLimits,
    /// The newest first.
    pub files: Vec<KnowledgeFile>,
}

/// How much one assistant, one section or one workspace can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnowledgeLimits {
    pub files: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Pieces of all files together.
    pub pieces: u64,
}

/// A file that was given to an assistant, to a section or to a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnowledgeFile {
    pub id: KnowledgeFileId,
    /// Null: it is no assistant's.
    pub assistant_id: Option<AssistantId>,
    /// Null: it is no section's.
    pub section_id: Option<SectionId>,
    /// Of a file from which all assistants answer in a workspace; null: it is an assistant's or a section's.
    pub workspace_id: Option<WorkspaceId>,
    pub upload_id: UploadId,
    pub name: String,
    pub media_type: String,
    /// In bytes.
    pub size: i64,
    pub state: KnowledgeState,
    /// Why it failed, or why it has to be tried again, as a sentence for people.
    pub error: Option<String>,
    /// How many pieces it is cut into; 0 until it is.
    pub pieces: u64,
    /// How many of them are embedded.
    pub embedded: u64,
    /// The model that embeds it.
    pub model: Option<String>,
    /// What embedding it has cost so far, in millionths of a credit.
    pub cost: MicroCredits,
    /// Who gave it; null: their account was deleted.
    pub added_by: Option<KnowledgeGiver>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Who gave a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnowledgeGiver {
    pub id: UserId,
    pub name: String,
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KnowledgeState {
    /// Nobody has begun it yet, or it is tried again soon: `error` says why.
    Waiting,
    /// It is being cut and embedded.
    Reading,
    /// Answers can be given from it.
    Ready,
    /// Trying again by itself would not help.
    Failed,
}

/// What of the assistant's files, and of the section's, was searched for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerKnowledge {
    pub state: KnowledgeSearch,
    /// Why the answer was written without the files.
    pub reason: Option<String>,
    /// Files that were searched.
    pub files: u64,
    /// Files that were not, because they are still being read, or failed.
    pub missing: u64,
    /// Pieces that the model read.
    pub pieces: u64,
}

/// Whether they were searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KnowledgeSearch {
    Searched,
    /// The answer was written without them.
    Failed,
}

/// A place in a file that an answer cites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Citation {
    /// As it stands in the text, in brackets.
    pub n: u32,
    pub file_id: KnowledgeFileId,
    pub upload_id: UploadId,
    pub file_name: String,
    /// The piece's number in its file, from 0.
    pub piece: u32,
    /// From 1, where the file has pages.
    pub page: Option<u32>,
    /// The headings that it stands below.
    pub heading: Option<String>,
    /// Where it begins, from 1, where the file has lines.
    pub line: Option<u32>,
    /// The beginning of the piece.
    pub excerpt: String,
}

/// A cited place with what stands around it.
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
    /// The whole piece.
    pub text: String,
    /// Whether the caller may read the file itself, at `/files/{upload_id}/{name}`.
    pub may_read_file: bool,
    /// The piece before it; it may end with how this one begins.
    pub before: Option<String>,
    /// The piece after it; it may begin with how this one ends.
    pub after: Option<String>,
}

stored_by_name! {
    KnowledgeState { Waiting = "waiting", Reading = "reading", Ready = "ready", Failed = "failed" }
}
