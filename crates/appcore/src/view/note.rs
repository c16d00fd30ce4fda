//! Private notes of users.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{NoteId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Note {
    pub id: NoteId,
    /// May be empty.
    pub title: String,
    /// Markdown. Empty once the note is deleted.
    pub content: String,
    pub pinned: bool,
    /// Number of changes; increases by one with each.
    pub version: i64,
    pub created_at: Timestamp,
    /// Time of the edit on the device.
    pub edited_at: Timestamp,
    /// Time of storage. Unique per user, so that lists can be continued after it.
    pub updated_at: Timestamp,
    /// Null unless the note is deleted.
    #[schema(required)]
    pub deleted_at: Option<Timestamp>,
}
