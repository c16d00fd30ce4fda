//! Voice notes are written down by a model of the gateway, where one is set for it (`ai.transcription_model`).
//!
//! Whoever dictates is answered with the words ([`dictate`]). For a voice note, the job is asked for by the message that carries the note, and its text comes with `message.updated`. Assistants that are asked by voice
//! wait for it a moment.

use std::{sync::Arc, time::Instant};

use ai::{AnswerBody, ErrorKind, GatewayError, Meter, Recording};
use appcore::{
    AppError, Code, WorkspaceId,
    auth::{Permission, Principal},
    view::{GatewayEndpoint, TranscriptState},
};
use bytes::Bytes;
use dbcontext::query::uploads::{self as rows, StoredUpload};
use event_log::events::{Change, SetTranscript, TranscribeJob};
use futures_util::TryStreamExt as _;
use identity::membership;
use jobs::{Ended, Job, Work};
use serde_json::Value;
use uuid::Uuid;

use super::{Asker, Model, Refusal, SideCall};
use crate::{
    App,
    uploads::{self, Object},
};

/// Bytes of the largest recording that is written down: providers take no more.
pub const MAX_RECORDING: usize = 25 * 1024 * 1024;
/// Bytes by which it is told what a file is.
const HEAD: usize = 8 * 1024;
/// The longest text of one, in characters.
const MAX_CHARS: usize = 20_000;

impl Job<App> for TranscribeJob {
    async fn run(self, work: Work<'_, App>) -> Result<Ended, AppError> {
        let failures = work.claim.attempt.saturating_sub(work.claim.attempts_before).unsigned_abs();
        let is_last = work.state.config.jobs.wait_after(failures).is_none();
        tokio::select! {
            written = transcribe(work.state, self, is_last) => match written {
                // Deleted meanwhile.
                Err(error) if error.code() == Code::NotFound => Ok(Ended::Done),
                written => written.map(|()| Ended::Done),
            },
            _ = work.lease.keep(&work.state.db) => Ok(Ended::Lost),
            () = work.draining.cancelled() => Ok(Ended::HandedOn),
        }
    }
}

async fn transcribe(app: &App, job: TranscribeJob, is_last: bool) -> Result<(), AppError> {
    let row = rows::get_all(app.db.reader(), [job.upload_id]).await?.pop().ok_or(Code::NotFound)?;
    if row.transcript_state.as_deref() != Some(TranscriptState::Pending.as_str()) {
        // Another message carries it, too.
        return set_transcript(app, job, row.transcript).await;
    }
    match recorded_words(app, job, row).await {
        Ok(transcript) => set_transcript(app, job, transcript).await,
        Err(error) if is_last && error.code() != Code::NotFound => {
            set_transcript(app, job, None).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

async fn set_transcript(app: &App, job: TranscribeJob, transcript: Option<String>) -> Result<(), AppError> {
    let TranscribeJob { conversation_id, message_id, upload_id } = job;
    let set = SetTranscript { conversation_id, message_id, upload_id, transcript };
    app.events.writer.submit(Change::SetTranscript(set)).await.map(drop)
}

/// What is said; none where nobody can tell, now or later.
async fn recorded_words(app: &App, job: TranscribeJob, row: StoredUpload) -> Result<Option<String>, AppError> {
    let name = app.config.ai.transcription_model.as_deref();
    let Some(model) = name.and_then(|name| app.gateway.find_model(name)) else {
        tracing::warn!(model = name, "ai.transcription_model is no model of the gateway");
        return Ok(None);
    };
    let size = u64::try_from(row.size.unwrap_or_default()).unwrap_or_default();
    let Some(owner) = row.owner_id.filter(|_| (1..=MAX_RECORDING as u64).contains(&size)) else { return Ok(None) };
    let workspace = rows::workspace_of(app.db.reader(), job.message_id, job.upload_id).await?;
    let asker = Asker { user_id: owner, workspace_id: Some(workspace.ok_or(Code::NotFound)?) };
    let question = (GatewayEndpoint::Transcriptions, ai::sound_tokens(size));
    let held = match SideCall::begin(app, asker, &model, question).await {
        Ok(held) => held,
        Err(Refusal::Failed(error)) => return Err(error),
        Err(refusal) => {
            tracing::info!(upload = %job.upload_id, reason = %refusal.sentence(), "a voice note is not written down");
            return Ok(None);
        }
    };
    let pieces = app.uploads.store.read(Object::Whole(row.id), 0..size).await?;
    let file: Vec<Bytes> = pieces.try_collect().await?;
    match hear(app, held, &model, row.id.0, file.concat().into(), row.media_type).await {
        Ok(body) => body.map_or(Ok(None), |body| words(&body)),
        Err(error) if is_final(&error) => {
            tracing::info!(upload = %job.upload_id, "a voice note can't be written down");
            Ok(None)
        }
        // The job's schedule decides when it is tried again.
        Err(error) => {
            Err(AppError::unavailable(anyhow::anyhow!("a voice note was not written down: {}", error.message())))
        }
    }
}

/// Refuses where no model writes down what is said.
pub fn check_dictation(app: &App) -> Result<(), AppError> {
    listener(app).map(drop)
}

/// What the caller says, as text: nothing of it is kept. Empty where no words were heard.
pub async fn dictate(
    app: Arc<App>,
    by: &Principal,
    workspace: Option<WorkspaceId>,
    recording: Bytes,
    claimed: &str,
) -> Result<String, AppError> {
    let model = listener(&app)?;
    let media_type = uploads::detect(&recording[..recording.len().min(HEAD)], claimed);
    if !is_recording(&media_type) {
        return Err(AppError::refused(Code::TypeRefused, "This isn't a recording that can be written down."));
    }
    let place = membership::resolve(&app.identity, by, workspace, Permission::See).await?;
    let asker = Asker { user_id: by.user_id, workspace_id: Some(place.id) };
    let question = (GatewayEndpoint::Transcriptions, ai::sound_tokens(recording.len() as u64));
    let held = SideCall::begin(&app, asker, &model, question).await?;
    // Whoever leaves meanwhile has asked the provider all the same.
    let hearing = async move { hear(&app, held, &model, Uuid::now_v7(), recording, media_type).await };
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
fn listener(app: &App) -> Result<Arc<Model>, AppError> {
    let name = app.config.ai.transcription_model.as_deref();
    name.and_then(|name| app.gateway.find_model(name))
        .ok_or_else(|| AppError::refused(Code::WrongState, "This server has no model that writes down what is said."))
}

/// Has a model listen to a recording: what it answers. It is paid for however that ends.
async fn hear(
    app: &App,
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
    let answered = app.gateway.ai().forward_transcription(recording).await;
    let status = if answered.is_ok() { 200 } else { 502 };
    held.settle(app, id, &meter, status, begun.elapsed());
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
