//! The way of a question: forwarded along its model's route, and answered in the form that it was asked in.

use std::sync::Arc;

use actix_web::http::header::{HeaderName, HeaderValue};
use ai::{AnswerBody, Call, Door, Forwarded, GatewayError, Meter, Route};
use appcore::AppError;
use bytes::Bytes;
use middleware::tracing::request_id;

use super::{failure, stream::LiveStream};
use crate::{Ctx, Raw, Reply};

const MODEL: HeaderName = HeaderName::from_static("x-natter-model");

/// Asks a model, by one of the three doors.
pub(super) async fn ask(ctx: &Ctx, door: Door, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let request_id = request_id(ctx.http());
    Ok(match forward(ctx, door, body, &request_id).await {
        Ok(reply) => failure::identified(reply, door, &request_id),
        Err(error) => failure::reply(&error, door, &request_id),
    })
}

async fn forward(ctx: &Ctx, door: Door, body: Bytes, request_id: &str) -> Result<Reply<Raw>, GatewayError> {
    let peek = ai::peek(door, &body)?;
    let providers = ctx.app().assistants.ai();
    let deployment = providers.configured(&peek.model).map_err(|_| GatewayError::unknown_model(&peek.model))?;
    let route = Route { asked: peek.model.into_owned(), deployments: vec![deployment], ..Route::default() };
    let call = Call::new(door, body, Arc::new(route), request_id.to_owned());
    let Forwarded { content_type, body, meter } = providers.forward(call).await?;
    let reply = match body {
        AnswerBody::Whole(body) => Reply::bytes(content_type, body),
        AnswerBody::Stream(frames) => {
            Reply::stream(content_type, LiveStream::new(door, frames, ctx.app().config.gateway.heartbeat))
        }
    };
    Ok(served(reply, &meter))
}

/// With the upstream's name of the model that answers.
fn served(reply: Reply<Raw>, meter: &Meter) -> Reply<Raw> {
    match HeaderValue::from_str(&meter.served().model) {
        Ok(model) => reply.header(MODEL, model),
        Err(_) => reply,
    }
}
