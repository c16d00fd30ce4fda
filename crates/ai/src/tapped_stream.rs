//! Streams an answer from the provider to the client.
//!
//! The bytes are split into complete events and given to a [`Tap`], which passes or converts them.
//! The stream enforces the common guarantees: idle time and length are limited, nothing is passed
//! before its event is complete, and a failed answer ends with an error frame. Dropping it closes
//! the upstream connection.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    AiError, ApiStyle, GatewayError, Limits,
    keys::KeyLease,
    meter::Meter,
    provider_http::{ByteStream, events::Splitter, failure::Failure},
};

/// Passes or converts the events of one answer.
pub(crate) trait Tap: Send + Unpin + 'static {
    /// Type of the output.
    type Out: Send + Unpin;
    /// Processes complete events; returns output, if any.
    fn pass(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Self::Out>, Failure>;
    /// True if the answer and its trailer are complete. Later data is ignored.
    fn is_done(&self) -> bool;
    /// True if the answer is complete except for its usage.
    fn is_whole(&self) -> bool;
    /// Failure that followed the last output.
    fn failure(&mut self) -> Option<Failure>;
    /// Handles the end of the provider's stream; `rest` is an incomplete event.
    fn finish(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Self::Out>, Failure>;
    /// Number of frames sent so far in a format that numbers its frames; 0 in other formats.
    fn sequence(&self) -> u64 {
        0
    }
}

/// An answer in transit.
pub(crate) struct TappedStream<T: Tap> {
    style: ApiStyle,
    tap: T,
    body: Option<ByteStream>,
    splitter: Splitter,
    meter: Arc<Meter>,
    /// Keeps the key counted as in use while the answer streams.
    _lease: Option<KeyLease>,
    ready: Option<T::Out>,
    heard_at: Instant,
    timeout: Pin<Box<Sleep>>,
    deadline: Instant,
    limits: Arc<Limits>,
    total: usize,
}

impl<T: Tap> TappedStream<T> {
    pub fn new(
        style: ApiStyle,
        tap: T,
        body: ByteStream,
        meter: Arc<Meter>,
        limits: Arc<Limits>,
        deadline: Instant,
    ) -> Self {
        let heard_at = Instant::now();
        let alarm = Box::pin(sleep_until(deadline.min(heard_at + limits.idle)));
        let (splitter, body) = (Splitter::default(), Some(body));
        Self {
            style,
            tap,
            body,
            splitter,
            meter,
            _lease: None,
            ready: None,
            heard_at,
            timeout: alarm,
            deadline,
            limits,
            total: 0,
        }
    }

    /// Waits for the first frames. Until then another deployment can be tried.
    pub async fn first(&mut self) -> Result<(), Failure> {
        let first = std::future::poll_fn(|cx| self.poll_frames(cx)).await?;
        self.ready = Some(first.ok_or(AiError::Truncated)?);
        Ok(())
    }

    /// Keeps the key lease until the answer has ended.
    pub fn with_lease(self, lease: KeyLease) -> Self {
        Self { _lease: Some(lease), ..self }
    }

    /// Polls for the next frames; `None` at the end of the stream.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<T::Out>, Failure>> {
        loop {
            if let Some(failure) = self.tap.failure() {
                return Poll::Ready(Err(failure));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(None)) };
            if self.tap.is_done() {
                self.drain();
                return Poll::Ready(Ok(None));
            }
            let chunk = match body.poll_next_unpin(cx) {
                Poll::Ready(chunk) => chunk,
                Poll::Pending => {
                    ready!(self.poll_timeout(cx));
                    // The answer is complete, so the client gets no error because its usage is
                    // missing.
                    if self.tap.is_whole() { None } else { Some(Err(AiError::Timeout)) }
                }
            };
            let out = match chunk {
                Some(Ok(chunk)) => self.process_chunk(chunk)?,
                Some(Err(error)) if !self.tap.is_whole() => return Poll::Ready(Err(error.into())),
                _ => {
                    self.body = None;
                    let rest = self.splitter.drain_rest();
                    self.tap.finish(rest, &self.meter)?
                }
            };
            if out.is_some() {
                return Poll::Ready(Ok(out));
            }
        }
    }

    /// Polls for the next frames, or for the failure that ends the answer.
    pub fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T::Out, Failure>>> {
        if let Some(ready) = self.ready.take() {
            return Poll::Ready(Some(Ok(ready)));
        }
        let out = ready!(self.poll_frames(cx)).transpose();
        if matches!(out, Some(Err(_))) {
            self.body = None;
        }
        Poll::Ready(out)
    }

    fn process_chunk(&mut self, chunk: Bytes) -> Result<Option<T::Out>, Failure> {
        self.heard_at = Instant::now();
        self.total += chunk.len();
        if self.total > self.limits.max_answer_bytes {
            return Err(AiError::TooLarge.into());
        }
        if self.splitter.push(chunk) > self.limits.max_frame_bytes {
            return Err(AiError::Garbled.into());
        }
        let Some(block) = self.splitter.drain_events() else { return Ok(None) };
        let was_whole = self.tap.is_whole();
        let out = self.tap.pass(block, &self.meter)?;
        if !was_whole && self.tap.is_whole() {
            let due = self.timeout_at();
            self.timeout.as_mut().reset(due);
        }
        Ok(out)
    }

    /// Time at which the idle timeout of the provider expires.
    fn timeout_at(&self) -> Instant {
        let patience = if self.tap.is_whole() { self.limits.linger } else { self.limits.idle };
        self.deadline.min(self.heard_at + patience)
    }

    /// Ready once the provider has been silent for too long or the deadline has passed.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timeout.poll_unpin(cx));
            let due = self.timeout_at();
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            self.timeout.as_mut().reset(due);
        }
    }

    /// Drains the rest of the body so that the connection can be reused.
    fn drain(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        let linger = self.limits.linger;
        let mut drain = Box::pin(async move { while let Some(Ok(_)) = body.next().await {} });
        if drain.as_mut().now_or_never().is_none() {
            tokio::spawn(tokio::time::timeout(linger, drain));
        }
    }
}

impl<T: Tap<Out = Bytes>> Stream for TappedStream<T> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let (Some(error), Some(_)) = (self.meter.abort_error(), &self.body) {
            let frame = error.frame(self.style, self.tap.sequence());
            (self.body, self.ready) = (None, None);
            return Poll::Ready(Some(Ok(frame.into())));
        }
        match ready!(self.poll_out(cx)) {
            Some(Err(failure)) => {
                tracing::warn!(code = failure.error.code(), "answer stream failed");
                let frame = GatewayError::from(failure).frame(self.style, self.tap.sequence());
                Poll::Ready(Some(Ok(frame.into())))
            }
            Some(Ok(frames)) => Poll::Ready(Some(Ok(frames))),
            None => Poll::Ready(None),
        }
    }
}
