//! `GET /r1/events`: the same events as an endless HTTP answer.
//!
//! The answer is an ordinary one of actix-web, so nothing writes to its socket but actix: the shard fills the queue and the body
//! takes from it. A reader that stops is cut off when its queue is full, which frees the queue at once; its socket, which actix does not
//! look at while it is full, is ended by `TCP_USER_TIMEOUT` (see the server's listener).

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
use metrics::{Counted, metrics};
use rand::RngExt as _;
use tokio::time::{Instant, Interval};

use crate::{
    broadcaster::Permit,
    catch_up,
    client::ClientContext,
    close::Close,
    codec::{
        FrameBody, Wire,
        sse::{self, Cursor},
    },
    command::check_shown,
    greeting,
    outbound::{Identity, Outbound},
    protocol::{ControlFrame as _, Hello},
    shard::Shard,
};

/// How often a quiet stream says that it is alive.
const COMMENT_PERIOD: Duration = Duration::from_secs(15);
/// Milliseconds after which a reader comes back when the stream ends: spread, because all may have lost it at once.
const RETRY: RangeInclusive<u32> = 1_000..=5_000;
/// The longest `Last-Event-ID` that is looked at.
const LONGEST_CURSOR: usize = 128;

/// Opens a stream of events. `last_event_id` resumes one; a cursor that can't be read begins afresh.
pub async fn follow(
    request: &HttpRequest,
    principal: &Principal,
    shown: Vec<ConversationId>,
    last_event_id: Option<&str>,
) -> Result<impl Stream<Item = Result<Bytes, AppError>> + use<>, AppError> {
    let shard = request.app_data::<Rc<Shard>>().cloned().ok_or_else(|| AppError::internal(NoShard))?;
    check_shown(&shown)?;
    let permit = shard.shards().admit(principal.user_id).await?;
    let (arrival, following) = shard.invite(principal.user_id).await?;
    let app = shard.app();
    let out = Outbound::new(&Identity::from(principal), Wire::Sse, None, shard.shards().backlog());
    out.set_address(principal.address);
    let conversations = arrival.settle(&following, Some(&out));
    shard.show(&out, shown);
    let now = app.clock.now();
    let resumed = last_event_id.and_then(cursor);
    let hello = greeting::hello(app, principal, &conversations, &following, now);
    // A stream that is resumed stays where it was until it has caught up.
    let here = resumed.unwrap_or(Cursor { moment: now, position: None });
    out.greet(sse::encode_retry(rand::rng().random_range(RETRY)));
    out.greet(sse::encode(&FrameBody::control(Hello::KIND, now, &hello, None), Some(&here)));
    shard.watch(&out);
    shard.keep_out(&out);
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
    let mut comments = tokio::time::interval_at(Instant::now() + COMMENT_PERIOD, COMMENT_PERIOD);
    comments.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let counted = metrics().realtime.connect(Wire::Sse.transport());
    Ok(EventStream { waiting: None, comments, out, shard, _permit: permit, _counted: counted })
}

#[derive(Debug, thiserror::Error)]
#[error("the application was built without its shard")]
struct NoShard;

fn cursor(text: &str) -> Option<Cursor> {
    if text.len() > LONGEST_CURSOR { None } else { Cursor::parse(text) }
}

/// The body of the answer.
struct EventStream {
    out: Rc<Outbound>,
    shard: Rc<Shard>,
    /// Until something happens to the queue.
    waiting: Option<LocalBoxFuture<'static, ()>>,
    comments: Interval,
    _permit: Permit,
    _counted: Counted,
}

impl Stream for EventStream {
    type Item = Result<Bytes, AppError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(chunk) = this.out.pop() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            if !this.out.is_open() {
                return Poll::Ready(None);
            }
            if this.comments.poll_tick(context).is_ready() {
                return Poll::Ready(Some(Ok(Bytes::from_static(sse::COMMENT))));
            }
            let out = Rc::clone(&this.out);
            let waiting = this.waiting.get_or_insert_with(|| async move { out.woken().await }.boxed_local());
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
        self.out.give_up();
    }
}
