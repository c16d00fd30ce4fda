//! Private notes of users.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{NoteId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Note {
    pub id: NoteId,
    /// Title; may be empty.
    pub title: String,
    /// Markdown; empty if deleted.
    pub content: String,
    pub pinned: bool,
    /// Number of changes so far.
    pub version: i64,
    pub created_at: Timestamp,
    /// Time of the edit, by the clock of the device.
    pub edited_at: Timestamp,
    /// Time of storage, different for each note of a user, so that it can be a cursor.
    pub updated_at: Timestamp,
    /// Time of deletion; null if not deleted.
    #[schema(required)]
    pub deleted_at: Option<Timestamp>,
}
