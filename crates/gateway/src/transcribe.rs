//! Voice notes are written down by a model of the gateway, where one is set for it (`ai.transcription_model`).
//!
//! Whoever dictates is answered with the words ([`dictate`]). Voice notes are transcribed by a job of the messages that carry them ([`transcribe`]).

use std::{sync::Arc, time::Instant};

use ai::{AnswerBody, ErrorKind, GatewayError, Meter, Recording};
use appcore::{
    AppError, Code, UploadId, WorkspaceId,
    auth::{Permission, Principal},
    view::GatewayEndpoint,
};
use bytes::Bytes;
use identity::membership;
use serde_json::Value;
use uuid::Uuid;

use crate::{Asker, GatewayService, Model, Refusal, SideCall};

/// Bytes of the largest recording that is written down: providers take no more.
pub const MAX_RECORDING: usize = 25 * 1024 * 1024;
/// The longest text of one, in characters.
const MAX_CHARS: usize = 20_000;

/// A recording that is kept, as its job knows it.
#[derive(Clone, Debug)]
pub struct KeptRecording {
    pub id: UploadId,
    /// In bytes.
    pub size: u64,
    pub media_type: String,
}

/// Transcribes a recording that is kept, whose bytes are read once the call is paid for. Returns `None` if no model can transcribe it, now or later;
/// an error may pass.
pub async fn transcribe(
    service: &Arc<GatewayService>,
    asker: Asker,
    recording: KeptRecording,
    read: impl AsyncFnOnce() -> Result<Bytes, AppError>,
) -> Result<Option<String>, AppError> {
    let KeptRecording { id, size, media_type } = recording;
    let name = service.config.ai.transcription_model.as_deref();
    let Some(model) = name.and_then(|name| service.find_model(name)) else {
        tracing::warn!(model = name, "ai.transcription_model is no model of the gateway");
        return Ok(None);
    };
    if !(1..=MAX_RECORDING as u64).contains(&size) {
        return Ok(None);
    }
    let question = (GatewayEndpoint::Transcriptions, ai::sound_tokens(size));
    let held = match SideCall::begin(service, asker, &model, question).await {
        Ok(held) => held,
        Err(Refusal::Failed(error)) => return Err(error),
        Err(refusal) => {
            tracing::info!(upload = %id, reason = %refusal.sentence(), "a voice note is not written down");
            return Ok(None);
        }
    };
    match hear(service, held, &model, id.0, read().await?, media_type).await {
        Ok(body) => body.map_or(Ok(None), |body| words(&body)),
        Err(error) if is_final(&error) => {
            tracing::info!(upload = %id, "a voice note can't be written down");
            Ok(None)
        }
        Err(error) => {
            Err(AppError::unavailable(anyhow::anyhow!("a voice note was not written down: {}", error.message())))
        }
    }
}

/// Refuses where no model writes down what is said.
pub fn check_dictation(service: &GatewayService) -> Result<(), AppError> {
    listener(service).map(drop)
}

/// What the caller says, as text: nothing of it is kept. Empty where no words were heard. The media type is what the recording is found to be.
pub async fn dictate(
    service: Arc<GatewayService>,
    by: &Principal,
    workspace: Option<WorkspaceId>,
    recording: Bytes,
    media_type: String,
) -> Result<String, AppError> {
    let model = listener(&service)?;
    if !is_recording(&media_type) {
        return Err(AppError::refused(Code::TypeRefused, "This isn't a recording that can be written down."));
    }
    let place = membership::resolve(&service.identity, by, workspace, Permission::See).await?;
    let asker = Asker { user_id: by.user_id, workspace_id: Some(place.id) };
    let question = (GatewayEndpoint::Transcriptions, ai::sound_tokens(recording.len() as u64));
    let held = SideCall::begin(&service, asker, &model, question).await?;
    // Whoever leaves meanwhile has asked the provider all the same.
    let hearing = async move { hear(&service, held, &model, Uuid::now_v7(), recording, media_type).await };
    match tokio::spawn(hearing).await.map_err(AppError::internal)? {
        Ok(body) => Ok(body.map_or(Ok(None), |body| words(&body))?.unwrap_or_default()),
        Err(error) if is_final(&error) => {
            Err(AppError::refused(Code::TypeRefused, "This recording can't be written down."))
        }
        Err(error) => {
            Err(AppError::unavailable(anyhow::anyhow!("what was said was not written down: {}", error.message())))
        }
    }
}

/// The model that writes down what is said.
fn listener(service: &GatewayService) -> Result<Arc<Model>, AppError> {
    let name = service.config.ai.transcription_model.as_deref();
    name.and_then(|name| service.find_model(name))
        .ok_or_else(|| AppError::refused(Code::WrongState, "This server has no model that writes down what is said."))
}

/// Has a model listen to a recording: what it answers. It is paid for however that ends.
async fn hear(
    service: &Arc<GatewayService>,
    held: SideCall,
    model: &Model,
    id: Uuid,
    file: Bytes,
    media_type: String,
) -> Result<Option<Bytes>, GatewayError> {
    let (meter, begun) = (Arc::new(Meter::default()), Instant::now());
    let recording = Recording {
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

/// The words of an answer; none where it has none.
fn words(answer: &[u8]) -> Result<Option<String>, AppError> {
    let answer: Value = serde_json::from_slice(answer).map_err(AppError::unavailable)?;
    let text = answer["text"].as_str().unwrap_or_default().replace('\0', "");
    let text: String = text.trim().chars().take(MAX_CHARS).collect();
    Ok((!text.is_empty()).then_some(text))
}

/// Browsers record sound into the containers of films.
fn is_recording(media_type: &str) -> bool {
    media_type.starts_with("audio/") || matches!(media_type, "video/webm" | "video/mp4")
}

/// Whether the same recording is refused the next time as well.
fn is_final(error: &GatewayError) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::ContextTooLong | ErrorKind::Declined)
}

/// Providers tell the kind of a recording by the end of its name.
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
