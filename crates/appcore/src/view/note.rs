//! Notes that somebody keeps for themselves.

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
    /// Rises by one with each change.
    pub version: i64,
    pub created_at: Timestamp,
    /// When it was written, on whatever device.
    pub edited_at: Timestamp,
    /// When it was stored. No two notes of a person have the same, so that a list goes on after it.
    pub updated_at: Timestamp,
    /// Null: it is there.
    #[schema(required)]
    pub deleted_at: Option<Timestamp>,
}
