//! Responses that are created in the background: `POST /v1/responses` with `background: true`.
//!
//! The request is stored and [executed](crate::background_run) by a durable job, so a response
//! survives the loss of its instance, and every instance can show it. It belongs to the API key that
//! created it.

use std::{sync::Arc, time::Duration};

use ai::{ErrorKind, GatewayError, PreviousResponse, RequestLabels, background};
use appcore::{
    AppError, BackgroundResponseId,
    view::{BackgroundResponseStatus, GatewayEndpoint},
};
use bytes::Bytes;
use dbcontext::{
    constraint::app_error,
    query::{
        gateway_responses::{self as rows, BackgroundResponseRow, BackgroundResponseState},
        service_accounts,
    },
};
use futures_util::{Stream, stream};
use gateway::{GatewayCaller, authorize_endpoint};
use memchr::memmem;
use platform::cleanup::GatewaySweepJob;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{BackgroundResponseJob, BatchesService, call::to_gateway_error, job_owner, owner_of, public_id};

/// Time in which a response must be executed.
const EXECUTION_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// Time from the creation of a response to its deletion.
const RETENTION: Duration = Duration::from_secs(48 * 60 * 60);
/// Maximum number of a user's responses that have not ended.
const MAX_ACTIVE: u64 = 50;
/// Delay after which a client may create another response if it has too many.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Maximum total size of a user's responses with their requests, in bytes.
const MAX_STORED_BYTES: i64 = 128 * 1024 * 1024;
/// Interval in which a stream checks the state of its response.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const HEARTBEAT: &[u8] = b": ping\n\n";

/// New background response.
pub struct CreatedResponse {
    pub id: BackgroundResponseId,
    pub object: Value,
    /// True if the client asked for a stream.
    pub stream: bool,
}

/// Creates a response from a request body, which names the model. `label` completes the labels in
/// the body.
pub async fn create(
    service: &BatchesService,
    caller: &GatewayCaller,
    body: Bytes,
    label: impl FnOnce(RequestLabels) -> RequestLabels,
) -> Result<CreatedResponse, GatewayError> {
    authorize_endpoint(caller, GatewayEndpoint::Responses)?;
    let owner = caller.work_owner();
    let expanded = expand_references(service, caller, &body).await?;
    let (body, previous) = expanded.map_or((body, None), |(body, previous)| (body, Some(previous)));
    let info = ai::inspect(owner, ai::ApiStyle::Responses, &body).await?;
    let body = info.normalised_body.unwrap_or(body);
    let labels = serde_json::to_string(&label(info.labels)).ok();
    // The limits and budgets are checked when the request is executed.
    gateway::route_to_count(&service.gateway, caller, GatewayEndpoint::Responses, &info.model)?;
    let (id, now) = (BackgroundResponseId::new(), service.clock.now());
    let created = now.seconds().unsigned_abs();
    let request = background::prepare(owner, public_id::background_response(id), created, body, previous).await?;
    let owner = owner_of(caller);
    let (body, response) = (utf8(&request.body)?, request.response.to_string());
    let row = BackgroundResponseRow {
        id,
        user_id: owner.user_id,
        workspace_id: owner.workspace_id,
        key_id: caller.key_id,
        status: BackgroundResponseStatus::Queued,
        bytes: i64::try_from(body.len() + response.len()).unwrap_or(i64::MAX),
        request: body,
        labels,
        response,
        ended_at: None,
        expires_at: now.plus(EXECUTION_WINDOW),
        created_at: now,
    };
    insert(service, caller, row).await?;
    Ok(CreatedResponse { id, object: request.response, stream: request.stream })
}

fn utf8(body: &Bytes) -> Result<String, GatewayError> {
    String::from_utf8(body.to_vec()).map_err(|_| GatewayError::invalid("The request body must be UTF-8."))
}

/// Inserts a response with its job, and the job that deletes it.
async fn insert(
    service: &BatchesService,
    caller: &GatewayCaller,
    row: BackgroundResponseRow,
) -> Result<(), GatewayError> {
    let as_error = |error: AppError| to_gateway_error(&error);
    let (id, user_id, now) = (row.id, row.user_id, row.created_at);
    let tx = service.db.begin().await.map_err(app_error).map_err(as_error)?;
    let user = service_accounts::lock_key_owner(&tx, user_id).await.map_err(as_error)?;
    user.ok_or_else(|| GatewayError::new(ErrorKind::Unauthenticated, "The owner of this key no longer exists."))?;
    if rows::count_active(&tx, user_id).await.map_err(as_error)? >= MAX_ACTIVE {
        let message =
            format!("You have {MAX_ACTIVE} background responses in progress. Wait until one of them has ended.");
        return Err(GatewayError::new(ErrorKind::RateLimited, message).with_retry_after(RETRY_AFTER));
    }
    if rows::stored_bytes(&tx, user_id).await.map_err(as_error)?.saturating_add(row.bytes) > MAX_STORED_BYTES {
        let message = format!(
            "Your background responses have reached {} MiB. Delete some of them.",
            MAX_STORED_BYTES / (1024 * 1024)
        );
        return Err(GatewayError::new(ErrorKind::TooLarge, message));
    }
    rows::insert(&tx, row).await.map_err(as_error)?;
    let (job, owner) = (BackgroundResponseJob { response_id: id }, job_owner(owner_of(caller)));
    jobs::enqueue_for(&tx, now, &job, owner).await.map_err(as_error)?;
    jobs::enqueue_after(&tx, now, &GatewaySweepJob::Response(id), RETENTION).await.map_err(as_error)?;
    tx.commit().await.map_err(app_error).map_err(as_error)?;
    service.wake_workers();
    Ok(())
}

/// Parses the id of a background response. `None` for ids of other responses.
#[must_use]
pub fn parse_id(id: &str) -> Option<BackgroundResponseId> {
    public_id::parse_background_response(id)
}

/// Response object in its current state.
pub async fn find(
    service: &BatchesService,
    caller: &GatewayCaller,
    id: BackgroundResponseId,
) -> Result<Value, GatewayError> {
    let found = rows::find(service.db.writer(), caller.key_id, id).await.map_err(|error| to_gateway_error(&error))?;
    let BackgroundResponseState { status, response } = found.ok_or_else(|| not_found(id))?;
    background::parse_object(caller.work_owner(), response, status.as_str()).await
}

/// Cancels a response, and returns it. A response that has ended stays as it is.
pub async fn cancel(
    service: &BatchesService,
    caller: &GatewayCaller,
    id: BackgroundResponseId,
) -> Result<Value, GatewayError> {
    find(service, caller, id).await?;
    rows::cancel(service.db.writer(), id, service.clock.now()).await.map_err(|error| to_gateway_error(&error))?;
    find(service, caller, id).await
}

/// Deletes a response. If it is in progress, its execution is aborted.
pub async fn delete(
    service: &BatchesService,
    caller: &GatewayCaller,
    id: BackgroundResponseId,
) -> Result<(), GatewayError> {
    let deleted = rows::delete(service.db.writer(), caller.key_id, id).await;
    if !deleted.map_err(|error| to_gateway_error(&error))? {
        return Err(not_found(id));
    }
    service.gateway.ai().remove_response(caller.key_id, &public_id::background_response(id));
    Ok(())
}

/// Input items of a response, oldest first.
pub async fn input_items(
    service: &BatchesService,
    caller: &GatewayCaller,
    id: BackgroundResponseId,
) -> Result<Vec<Value>, GatewayError> {
    let row = rows::find_row(service.db.writer(), caller.key_id, id).await;
    let row = row.map_err(|error| to_gateway_error(&error))?.ok_or_else(|| not_found(id))?;
    background::input_items(caller.work_owner(), public_id::background_response(id), row.request).await
}

/// Streams the events of a response from the sequence number `first` on, until it has ended. The
/// output is sent when the response is complete.
pub fn events(
    service: Arc<BatchesService>,
    caller: &GatewayCaller,
    id: BackgroundResponseId,
    first: u64,
) -> impl Stream<Item = Result<Bytes, AppError>> + use<> {
    let (key_id, owner) = (caller.key_id, caller.work_owner());
    stream::unfold(Some((service, None, first)), move |state| async move {
        let (service, mut shown, mut first) = state?;
        let started = Instant::now();
        loop {
            let status = match rows::status(service.db.writer(), id).await {
                Ok(Some(status)) => status,
                // The response was deleted.
                Ok(None) => return None,
                Err(error) => return Some((Err(error), None)),
            };
            if Some(status) != shown {
                let BackgroundResponseState { status, response } =
                    match rows::find(service.db.writer(), key_id, id).await {
                        Ok(found) => found?,
                        Err(error) => return Some((Err(error), None)),
                    };
                let events = match background::render_events(owner, response, status.as_str(), first).await {
                    Ok(events) => events,
                    Err(error) => return Some((Err(AppError::unavailable(error)), None)),
                };
                (shown, first) = (Some(status), events.next);
                let is_over = status.is_final();
                // An empty chunk would end the response.
                if !events.frames.is_empty() {
                    return Some((Ok(events.frames), (!is_over).then_some((service, shown, first))));
                }
                if is_over {
                    return None;
                }
            }
            if started.elapsed() >= service.config.gateway.heartbeat {
                return Some((Ok(Bytes::from_static(HEARTBEAT)), Some((service, shown, first))));
            }
            sleep(POLL_INTERVAL).await;
        }
    })
}

/// Expands `previous_response_id` and item references in a request, also those to background
/// responses. Returns `None` if the request refers to no earlier output.
pub async fn expand_references(
    service: &BatchesService,
    caller: &GatewayCaller,
    body: &Bytes,
) -> Result<Option<(Bytes, PreviousResponse)>, GatewayError> {
    load_previous(service, caller, body).await?;
    let expanded = service.gateway.ai().expand_references(caller.work_owner(), caller.key_id, body).await?;
    Ok(expanded.map(|(body, previous)| {
        let is_background = previous.id().is_some_and(|id| parse_id(id).is_some());
        (body, if is_background { previous.copied() } else { previous })
    }))
}

/// Loads the background response that a request continues.
async fn load_previous(service: &BatchesService, caller: &GatewayCaller, body: &Bytes) -> Result<(), GatewayError> {
    #[derive(Deserialize)]
    struct Head {
        previous_response_id: Option<String>,
    }
    if memmem::find(body, public_id::BACKGROUND_RESPONSE.as_bytes()).is_none() {
        return Ok(());
    }
    let text = body.clone();
    let head = tokio::task::spawn_blocking(move || serde_json::from_slice::<Head>(&text)).await;
    // An invalid body is refused later.
    let Ok(Ok(Head { previous_response_id: Some(name) })) = head else { return Ok(()) };
    let Some(id) = parse_id(&name) else { return Ok(()) };
    let row = rows::find_row(service.db.writer(), caller.key_id, id).await.map_err(|error| to_gateway_error(&error))?;
    let ai = service.gateway.ai();
    let refused = |message: &str| Err(GatewayError::invalid_param("previous_response_id", message));
    match row.map(|row| (row.status, row.request, row.response)) {
        Some((BackgroundResponseStatus::Completed | BackgroundResponseStatus::Incomplete, request, response)) => {
            ai.insert_response(caller.key_id, request.into(), response).await
        }
        Some((BackgroundResponseStatus::Queued | BackgroundResponseStatus::InProgress, ..)) => {
            refused("This response is in progress. Continue it when it has ended.")
        }
        Some((BackgroundResponseStatus::Failed | BackgroundResponseStatus::Cancelled, ..)) => {
            refused("This response has no output: it has failed or was cancelled.")
        }
        None => {
            ai.remove_response(caller.key_id, &name);
            Ok(())
        }
    }
}

fn not_found(id: BackgroundResponseId) -> GatewayError {
    let message = format!(
        "The response `{}` doesn't exist, or was deleted: background responses are kept for two days.",
        public_id::background_response(id)
    );
    GatewayError::new(ErrorKind::NotFound, message).with_param("response_id")
}
