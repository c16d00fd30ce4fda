//! `GET /r1/events`: the same events as an endless HTTP answer.
//!
//! The answer is an ordinary one of actix-web, so nothing writes to its socket but actix: the shard fills the queue and the body
//! takes from it. A reader that stops is cut off when its queue is full, which frees the queue at once; its socket, which actix does not
//! look at while it is full, is ended by `TCP_USER_TIMEOUT` (see the server's listener).

use std::{
    net::IpAddr,
    ops::RangeInclusive,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse, http::header, web::Query};
use appcore::{
    AppError, Code, ConversationId,
    auth::{Principal, Scope},
};
use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, future::LocalBoxFuture};
use rand::RngExt as _;
use serde::Deserialize;
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

/// Opens a stream of events. `Last-Event-ID` resumes one; a cursor that can't be read begins afresh.
pub async fn respond(
    request: &HttpRequest,
    principal: Principal,
    address: Option<IpAddr>,
) -> Result<HttpResponse, AppError> {
    let shard = request.app_data::<Rc<Shard>>().cloned().ok_or_else(|| AppError::internal(NoShard))?;
    principal.require_scope(Scope::Read)?;
    let shown = shown(request)?;
    let permit = shard.shards().admit(principal.user_id).await?;
    let (arrival, following) = shard.invite(principal.user_id).await?;
    let app = shard.app();
    let out = Outbound::new(&Identity::from(&principal), Wire::Sse, None, shard.shards().backlog());
    out.set_address(address);
    let conversations = arrival.settle(&following, Some(&out));
    shard.show(&out, shown);
    let now = app.clock.now();
    let resumed = cursor(request);
    let hello = greeting::hello(app, &principal, &conversations, now);
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
        let client = ClientContext { shard: Rc::clone(&shard), out: Rc::clone(&out), principal, country: None };
        let heads = conversations.into_iter().collect();
        actix_rt::spawn(async move { catch_up::resume(&client, cursor, heads).await });
    }
    let mut comments = tokio::time::interval_at(Instant::now() + COMMENT_PERIOD, COMMENT_PERIOD);
    comments.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let body = EventStream { waiting: None, comments, out, shard, _permit: permit };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-cache, no-transform"))
        // Compression would hold events back, and so would a buffering proxy.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body))
}

#[derive(Debug, thiserror::Error)]
#[error("the application was built without its shard")]
struct NoShard;

/// The conversations of `?view=`, with commas.
fn shown(request: &HttpRequest) -> Result<Vec<ConversationId>, AppError> {
    #[derive(Deserialize)]
    struct Parameters {
        view: Option<String>,
    }
    let Parameters { view } = Query::<Parameters>::from_query(request.query_string())
        .map_err(|_| AppError::from(Code::MalformedRequest))?
        .into_inner();
    let Some(list) = view.filter(|list| !list.is_empty()) else { return Ok(Vec::new()) };
    let ids: Result<Vec<ConversationId>, _> = list.split(',').map(str::parse).collect();
    let ids = ids.map_err(|_| AppError::field("view", "invalid", "Name conversations by their ids, with commas."))?;
    check_shown(&ids)?;
    Ok(ids)
}

fn cursor(request: &HttpRequest) -> Option<Cursor> {
    let text = request.headers().get("last-event-id")?.to_str().ok()?;
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
}

impl Stream for EventStream {
    type Item = Result<Bytes, std::io::Error>;

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
