//! Uploaded files.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Sender, stored_by_name};
use crate::{MessageId, Timestamp, UploadId};

/// File. Its bytes are at `/files/{id}/{name}`, thumbnails of a picture at the same URL with
/// `?size=320` or `?size=1280`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    pub id: UploadId,
    pub name: String,
    pub kind: UploadKind,
    /// Media type detected from the content, not the declared one.
    pub media_type: String,
    /// Size in bytes as served: without the metadata of pictures.
    pub size: i64,
    /// Hash of the served bytes. Null until the upload is complete.
    pub sha256: Option<String>,
    /// Width of a picture, in pixels.
    pub width: Option<i32>,
    pub height: Option<i32>,
    /// Duration of a recording.
    pub duration_ms: Option<i64>,
    /// Waveform of a recording: 64 numbers from 0 to 255.
    pub peaks: Option<Vec<u8>>,
    /// Placeholder of a picture (thumbhash, base64). Present if there are thumbnails.
    pub thumbhash: Option<String>,
    pub status: UploadStatus,
    /// Transcript of a voice note.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transcript: Option<String>,
    /// State of a voice note's transcription. Absent if there is no transcription.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transcript_state: Option<TranscriptState>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UploadStatus {
    /// Incomplete, or not checked yet.
    Pending,
    Ready,
    /// Unusable.
    Refused,
}

/// File of a conversation, with its message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationFile {
    pub upload: Upload,
    pub message_id: MessageId,
    /// Number of the message.
    pub seq: i64,
    pub sender: Sender,
    /// Time of the message.
    pub created_at: Timestamp,
}

/// Kind of files in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Pictures that have thumbnails.
    Picture,
    /// All files except pictures.
    File,
    /// Texts, spreadsheets and presentations.
    Document,
    /// Recordings, including voice messages.
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
    /// The recording could not be transcribed.
    Failed,
}

/// Purpose of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UploadKind {
    File,
    /// Voice note.
    Voice,
    /// Picture of a linked page, created by the server.
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
