//! Streamed answer: forwards the provider's frames, and sends heartbeats while the provider is
//! silent. A stream of bytes, such as audio, has no heartbeats.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use ai::{AnswerBody, ApiStyle, Forwarded, Frames, GatewayError};
use appcore::AppError;
use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _, future::LocalBoxFuture};
use tokio::time::{Instant, Sleep, sleep_until};

use super::settlement::{CallSettlement, PendingExtension};

/// Heartbeat frame. The provider's frames are forwarded as a whole, so a heartbeat never splits
/// one.
const fn heartbeat(style: ApiStyle) -> &'static str {
    match style {
        ApiStyle::Chat | ApiStyle::Responses => ": ping\n\n",
        ApiStyle::Messages => "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        // Google's libraries fail at comments.
        ApiStyle::Gemini => "\n\n",
    }
}

/// Source of the frames. It is dropped together with the stream, which closes the connection to the
/// provider.
enum FrameSource {
    /// No provider has started to answer yet.
    Pending(LocalBoxFuture<'static, Result<Forwarded, GatewayError>>),
    Frames(Frames),
    /// No provider has answered, or the whole answer was sent.
    Ended,
}

pub(super) struct LiveStream {
    style: ApiStyle,
    source: FrameSource,
    /// Heartbeat frame; `None` in a stream of bytes.
    heartbeat: Option<&'static str>,
    every: Duration,
    last_frame_at: Instant,
    heartbeat_timer: Pin<Box<Sleep>>,
    settling: CallSettlement,
    extension: Option<PendingExtension>,
}

impl LiveStream {
    pub fn new(style: ApiStyle, frames: Frames, every: Duration, settling: CallSettlement) -> Self {
        Self::of(style, FrameSource::Frames(frames), every, (Instant::now(), settling))
    }

    /// Stream of bytes. It is aborted if the provider fails, because it can't contain an error.
    pub fn of_bytes(chunks: Frames, settling: CallSettlement) -> Self {
        let source = FrameSource::Frames(chunks);
        let stream = Self::of(ApiStyle::Chat, source, Duration::ZERO, (Instant::now(), settling));
        Self { heartbeat: None, ..stream }
    }

    /// Stream of an answer that has not started within the heartbeat interval. It begins with a
    /// heartbeat.
    pub fn pending(
        style: ApiStyle,
        answer: LocalBoxFuture<'static, Result<Forwarded, GatewayError>>,
        every: Duration,
        settling: CallSettlement,
    ) -> Self {
        let now = Instant::now();
        Self::of(style, FrameSource::Pending(answer), every, (now.checked_sub(every).unwrap_or(now), settling))
    }

    fn of(
        style: ApiStyle,
        coming: FrameSource,
        every: Duration,
        (heard_at, settling): (Instant, CallSettlement),
    ) -> Self {
        let alarm = Box::pin(sleep_until(heard_at + every));
        Self {
            style,
            source: coming,
            heartbeat: Some(heartbeat(style)),
            every,
            last_frame_at: heard_at,
            heartbeat_timer: alarm,
            settling,
            extension: None,
        }
    }

    /// Returns the next frames of the provider, or its error as a frame.
    fn poll_frames(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.source {
                FrameSource::Pending(answer) => match ready!(answer.poll_unpin(context)) {
                    Ok(Forwarded { body: AnswerBody::Stream(frames), .. }) => self.source = FrameSource::Frames(frames),
                    Ok(Forwarded { body: AnswerBody::Whole(body), .. }) => {
                        self.source = FrameSource::Ended;
                        return Poll::Ready(Some(body));
                    }
                    Err(error) => {
                        self.settling.fail(error.status(self.style));
                        self.source = FrameSource::Ended;
                        return Poll::Ready(Some(error.frame(self.style, 0).into()));
                    }
                },
                FrameSource::Frames(frames) => {
                    let next = ready!(frames.poll_next_unpin(context));
                    return Poll::Ready(next.map(|frames| match frames {
                        Ok(frames) => frames,
                        Err(never) => match never {},
                    }));
                }
                FrameSource::Ended => return Poll::Ready(None),
            }
        }
    }

    fn poll_extension(&mut self, context: &mut Context<'_>) {
        if let Some(growth) = &mut self.extension
            && let Poll::Ready(held) = growth.as_mut().poll(context)
        {
            self.extension = None;
            self.settling.apply_extension(held);
        }
    }
}

impl Stream for LiveStream {
    type Item = Result<Bytes, AppError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.poll_extension(context);
        // If the reservation is exhausted, the next frames have to wait until the database has
        // extended it.
        let waits = this.extension.is_some() && this.settling.is_exhausted();
        if !waits && let Poll::Ready(next) = this.poll_frames(context) {
            let Some(frames) = next else {
                let is_complete = this.settling.finish_stream();
                if this.heartbeat.is_none() && !is_complete {
                    this.source = FrameSource::Ended;
                    return Poll::Ready(Some(Err(AppError::unavailable(anyhow::anyhow!(
                        "provider aborted the answer"
                    )))));
                }
                return Poll::Ready(None);
            };
            this.last_frame_at = Instant::now();
            if this.extension.is_none() {
                this.extension = this.settling.extend();
                this.poll_extension(context);
            }
            return Poll::Ready(Some(Ok(frames)));
        }
        let Some(heartbeat) = this.heartbeat else { return Poll::Pending };
        loop {
            ready!(this.heartbeat_timer.poll_unpin(context));
            // To save work, the timer is only reset when it fires, and not with every frame.
            let due = this.last_frame_at + this.every;
            let is_silent = Instant::now() >= due;
            if is_silent {
                this.last_frame_at = Instant::now();
            }
            let next = this.last_frame_at + this.every;
            this.heartbeat_timer.as_mut().reset(next);
            if is_silent {
                return Poll::Ready(Some(Ok(Bytes::from_static(heartbeat.as_bytes()))));
            }
        }
    }
}
