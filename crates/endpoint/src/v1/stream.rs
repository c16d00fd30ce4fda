//! A streamed answer: the frames of the provider, and a sign of life where it is silent.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use ai::{Door, Frames};
use appcore::AppError;
use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::time::{Instant, Sleep, sleep_until};

use super::settling::{Growth, Settling};

/// What says that it is alive. Frames are whole, so it never stands within one.
const fn heartbeat(door: Door) -> &'static str {
    match door {
        Door::Chat | Door::Responses => ": ping\n\n",
        Door::Messages => "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    }
}

pub(super) struct LiveStream {
    /// Dropped with this: then the connection to the provider ends.
    frames: Frames,
    heartbeat: &'static str,
    every: Duration,
    heard_at: Instant,
    alarm: Pin<Box<Sleep>>,
    settling: Settling,
    growth: Option<Growth>,
}

impl LiveStream {
    pub fn new(door: Door, frames: Frames, every: Duration, settling: Settling) -> Self {
        let heard_at = Instant::now();
        let alarm = Box::pin(sleep_until(heard_at + every));
        Self { frames, heartbeat: heartbeat(door), every, heard_at, alarm, settling, growth: None }
    }

    fn poll_growth(&mut self, context: &mut Context<'_>) {
        if let Some(growth) = &mut self.growth
            && let Poll::Ready(held) = growth.as_mut().poll(context)
        {
            self.growth = None;
            self.settling.grown(held);
        }
    }
}

impl Stream for LiveStream {
    type Item = Result<Bytes, AppError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.poll_growth(context);
        if let Poll::Ready(next) = this.frames.poll_next_unpin(context) {
            let Some(frames) = next else {
                this.settling.end_stream();
                return Poll::Ready(None);
            };
            this.heard_at = Instant::now();
            if this.growth.is_none() {
                this.growth = this.settling.growth();
                this.poll_growth(context);
            }
            return Poll::Ready(frames.map_or_else(|never| match never {}, |frames| Some(Ok(frames))));
        }
        loop {
            ready!(this.alarm.poll_unpin(context));
            // The alarm is moved when it rings, not with every frame.
            let due = this.heard_at + this.every;
            let is_silent = Instant::now() >= due;
            if is_silent {
                this.heard_at = Instant::now();
            }
            let next = this.heard_at + this.every;
            this.alarm.as_mut().reset(next);
            if is_silent {
                return Poll::Ready(Some(Ok(Bytes::from_static(this.heartbeat.as_bytes()))));
            }
        }
    }
}
