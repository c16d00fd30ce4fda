//! The events of all one's conversations, as an answer that doesn't end.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, HeaderName, HeaderValue};
use appcore::{AppError, ConversationId};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Raw, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<StreamEvents>()];

const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Proxies give up on what says nothing for longer.
const LONGEST_WAIT: u64 = 25;

#[dto(request)]
pub struct StreamEventsRequest {
    /// The conversations that are shown, with commas: at most 8.
    #[from(query)]
    pub view: Option<String>,
    /// Seconds, up to 25: the answer ends as soon as it has told something, or when it has waited so long. For who is behind a proxy that hands answers on only when
    /// they are whole.
    #[from(query)]
    pub wait: Option<u64>,
    /// The `id` of the last event that arrived: what came after it is sent first.
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
            // Compression would hold events back, and so would a buffering proxy.
            .header(CONTENT_ENCODING, HeaderValue::from_static("identity"))
            .header(BUFFERING, HeaderValue::from_static("no")))
    }
}

fn shown(view: Option<&str>) -> Result<Vec<ConversationId>, AppError> {
    let Some(list) = view else { return Ok(Vec::new()) };
    let ids: Result<Vec<ConversationId>, _> = list.split(',').map(str::parse).collect();
    ids.map_err(|_| AppError::field("view", "invalid", "Name conversations by their ids, with commas."))
}

fn wait(seconds: Option<u64>) -> Result<Option<Duration>, AppError> {
    match seconds {
        Some(seconds) if seconds > LONGEST_WAIT => {
            Err(AppError::field("wait", "invalid", format!("Wait for at most {LONGEST_WAIT} seconds.")))
        }
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}
