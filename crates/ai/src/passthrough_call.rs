//! Calls that are passed to a provider which has their endpoint: completions, reranking,
//! moderations, images and speech.
//!
//! [`EndpointSpec`] describes an endpoint. A request is read only as far as routing, limits and
//! billing need it, and unknown fields pass. Deployments whose provider lacks the endpoint are
//! skipped.

mod completions;
mod images;
mod media;
mod rerank;
mod speech;

use std::sync::Arc;

use appcore::{view::RestrictedParameter, work_pool::WorkOwner};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::Response;
use serde_json::{Map, Value};
use tokio::time::Instant;

use self::{
    completions::{CompletionParams, CompletionTap},
    media::{MediaParams, MediaTap},
    rerank::RerankParams,
};
use crate::{
    Ai, AiError, AnswerBody, ApiStyle, Call, Deployment, ErrorKind, Fallbacks, Forwarded, GatewayError, Meter,
    MultipartForm, ProviderKind, RequestLabels, Route, TokenEstimate,
    ai::ProviderSnapshot,
    blocking_pool::{run, run_for_answer},
    dialect::{
        EndpointPath,
        fields::{Fields, lenient_count},
        lone_surrogates, restricted_params,
    },
    embeddings,
    forward::{AttemptError, EVENTS, JSON},
    preflight,
    provider_http::{
        self, ByteStream, Opened,
        failure::{self, Failure},
    },
    route::{Attempt, RouteAttempts},
    tapped_stream::{Tap, TappedStream},
};

/// Kinds of provider by name, see [`ProviderKind`](crate::ProviderKind).
const OPENAI: &[&str] = &["openai"];
const OPENAI_AND_MISTRAL: &[&str] = &["openai", "mistral"];
/// Model of OpenAI's moderations if the request names none.
const MODERATION_MODEL: &str = "omni-moderation-latest";
/// Estimated tokens of a file in a form.
const FILE_TOKENS: u64 = 1_000;

/// Endpoint whose calls are passed to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassthroughEndpoint {
    Completions,
    /// `/v1/rerank` in Jina's format.
    JinaRerank,
    /// `/v2/rerank` in Cohere's format.
    CohereRerank,
    Moderations,
    ImageGenerations,
    ImageEdits,
    Speech,
}

/// Description of an endpoint.
struct EndpointSpec {
    /// Segments of the path below the provider's base URL.
    path: &'static [&'static str],
    /// Kinds of provider that have the endpoint.
    kinds: &'static [&'static str],
    /// Error message if no provider of the model has the endpoint.
    unsupported: &'static str,
    /// Model of a request that names none.
    default_model: Option<&'static str>,
    /// Restricted parameters that have another meaning at this endpoint.
    unrestricted: &'static [&'static str],
    read: fn(&RequestFields<'_>) -> Result<ParsedRequest, GatewayError>,
}

/// Fields of a request.
struct RequestFields<'a> {
    fields: Fields<'a>,
    value: &'a Value,
    /// Estimated tokens of the whole request.
    tokens: u64,
}

/// Result of reading a request.
struct ParsedRequest {
    estimate: TokenEstimate,
    stream: bool,
    params: AnswerParams,
}

/// Parts of a request that its answer depends on.
#[derive(Debug)]
enum AnswerParams {
    Completion(CompletionParams),
    Rerank(RerankParams),
    Moderation,
    Media(MediaParams),
}

impl PassthroughEndpoint {
    fn spec(self) -> EndpointSpec {
        const RERANK: EndpointSpec = EndpointSpec {
            path: &["rerank"],
            kinds: OPENAI,
            unsupported: "This model doesn't rank documents.",
            default_model: None,
            unrestricted: &[],
            read: |request| rerank::read(request, rerank::Format::Jina),
        };
        const IMAGES: EndpointSpec = EndpointSpec {
            path: &["images", "generations"],
            kinds: OPENAI,
            unsupported: "This model has no image endpoint.",
            default_model: None,
            unrestricted: &[],
            read: |request| images::read(request, "image_generation"),
        };
        match self {
            Self::Completions => EndpointSpec {
                path: &["completions"],
                kinds: OPENAI,
                unsupported: "This model has no completions.",
                default_model: None,
                unrestricted: &[],
                read: completions::read,
            },
            Self::JinaRerank => RERANK,
            Self::CohereRerank => {
                EndpointSpec { read: |request| rerank::read(request, rerank::Format::Cohere), ..RERANK }
            }
            Self::Moderations => EndpointSpec {
                path: &["moderations"],
                kinds: OPENAI_AND_MISTRAL,
                unsupported: "This model doesn't moderate content.",
                default_model: Some(MODERATION_MODEL),
                unrestricted: &[],
                read: read_moderation,
            },
            Self::ImageGenerations => IMAGES,
            Self::ImageEdits => EndpointSpec {
                path: &["images", "edits"],
                read: |request| images::read(request, "image_edit"),
                ..IMAGES
            },
            Self::Speech => EndpointSpec {
                path: &["audio", "speech"],
                kinds: OPENAI,
                unsupported: "This model doesn't speak.",
                default_model: None,
                // The speed of the voice.
                unrestricted: &["speed"],
                read: speech::read,
            },
        }
    }
}

/// Body of a passthrough call.
#[derive(Debug, Clone)]
pub enum PassthroughBody {
    Json(Bytes),
    Form(MultipartForm),
}

#[derive(Debug)]
enum ParsedBody {
    Json(Value),
    Form(MultipartForm),
}

/// Request of a passthrough call.
#[derive(Debug, Clone)]
pub struct PassthroughRequest {
    endpoint: PassthroughEndpoint,
    pub model: String,
    /// True if the answer should be a stream of events.
    pub stream: bool,
    pub estimate: TokenEstimate,
    pub labels: RequestLabels,
    body: Arc<ParsedBody>,
    params: Arc<AnswerParams>,
}

impl PassthroughRequest {
    /// Reads a request, or returns the error in it.
    pub async fn read(
        owner: WorkOwner,
        endpoint: PassthroughEndpoint,
        body: PassthroughBody,
    ) -> Result<Self, GatewayError> {
        let size = match &body {
            PassthroughBody::Json(body) => body.len(),
            PassthroughBody::Form(_) => 0,
        };
        run(owner, size, move || Self::parse(endpoint, body)).await?
    }

    fn parse(endpoint: PassthroughEndpoint, body: PassthroughBody) -> Result<Self, GatewayError> {
        let spec = endpoint.spec();
        let (body, form_value, tokens) = match body {
            PassthroughBody::Json(body) => {
                (ParsedBody::Json(lone_surrogates::parse_request(&body)?), Value::Null, preflight::estimate(&body))
            }
            PassthroughBody::Form(form) => {
                let value = text_fields(&form);
                let tokens = preflight::estimate(value.to_string().as_bytes()) + FILE_TOKENS * form.files.len() as u64;
                (ParsedBody::Form(form), value, tokens)
            }
        };
        let value = match &body {
            ParsedBody::Json(value) => value,
            ParsedBody::Form(_) => &form_value,
        };
        let fields = Fields::root(value)?;
        let named = fields.get("model").map_or(spec.default_model, Value::as_str);
        let model = named.filter(|name| !name.trim().is_empty());
        let model = model.ok_or_else(|| fields.error("model", "`model` must be the name of a model."))?.to_owned();
        let ParsedRequest { estimate, stream, params } = (spec.read)(&RequestFields { fields, value, tokens })?;
        let labels = preflight::read_labels(value);
        Ok(Self { endpoint, model, stream, estimate, labels, body: Arc::new(body), params: Arc::new(params) })
    }

    /// Encodes a JSON body for the provider.
    fn encode(&self, body: &Value, model: &str, passes: &[String]) -> Result<Bytes, GatewayError> {
        let mut body = body.clone();
        body["model"] = model.into();
        match &*self.params {
            AnswerParams::Completion(_) => completions::adapt(&mut body),
            AnswerParams::Rerank(_) => rerank::adapt(&mut body),
            AnswerParams::Moderation | AnswerParams::Media(_) => {}
        }
        let body = Bytes::from(body.to_string());
        Ok(restricted_params::strip_restricted(&body, passes)?.unwrap_or(body))
    }

    /// Maximum number of output tokens of all choices.
    fn most_output(&self) -> u64 {
        self.estimate.max_output.unwrap_or(0).saturating_mul(self.estimate.choices)
    }
}

/// Text fields of a form as an object. The last of fields with the same name wins.
fn text_fields(form: &MultipartForm) -> Value {
    let fields = form.fields.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    Value::Object(fields.collect::<Map<String, Value>>())
}

fn read_moderation(request: &RequestFields<'_>) -> Result<ParsedRequest, GatewayError> {
    let estimate = TokenEstimate::text_only(request.tokens, Some(0));
    Ok(ParsedRequest { estimate, stream: false, params: AnswerParams::Moderation })
}

/// Call that is passed to a provider.
#[derive(Debug, Clone)]
pub struct PassthroughCall {
    pub request: PassthroughRequest,
    pub route: Arc<Route>,
    pub request_id: String,
    /// Owner of the call. The large bodies of different owners are processed in turn.
    pub owner: WorkOwner,
    /// Restricted parameters that the API key may pass through, as far as the provider's settings
    /// allow them. `None`: all that the provider's settings allow.
    pub passes: Option<Arc<[RestrictedParameter]>>,
    /// True if the model has a price per image, which applies if the provider reports no tokens.
    pub has_image_price: bool,
    pub meter: Arc<Meter>,
}

/// An answer in progress.
enum StartedAnswer {
    Whole(&'static str, Bytes),
    /// A stream that has arrived completely.
    Frames(Bytes),
    Completion(Box<TappedStream<CompletionTap>>),
    Media(Box<TappedStream<MediaTap>>),
    /// Bytes of a recording, of which the first have arrived.
    Audio(&'static str, Bytes, ByteStream),
}

/// Deployments that answered 404, by provider and model.
type Missing = Vec<(String, String)>;

impl Ai {
    /// Passes a call to a provider that has the endpoint. Completions of a single text are served as
    /// a chat if no such provider answers.
    pub async fn forward_passthrough(&self, call: PassthroughCall) -> Result<Forwarded, GatewayError> {
        call.meter.set_estimated_input(call.request.estimate.input);
        let deadline = Instant::now() + self.limits().deadline;
        let (spec, upstreams) = (call.request.endpoint.spec(), self.upstreams());
        let has_endpoint = |deployment: &Deployment| {
            upstreams.find(&deployment.provider).is_none_or(|upstream| spec.kinds.contains(&upstream.kind.name()))
        };
        let mut missing = Missing::new();
        let route = limit_route(&call.route, has_endpoint);
        let failed = match &route {
            None => None,
            Some(route) => match self.pass(&call, &spec, (&*upstreams, route), &mut missing, deadline).await {
                Ok(forwarded) => return Ok(forwarded),
                Err(error) => Some(error),
            },
        };
        let is_missing = |deployment: &Deployment| {
            missing.iter().any(|(provider, model)| *provider == deployment.provider && *model == deployment.model)
        };
        let others = limit_route(&call.route, |deployment| !has_endpoint(deployment) || is_missing(deployment));
        if let (AnswerParams::Completion(params), Some(others)) = (&*call.request.params, others)
            && failed.as_ref().is_none_or(|error| !is_callers_mistake(error))
        {
            return self.complete_by_chat(&call, params, others, failed).await;
        }
        let speaks = |deployment: &Deployment| {
            upstreams.find(&deployment.provider).is_some_and(|upstream| upstream.kind == ProviderKind::GEMINI)
        };
        if call.request.endpoint == PassthroughEndpoint::Speech
            && failed.as_ref().is_none_or(|error| !is_callers_mistake(error))
            && let Some(route) = limit_route(&call.route, speaks)
        {
            return self.speak_by_chat(&call, route).await;
        }
        Err(failed.unwrap_or_else(|| GatewayError::invalid_param("model", spec.unsupported)))
    }

    async fn pass(
        &self,
        call: &PassthroughCall,
        spec: &EndpointSpec,
        (upstreams, route): (&ProviderSnapshot, &Route),
        missing: &mut Missing,
        deadline: Instant,
    ) -> Result<Forwarded, GatewayError> {
        let size = call.request.estimate.input.saturating_add(call.request.most_output());
        let mut tries = RouteAttempts::new(upstreams, route, size, self.retry_policy(), deadline);
        loop {
            let attempt = tries.next().await?;
            call.meter.start_attempt(&attempt.upstream.name, attempt.model, attempt.lease.tail());
            match self.start_passthrough(call, spec, &attempt, deadline).await {
                Ok(started) => return Ok(self.finish_passthrough(call, started, attempt, deadline)),
                Err(AttemptError::Final(error)) => return Err(error),
                Err(AttemptError::Retryable(failure)) => {
                    call.meter.record_attempt_failure(&failure.error);
                    if failure.error == AiError::UnknownModel {
                        missing.push((attempt.upstream.name.clone(), attempt.model.to_owned()));
                    }
                    tries.record_failure(attempt, failure)?;
                }
            }
        }
    }

    async fn start_passthrough(
        &self,
        call: &PassthroughCall,
        spec: &EndpointSpec,
        attempt: &Attempt<'_>,
        deadline: Instant,
    ) -> Result<StartedAnswer, AttemptError> {
        let upstream = attempt.upstream;
        let response = send(call, spec, attempt, deadline).await?;
        call.meter.trace(&response);
        let params = Arc::clone(&call.request.params);
        if call.request.stream {
            let is_stream = provider_http::content_type(response.headers()) == EVENTS;
            match &*params {
                AnswerParams::Media(media) if !is_stream => {
                    let answer = upstream.http.read_whole(response, deadline).await?;
                    return Ok(StartedAnswer::Frames(media.frames(&answer, call)?));
                }
                AnswerParams::Media(media) => {
                    let body = upstream.http.stream_body(response);
                    let relay = self.start_stream(call, media.tap(call), body, deadline).await?;
                    return Ok(StartedAnswer::Media(relay));
                }
                AnswerParams::Completion(params) => match upstream.http.open(response, deadline).await? {
                    Opened::Stream(body) => {
                        let relay = self.start_stream(call, params.tap(), body, deadline).await?;
                        return Ok(StartedAnswer::Completion(relay));
                    }
                    Opened::Whole(answer) => {
                        return Ok(StartedAnswer::Frames(params.frames(&answer, &call.meter)?));
                    }
                },
                AnswerParams::Rerank(_) | AnswerParams::Moderation => {}
            }
        } else if let AnswerParams::Media(media) = &*params
            && let Some(content_type) = media.audio_type(&response)
        {
            let (first, body) = speech::open(upstream.http.stream_body(response), self.limits(), deadline).await?;
            media.record_estimate(call);
            return Ok(StartedAnswer::Audio(content_type, first, body));
        }
        let answer = upstream.http.read_whole(response, deadline).await?;
        let (model, asked, size) = (attempt.model.to_owned(), call.clone(), answer.len());
        let reading = run_for_answer(call.owner, size, move || params.read_whole(answer, &model, &asked));
        Ok(StartedAnswer::Whole(JSON, reading.await.map_err(AttemptError::Final)??))
    }

    async fn start_stream<T: Tap>(
        &self,
        call: &PassthroughCall,
        tap: T,
        body: ByteStream,
        deadline: Instant,
    ) -> Result<Box<TappedStream<T>>, Failure> {
        let limits = Arc::clone(self.limits());
        let mut relay = TappedStream::new(ApiStyle::Chat, tap, body, Arc::clone(&call.meter), limits, deadline);
        relay.first().await?;
        Ok(Box::new(relay))
    }

    fn finish_passthrough(
        &self,
        call: &PassthroughCall,
        started: StartedAnswer,
        attempt: Attempt<'_>,
        deadline: Instant,
    ) -> Forwarded {
        let lease = attempt.record_success();
        let (content_type, body) = match started {
            StartedAnswer::Whole(content_type, body) => (content_type, AnswerBody::Whole(body)),
            StartedAnswer::Frames(frames) => (EVENTS, AnswerBody::Stream(stream::iter([Ok(frames)]).boxed())),
            StartedAnswer::Completion(relay) => (EVENTS, AnswerBody::Stream(relay.with_lease(lease).boxed())),
            StartedAnswer::Media(relay) => (EVENTS, AnswerBody::Stream(relay.with_lease(lease).boxed())),
            StartedAnswer::Audio(content_type, first, body) => {
                let meter = Arc::clone(&call.meter);
                let chunks = speech::chunks((first, body), meter, lease, self.limits(), deadline);
                (content_type, AnswerBody::Stream(chunks))
            }
        };
        Forwarded { content_type, body, meter: Arc::clone(&call.meter) }
    }

    /// Serves a completion as a chat with one user message. `failed` is the failure of the providers
    /// that have the endpoint.
    async fn complete_by_chat(
        &self,
        call: &PassthroughCall,
        params: &CompletionParams,
        route: Route,
        failed: Option<GatewayError>,
    ) -> Result<Forwarded, GatewayError> {
        let ParsedBody::Json(body) = &*call.request.body else {
            return Err(GatewayError::new(ErrorKind::Internal, "The request couldn't be read."));
        };
        let body = match completions::chat_body(body) {
            Ok(body) => Bytes::from(body.to_string()),
            Err(error) => {
                return Err(failed.filter(|failed| failed.kind() != ErrorKind::UnknownModel).unwrap_or(error));
            }
        };
        let Forwarded { content_type, body, meter } = self.forward(call.as_chat(body, route)).await?;
        let body = match body {
            AnswerBody::Whole(answer) => AnswerBody::Whole(completions::from_chat(&answer)?),
            AnswerBody::Stream(frames) => AnswerBody::Stream(params.chat_frames(frames)),
        };
        Ok(Forwarded { content_type, body, meter })
    }
}

impl PassthroughCall {
    /// Call for a chat completion that serves this call.
    fn as_chat(&self, body: Bytes, route: Route) -> Call {
        let mut chat = Call::new(ApiStyle::Chat, body, Arc::new(route), self.request_id.clone())
            .on_behalf_of(self.owner)
            .with_passes(self.passes.clone())
            .with_tokens(self.request.estimate.input, self.request.most_output());
        chat.meter = Arc::clone(&self.meter);
        chat
    }
}

/// Sends the request and returns the response once its headers have arrived.
async fn send(
    call: &PassthroughCall,
    spec: &EndpointSpec,
    attempt: &Attempt<'_>,
    deadline: Instant,
) -> Result<Response, AttemptError> {
    let (upstream, is_stream) = (attempt.upstream, call.request.stream);
    let segments = spec.path.iter().map(|segment| (*segment).to_owned()).collect();
    let url = upstream.url(&EndpointPath { segments, query: None });
    if let ParsedBody::Form(form) = &*call.request.body {
        let request = form.request(url, attempt)?;
        call.meter.record_request_sent();
        return Ok(upstream.http.send(request, Some(upstream.traced(attempt.model)), is_stream, deadline).await?);
    }
    let allowed = restricted_params::allowed_params(&upstream.passthrough_params, call.passes.as_deref());
    let unrestricted = spec.unrestricted.iter().map(|name| (*name).to_owned());
    let passes: Vec<String> = allowed.iter().cloned().chain(unrestricted).collect();
    let (request, model) = (call.request.clone(), attempt.model.to_owned());
    let size = usize::try_from(request.estimate.input.saturating_mul(4)).unwrap_or(usize::MAX);
    let writing = run(call.owner, size, move || match &*request.body {
        ParsedBody::Json(body) => request.encode(body, &model, &passes),
        ParsedBody::Form(_) => Ok(Bytes::new()),
    });
    let body = writing.await.map_err(AttemptError::Final)?.map_err(AttemptError::Final)?;
    call.meter.record_request_sent();
    Ok(upstream.post(call.owner, attempt, &url, body, is_stream, deadline).await?)
}

impl AnswerParams {
    /// Meters a whole answer and converts it to the client's format.
    fn read_whole(&self, answer: Bytes, model: &str, call: &PassthroughCall) -> Result<Bytes, Failure> {
        match self {
            Self::Completion(_) => {
                completions::meter_whole(&answer, &call.meter)?;
                Ok(answer)
            }
            Self::Rerank(params) => params.read_answer(&answer, model, &call.meter),
            Self::Moderation => {
                let value = parse_answer(&answer)?;
                embeddings::meter_input(reported_input(&value["usage"]), &call.meter);
                Ok(answer)
            }
            Self::Media(media) => {
                media.meter_whole(&answer, call)?;
                Ok(answer)
            }
        }
    }
}

/// Parses an answer with status 200, which may be an error nevertheless.
fn parse_answer(answer: &[u8]) -> Result<Value, Failure> {
    let value: Value = serde_json::from_slice(answer).map_err(|_| AiError::Garbled)?;
    match failure::parse_value(&value) {
        Some(failure) => Err(failure),
        None => Ok(value),
    }
}

/// Input tokens of a call whose output isn't counted.
fn reported_input(usage: &Value) -> Option<u64> {
    let fields = ["total_tokens", "prompt_tokens", "input_tokens"];
    fields.iter().find_map(|field| lenient_count(&usage[*field]).filter(|count| *count > 0))
}

/// Returns the route with only these deployments; `None` if there are none.
fn limit_route(route: &Route, keep: impl Fn(&Deployment) -> bool) -> Option<Route> {
    let limited = |deployments: &[Deployment]| -> Vec<Deployment> {
        deployments.iter().filter(|deployment| keep(deployment)).cloned().collect()
    };
    let Fallbacks { context_length, content_policy, failure } = &route.fallbacks;
    let fallbacks = Fallbacks {
        context_length: limited(context_length),
        content_policy: limited(content_policy),
        failure: limited(failure),
    };
    let deployments = limited(&route.deployments);
    let is_empty = deployments.is_empty() && fallbacks.failure.is_empty();
    (!is_empty).then(|| Route { requested_model: route.requested_model.clone(), deployments, fallbacks })
}

/// True if every provider would refuse the request.
fn is_callers_mistake(error: &GatewayError) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::ContextTooLong | ErrorKind::Declined)
}

#[cfg(test)]
mod tests;
