//! Dictation: conversion of speech to text.

use std::{sync::Arc, time::Duration};

use actix_web::http::header::CONTENT_TYPE;
use appcore::{AppError, WorkspaceId};
use files::uploads;
use gateway::MAX_RECORDING_BYTES;
use natter_macro::{dto, endpoint};

use crate::{Access, BodyStream, Bound, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<Dictate>()];

/// Deadline of a transcription. It allows for a slow upload of a long recording and for the model's
/// work.
const DEADLINE: Duration = Duration::from_secs(5 * 60);

#[dto(request)]
pub struct DictateRequest {
    /// Workspace of the text, if it is to pay.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(stream)]
    pub body: BodyStream,
}

/// Transcript of a recording.
#[dto(response)]
pub struct Dictation {
    /// Text; empty if no words were recognised.
    pub text: String,
}

/// Transcribe a recording
///
/// The body is the recording, up to 25 MiB, with its media type as `Content-Type`. Nothing is
/// stored. Returns 409 `wrong_state` if no model is configured (see `transcriptions` in
/// `GET /r1/auth/policy`). Charged like a call of the gateway.
#[endpoint(POST "/r1/transcriptions", tag = "uploads", access = Access::User, rate = RateGroup::Upload, deadline = Bound::Fixed(DEADLINE), max_body = Bound::Fixed(MAX_RECORDING_BYTES),
    errors(NotFound, WrongState, TooLarge, TypeRefused, OutOfCredits, BudgetExceeded, QuotaReached, Unavailable))]
impl Endpoint for Dictate {
    type Request = DictateRequest;
    type Response = Dictation;

    async fn handle(ctx: &Ctx, request: DictateRequest) -> Result<Reply<Dictation>, AppError> {
        let by = ctx.user()?;
        let claimed = ctx.http().headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        gateway::check_dictation(ctx.gateway())?;
        let recording = request.body.read_up_to(MAX_RECORDING_BYTES).await?;
        let media_type = uploads::detect(&recording, claimed);
        let gateway = Arc::clone(ctx.gateway());
        let text = gateway::dictate(gateway, by, request.workspace_id, recording, media_type).await?;
        Ok(Reply::of(Dictation { text }))
    }
}
