//! Emoji that members of a workspace have added to it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Timestamp, UploadId, WorkspaceId};

use super::PromptAuthor;

/// A small picture with a name, for reactions and texts of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceEmoji {
    pub workspace_id: WorkspaceId,
    /// It is written `:name:`.
    #[schema(min_length = 2, max_length = 32, pattern = "^[a-z0-9_-]+$")]
    pub name: String,
    /// The picture: `/files/{upload_id}/{name}`.
    pub upload_id: UploadId,
    /// Who added it; null where the account was deleted.
    #[schema(required)]
    pub author: Option<PromptAuthor>,
    /// Whether the caller may remove it.
    pub may_remove: bool,
    pub created_at: Timestamp,
}
