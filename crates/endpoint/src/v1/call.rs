//! The way of a question: forwarded along its model's route, and answered in the form that it was asked in.

use std::{sync::Arc, time::Duration};

use actix_web::http::header::{HeaderName, HeaderValue};
use ai::{Ai, AnswerBody, Call, Door, Forwarded, GatewayError, Meter, Peek};
use appcore::{AppError, Code, view::GatewayEndpoint};
use bytes::Bytes;
use middleware::{auth::find_key, tracing::request_id};
use service::{
    gateway::{self, Admission, Asked, Caller},
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

/// A call under way, and what is left of its key's limits.
pub(super) struct Asking<'a> {
    ctx: &'a Ctx,
    door: Door,
    pub request_id: String,
    figures: Figures,
}

impl<'a> Asking<'a> {
    pub fn new(ctx: &'a Ctx, door: Door) -> Self {
        Self { ctx, door, request_id: request_id(ctx.http()), figures: Figures::default() }
    }

    pub fn ai(&self) -> &'a Ai {
        self.ctx.app().assistants.ai()
    }

    /// The answer, in the form that it was asked in.
    pub fn reply(self, answer: Result<Reply<Raw>, GatewayError>) -> Reply<Raw> {
        let reply = match answer {
            Ok(reply) => failure::identified(reply, self.door, &self.request_id),
            Err(error) => failure::reply(&error, self.door, &self.request_id),
        };
        limited(reply, self.figures)
    }

    /// Reads what is asked, and lets it in.
    async fn let_in(&mut self, endpoint: GatewayEndpoint, body: Bytes) -> Result<(Admission, Call), GatewayError> {
        let Peek { model, max_output, estimated_input, .. } = ai::peek(self.door, &body)?;
        let admission = self.admit(endpoint, &model, max_output, estimated_input).await?;
        drop(model);
        let call = Call::new(self.door, body, admission.route(), self.request_id.clone());
        Ok((admission, call))
    }

    pub async fn admit(
        &mut self,
        endpoint: GatewayEndpoint,
        model: &str,
        max_output: Option<u64>,
        estimated_input: u64,
    ) -> Result<Admission, GatewayError> {
        let caller = caller(self.ctx).await.map_err(|error| failure::told(&error))?;
        let asked = Asked { model, request_id: &self.request_id, max_output, estimated_input };
        let admitted = gateway::authorize(self.ctx.app(), &caller, endpoint, asked).await;
        self.figures = admitted.as_ref().map_or_else(gateway::Refusal::figures, gateway::Admission::figures);
        Ok(admitted?)
    }

    /// Waits for an answer that was asked for, and has it counted.
    pub async fn serve(
        &self,
        admission: Admission,
        meter: Arc<Meter>,
        answer: impl Future<Output = Result<Forwarded, GatewayError>>,
    ) -> Result<Reply<Raw>, GatewayError> {
        // Here it ends whatever becomes of it; where the client leaves, this is dropped.
        let settling = Settling::new(admission, Arc::clone(&meter));
        let Forwarded { content_type, body, .. } = match answer.await {
            Ok(forwarded) => forwarded,
            Err(error) => {
                settling.end(error.status(self.door));
                return Err(error);
            }
        };
        let reply = match body {
            AnswerBody::Whole(body) => {
                Reply::bytes(content_type, body).header(COST, HeaderValue::from(settling.end(200).0))
            }
            AnswerBody::Stream(frames) => {
                let every = self.ctx.app().config.gateway.heartbeat;
                Reply::stream(content_type, LiveStream::new(self.door, frames, every, settling))
            }
        };
        Ok(served(reply, &meter))
    }
}

/// Asks a model, by one of the three doors.
pub(super) async fn ask(ctx: &Ctx, door: Door, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let mut asking = Asking::new(ctx, door);
    let answer = async {
        let (admission, call) = asking.let_in(endpoint(door), body).await?;
        let meter = Arc::clone(&call.meter);
        asking.serve(admission, meter, asking.ai().forward(call)).await
    };
    let answer = answer.await;
    Ok(asking.reply(answer))
}

/// Asks for the vectors of texts.
pub(super) async fn embed(ctx: &Ctx, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let mut asking = Asking::new(ctx, Door::Chat);
    let answer = async {
        let (admission, call) = asking.let_in(GatewayEndpoint::Embeddings, body).await?;
        let meter = Arc::clone(&call.meter);
        asking.serve(admission, meter, asking.ai().forward_embeddings(call)).await
    };
    let answer = answer.await;
    Ok(asking.reply(answer))
}

/// Counts the tokens of a question: an admission that is not settled costs nothing.
pub(super) async fn count(ctx: &Ctx, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let mut asking = Asking::new(ctx, Door::Messages);
    let answer = async {
        let (_admission, call) = asking.let_in(GatewayEndpoint::Messages, body).await?;
        let tokens = asking.ai().count_tokens(call).await?;
        Ok(Reply::bytes("application/json", format!("{{\"input_tokens\":{tokens}}}").into()))
    };
    let answer = answer.await;
    Ok(asking.reply(answer))
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
