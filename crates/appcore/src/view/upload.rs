//! Uploaded files.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Sender, stored_by_name};
use crate::{MessageId, Timestamp, UploadId};

/// File at `/files/{id}/{name}`; with `?size=320` or `?size=1280`, a thumbnail of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    pub id: UploadId,
    pub name: String,
    pub kind: UploadKind,
    /// Media type detected from the content.
    pub media_type: String,
    /// Size in bytes, without removed picture metadata.
    pub size: i64,
    /// SHA-256 of the content as downloaded; null until complete.
    pub sha256: Option<String>,
    /// Width of a picture, in pixels.
    pub width: Option<i32>,
    pub height: Option<i32>,
    /// Duration of a recording, in milliseconds.
    pub duration_ms: Option<i64>,
    /// Waveform of a recording: 64 numbers from 0 to 255.
    pub peaks: Option<Vec<u8>>,
    /// Preview of a picture (thumbhash in base64), present if there are thumbnails.
    pub thumbhash: Option<String>,
    pub status: UploadStatus,
    /// Transcript of a voice note.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transcript: Option<String>,
    /// State of the transcription; absent if voice notes are not transcribed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transcript_state: Option<TranscriptState>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UploadStatus {
    /// The upload is incomplete, or not checked yet.
    Pending,
    Ready,
    /// The file was refused and can't be used.
    Refused,
}

/// File in a conversation, with the message that contains it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationFile {
    pub upload: Upload,
    pub message_id: MessageId,
    /// Sequence number of the message.
    pub seq: i64,
    pub sender: Sender,
    /// Time of the message.
    pub created_at: Timestamp,
}

/// Kind of files in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Pictures, for which there are thumbnails.
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
    /// Picture of a linked page, which the server has created.
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
