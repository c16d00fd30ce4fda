//! Exchanges in place of the network: a request is captured instead of sent, or answered by a
//! recorded answer. Requests of a provider's batch API are encoded and their answers are read by
//! the code of ordinary calls in this way.

use std::{
    future::pending,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use reqwest::{
    Request, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap},
};
use tokio::sync::Notify;

use super::failure::{self, Failure};
use crate::AiError;

/// Exchange of one request.
#[derive(Debug)]
pub(crate) struct Exchange {
    state: Mutex<State>,
    stopped: Notify,
}

#[derive(Debug)]
enum State {
    Capturing,
    Captured(CapturedRequest),
    Recorded(RecordedAnswer),
    /// The recorded answer was given.
    Answered,
}

/// Request that was not sent.
#[derive(Debug)]
pub(crate) struct CapturedRequest {
    pub url: Url,
    pub body: Bytes,
    /// Value of the `anthropic-beta` header.
    pub betas: Option<String>,
}

/// Answer of a provider that has arrived already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAnswer {
    pub status: u16,
    pub body: Bytes,
}

impl Exchange {
    /// Exchange that captures the first request.
    pub fn capturing() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Capturing), stopped: Notify::new() })
    }

    /// Exchange that answers the first request.
    pub fn answering(answer: RecordedAnswer) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Recorded(answer)), stopped: Notify::new() })
    }

    /// Exchanges a request. Never returns for a request that has no recorded answer; the exchange
    /// then [stops](Self::stopped).
    pub async fn send(&self, request: &Request) -> Result<Response, Failure> {
        let Some(RecordedAnswer { status, body }) = self.next_answer(request) else {
            self.stopped.notify_one();
            return pending().await;
        };
        let status = StatusCode::from_u16(status).map_err(|_| AiError::Garbled)?;
        if !status.is_success() {
            return Err(failure::parse_response(status, &HeaderMap::new(), &body));
        }
        let response = http::Response::builder().status(status).header(CONTENT_TYPE, "application/json").body(body);
        Ok(response.map_err(|_| AiError::Garbled)?.into())
    }

    /// Waits for a request that has no recorded answer. Returns the captured request, if this
    /// exchange captures it.
    pub async fn stopped(&self) -> Option<CapturedRequest> {
        self.stopped.notified().await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *state, State::Answered) {
            State::Captured(request) => Some(request),
            State::Capturing | State::Recorded(_) | State::Answered => None,
        }
    }

    fn next_answer(&self, request: &Request) -> Option<RecordedAnswer> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, answer) = match mem::replace(&mut *state, State::Answered) {
            State::Capturing => {
                let betas = request.headers().get("anthropic-beta").and_then(|value| value.to_str().ok());
                let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
                let (url, body) = (request.url().clone(), Bytes::copy_from_slice(body));
                (State::Captured(CapturedRequest { url, body, betas: betas.map(str::to_owned) }), None)
            }
            State::Recorded(answer) => (State::Answered, Some(answer)),
            other => (other, None),
        };
        *state = next;
        answer
    }
}
