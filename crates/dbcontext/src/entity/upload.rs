//! Uploaded files.

use appcore::{
    Timestamp, UploadId, UserId,
    view::{TranscriptState, UploadKind, UploadStatus},
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "uploads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UploadId,
    /// User who uploaded the file; `None` if the account was deleted.
    pub owner_id: Option<UserId>,
    pub name: String,
    pub kind: UploadKind,
    pub media_type: String,
    /// Size in bytes. Until the upload is complete it is the size announced by the client, or
    /// `None` if none was announced.
    pub size: Option<i64>,
    pub sha256: Option<String>,
    pub width: Option<i32>,
    pub height: Option<i32>,
    pub duration_ms: Option<i64>,
    /// Waveform as JSON.
    pub peaks: Option<String>,
    pub thumbhash: Option<String>,
    /// Media type of the thumbnails; `None` if there are none.
    pub thumbnail_type: Option<String>,
    pub transcript: Option<String>,
    pub status: UploadStatus,
    /// Time at which the last reference by a message was removed; the content may already be
    /// deleted.
    pub removed_at: Option<Timestamp>,
    /// State of the transcript; `None` if no transcript is made.
    pub transcript_state: Option<TranscriptState>,
    /// End of the lease of the instance that joins the parts.
    pub assembly_lease_until: Option<Timestamp>,
    /// Bytes of the storage quota that are reserved while the size is unknown.
    pub reserved_bytes: Option<i64>,
    pub search_name: String,
    /// Value of the header `Upload-Metadata` as sent by the client.
    pub tus_metadata: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
