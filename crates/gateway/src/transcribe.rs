//! Transcription of recordings by a model of the gateway, if one is configured
//! (`ai.transcription_model`).
//!
//! Dictation returns the text to the caller ([`dictate`]). Voice notes are transcribed by a job of
//! the messages that carry them ([`transcribe`]).

use std::{sync::Arc, time::Instant};

use ai::{AnswerBody, AudioTask, ErrorKind, GatewayError, Meter, Recording};
use appcore::{
    AppError, Code, UploadId, WorkspaceId,
    auth::{Permission, Principal},
    view::GatewayEndpoint,
};
use bytes::Bytes;
use identity::membership;
use serde_json::Value;
use uuid::Uuid;

use crate::{BillingIdentity, GatewayService, InternalModelCall, Model, Refusal};

/// Maximum size of a recording, in bytes; providers accept no more.
pub const MAX_RECORDING_BYTES: usize = 25 * 1024 * 1024;
/// Maximum length of a transcript, in characters.
const MAX_TRANSCRIPT_CHARS: usize = 20_000;

/// Stored recording.
#[derive(Clone, Debug)]
pub struct StoredRecording {
    pub id: UploadId,
    /// Size in bytes.
    pub size: u64,
    pub media_type: String,
}

/// Transcribes a stored recording, whose bytes are read once the cost is reserved. Returns `None`
/// if no model will ever be able to transcribe it; an error may be temporary.
pub async fn transcribe(
    service: &Arc<GatewayService>,
    asker: BillingIdentity,
    recording: StoredRecording,
    read: impl AsyncFnOnce() -> Result<Bytes, AppError>,
) -> Result<Option<String>, AppError> {
    let StoredRecording { id, size, media_type } = recording;
    let name = service.config.ai.transcription_model.as_deref();
    let Some(model) = name.and_then(|name| service.find_model(name)) else {
        tracing::warn!(model = name, "ai.transcription_model is no model of the gateway");
        return Ok(None);
    };
    if !(1..=MAX_RECORDING_BYTES as u64).contains(&size) {
        return Ok(None);
    }
    let question = (GatewayEndpoint::Transcriptions, ai::audio_tokens(size));
    let held = match InternalModelCall::reserve(service, asker, &model, question).await {
        Ok(held) => held,
        Err(Refusal::Failed(error)) => return Err(error),
        Err(refusal) => {
            tracing::info!(upload = %id, reason = %refusal.sentence(), "voice note transcription refused");
            return Ok(None);
        }
    };
    match call_model(service, held, &model, id.0, read().await?, media_type).await {
        Ok(body) => body.map_or(Ok(None), |body| parse_transcript(&body)),
        Err(error) if is_final(&error) => {
            tracing::info!(upload = %id, "voice note can't be transcribed");
            Ok(None)
        }
        Err(error) => {
            Err(AppError::unavailable(anyhow::anyhow!("failed to transcribe voice note: {}", error.message())))
        }
    }
}

/// Fails if no transcription model is configured.
pub fn check_dictation(service: &GatewayService) -> Result<(), AppError> {
    transcription_model(service).map(drop)
}

/// Transcribes what the caller says without storing it. Returns an empty text if no words were
/// recognised. `media_type` is the detected type of the recording.
pub async fn dictate(
    service: Arc<GatewayService>,
    by: &Principal,
    workspace: Option<WorkspaceId>,
    recording: Bytes,
    media_type: String,
) -> Result<String, AppError> {
    let model = transcription_model(&service)?;
    if !is_recording(&media_type) {
        return Err(AppError::refused(Code::TypeRefused, "This isn't a recording that can be transcribed."));
    }
    let place = membership::resolve(&service.identity, by, workspace, Permission::View).await?;
    let asker = BillingIdentity { user_id: by.user_id, workspace_id: Some(place.id) };
    let question = (GatewayEndpoint::Transcriptions, ai::audio_tokens(recording.len() as u64));
    let held = InternalModelCall::reserve(&service, asker, &model, question).await?;
    // The call runs to its end even if the caller is gone, because the provider has already been
    // called.
    let hearing = async move { call_model(&service, held, &model, Uuid::now_v7(), recording, media_type).await };
    match tokio::spawn(hearing).await.map_err(AppError::internal)? {
        Ok(body) => Ok(body.map_or(Ok(None), |body| parse_transcript(&body))?.unwrap_or_default()),
        Err(error) if is_final(&error) => {
            Err(AppError::refused(Code::TypeRefused, "This recording can't be transcribed."))
        }
        Err(error) => {
            Err(AppError::unavailable(anyhow::anyhow!("failed to transcribe dictation: {}", error.message())))
        }
    }
}

/// Returns the configured transcription model.
fn transcription_model(service: &GatewayService) -> Result<Arc<Model>, AppError> {
    let name = service.config.ai.transcription_model.as_deref();
    name.and_then(|name| service.find_model(name))
        .ok_or_else(|| AppError::refused(Code::WrongState, "This server has no transcription model."))
}

/// Calls the model to transcribe a recording and returns its response. The call is charged however
/// it ends.
async fn call_model(
    service: &Arc<GatewayService>,
    held: InternalModelCall,
    model: &Model,
    id: Uuid,
    file: Bytes,
    media_type: String,
) -> Result<Option<Bytes>, GatewayError> {
    let (meter, begun) = (Arc::new(Meter::default()), Instant::now());
    let recording = Recording {
        task: AudioTask::Transcribe,
        route: Arc::clone(&model.route),
        request_id: id.to_string(),
        owner: held.work_owner(),
        file,
        file_name: file_name(&media_type),
        content_type: media_type,
        fields: Vec::new(),
        meter: Arc::clone(&meter),
    };
    let answered = service.ai().forward_transcription(recording).await;
    let status = if answered.is_ok() { 200 } else { 502 };
    held.settle(service, id, &meter, status, begun.elapsed());
    Ok(match answered?.body {
        AnswerBody::Whole(body) => Some(body),
        AnswerBody::Stream(_) => None,
    })
}

/// Extracts the text of a response; `None` if it is empty.
fn parse_transcript(answer: &[u8]) -> Result<Option<String>, AppError> {
    let answer: Value = serde_json::from_slice(answer).map_err(AppError::unavailable)?;
    let text = answer["text"].as_str().unwrap_or_default().replace('\0', "");
    let text: String = text.trim().chars().take(MAX_TRANSCRIPT_CHARS).collect();
    Ok((!text.is_empty()).then_some(text))
}

/// True for recordings; browsers record audio in video containers.
fn is_recording(media_type: &str) -> bool {
    media_type.starts_with("audio/") || matches!(media_type, "video/webm" | "video/mp4")
}

/// True if the same recording would be refused again.
fn is_final(error: &GatewayError) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::ContextTooLong | ErrorKind::Declined)
}

/// Returns a file name with the extension by which providers detect the format.
fn file_name(media_type: &str) -> String {
    let end = match media_type {
        "audio/mp4" | "video/mp4" => "m4a",
        "audio/mpeg" => "mp3",
        "audio/ogg" => "ogg",
        "audio/wav" => "wav",
        "audio/flac" => "flac",
        _ => "webm",
    };
    format!("voice.{end}")
}
