//! Private notes of users.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{NoteId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Note {
    pub id: NoteId,
    /// Title; may be empty.
    pub title: String,
    /// Content in Markdown; empty if the note was deleted.
    pub content: String,
    pub pinned: bool,
    /// Number of changes so far. Each change increases it by one.
    pub version: i64,
    pub created_at: Timestamp,
    /// Time of the edit, by the clock of the device.
    pub edited_at: Timestamp,
    /// Time at which the server stored the note. It is different for each note of a user, so that a
    /// list can be continued after it.
    pub updated_at: Timestamp,
    /// Time at which the note was deleted; null if it exists.
    #[schema(required)]
    pub deleted_at: Option<Timestamp>,
}
