//! The HTTP client for providers, with its limits and time-outs, and the decoding of frames into an answer.
//!
//! A provider gives a [`Decoder`] that reads one frame at a time and knows nothing of the network; [`read_answer`] feeds it and
//! keeps the promises that are the same for all: silence and length are bounded, an error inside a stream that began with 200 is
//! an error, a stream that ends before the answer did is [`AiError::Cut`], and the answer ends with exactly one item.

pub(crate) mod events;
pub(crate) mod failure;
mod frames;

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use reqwest::{
    Client, Proxy, Response,
    header::{self, HeaderValue},
    redirect,
};
use tokio::time::{Instant, timeout_at};

use crate::{AiError, ChatDelta, ChatStream, Finish, Limits, Usage, settings::SettingsError};
use failure::Failure;
use frames::{Frame, Frames};

/// The body of a failed answer is read up to here: enough for every provider's error object.
const MAX_FAILURE_BYTES: usize = 64 * 1024;
/// A whole answer that came in one piece although a stream was asked for.
const MAX_WHOLE_BYTES: usize = 8 * 1024 * 1024;

/// The client that all providers share.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    limits: Arc<Limits>,
}

/// The bytes of an answer as they come.
pub(crate) type ByteStream = BoxStream<'static, Result<Bytes, AiError>>;
type Body = BoxStream<'static, Result<Bytes, AiError>>;

/// Reads one provider's frames.
pub trait Decoder: Send + 'static {
    /// Reads the data of one frame.
    fn read(&mut self, data: &str) -> Result<Read, AiError>;
    /// How the answer ended, once the provider has said so.
    fn ending(&self) -> Option<Ending>;
}

/// What a frame held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    Text(String),
    /// What the model thinks, which is no part of the answer.
    Thought(String),
    /// Nothing for the reader: a role, usage, a sign of life.
    Nothing,
    /// The last frame.
    End,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    pub finish: Finish,
    pub usage: Option<Usage>,
}

impl Http {
    /// Redirects are not followed, since they would carry the key elsewhere; the environment's proxies are not used.
    pub fn new(proxy: Option<&str>, limits: Arc<Limits>) -> Result<Self, SettingsError> {
        let builder = Client::builder()
            .user_agent(concat!("natter/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect)
            .redirect(redirect::Policy::none());
        let builder = match proxy.map(str::trim).filter(|proxy| !proxy.is_empty()) {
            Some(proxy) => builder.proxy(Proxy::all(proxy).map_err(|_| SettingsError::Proxy)?),
            None => builder.no_proxy(),
        };
        let client = builder.build().map_err(|_| SettingsError::Client)?;
        Ok(Self { client, limits })
    }

    /// Sends a request and returns once a head with a status of success is there.
    ///
    /// A plain answer is silent until it is whole, so that only the deadline holds for it; the head of a stream has to come before
    /// the provider was silent for too long.
    pub(crate) async fn send(
        &self,
        mut request: reqwest::Request,
        is_stream: bool,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let patience = if is_stream { deadline.min(Instant::now() + self.limits.idle) } else { deadline };
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static(if is_stream { "text/event-stream" } else { "*/*" }));
        let sent = timeout_at(patience, self.client.execute(request)).await.map_err(|_| AiError::Timeout)?;
        let response = sent.map_err(of_transport)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let head = response.headers().clone();
        let body = within_time(response.bytes_stream().map_err(of_transport), self.limits.idle, deadline);
        // A body that breaks off tells less, but the status stands.
        let (body, _) = collect(body, MAX_FAILURE_BYTES).await;
        Err(failure::of_response(status, &head, &body))
    }

    /// The bytes of an answer as they come.
    pub(crate) fn body(&self, response: Response) -> ByteStream {
        response.bytes_stream().map_err(of_transport).boxed()
    }

    /// The whole of an answer.
    pub(crate) async fn whole(&self, mut response: Response, deadline: Instant) -> Result<Bytes, AiError> {
        let reading = async {
            let first = response.chunk().await.map_err(of_transport)?.unwrap_or_default();
            let Some(second) = response.chunk().await.map_err(of_transport)? else { return Ok(first) };
            let mut whole = BytesMut::from(first);
            whole.extend_from_slice(&second);
            while let Some(more) = response.chunk().await.map_err(of_transport)? {
                if whole.len() + more.len() > self.limits.max_answer_bytes {
                    return Err(AiError::TooLarge);
                }
                whole.extend_from_slice(&more);
            }
            Ok(whole.freeze())
        };
        timeout_at(deadline, reading).await.map_err(|_| AiError::Timeout)?
    }

    /// Posts a JSON body and reads the answer as a stream. `headers` may hold the key; nothing here logs them.
    pub async fn ask(
        &self,
        url: &str,
        headers: header::HeaderMap,
        body: Vec<u8>,
        decoder: impl Decoder,
        deadline: Instant,
    ) -> Result<ChatStream, AiError> {
        let request = self
            .client
            .post(url)
            .headers(headers)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "text/event-stream")
            .body(body);
        let patience = deadline.min(Instant::now() + self.limits.idle);
        let response =
            timeout_at(patience, request.send()).await.map_err(|_| AiError::Timeout)?.map_err(of_transport)?;
        self.read(response, decoder, deadline).await
    }

    async fn read(
        &self,
        response: Response,
        mut decoder: impl Decoder,
        deadline: Instant,
    ) -> Result<ChatStream, AiError> {
        let status = response.status();
        let head = response.headers().clone();
        let body = within_time(response.bytes_stream().map_err(of_transport), self.limits.idle, deadline);
        if !status.is_success() {
            // A body that breaks off tells less, but the status stands.
            let (body, _) = collect(body, MAX_FAILURE_BYTES).await;
            return Err(failure::of_response(status, &head, &body).error);
        }
        match content_type(&head) {
            "application/json" => {
                let (body, failed) = collect(body, MAX_WHOLE_BYTES).await;
                failed?;
                let items = read_whole(&body, &mut decoder)?;
                Ok(stream::iter(items.into_iter().map(Ok)).boxed())
            }
            "text/event-stream" | "text/plain" | "application/octet-stream" | "" => {
                Ok(read_answer(body, Box::new(decoder), &self.limits))
            }
            other => {
                tracing::warn!(
                    content_type = other.get(..40).unwrap_or(other),
                    "a provider's answer is of an unknown type"
                );
                Err(AiError::Garbled)
            }
        }
    }
}

/// An answer that is read from a stream of frames.
struct StreamedAnswer {
    frames: Frames,
    decoder: Box<dyn Decoder>,
    linger: Duration,
    spoke: bool,
}

/// Decodes the bytes of an answer.
fn read_answer(body: Body, decoder: Box<dyn Decoder>, limits: &Limits) -> ChatStream {
    let answer = StreamedAnswer { frames: Frames::new(body, limits), decoder, linger: limits.linger, spoke: false };
    stream::unfold(Some(answer), |answer| async {
        let mut answer = answer?;
        let item = answer.next().await;
        let more = matches!(item, Ok(ChatDelta::Text(_) | ChatDelta::Thought(_)));
        Some((item, more.then_some(answer)))
    })
    .boxed()
}

impl StreamedAnswer {
    async fn next(&mut self) -> Result<ChatDelta, AiError> {
        loop {
            let frame = match self.decoder.ending() {
                // The answer is whole: what still comes is usage, and its failure is not the reader's.
                Some(ending) => match tokio::time::timeout(self.linger, self.frames.next()).await {
                    Ok(Ok(Some(frame))) => Some(frame),
                    _ => return conclude(ending, self.spoke),
                },
                None => self.frames.next().await?,
            };
            let Some(frame) = frame else { return Err(AiError::Cut) };
            match self.read(&frame) {
                Ok(Read::Text(text)) if !text.is_empty() => {
                    self.spoke = true;
                    return Ok(ChatDelta::Text(text));
                }
                Ok(Read::Thought(thought)) if !thought.is_empty() => return Ok(ChatDelta::Thought(thought)),
                Ok(Read::End) => {
                    return self.decoder.ending().map_or(Err(AiError::Cut), |ending| conclude(ending, self.spoke));
                }
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&mut self, frame: &Frame) -> Result<Read, AiError> {
        if frame.is_error {
            let value = serde_json::from_str(&frame.data).ok();
            return Err(value
                .as_ref()
                .and_then(failure::of_value)
                .map(|failure| failure.error)
                .unwrap_or(AiError::Unavailable { retry_after: None }));
        }
        self.decoder.read(&frame.data)
    }
}

/// Reads an answer that came as one JSON document: an object, or an array of what would have been frames.
fn read_whole(body: &[u8], decoder: &mut impl Decoder) -> Result<Vec<ChatDelta>, AiError> {
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
    if let Some(failure) = failure::of_value(&value) {
        return Err(failure.error);
    }
    let frames = match value {
        serde_json::Value::Array(frames) => frames,
        frame => vec![frame],
    };
    let mut items = Vec::new();
    for frame in frames {
        match decoder.read(&frame.to_string())? {
            Read::Text(text) if !text.is_empty() => items.push(ChatDelta::Text(text)),
            Read::Thought(thought) if !thought.is_empty() => items.push(ChatDelta::Thought(thought)),
            Read::Text(_) | Read::Thought(_) | Read::Nothing => {}
            Read::End => break,
        }
    }
    let ending = decoder.ending().ok_or(AiError::Cut)?;
    let spoke = items.iter().any(|item| matches!(item, ChatDelta::Text(_)));
    items.push(conclude(ending, spoke)?);
    Ok(items)
}

/// The last item of an answer. An empty answer is reported as a failure.
fn conclude(ending: Ending, spoke: bool) -> Result<ChatDelta, AiError> {
    match (spoke, ending.finish) {
        (true, finish) => Ok(ChatDelta::Done { finish, usage: ending.usage }),
        (false, Finish::Filtered) => Err(AiError::Declined),
        (false, _) => Err(AiError::Empty),
    }
}

/// Ends a body that is silent for longer than `idle` or lasts beyond `deadline`.
fn within_time<S>(body: S, idle: Duration, deadline: Instant) -> Body
where
    S: Stream<Item = Result<Bytes, AiError>> + Send + 'static,
{
    stream::try_unfold(Box::pin(body), move |mut body| async move {
        match timeout_at(deadline.min(Instant::now() + idle), body.next()).await {
            Ok(Some(chunk)) => chunk.map(|chunk| Some((chunk, body))),
            Ok(None) => Ok(None),
            Err(_) => Err(AiError::Timeout),
        }
    })
    .boxed()
}

/// The first `limit` bytes of a body, and whether it broke off.
async fn collect(mut body: Body, limit: usize) -> (Vec<u8>, Result<(), AiError>) {
    let mut collected = Vec::new();
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) if collected.len() + chunk.len() > limit => {
                collected.extend_from_slice(&chunk[..limit - collected.len()]);
                return (collected, Err(AiError::TooLarge));
            }
            Ok(chunk) => collected.extend_from_slice(&chunk),
            Err(error) => return (collected, Err(error)),
        }
    }
    (collected, Ok(()))
}

/// A failure below HTTP. The error's own text holds the address, so only its kind is logged.
fn of_transport(error: reqwest::Error) -> AiError {
    tracing::warn!(
        connect = error.is_connect(),
        timeout = error.is_timeout(),
        body = error.is_body(),
        "a provider's connection failed"
    );
    if error.is_timeout() && !error.is_connect() {
        AiError::Timeout
    } else if error.is_body() || error.is_decode() {
        AiError::Cut
    } else {
        AiError::Unavailable { retry_after: None }
    }
}

pub(crate) fn content_type(head: &header::HeaderMap) -> &str {
    let value = head.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim()
}
