//! Execution of one request of a batch or of a background response, on the path of an ordinary
//! gateway call: the key's current policy, admission, forwarding and settlement.

use std::{sync::Arc, time::Duration};

use ai::{
    AnswerBody, ApiStyle, Call, ErrorKind, Forwarded, GatewayError, Meter, PassthroughBody, PassthroughCall,
    PassthroughEndpoint, PassthroughRequest, PreviousResponse, RequestInfo, RequestLabels, Route,
    batch::BatchedRequest,
};
use appcore::{
    ApiKeyId, AppError, Code,
    credits::MicroCredits,
    view::{GatewayEndpoint, RestrictedParameter},
};
use bytes::Bytes;
use gateway::{Admission, CallOutcome, CallRequest, GatewayCaller, Refusal, authorize_endpoint, authorize_queued};
use platform::work_pools::WorkOwner;

use crate::{BatchesService, background_responses, file_references::expand};

/// Number of attempts at a request whose provider is unavailable.
const MAX_ATTEMPTS: u32 = 4;
/// Limits of the wait between two attempts.
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Limits of the wait of a request that a limit of its key delays. It is short, so that changes of
/// the key take effect soon.
const MIN_LIMIT_WAIT: Duration = Duration::from_secs(1);
const MAX_LIMIT_WAIT: Duration = Duration::from_secs(5);
const KEY_ENDED: &str = "The API key of this request was revoked or has expired.";
/// Status recorded for a call that ended with the instance.
const ABORTED: u16 = Code::ClientGone.status();

/// Request that is executed after the client's request has ended.
#[derive(Clone, Copy)]
pub(crate) struct QueuedCall<'a> {
    /// Key by which the request is authorised and billed.
    pub key_id: ApiKeyId,
    pub endpoint: GatewayEndpoint,
    /// True for a request of a batch, for which a restricted key needs that endpoint too.
    pub is_of_batch: bool,
    /// Beta features of Anthropic's API, comma-separated.
    pub betas: Option<&'a str>,
    pub request_id: &'a str,
    /// Labels of the request, if they are not only in its body.
    pub labels: Option<&'a RequestLabels>,
}

/// Failed attempt.
pub(crate) enum AttemptError {
    /// A limit of the key is reached; the request waits for it.
    Limited(Duration),
    Failed(GatewayError),
}

impl AttemptError {
    /// Returns the wait before the next attempt, or the error if the request has failed for good.
    /// `attempts` counts the failed attempts.
    pub(crate) fn wait(self, attempts: &mut u32) -> Result<Duration, GatewayError> {
        match self {
            Self::Limited(wait) => Ok(wait.clamp(MIN_LIMIT_WAIT, MAX_LIMIT_WAIT)),
            Self::Failed(error) => {
                *attempts += 1;
                retry_wait(&error, *attempts).ok_or(error)
            }
        }
    }
}

impl<E: Into<GatewayError>> From<E> for AttemptError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Call that is settled in any case: if it is dropped, like one whose client has disconnected.
struct Settlement {
    admission: Option<Admission>,
    meter: Arc<Meter>,
}

impl Settlement {
    fn finish(mut self, status: u16) -> MicroCredits {
        let settle = |admission: Admission| admission.settle(CallOutcome::from_meter(&self.meter, status));
        self.admission.take().map_or(MicroCredits::ZERO, settle)
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            admission.settle_disconnected(&self.meter, ABORTED);
        }
    }
}

/// API format of the requests of a batch.
pub(crate) const fn style_of(endpoint: GatewayEndpoint) -> ApiStyle {
    match endpoint {
        GatewayEndpoint::Responses => ApiStyle::Responses,
        GatewayEndpoint::Messages => ApiStyle::Messages,
        _ => ApiStyle::Chat,
    }
}

/// Wait before the next attempt, or `None` if the request has failed for good.
fn retry_wait(error: &GatewayError, attempts: u32) -> Option<Duration> {
    let is_temporary = matches!(error.kind(), ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout);
    if !is_temporary || attempts >= MAX_ATTEMPTS {
        return None;
    }
    let backoff = MIN_WAIT * 2_u32.saturating_pow(attempts.saturating_sub(1));
    Some(error.retry_after().unwrap_or(backoff).clamp(MIN_WAIT, MAX_WAIT))
}

/// Request that was read.
pub(crate) enum ReadRequest {
    Answer { body: Bytes, info: RequestInfo<'static>, previous: Option<PreviousResponse> },
    Passthrough(PassthroughRequest),
}

/// Terms on which a request is sent.
pub(crate) struct CallTerms<'a> {
    pub key_id: ApiKeyId,
    pub endpoint: GatewayEndpoint,
    pub owner: WorkOwner,
    pub request_id: &'a str,
    /// Beta features of Anthropic's API, comma-separated.
    pub betas: Option<&'a str>,
    pub passes: Option<Arc<[RestrictedParameter]>>,
    pub route: Arc<Route>,
    pub most_output: u64,
    /// True if the maximum cost is reserved.
    pub is_held: bool,
    pub has_image_price: bool,
}

impl ReadRequest {
    pub fn model(&self) -> &str {
        match self {
            Self::Answer { info, .. } => &info.model,
            Self::Passthrough(request) => &request.model,
        }
    }

    pub fn labels(&self) -> &RequestLabels {
        match self {
            Self::Answer { info, .. } => &info.labels,
            Self::Passthrough(request) => &request.labels,
        }
    }

    /// Properties by which the request is admitted.
    pub fn properties<'a>(&'a self, request_id: &'a str, labels: Option<&'a RequestLabels>) -> CallRequest<'a> {
        let estimate = match self {
            Self::Answer { info, .. } => info.estimate,
            Self::Passthrough(request) => request.estimate,
        };
        CallRequest { model: self.model(), request_id, labels: labels.unwrap_or(self.labels()), estimate }
    }

    pub fn into_call(self, terms: CallTerms<'_>) -> BatchedRequest {
        match self {
            Self::Answer { body, info, previous } => {
                let call = Call::new(style_of(terms.endpoint), body, terms.route, terms.request_id.to_owned())
                    .on_behalf_of(terms.owner)
                    .with_betas(terms.betas.map(str::to_owned))
                    .with_passes(terms.passes)
                    .with_history(terms.key_id, previous)
                    .with_tokens(info.estimate.input, terms.most_output)
                    .with_reservation(terms.is_held);
                match terms.endpoint {
                    GatewayEndpoint::Embeddings => BatchedRequest::Embeddings(call),
                    _ => BatchedRequest::Answer(call),
                }
            }
            Self::Passthrough(request) => BatchedRequest::Passthrough(PassthroughCall {
                request,
                route: terms.route,
                request_id: terms.request_id.to_owned(),
                owner: terms.owner,
                passes: terms.passes,
                has_image_price: terms.has_image_price,
                meter: Arc::default(),
            }),
        }
    }
}

/// Reads a request, with the files and earlier output that it refers to.
pub(crate) async fn read(
    service: &BatchesService,
    caller: &GatewayCaller,
    endpoint: GatewayEndpoint,
    body: Bytes,
) -> Result<ReadRequest, GatewayError> {
    if passthrough_endpoint(endpoint).is_some() {
        return parse(caller.work_owner(), endpoint, body, None).await;
    }
    let expanded = match style_of(endpoint) {
        ApiStyle::Responses => background_responses::expand_references(service, caller, &body).await?,
        ApiStyle::Chat | ApiStyle::Messages | ApiStyle::Gemini => None,
    };
    let (body, previous) = expanded.map_or((body, None), |(body, previous)| (body, Some(previous)));
    let with_files = expand(service, caller, &body).await.map_err(|error| to_gateway_error(&error))?;
    parse(caller.work_owner(), endpoint, with_files.unwrap_or(body), previous).await
}

/// Parses a request that refers to nothing that is stored here.
pub(crate) async fn parse(
    owner: WorkOwner,
    endpoint: GatewayEndpoint,
    body: Bytes,
    previous: Option<PreviousResponse>,
) -> Result<ReadRequest, GatewayError> {
    if let Some(endpoint) = passthrough_endpoint(endpoint) {
        let request = PassthroughRequest::read(owner, endpoint, PassthroughBody::Json(body)).await?;
        refuse_stream(request.stream)?;
        return Ok(ReadRequest::Passthrough(request));
    }
    let mut info = ai::inspect(owner, style_of(endpoint), &body).await?;
    refuse_stream(info.stream)?;
    let body = info.normalised_body.take().unwrap_or(body);
    Ok(ReadRequest::Answer { body, info, previous })
}

const fn passthrough_endpoint(endpoint: GatewayEndpoint) -> Option<PassthroughEndpoint> {
    match endpoint {
        GatewayEndpoint::Completions => Some(PassthroughEndpoint::Completions),
        GatewayEndpoint::Moderations => Some(PassthroughEndpoint::Moderations),
        _ => None,
    }
}

/// Executes a request once and returns the body of its answer.
pub(crate) async fn execute(
    service: &BatchesService,
    queued: QueuedCall<'_>,
    body: Bytes,
) -> Result<Bytes, AttemptError> {
    let caller = gateway::authenticate_by_id(&service.gateway, queued.key_id).await;
    let caller = caller.map_err(|error| to_gateway_error(&error))?;
    if queued.is_of_batch {
        authorize_endpoint(&caller, GatewayEndpoint::Batches)?;
    }
    let request = read(service, &caller, queued.endpoint, body).await?;
    let admission = admit(service, queued, &caller, request.properties(queued.request_id, queued.labels)).await?;
    let call = request.into_call(CallTerms {
        key_id: caller.key_id,
        endpoint: queued.endpoint,
        owner: caller.work_owner(),
        request_id: queued.request_id,
        betas: queued.betas,
        passes: caller.policy.passes.clone(),
        route: admission.route(),
        most_output: admission.most_output(),
        is_held: admission.is_held(),
        has_image_price: admission.has_image_price(),
    });
    let settlement = Settlement { admission: Some(admission), meter: call.meter() };
    settle(settlement, style_of(queued.endpoint), service.gateway.ai().answer(call).await)
}

pub(crate) fn to_gateway_error(error: &AppError) -> GatewayError {
    let kind = match error.code().status() {
        401 => return GatewayError::new(ErrorKind::Unauthenticated, KEY_ENDED),
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        413 => ErrorKind::TooLarge,
        503 => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    GatewayError::new(kind, error.sentence())
}

fn refuse_stream(is_stream: bool) -> Result<(), GatewayError> {
    if is_stream {
        return Err(GatewayError::invalid_param("stream", "A request of a batch can't be streamed."));
    }
    Ok(())
}

async fn admit(
    service: &BatchesService,
    queued: QueuedCall<'_>,
    caller: &GatewayCaller,
    request: CallRequest<'_>,
) -> Result<Admission, AttemptError> {
    match authorize_queued(&service.gateway, caller, queued.endpoint, request).await {
        Ok(admission) => Ok(admission),
        Err(Refusal::RateLimited(exceeded)) => Err(AttemptError::Limited(exceeded.retry_after)),
        Err(refusal) => Err(refusal.into()),
    }
}

fn settle(
    settlement: Settlement,
    style: ApiStyle,
    answer: Result<Forwarded, GatewayError>,
) -> Result<Bytes, AttemptError> {
    match answer {
        Ok(Forwarded { body: AnswerBody::Whole(body), .. }) => {
            settlement.finish(200);
            Ok(body)
        }
        Ok(_) => Err(GatewayError::new(ErrorKind::Internal, "The answer arrived as a stream.").into()),
        Err(error) => {
            settlement.finish(error.status(style));
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_temporary_failures_only() {
        let error = |kind| GatewayError::new(kind, "x");
        let waits: Vec<_> = (1..=4)
            .map(|attempts| retry_wait(&error(ErrorKind::Unavailable), attempts).map(|it| it.as_secs()))
            .collect();
        assert_eq!(waits, [Some(1), Some(2), Some(4), None]);
        let asked = error(ErrorKind::RateLimited).with_retry_after(Duration::from_secs(900));
        assert_eq!(retry_wait(&asked, 1), Some(MAX_WAIT));
        for kind in [ErrorKind::Invalid, ErrorKind::OutOfBudget, ErrorKind::Unauthenticated, ErrorKind::Internal] {
            assert_eq!(retry_wait(&error(kind), 1), None, "{kind:?}");
        }
    }
}
