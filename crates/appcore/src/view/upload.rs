//! Files that people have uploaded.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Sender, stored_by_name};
use crate::{MessageId, Timestamp, UploadId};

/// A file. Its bytes are at `/files/{id}/{name}`, a picture's thumbnails at the same address with `?size=320` or `?size=1280`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    pub id: UploadId,
    pub name: String,
    pub kind: UploadKind,
    /// What it is by its content, not by what was claimed.
    pub media_type: String,
    /// In bytes, as it is served: without the metadata of pictures.
    pub size: i64,
    /// Of what is served; null until all of it is there.
    pub sha256: Option<String>,
    /// Of pictures, in pixels.
    pub width: Option<i32>,
    pub height: Option<i32>,
    /// Of recordings.
    pub duration_ms: Option<i64>,
    /// A recording's loudness: 64 numbers from 0 to 255.
    pub peaks: Option<Vec<u8>>,
    /// What a picture looks like before it is there (thumbhash, base64). Where there is one, there are thumbnails.
    pub thumbhash: Option<String>,
    pub status: UploadStatus,
    /// What is said in a voice note, once that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transcript: Option<String>,
    /// How far the writing down of a voice note is; none where nobody does it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transcript_state: Option<TranscriptState>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UploadStatus {
    /// Not all of it is there, or it was not looked at yet.
    Pending,
    Ready,
    /// It can't be used.
    Refused,
}

/// A file of a conversation, with the message that carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationFile {
    pub upload: Upload,
    pub message_id: MessageId,
    /// The message's.
    pub seq: i64,
    pub sender: Sender,
    /// When it was sent.
    pub created_at: Timestamp,
}

/// Which files of a conversation are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Pictures that have thumbnails.
    Picture,
    /// Everything but pictures.
    File,
    /// Texts, sheets and slides.
    Document,
    /// Recordings, voice messages among them.
    Audio,
    Video,
    /// Files that are neither pictures, documents, audio nor video.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TranscriptState {
    Pending,
    Ready,
    /// Nobody could understand it.
    Failed,
}

/// What a file was uploaded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UploadKind {
    File,
    /// A voice note.
    Voice,
    /// The picture of a page that a message links to; nobody uploads one.
    Preview,
}

stored_by_name! {
    UploadStatus { Pending = "pending", Ready = "ready", Refused = "refused" }
    FileKind {
        Picture = "picture",
        File = "file",
        Document = "document",
        Audio = "audio",
        Video = "video",
        Other = "other",
    }
    TranscriptState { Pending = "pending", Ready = "ready", Failed = "failed" }
    UploadKind { File = "file", Voice = "voice", Preview = "preview" }
}
