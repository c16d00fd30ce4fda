//! Custom emoji of a workspace.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Timestamp, UploadId, WorkspaceId};

use super::PromptAuthor;

/// Custom emoji of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceEmoji {
    pub workspace_id: WorkspaceId,
    /// Name, which is written as `:name:`.
    #[schema(min_length = 2, max_length = 32, pattern = "^[a-z0-9_-]+$")]
    pub name: String,
    /// Picture, at `/files/{upload_id}/{name}`.
    pub upload_id: UploadId,
    /// User who added it. Null if the account was deleted.
    #[schema(required)]
    pub author: Option<PromptAuthor>,
    /// True if the caller may remove it.
    pub may_remove: bool,
    pub created_at: Timestamp,
}
