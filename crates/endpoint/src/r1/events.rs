//! Events of all conversations of a user, as Server-Sent Events or long polling.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, HeaderName, HeaderValue};
use appcore::{AppError, ConversationId};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Raw, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<StreamEvents>()];

const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Maximum wait in seconds. Many proxies close connections that are silent for longer.
const MAX_WAIT: u64 = 25;

#[dto(request)]
pub struct StreamEventsRequest {
    /// Ids of the displayed conversations, separated by commas; at most 8.
    #[from(query)]
    pub view: Option<String>,
    /// Seconds of long polling, at most 25, for clients behind a buffering proxy. The response ends
    /// after the first events or this time.
    #[from(query)]
    pub wait: Option<u64>,
    /// Cursor: `id` of the last event received, to continue after it.
    #[from(header)]
    pub last_event_id: Option<String>,
}

/// Stream events (Server-Sent Events)
///
/// `event` is the type, `data` the envelope, and `id` the cursor to resume from.
#[endpoint(GET "/r1/events", tag = "realtime", access = Access::User, rate = RateGroup::Read, content("text/event-stream"), ends_with_client = true, errors(TooManyConnections))]
impl Endpoint for StreamEvents {
    type Request = StreamEventsRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: StreamEventsRequest) -> Result<Reply<Raw>, AppError> {
        let shown = parse_view(request.view.as_deref())?;
        let wait = parse_wait(request.wait)?;
        let last_event_id = request.last_event_id.as_deref();
        let events = realtime::sse::follow(ctx.http(), ctx.user()?, shown, last_event_id, wait).await?;
        Ok(Reply::stream("text/event-stream", events)
            .header(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"))
            // A proxy that compresses or buffers the response would delay events.
            .header(CONTENT_ENCODING, HeaderValue::from_static("identity"))
            .header(BUFFERING, HeaderValue::from_static("no")))
    }
}

fn parse_view(view: Option<&str>) -> Result<Vec<ConversationId>, AppError> {
    let Some(list) = view else { return Ok(Vec::new()) };
    let ids: Result<Vec<ConversationId>, _> = list.split(',').map(str::parse).collect();
    ids.map_err(|_| AppError::field("view", "invalid", "List conversation IDs, separated by commas."))
}

fn parse_wait(seconds: Option<u64>) -> Result<Option<Duration>, AppError> {
    match seconds {
        Some(seconds) if seconds > MAX_WAIT => {
            Err(AppError::field("wait", "invalid", format!("Wait for at most {MAX_WAIT} seconds.")))
        }
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}
