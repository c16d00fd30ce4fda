//! Events of all conversations of a user, as Server-Sent Events or long polling.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, HeaderName, HeaderValue};
use appcore::{AppError, ConversationId};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Raw, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<StreamEvents>()];

const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Maximum wait in seconds. Proxies close connections that stay silent longer.
const MAX_WAIT: u64 = 25;

#[dto(request)]
pub struct StreamEventsRequest {
    /// Conversations currently shown, separated by commas: at most 8.
    #[from(query)]
    pub view: Option<String>,
    /// Long polling: seconds to wait, up to 25. The response ends after the first events or after this time. For
    /// clients behind a proxy that buffers responses.
    #[from(query)]
    pub wait: Option<u64>,
    /// `id` of the last event received: later events are sent first.
    #[from(header)]
    pub last_event_id: Option<String>,
}

/// Stream events (Server-Sent Events)
///
/// `event` is the type, `data` the envelope, `id` the cursor to resume from.
#[endpoint(GET "/r1/events", tag = "realtime", access = Access::User, rate = RateGroup::Read, content("text/event-stream"), ends_with_client = true, errors(TooManyConnections))]
impl Endpoint for StreamEvents {
    type Request = StreamEventsRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: StreamEventsRequest) -> Result<Reply<Raw>, AppError> {
        let shown = shown(request.view.as_deref())?;
        let wait = wait(request.wait)?;
        let last_event_id = request.last_event_id.as_deref();
        let events = realtime::sse::follow(ctx.http(), ctx.user()?, shown, last_event_id, wait).await?;
        Ok(Reply::stream("text/event-stream", events)
            .header(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"))
            // Compression and buffering proxies would delay events.
            .header(CONTENT_ENCODING, HeaderValue::from_static("identity"))
            .header(BUFFERING, HeaderValue::from_static("no")))
    }
}

fn shown(view: Option<&str>) -> Result<Vec<ConversationId>, AppError> {
    let Some(list) = view else { return Ok(Vec::new()) };
    let ids: Result<Vec<ConversationId>, _> = list.split(',').map(str::parse).collect();
    ids.map_err(|_| AppError::field("view", "invalid", "List conversation IDs, separated by commas."))
}

fn wait(seconds: Option<u64>) -> Result<Option<Duration>, AppError> {
    match seconds {
        Some(seconds) if seconds > MAX_WAIT => {
            Err(AppError::field("wait", "invalid", format!("Wait for at most {MAX_WAIT} seconds.")))
        }
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}
