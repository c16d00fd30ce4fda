//! The way of a question: forwarded along its model's route, and answered in the form that it was asked in.

use std::{sync::Arc, time::Duration};

use actix_web::http::header::{HeaderName, HeaderValue};
use ai::{AnswerBody, Call, Door, Forwarded, GatewayError, Meter};
use appcore::{AppError, Code, view::GatewayEndpoint};
use bytes::Bytes;
use middleware::{auth::find_key, tracing::request_id};
use service::{
    gateway::{self, Asked, Caller},
    limits::{Figure, Figures},
};

use super::{failure, settling::Settling, stream::LiveStream};
use crate::{Ctx, Raw, Reply};

const MODEL: HeaderName = HeaderName::from_static("x-natter-model");
/// In micro-credits.
const COST: HeaderName = HeaderName::from_static("x-natter-cost");

/// What is left of a limit: how many there are, how many are left, when there are all again.
const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// The program that calls, with the rules of its key.
pub(super) async fn caller(ctx: &Ctx) -> Result<Caller, AppError> {
    let key = find_key(ctx.http().headers()).ok_or(Code::Unauthenticated)?;
    gateway::authenticate(ctx.app(), &key.token).await
}

/// Asks a model, by one of the three doors.
pub(super) async fn ask(ctx: &Ctx, door: Door, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let request_id = request_id(ctx.http());
    let mut figures = Figures::default();
    let reply = match forward(ctx, door, body, &request_id, &mut figures).await {
        Ok(reply) => failure::identified(reply, door, &request_id),
        Err(error) => failure::reply(&error, door, &request_id),
    };
    Ok(limited(reply, figures))
}

async fn forward(
    ctx: &Ctx,
    door: Door,
    body: Bytes,
    request_id: &str,
    figures: &mut Figures,
) -> Result<Reply<Raw>, GatewayError> {
    let app = ctx.app();
    let peek = ai::peek(door, &body)?;
    let caller = caller(ctx).await.map_err(|error| failure::told(&error))?;
    let asked =
        Asked { model: &peek.model, request_id, max_output: peek.max_output, estimated_input: peek.estimated_input };
    let admitted = gateway::authorize(app, &caller, endpoint(door), asked).await;
    *figures = admitted.as_ref().map_or_else(gateway::Refusal::figures, gateway::Admission::figures);
    let admission = admitted?;
    drop(peek);
    let call = Call::new(door, body, admission.route(), request_id.to_owned());
    // Here it ends whatever becomes of it; where the client leaves, this is dropped.
    let settling = Settling::new(admission, Arc::clone(&call.meter));
    let Forwarded { content_type, body, meter } = match app.assistants.ai().forward(call).await {
        Ok(forwarded) => forwarded,
        Err(error) => {
            settling.end(error.status(door));
            return Err(error);
        }
    };
    let reply = match body {
        AnswerBody::Whole(body) => {
            Reply::bytes(content_type, body).header(COST, HeaderValue::from(settling.end(200).0))
        }
        AnswerBody::Stream(frames) => {
            Reply::stream(content_type, LiveStream::new(door, frames, app.config.gateway.heartbeat, settling))
        }
    };
    Ok(served(reply, &meter))
}

const fn endpoint(door: Door) -> GatewayEndpoint {
    match door {
        Door::Chat => GatewayEndpoint::Chat,
        Door::Responses => GatewayEndpoint::Responses,
        Door::Messages => GatewayEndpoint::Messages,
    }
}

/// With what is left of the key's limits.
fn limited(reply: Reply<Raw>, figures: Figures) -> Reply<Raw> {
    let named = [(REQUESTS, figures.requests), (TOKENS, figures.tokens)];
    named.into_iter().fold(reply, |reply, (names, figure)| match figure {
        Some(figure) => figured(reply, names, figure),
        None => reply,
    })
}

fn figured(reply: Reply<Raw>, [limit, remaining, reset]: [HeaderName; 3], figure: Figure) -> Reply<Raw> {
    let reply = reply.header(limit, figure.limit.into()).header(remaining, figure.remaining.into());
    match HeaderValue::from_str(&spelled(figure.reset)) {
        Ok(value) => reply.header(reset, value),
        Err(_) => reply,
    }
}

/// As OpenAI writes it: `1s`, `6m0s`.
fn spelled(duration: Duration) -> String {
    let seconds = duration.as_millis().div_ceil(1_000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    if minutes == 0 { format!("{seconds}s") } else { format!("{minutes}m{seconds}s") }
}

/// With the upstream's name of the model that answers.
fn served(reply: Reply<Raw>, meter: &Meter) -> Reply<Raw> {
    match HeaderValue::from_str(&meter.served().model) {
        Ok(model) => reply.header(MODEL, model),
        Err(_) => reply,
    }
}
