//! Voice notes are written down by a model of the gateway, where one is set for it (`ai.transcription_model`).
//!
//! The job is asked for by the message that carries the note, and its text comes with `message.updated`. Assistants that are asked by voice
//! wait for it a moment.

use std::{sync::Arc, time::Instant};

use ai::{AnswerBody, ErrorKind, GatewayError, Meter, Recording};
use appcore::{
    AppError, Code,
    view::{GatewayEndpoint, TranscriptState},
};
use bytes::Bytes;
use dbcontext::query::uploads::{self as rows, StoredUpload};
use futures_util::TryStreamExt as _;
use serde_json::Value;

use super::{Asker, Refusal, SideCall};
use crate::{
    App,
    events::{Change, SetTranscript, TranscribeJob},
    jobs::{Ended, Job, Work},
    uploads::Object,
};

/// The largest recording that is written down: providers take no more.
const MAX_BYTES: u64 = 25 * 1024 * 1024;
/// The longest text of one, in characters.
const MAX_CHARS: usize = 20_000;

impl Job<App> for TranscribeJob {
    async fn run(self, work: Work<'_>) -> Result<Ended, AppError> {
        let failures = work.claim.attempt.saturating_sub(work.claim.attempts_before).unsigned_abs();
        let is_last = work.app.config.jobs.wait_after(failures).is_none();
        tokio::select! {
            written = self.write_down(work.app, is_last) => match written {
                // Deleted meanwhile.
                Err(error) if error.code() == Code::NotFound => Ok(Ended::Done),
                written => written.map(|()| Ended::Done),
            },
            _ = work.lease.keep(&work.app.db) => Ok(Ended::Lost),
            () = work.draining.cancelled() => Ok(Ended::HandedOn),
        }
    }
}

impl TranscribeJob {
    async fn write_down(self, app: &App, is_last: bool) -> Result<(), AppError> {
        let row = rows::get_all(app.db.reader(), [self.upload_id]).await?.pop().ok_or(Code::NotFound)?;
        if row.transcript_state.as_deref() != Some(TranscriptState::Pending.as_str()) {
            // Another message carries it, too.
            return self.tell(app, row.transcript).await;
        }
        match self.heard(app, row).await {
            Ok(transcript) => self.tell(app, transcript).await,
            Err(error) if is_last && error.code() != Code::NotFound => {
                self.tell(app, None).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn tell(self, app: &App, transcript: Option<String>) -> Result<(), AppError> {
        let Self { conversation_id, message_id, upload_id } = self;
        let set = SetTranscript { conversation_id, message_id, upload_id, transcript };
        app.writer.submit(Change::SetTranscript(set)).await.map(drop)
    }

    /// What is said; none where nobody can tell, now or later.
    async fn heard(self, app: &App, row: StoredUpload) -> Result<Option<String>, AppError> {
        let name = app.config.ai.transcription_model.as_deref();
        let Some(model) = name.and_then(|name| app.gateway.find_model(name)) else {
            tracing::warn!(model = name, "ai.transcription_model is no model of the gateway");
            return Ok(None);
        };
        let size = u64::try_from(row.size.unwrap_or_default()).unwrap_or_default();
        let Some(owner) = row.owner_id.filter(|_| (1..=MAX_BYTES).contains(&size)) else { return Ok(None) };
        let workspace = rows::workspace_of(app.db.reader(), self.message_id, self.upload_id).await?;
        let asker = Asker { user_id: owner, workspace_id: Some(workspace.ok_or(Code::NotFound)?) };
        let question = (GatewayEndpoint::Transcriptions, ai::sound_tokens(size));
        let held = match SideCall::begin(app, asker, &model, question).await {
            Ok(held) => held,
            Err(Refusal::Failed(error)) => return Err(error),
            Err(refusal) => {
                tracing::info!(upload = %self.upload_id, reason = %refusal.sentence(), "a voice note is not written down");
                return Ok(None);
            }
        };
        let pieces = app.uploads.store.read(Object::Whole(row.id), 0..size).await?;
        let file: Vec<Bytes> = pieces.try_collect().await?;
        let (meter, begun) = (Arc::new(Meter::default()), Instant::now());
        let recording = Recording {
            route: Arc::clone(&model.route),
            request_id: self.upload_id.to_string(),
            file: file.concat().into(),
            file_name: file_name(&row),
            content_type: row.media_type,
            fields: Vec::new(),
            meter: Arc::clone(&meter),
        };
        let answered = app.gateway.ai().forward_transcription(recording).await;
        let status = if answered.is_ok() { 200 } else { 502 };
        held.settle(app, self.upload_id.0, &meter, status, begun.elapsed());
        match answered {
            Ok(answered) => {
                let AnswerBody::Whole(body) = answered.body else { return Ok(None) };
                let answer: Value = serde_json::from_slice(&body).map_err(AppError::unavailable)?;
                let text = answer["text"].as_str().unwrap_or_default().replace('\0', "");
                let text: String = text.trim().chars().take(MAX_CHARS).collect();
                Ok((!text.is_empty()).then_some(text))
            }
            Err(error) if is_final(&error) => {
                tracing::info!(upload = %self.upload_id, "a voice note can't be written down");
                Ok(None)
            }
            // The job's schedule decides when it is tried again.
            Err(error) => {
                Err(AppError::unavailable(anyhow::anyhow!("a voice note was not written down: {}", error.message())))
            }
        }
    }
}

/// Whether the same recording is refused the next time as well.
fn is_final(error: &GatewayError) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::ContextTooLong | ErrorKind::Declined)
}

/// Providers tell the kind of a recording by the end of its name.
fn file_name(row: &StoredUpload) -> String {
    let end = match row.media_type.as_str() {
        "audio/mp4" | "video/mp4" => "m4a",
        "audio/mpeg" => "mp3",
        "audio/ogg" => "ogg",
        "audio/wav" => "wav",
        "audio/flac" => "flac",
        _ => "webm",
    };
    format!("voice.{end}")
}
