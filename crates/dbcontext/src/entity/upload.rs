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
    /// `None`: the account was deleted.
    pub owner_id: Option<UserId>,
    pub name: String,
    pub kind: UploadKind,
    pub media_type: String,
    /// Announced size until the upload is complete; `None`: not announced.
    pub size: Option<i64>,
    pub sha256: Option<String>,
    pub width: Option<i32>,
    pub height: Option<i32>,
    pub duration_ms: Option<i64>,
    /// Waveform as JSON.
    pub peaks: Option<String>,
    pub thumbhash: Option<String>,
    /// `None`: there are no thumbnails.
    pub thumbnail_type: Option<String>,
    pub transcript: Option<String>,
    pub status: UploadStatus,
    /// Set once no message refers to the upload; its content may be gone already.
    pub removed_at: Option<Timestamp>,
    /// `None`: no transcript is made.
    pub transcript_state: Option<TranscriptState>,
    /// Lease of the instance that joins the parts.
    pub assembly_lease_until: Option<Timestamp>,
    /// Bytes reserved while the size is unknown.
    pub reserved_bytes: Option<i64>,
    pub search_name: String,
    /// `Upload-Metadata` as sent by the client.
    pub tus_metadata: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
