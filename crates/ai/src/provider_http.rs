//! HTTP client for providers, with limits and timeouts, and the parsing common to all protocols:
//! events and failures.

mod compression;
pub(crate) mod events;
pub(crate) mod exchange;
pub(crate) mod failure;

use std::{error::Error as _, future::ready, iter, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use reqwest::{
    Client, Proxy, Response, Url,
    header::{self, HeaderValue},
};
use telemetry::{Span, SpanRole};
use tokio::time::{Instant, timeout_at};

use crate::{AiError, Limits, settings::SettingsError};
use exchange::Exchange;
use failure::Failure;

/// Maximum size of a failed answer's body that is read, in bytes: enough for every provider's error
/// object.
const MAX_FAILURE_BYTES: usize = 64 * 1024;

/// HTTP client, shared by all providers without a proxy of their own.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    limits: Arc<Limits>,
    /// Exchange that replaces the network.
    exchange: Option<Arc<Exchange>>,
}

/// Bytes of an answer as they arrive.
pub(crate) type ByteStream = BoxStream<'static, Result<Bytes, AiError>>;

/// Answer to a request for a stream, by its content type and first bytes.
pub(crate) enum Opened {
    Stream(ByteStream),
    /// A whole answer in JSON.
    Whole(Bytes),
}

/// Cause of a failed connection. The text of the error itself contains the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionCause {
    Refused,
    NotAllowed,
    UnknownHost,
    NoNetworkRoute,
    UntrustedCertificate,
    Closed,
    TimedOut,
}

/// Call of a model, for its tracing span.
#[derive(Clone, Copy)]
pub(crate) struct TracedCall<'a> {
    /// Name in OpenTelemetry's conventions for generative AI.
    pub provider: &'static str,
    pub model: &'a str,
}

impl TracedCall<'_> {
    /// Sets the attributes of OpenTelemetry's conventions for generative AI.
    fn describe(self, span: &Span, url: &Url) {
        let segment = url.path_segments().and_then(Iterator::last).unwrap_or_default();
        let operation = match segment.rsplit(':').next().unwrap_or_default() {
            "embeddings" | "embedContent" | "batchEmbedContents" => "embeddings",
            "generateContent" | "streamGenerateContent" => "generate_content",
            "transcriptions" => "transcription",
            _ => "chat",
        };
        span.set_attribute("gen_ai.operation.name", operation);
        span.set_attribute("gen_ai.provider.name", self.provider);
        span.set_attribute("gen_ai.request.model", self.model.to_owned());
    }
}

impl Http {
    /// Creates a client. Redirects are not followed, since they would carry the key elsewhere.
    /// Proxies in environment variables are ignored.
    pub fn new(proxy: Option<&str>, limits: Arc<Limits>) -> Result<Self, SettingsError> {
        let builder = outgoing::client_builder().connect_timeout(limits.connect);
        let builder = match proxy.map(str::trim).filter(|proxy| !proxy.is_empty()) {
            Some(proxy) => builder.proxy(Proxy::all(proxy).map_err(|_| SettingsError::Proxy)?),
            None => builder.no_proxy(),
        };
        let client = builder.build().map_err(|_| SettingsError::Client)?;
        Ok(Self::of(client, limits))
    }

    /// Wraps a client that follows no redirects and enforces network restrictions.
    pub fn of(client: Client, limits: Arc<Limits>) -> Self {
        Self { client, limits, exchange: None }
    }

    /// The same client with an exchange in place of the network.
    pub fn with_exchange(&self, exchange: Arc<Exchange>) -> Self {
        Self { exchange: Some(exchange), ..self.clone() }
    }

    /// Sends a request and returns once headers with a success status have arrived.
    ///
    /// The provider sends nothing before a non-streamed answer is complete, so only the deadline
    /// applies to it. The headers of a stream must arrive within the idle timeout.
    pub(crate) async fn send(
        &self,
        mut request: reqwest::Request,
        call: Option<TracedCall<'_>>,
        is_stream: bool,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        if let Some(exchange) = &self.exchange {
            return exchange.send(&request).await;
        }
        let span = Span::start(SpanRole::Client, "AI provider");
        span.set_attribute("http.request.method", request.method().to_string());
        span.set_attribute("server.address", request.url().host_str().unwrap_or_default().to_owned());
        if let Some(call) = call.filter(|_| span.is_on()) {
            call.describe(&span, request.url());
        }
        let patience = if is_stream { deadline.min(Instant::now() + self.limits.idle) } else { deadline };
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static(if is_stream { "text/event-stream" } else { "*/*" }));
        if is_stream {
            // Compression may delay frames.
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let answered = match timeout_at(patience, self.client.execute(request)).await {
            Ok(answered) => answered.map_err(|error| {
                let cause = ConnectionCause::find(&error);
                Failure { cause, ..transport_error(error).into() }
            }),
            Err(_) => Err(Failure::from(AiError::Timeout)),
        };
        let mut response = answered.inspect_err(|failure| {
            span.set_attribute("error.type", failure.error.code());
            span.fail("no answer");
        })?;
        let status = response.status();
        span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
        let decompressed = compression::decompress(&mut response);
        if status.is_success() {
            decompressed.inspect_err(|error| {
                span.set_attribute("error.type", error.code());
                span.fail("unknown content encoding");
            })?;
            response.extensions_mut().insert(Arc::new(span));
            return Ok(response);
        }
        span.set_attribute("error.type", status.as_str().to_owned());
        span.fail("");
        let head = response.headers().clone();
        let body = within_time(response.bytes_stream().map_err(transport_error), self.limits.idle, deadline);
        // If the body is incomplete, the failure is still classified by its status.
        let (body, _) = collect(body, MAX_FAILURE_BYTES).await;
        Err(failure::parse_response(status, &head, &body))
    }

    /// Bytes of an answer as they arrive.
    pub(crate) fn stream_body(&self, mut response: Response) -> ByteStream {
        // The tracing span stays open until the answer has ended.
        let span = response.extensions_mut().remove::<Arc<Span>>();
        let body = response.bytes_stream().map_err(transport_error);
        if span.is_some() { body.inspect(move |_| _ = &span).boxed() } else { body.boxed() }
    }

    /// Opens the answer to a request for a stream. Some servers answer whole instead, and some send
    /// the wrong content type.
    pub(crate) async fn open(&self, mut response: Response, deadline: Instant) -> Result<Opened, AiError> {
        if content_type(response.headers()) == "application/json" {
            return Ok(Opened::Whole(self.read_whole(response, deadline).await?));
        }
        let mut first = Bytes::new();
        while first.trim_ascii().is_empty() {
            let patience = deadline.min(Instant::now() + self.limits.idle);
            let next = timeout_at(patience, response.chunk()).await.map_err(|_| AiError::Timeout)?;
            let Some(more) = next.map_err(transport_error)? else { break };
            first = more;
        }
        if matches!(events::without_bom(&first).trim_ascii_start().first(), Some(b'{' | b'[')) {
            return Ok(Opened::Whole(self.read_rest(first, response, deadline).await?));
        }
        match content_type(response.headers()) {
            "text/event-stream" | "text/plain" | "application/octet-stream" | "" => {}
            other if !events::is_stream(&first) => {
                let content_type = other.get(..40).unwrap_or(other);
                tracing::warn!(content_type, "provider answer rejected, unknown content type");
                return Err(AiError::Garbled);
            }
            _ => {}
        }
        Ok(Opened::Stream(stream::once(ready(Ok(first))).chain(self.stream_body(response)).boxed()))
    }

    /// Reads a whole answer.
    pub(crate) async fn read_whole(&self, response: Response, deadline: Instant) -> Result<Bytes, AiError> {
        self.read_rest(Bytes::new(), response, deadline).await
    }

    /// Reads the rest of an answer whose beginning has arrived.
    async fn read_rest(&self, begun: Bytes, mut response: Response, deadline: Instant) -> Result<Bytes, AiError> {
        let reading = async {
            let first = if begun.is_empty() {
                response.chunk().await.map_err(transport_error)?.unwrap_or_default()
            } else {
                begun
            };
            let Some(second) = response.chunk().await.map_err(transport_error)? else { return Ok(first) };
            let mut whole = BytesMut::from(first);
            whole.extend_from_slice(&second);
            while let Some(more) = response.chunk().await.map_err(transport_error)? {
                if whole.len() + more.len() > self.limits.max_answer_bytes {
                    return Err(AiError::TooLarge);
                }
                whole.extend_from_slice(&more);
            }
            Ok(whole.freeze())
        };
        timeout_at(deadline, reading).await.map_err(|_| AiError::Timeout)?
    }
}

/// Ends a body that is silent for longer than `idle` or lasts beyond `deadline`.
fn within_time<S>(body: S, idle: Duration, deadline: Instant) -> ByteStream
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

/// Reads at most the first `limit` bytes of a body. The error tells why the rest is missing.
async fn collect(mut body: ByteStream, limit: usize) -> (Vec<u8>, Result<(), AiError>) {
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

/// Maps a failure below HTTP to an error. Only the kind of failure is logged, because the error's
/// text contains the address.
fn transport_error(error: reqwest::Error) -> AiError {
    tracing::warn!(
        connect = error.is_connect(),
        timeout = error.is_timeout(),
        body = error.is_body(),
        "provider connection failed"
    );
    if error.is_timeout() && !error.is_connect() {
        AiError::Timeout
    } else if compression::is_corrupt(&error) {
        AiError::Garbled
    } else if error.is_body() || error.is_decode() {
        AiError::Truncated
    } else {
        AiError::Unavailable { retry_after: None }
    }
}

impl ConnectionCause {
    /// Finds the cause in the chain of errors; `None` if it is unknown.
    fn find(error: &reqwest::Error) -> Option<Self> {
        const PHRASES: [(&str, ConnectionCause); 9] = [
            ("connection refused", ConnectionCause::Refused),
            ("forbidden address", ConnectionCause::NotAllowed),
            ("failed to lookup address", ConnectionCause::UnknownHost),
            ("dns error", ConnectionCause::UnknownHost),
            ("no route to host", ConnectionCause::NoNetworkRoute),
            ("network is unreachable", ConnectionCause::NoNetworkRoute),
            ("certificate", ConnectionCause::UntrustedCertificate),
            ("connection reset", ConnectionCause::Closed),
            ("timed out", ConnectionCause::TimedOut),
        ];
        let causes: Vec<String> = iter::successors(error.source(), |&cause| cause.source())
            .map(|cause| cause.to_string().to_lowercase())
            .collect();
        let is_named = |phrase: &str| causes.iter().any(|cause| cause.contains(phrase));
        PHRASES.into_iter().find(|(phrase, _)| is_named(phrase)).map(|(_, cause)| cause)
    }

    /// Clause for administrators.
    pub(crate) fn clause(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::NotAllowed => "this server isn't allowed to connect to this address",
            Self::UnknownHost => "the host name is unknown",
            Self::NoNetworkRoute => "no network route to the host",
            Self::UntrustedCertificate => "the certificate isn't trusted",
            Self::Closed => "the connection was closed",
            Self::TimedOut => "no answer to the connection attempt",
        }
    }
}

pub(crate) fn content_type(head: &header::HeaderMap) -> &str {
    let value = head.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim()
}
