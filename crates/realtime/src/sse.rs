//! `GET /r1/events`: the events as an endless HTTP response.
//!
//! It is a regular actix-web response, so only actix writes to its socket: the shard fills the
//! queue and the response body takes from it. A client that stops reading is disconnected when its
//! queue is full, which releases the queue immediately. Actix doesn't notice this while the socket
//! is full; `TCP_USER_TIMEOUT` then closes the socket (see the server's listener).

use std::{
    ops::RangeInclusive,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::HttpRequest;
use appcore::{AppError, ConversationId, auth::Principal};
use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, future::LocalBoxFuture};
use metrics::{ConnectionGuard, metrics};
use rand::RngExt as _;
use tokio::time::{Instant, Interval, Sleep};

use crate::{
    broadcaster::Permit,
    catch_up,
    client::ClientContext,
    close::Close,
    codec::{
        FrameBody, Wire,
        sse::{self, Cursor},
    },
    command::check_displayed,
    connection_handle::{ConnectionHandle, Identity},
    hello,
    protocol::{ControlFrame as _, Hello, SyncDone},
    shard::Shard,
};

/// Interval of keep-alive comments on an idle stream.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Range of the reconnect delay in milliseconds. The delay is random, because all clients may have
/// been disconnected at once.
const RETRY: RangeInclusive<u32> = 1_000..=5_000;
/// Maximum length of a `Last-Event-ID`, in bytes.
const MAX_CURSOR_LEN: usize = 128;

/// Time for which a bounded response continues after its first event, so that events at about the
/// same time are sent together.
const COALESCE_DELAY: Duration = Duration::from_millis(50);
/// Timeout for the initial events of a bounded response, which may include many missed events.
const INITIAL_EVENTS_TIMEOUT: Duration = Duration::from_secs(60);

/// Opens an event stream. `last_event_id` resumes an earlier stream; an invalid one starts a new
/// stream. With `wait`, the response is bounded: it ends as soon as it has delivered events, or
/// after `wait` if there are none.
pub async fn follow(
    request: &HttpRequest,
    principal: &Principal,
    shown: Vec<ConversationId>,
    last_event_id: Option<&str>,
    wait: Option<Duration>,
) -> Result<impl Stream<Item = Result<Bytes, AppError>> + use<>, AppError> {
    let shard = request.app_data::<Rc<Shard>>().cloned().ok_or_else(|| AppError::internal(NoShard))?;
    check_displayed(&shown)?;
    let permit = shard.shards().register(principal.user_id).await?;
    let (arrival, following) = shard.load_subscriptions(principal.user_id).await?;
    let services = shard.services();
    let out = ConnectionHandle::new(&Identity::from(principal), Wire::Sse, None, shard.shards().backlog());
    out.set_address(principal.address);
    let conversations = arrival.merge_memberships(&following, Some(&out));
    shard.show(&out, shown);
    let now = services.clock.now();
    let resumed = last_event_id.and_then(cursor);
    let hello = hello::encode(services, principal, &conversations, &following, now);
    // A resumed stream keeps its old cursor until it has caught up.
    let here = resumed.unwrap_or(Cursor { moment: now, position: None });
    out.push_first(sse::encode_retry(rand::rng().random_range(RETRY)));
    out.push_first(sse::encode(&FrameBody::control(Hello::KIND, now, &hello, None), Some(&here)));
    shard.watch(&out);
    shard.close_if_banned(&out);
    shard.end_when_expired(&out);
    if shard.is_draining() {
        out.close(Close::RESTARTING);
    }
    if let Some(cursor) = resumed {
        let (shard, out) = (Rc::clone(&shard), Rc::clone(&out));
        let client = ClientContext { shard, out, principal: principal.clone(), country: None };
        let heads = conversations.into_iter().collect();
        actix_rt::spawn(async move { catch_up::resume(&client, cursor, heads).await });
    }
    let mut comments = tokio::time::interval_at(Instant::now() + KEEP_ALIVE_INTERVAL, KEEP_ALIVE_INTERVAL);
    comments.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let counted = metrics().realtime.connect(Wire::Sse.transport());
    let ending = wait.map(|wait| BoundedResponse::new(wait, resumed.is_some()));
    Ok(EventStream { waiting: None, comments, ending, out, shard, _permit: permit, _counted: counted })
}

#[derive(Debug, thiserror::Error)]
#[error("the application was built without its shard")]
struct NoShard;

fn cursor(text: &str) -> Option<Cursor> {
    if text.len() > MAX_CURSOR_LEN { None } else { Cursor::parse(text) }
}

/// Body of the response: the frames of the connection.
struct EventStream {
    out: Rc<ConnectionHandle>,
    shard: Rc<Shard>,
    /// Future that completes when frames are queued, if the body waits for them.
    waiting: Option<LocalBoxFuture<'static, ()>>,
    comments: Interval,
    ending: Option<BoundedResponse>,
    _permit: Permit,
    _counted: ConnectionGuard,
}

impl Stream for EventStream {
    type Item = Result<Bytes, AppError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(chunk) = this.out.pop() {
                if let Some(ending) = &mut this.ending {
                    ending.record_sent(&chunk);
                }
                return Poll::Ready(Some(Ok(chunk)));
            }
            let is_over = this.ending.as_mut().is_some_and(|ending| ending.deadline.poll_unpin(context).is_ready());
            if is_over || !this.out.is_open() {
                return Poll::Ready(None);
            }
            if this.comments.poll_tick(context).is_ready() {
                return Poll::Ready(Some(Ok(Bytes::from_static(sse::COMMENT))));
            }
            let out = Rc::clone(&this.out);
            let waiting = this.waiting.get_or_insert_with(|| async move { out.wait_until_woken().await }.boxed_local());
            if waiting.poll_unpin(context).is_pending() {
                return Poll::Pending;
            }
            this.waiting = None;
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.shard.leave(&self.out);
        self.out.abort();
    }
}

/// End of a bounded response, for clients behind proxies that buffer responses.
struct BoundedResponse {
    deadline: Pin<Box<Sleep>>,
    /// Time to wait for events after the initial ones.
    wait: Duration,
    /// Type of the last of the initial events; `None` once that event was sent.
    beginning: Option<&'static str>,
    has_events: bool,
}

impl BoundedResponse {
    fn new(wait: Duration, is_resumed: bool) -> Self {
        let at = Box::pin(tokio::time::sleep(INITIAL_EVENTS_TIMEOUT));
        // In a new stream, `hello` is the last of the initial events.
        let (wait, beginning) = if is_resumed { (wait, SyncDone::KIND) } else { (Duration::ZERO, Hello::KIND) };
        Self { deadline: at, wait, beginning: Some(beginning), has_events: false }
    }

    fn record_sent(&mut self, chunk: &[u8]) {
        let Some(kind) = sse::kind(chunk) else { return };
        if self.beginning.is_some_and(|last| last.as_bytes() == kind) {
            self.beginning = None;
            self.end_in(if self.has_events { Duration::ZERO } else { self.wait });
        } else if kind != Hello::KIND.as_bytes() && !self.has_events {
            self.has_events = true;
            if self.beginning.is_none() {
                self.end_in(COALESCE_DELAY);
            }
        }
    }

    fn end_in(&mut self, time: Duration) {
        self.deadline.as_mut().reset(Instant::now() + time);
    }
}
