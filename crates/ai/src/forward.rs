//! The gateway's way through this crate: a call in one dialect, an answer in the same, whatever the provider speaks.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Response, header};
use tokio::time::Instant;

use crate::{
    Ai, AiError, AnswerBody, Call, Door, Forwarded, GatewayError, ProviderKind,
    dialect::openai_chat::pass::{self, ChatTap},
    peek::estimate,
    relay::Relay,
    route::{Attempt, Persistence, Tries},
    wire::{content_type, failure::Failure},
};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// A try that failed: told to the caller at once, or a reason for the next one.
enum Stop {
    Told(GatewayError),
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(failure: E) -> Self {
        Self::Failed(failure.into())
    }
}

/// What a provider began to answer.
enum Begun {
    Whole(Bytes),
    Chat(Box<Relay<ChatTap>>),
}

impl Ai {
    /// Asks the route's deployments one after the other until one answers.
    ///
    /// A stream comes back when its first frames are there; until then another key or deployment can take over. Dropping the future or
    /// the answer ends the connection upstream.
    pub async fn forward(&self, call: Call) -> Result<Forwarded, GatewayError> {
        call.meter.estimate_question(estimate(&call.body));
        let deadline = Instant::now() + self.limits().deadline;
        let persistence = Persistence { times: 1, wait: self.limits().backoff, patience: std::time::Duration::ZERO };
        let route = Arc::clone(&call.route);
        let mut tries = Tries::new(self, &route, persistence, deadline);
        loop {
            let attempt = tries.next().await?;
            call.meter.ask(&attempt.upstream.name, attempt.model, attempt.lease.tail());
            match self.begin(&call, &attempt, deadline).await {
                Ok(begun) => return Ok(finish(call, begun, attempt)),
                Err(Stop::Told(error)) => return Err(error),
                Err(Stop::Failed(failure)) => tries.failed(attempt, failure)?,
            }
        }
    }

    async fn begin(&self, call: &Call, attempt: &Attempt<'_>, deadline: Instant) -> Result<Begun, Stop> {
        match (call.door, attempt.upstream.flavor) {
            (Door::Chat, ProviderKind::OpenAi) => self.pass_chat(call, attempt, deadline).await,
            _ => Err(Stop::Told(GatewayError::invalid("This model can't be reached at this endpoint."))),
        }
    }

    async fn pass_chat(&self, call: &Call, attempt: &Attempt<'_>, deadline: Instant) -> Result<Begun, Stop> {
        let request = pass::rewrite(&call.body, attempt.model).map_err(Stop::Told)?;
        let upstream = attempt.upstream;
        let response =
            upstream.post(&upstream.chat_url, &attempt.lease, request.body, request.stream, deadline).await?;
        if !request.stream {
            let body = upstream.http.whole(response, deadline).await?;
            pass::meter_whole(&body, &call.meter)?;
            return Ok(Begun::Whole(body));
        }
        check_events(&response)?;
        let limits = Arc::clone(self.limits());
        let body = upstream.http.body(response);
        let tap = ChatTap::new(request.wants_usage);
        let mut relay = Relay::new(call.door, tap, body, Arc::clone(&call.meter), limits, deadline);
        relay.first().await?;
        Ok(Begun::Chat(Box::new(relay)))
    }
}

fn finish(call: Call, begun: Begun, attempt: Attempt<'_>) -> Forwarded {
    let lease = attempt.succeeded();
    let (content_type, body) = match begun {
        Begun::Whole(body) => (JSON, AnswerBody::Whole(body)),
        Begun::Chat(relay) => (EVENTS, AnswerBody::Stream(relay.holding(lease).boxed())),
    };
    Forwarded { content_type, body, meter: call.meter }
}

fn check_events(response: &Response) -> Result<(), Failure> {
    match content_type(response.headers()) {
        EVENTS | "text/plain" | "application/octet-stream" | "" => Ok(()),
        other => {
            tracing::warn!(
                content_type = other.get(..40).unwrap_or(other),
                header = %header::CONTENT_TYPE,
                "a provider's answer is of an unknown type"
            );
            Err(AiError::Garbled.into())
        }
    }
}
