//! Processing of a gateway call: it is admitted, forwarded along the route of its model, and
//! answered in the client's format.

use std::{
    future::ready,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use ai::{
    Ai, AnswerBody, ApiStyle, Call, Forwarded, GatewayError, Meter, MultipartForm, PassthroughBody, PassthroughCall,
    PassthroughEndpoint, PassthroughRequest, PreviousResponse, RequestInfo, RequestLabels, TokenEstimate,
};
use appcore::{AppError, Code, view::GatewayEndpoint, work_pool::WorkOwner};
use batches::{background_responses, file_references};
use bytes::Bytes;
use futures_util::FutureExt as _;
use gateway::{self, Admission, CacheDirectives, CacheKey, CallRequest, GatewayCaller};
use middleware::{
    auth::find_key,
    tracing::{record_caller, record_error, request_id},
};
use platform::rate_limits::{KeyLimitStates, LimitState};
use tokio::time::timeout;

use super::{azure, failure, json_array::JsonArrayStream, labels, settlement::CallSettlement, stream::LiveStream};
use crate::{Ctx, FailureForm, Raw, Reply};

/// Maximum length of the list of beta headers that is forwarded, in bytes.
const MAX_BETAS: usize = 1_000;
/// Header with the provider's name of the model that answered.
const MODEL: HeaderName = HeaderName::from_static("x-natter-model");
/// Header with the tools that were removed because the provider can't run them.
const DROPPED_TOOLS: HeaderName = HeaderName::from_static("x-natter-dropped-tools");
/// Cache header: `hit`, or `miss` if a cached answer would have been accepted.
const CACHE: HeaderName = HeaderName::from_static("x-natter-cache");
const HIT: HeaderValue = HeaderValue::from_static("hit");
const MISS: HeaderValue = HeaderValue::from_static("miss");
/// Header with the cost in micro-credits.
const COST: HeaderName = HeaderName::from_static("x-natter-cost");
/// Header with the number of attempts at providers.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-natter-tries");
/// Header that OpenAI uses for the time until the start of the answer, in milliseconds.
const PROCESSING: HeaderName = HeaderName::from_static("openai-processing-ms");
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Rate limit headers: the limit, the remaining amount, and the time until all of it is available
/// again.
const REQUEST_LIMITS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKEN_LIMITS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Authenticates the API key of the caller and loads its policy.
pub(super) async fn authenticate_key(ctx: &Ctx) -> Result<GatewayCaller, AppError> {
    let key = find_key(ctx.http().headers()).ok_or(Code::Unauthenticated)?;
    let caller = gateway::authenticate(ctx.gateway(), &key.token).await?;
    record_caller(ctx.http(), &caller.principal);
    Ok(caller)
}

/// Purpose of a call with a prompt or texts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CallPurpose {
    Answer,
    /// Embeddings have no output, and the same texts have the same ones.
    Embedding,
}

/// Admitted call, and how the answer is cached.
pub(super) struct AdmittedCall {
    admission: Admission,
    call: Call,
    stream: bool,
    cache_options: CacheDirectives,
}

/// Gateway call in progress, with the remaining rate limits of its key.
pub(super) struct CallContext<'a> {
    ctx: &'a Ctx,
    style: ApiStyle,
    /// Format of error responses.
    failure: FailureForm,
    /// Model that replaces that of the request's body.
    pub model: Option<String>,
    pub request_id: String,
    limits: KeyLimitStates,
    started_at: Instant,
    /// True if a stream is sent as a JSON array instead of Server-Sent Events.
    streams_array: bool,
}

impl<'a> CallContext<'a> {
    pub fn new(ctx: &'a Ctx, style: ApiStyle) -> Self {
        Self {
            ctx,
            style,
            failure: FailureForm::Gateway,
            model: azure::deployment(ctx.http()),
            request_id: request_id(ctx.http()),
            limits: KeyLimitStates::default(),
            started_at: Instant::now(),
            streams_array: false,
        }
    }

    /// Sets whether a stream is sent as a JSON array.
    pub fn with_array(self, streams_array: bool) -> Self {
        Self { streams_array, ..self }
    }

    /// Call in Ollama's format, which is converted to chat completions.
    pub fn for_ollama(ctx: &'a Ctx) -> Self {
        Self { failure: FailureForm::Ollama, ..Self::new(ctx, ApiStyle::Chat) }
    }

    /// Providers, shared with work that continues after the response.
    pub fn ai(&self) -> Arc<Ai> {
        Arc::clone(self.ctx.app().gateway.ai())
    }

    /// Renders the answer or error in the client's format.
    pub fn reply(self, answer: Result<Reply<Raw>, GatewayError>) -> Reply<Raw> {
        let reply = match answer {
            Ok(reply) => failure::with_request_id(reply, self.style, &self.request_id),
            Err(error) => {
                record_error(self.ctx.http(), error.kind().as_str());
                match self.failure {
                    FailureForm::Ollama => failure::ollama_reply(&error),
                    FailureForm::Gateway | FailureForm::Envelope => {
                        failure::reply(&error, self.style, &self.request_id)
                    }
                }
            }
        };
        with_rate_limits(reply, self.limits)
    }

    /// Answers a prompt with a model.
    pub async fn complete(&mut self, endpoint: GatewayEndpoint, body: Bytes) -> Result<Reply<Raw>, GatewayError> {
        let entered = self.admit_request(endpoint, body, CallPurpose::Answer).await?;
        let ai = self.ai();
        self.answer(entered, |call| async move { ai.forward(call).await }).await
    }

    /// Embeds texts with a model.
    pub async fn embed(&mut self, endpoint: GatewayEndpoint, body: Bytes) -> Result<Reply<Raw>, GatewayError> {
        let entered = self.admit_request(endpoint, body, CallPurpose::Embedding).await?;
        let ai = self.ai();
        self.answer(entered, |call| async move { ai.forward_embeddings(call).await }).await
    }

    /// Passes a request to a provider that has the endpoint. `allowed` is the endpoint of the
    /// client, which its key must allow.
    pub async fn pass(
        &mut self,
        allowed: GatewayEndpoint,
        endpoint: PassthroughEndpoint,
        body: PassthroughBody,
    ) -> Result<Reply<Raw>, GatewayError> {
        let caller = authenticate_key(self.ctx).await.map_err(|error| failure::to_gateway_error(&error))?;
        let body = match body {
            PassthroughBody::Json(body) => PassthroughBody::Json(self.with_model(caller.work_owner(), body).await?),
            PassthroughBody::Form(mut form) => {
                self.set_form_model(&mut form);
                PassthroughBody::Form(form)
            }
        };
        let request = PassthroughRequest::read(caller.work_owner(), endpoint, body).await?;
        let labels = request.labels.clone();
        let admission = self.admit_caller(&caller, allowed, &request.model, request.estimate, labels).await?;
        let (meter, is_stream) = (Arc::new(Meter::default()), request.stream);
        let call = PassthroughCall {
            request,
            route: admission.route(),
            request_id: self.request_id.clone(),
            owner: admission.work_owner(),
            passes: caller.policy.passes.clone(),
            has_image_price: admission.has_image_price(),
            meter: Arc::clone(&meter),
        };
        let ai = self.ai();
        let answer = async move { ai.forward_passthrough(call).await };
        if is_stream {
            return self.serve_stream(admission, meter, answer).await;
        }
        self.serve(admission, meter, answer, None).await
    }

    /// Sets the model of a form, if the request names one outside of its body.
    pub fn set_form_model(&self, form: &mut MultipartForm) {
        if let Some(model) = &self.model {
            form.fields.retain(|(name, _)| name != "model");
            form.fields.push(("model".to_owned(), model.clone()));
        }
    }

    /// Sets the model of a JSON body, if the request names one outside of it.
    async fn with_model(&self, owner: WorkOwner, body: Bytes) -> Result<Bytes, GatewayError> {
        match &self.model {
            Some(model) => ai::set_model(owner, body, model.clone()).await,
            None => Ok(body),
        }
    }

    /// Replaces references to earlier responses: items that a request only refers to count as if they
    /// had been sent.
    async fn expand_references(
        &self,
        caller: &GatewayCaller,
        body: Bytes,
    ) -> Result<(Bytes, Option<PreviousResponse>), GatewayError> {
        let expanded = match self.style {
            ApiStyle::Responses => background_responses::expand_references(self.ctx.batches(), caller, &body).await?,
            ApiStyle::Chat | ApiStyle::Messages | ApiStyle::Gemini => None,
        };
        Ok(expanded.map_or((body, None), |(body, followed)| (body, Some(followed))))
    }

    /// Parses the request body and admits the call.
    pub async fn admit_request(
        &mut self,
        endpoint: GatewayEndpoint,
        body: Bytes,
        purpose: CallPurpose,
    ) -> Result<AdmittedCall, GatewayError> {
        let caller = authenticate_key(self.ctx).await.map_err(|error| failure::to_gateway_error(&error))?;
        let owner = caller.work_owner();
        let body = self.with_model(owner, body).await?;
        let (body, followed) = self.expand_references(&caller, body).await?;
        let body = self.insert_files(&caller, body).await?;
        let RequestInfo { model, stream, is_repeatable, estimate: wanted, labels, normalised_body: mended } =
            ai::inspect(owner, self.style, &body).await?;
        let body = mended.unwrap_or(body);
        let is_embedding = purpose == CallPurpose::Embedding;
        let wanted = if is_embedding { TokenEstimate { max_output: Some(0), ..wanted } } else { wanted };
        let admission = self.admit_caller(&caller, endpoint, &model, wanted, labels).await?;
        let wish = if stream {
            CacheDirectives::NOTHING
        } else {
            let header = self.ctx.http().headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
            CacheDirectives::parse(header, is_repeatable || is_embedding)
        };
        let call = Call::new(self.style, body, admission.route(), self.request_id.clone())
            .on_behalf_of(owner)
            .with_betas(betas(self.ctx))
            .with_passes(caller.policy.passes.clone())
            .with_history(caller.key_id, followed)
            .with_tokens(wanted.input, admission.most_output())
            .with_reservation(admission.is_held());
        Ok(AdmittedCall { admission, call, stream, cache_options: wish })
    }

    /// Inserts the stored files that the request refers to.
    async fn insert_files(&self, caller: &GatewayCaller, body: Bytes) -> Result<Bytes, GatewayError> {
        let expanded = file_references::expand(self.ctx.batches(), caller, &body).await;
        Ok(expanded.map_err(|error| failure::to_gateway_error(&error))?.unwrap_or(body))
    }

    /// Answers from the cache or from a provider.
    pub async fn answer<F>(
        &self,
        entered: AdmittedCall,
        forward: impl FnOnce(Call) -> F,
    ) -> Result<Reply<Raw>, GatewayError>
    where
        F: Future<Output = Result<Forwarded, GatewayError>> + 'static,
    {
        let AdmittedCall { admission, call, stream, cache_options: wish } = entered;
        if stream {
            let meter = Arc::clone(&call.meter);
            return self.serve_stream(admission, meter, forward(call)).await;
        }
        if wish == CacheDirectives::NOTHING {
            let meter = Arc::clone(&call.meter);
            return self.serve(admission, meter, forward(call), None).await;
        }
        let question = admission.cache_key(call.body.clone(), call.betas.clone());
        if let Some(kept) = admission.find_cached(&question, wish).await {
            let cost = admission.settle_cached(&kept);
            let reply = Reply::bytes(kept.content_type, kept.body.clone()).header(COST, HeaderValue::from(cost.0));
            return Ok(with_text(reply, MODEL, &kept.model).header(CACHE, HIT));
        }
        let meter = Arc::clone(&call.meter);
        let reply = self.serve(admission, meter, forward(call), wish.may_store.then_some(question)).await?;
        Ok(reply.header(CACHE, MISS))
    }

    /// Counts the tokens of a prompt.
    pub async fn count_tokens(&self, body: Bytes) -> Result<u64, GatewayError> {
        let caller = authenticate_key(self.ctx).await.map_err(|error| failure::to_gateway_error(&error))?;
        let body = self.expand_references(&caller, body).await?.0;
        let body = self.insert_files(&caller, body).await?;
        let RequestInfo { model, estimate: wanted, normalised_body: mended, .. } =
            ai::inspect(caller.work_owner(), self.style, &body).await?;
        let body = mended.unwrap_or(body);
        let route = gateway::route_to_count(self.ctx.gateway(), &caller, endpoint(self.style), &model)?;
        let call = Call::new(self.style, body, route, self.request_id.clone())
            .on_behalf_of(caller.work_owner())
            .with_betas(betas(self.ctx))
            .with_passes(caller.policy.passes.clone())
            .with_tokens(wanted.input, 0);
        self.ai().count_tokens(call).await
    }

    pub async fn admit(
        &mut self,
        endpoint: GatewayEndpoint,
        model: &str,
        wanted: TokenEstimate,
    ) -> Result<Admission, GatewayError> {
        let caller = authenticate_key(self.ctx).await.map_err(|error| failure::to_gateway_error(&error))?;
        self.admit_caller(&caller, endpoint, model, wanted, RequestLabels::default()).await
    }

    async fn admit_caller(
        &mut self,
        caller: &GatewayCaller,
        endpoint: GatewayEndpoint,
        model: &str,
        wanted: TokenEstimate,
        labels: RequestLabels,
    ) -> Result<Admission, GatewayError> {
        let labels = labels::with_headers(caller.policy.end_users, self.ctx.http().headers(), labels);
        let request = CallRequest { model, request_id: &self.request_id, labels: &labels, estimate: wanted };
        let admitted = gateway::authorize(&self.ctx.app().gateway, caller, endpoint, request).await;
        self.limits = admitted.as_ref().map_or_else(gateway::Refusal::figures, gateway::Admission::figures);
        Ok(admitted?)
    }

    /// Waits for the provider's answer, settles the call, and caches the answer if `question` is given.
    pub async fn serve(
        &self,
        admission: Admission,
        meter: Arc<Meter>,
        answer: impl Future<Output = Result<Forwarded, GatewayError>>,
        question: Option<CacheKey>,
    ) -> Result<Reply<Raw>, GatewayError> {
        // The call is settled in any case: if the client disconnects, `settling` is dropped, which
        // settles it.
        let settling = CallSettlement::new(admission, Arc::clone(&meter));
        self.serve_and_settle(settling, meter, answer, question).await
    }

    /// Waits for the provider's stream like [`Self::serve`]. Proxies close connections that are
    /// silent, so if no provider has started to answer within the heartbeat interval, the response
    /// starts with a heartbeat. Until the first frame arrives, another provider can still take
    /// over.
    pub async fn serve_stream(
        &self,
        admission: Admission,
        meter: Arc<Meter>,
        answer: impl Future<Output = Result<Forwarded, GatewayError>> + 'static,
    ) -> Result<Reply<Raw>, GatewayError> {
        let settling = CallSettlement::new(admission, Arc::clone(&meter));
        let every = self.ctx.app().config.gateway.heartbeat;
        let mut answer = answer.boxed_local();
        match timeout(every, &mut answer).await {
            Ok(answer) => self.serve_and_settle(settling, meter, ready(answer), None).await,
            Err(_) => Ok(self.stream_events(LiveStream::pending(self.style, answer, every, settling))),
        }
    }

    /// Streams events in the form that the client expects.
    fn stream_events(&self, events: LiveStream) -> Reply<Raw> {
        if self.streams_array {
            Reply::stream("application/json", JsonArrayStream::new(events))
        } else {
            Reply::stream(EVENT_STREAM, events)
        }
    }

    async fn serve_and_settle(
        &self,
        settling: CallSettlement,
        meter: Arc<Meter>,
        answer: impl Future<Output = Result<Forwarded, GatewayError>>,
        question: Option<CacheKey>,
    ) -> Result<Reply<Raw>, GatewayError> {
        let Forwarded { content_type, body, .. } = match answer.await {
            Ok(forwarded) => forwarded,
            Err(error) => {
                settling.finish(error.status(self.style));
                return Err(error);
            }
        };
        let reply = match body {
            AnswerBody::Whole(body) => {
                if let Some(question) = question {
                    let (app, model) = (self.ctx.app(), meter.served().model);
                    gateway::cache_answer(&app.gateway, question, content_type, body.clone(), model).await;
                }
                Reply::bytes(content_type, body).header(COST, HeaderValue::from(settling.finish(200).0))
            }
            AnswerBody::Stream(frames) if content_type == EVENT_STREAM => {
                let every = self.ctx.app().config.gateway.heartbeat;
                self.stream_events(LiveStream::new(self.style, frames, every, settling))
            }
            AnswerBody::Stream(chunks) => Reply::stream(content_type, LiveStream::of_bytes(chunks, settling)),
        };
        let processing = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let reply = reply.header(ATTEMPTS, meter.attempts().into()).header(PROCESSING, processing.into());
        let reply = with_text(reply, DROPPED_TOOLS, &meter.dropped_tools().join(","));
        Ok(with_text(reply, MODEL, &meter.served().model))
    }
}

/// Forwards a prompt to a model. `style` is the API that the client uses.
pub(super) async fn complete(ctx: &Ctx, style: ApiStyle, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let mut asking = CallContext::new(ctx, style);
    let answer = asking.complete(endpoint(style), body).await;
    Ok(asking.reply(answer))
}

/// Forwards texts to a model for embedding.
pub(super) async fn embed(ctx: &Ctx, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let mut asking = CallContext::new(ctx, ApiStyle::Chat);
    let answer = asking.embed(GatewayEndpoint::Embeddings, body).await;
    Ok(asking.reply(answer))
}

/// Passes a request to a provider that has the endpoint.
pub(super) async fn pass(
    ctx: &Ctx,
    endpoint: PassthroughEndpoint,
    body: Result<PassthroughBody, GatewayError>,
) -> Result<Reply<Raw>, AppError> {
    let mut asking = CallContext::new(ctx, ApiStyle::Chat);
    let answer = match body {
        Ok(body) => asking.pass(passthrough_endpoint(endpoint), endpoint, body).await,
        Err(error) => Err(error),
    };
    Ok(asking.reply(answer))
}

/// Compacts a conversation of the Responses API.
pub(super) async fn compact(ctx: &Ctx, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let mut asking = CallContext::new(ctx, ApiStyle::Responses);
    let answer = async {
        let caller = authenticate_key(ctx).await.map_err(|error| failure::to_gateway_error(&error))?;
        let body = ai::compaction_request(caller.work_owner(), body).await?;
        let entered = asking.admit_request(GatewayEndpoint::Responses, body, CallPurpose::Answer).await?;
        let ai = asking.ai();
        asking.answer(entered, |call| async move { ai.compact(call).await }).await
    };
    let answer = answer.await;
    Ok(asking.reply(answer))
}

/// Counts the tokens of a prompt in Anthropic's format.
pub(super) async fn count(ctx: &Ctx, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let asking = CallContext::new(ctx, ApiStyle::Messages);
    let answer = asking.count_tokens(body).await;
    let answer = answer.map(|tokens| Reply::bytes("application/json", format!("{{\"input_tokens\":{tokens}}}").into()));
    Ok(asking.reply(answer))
}

/// Counts the tokens of a prompt in the format of the Responses API.
pub(super) async fn count_response(ctx: &Ctx, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let asking = CallContext::new(ctx, ApiStyle::Responses);
    let answer = asking.count_tokens(body).await;
    let answer = answer.map(|tokens| {
        let body = format!("{{\"object\":\"response.input_tokens\",\"input_tokens\":{tokens}}}");
        Reply::bytes("application/json", body.into())
    });
    Ok(asking.reply(answer))
}

/// Beta headers of an Anthropic client, joined into one list; `None` if there are none.
pub(super) fn betas(ctx: &Ctx) -> Option<String> {
    let lists = ctx.http().headers().get_all("anthropic-beta").filter_map(|list| list.to_str().ok());
    let mut all = lists.fold(String::new(), |mut all, list| {
        if !all.is_empty() {
            all.push(',');
        }
        all.push_str(list);
        all
    });
    all.truncate(all.floor_char_boundary(MAX_BETAS));
    (!all.is_empty()).then_some(all)
}

const fn endpoint(style: ApiStyle) -> GatewayEndpoint {
    match style {
        ApiStyle::Chat => GatewayEndpoint::Chat,
        ApiStyle::Responses => GatewayEndpoint::Responses,
        ApiStyle::Messages => GatewayEndpoint::Messages,
        ApiStyle::Gemini => GatewayEndpoint::Gemini,
    }
}

const fn passthrough_endpoint(endpoint: PassthroughEndpoint) -> GatewayEndpoint {
    match endpoint {
        PassthroughEndpoint::Completions => GatewayEndpoint::Completions,
        PassthroughEndpoint::JinaRerank | PassthroughEndpoint::CohereRerank => GatewayEndpoint::Rerank,
        PassthroughEndpoint::Moderations => GatewayEndpoint::Moderations,
        PassthroughEndpoint::ImageGenerations | PassthroughEndpoint::ImageEdits => GatewayEndpoint::Images,
        PassthroughEndpoint::Speech => GatewayEndpoint::Speech,
    }
}

/// Adds headers with the remaining rate limits of the key.
fn with_rate_limits(reply: Reply<Raw>, figures: KeyLimitStates) -> Reply<Raw> {
    let named = [(REQUEST_LIMITS, figures.requests), (TOKEN_LIMITS, figures.tokens)];
    named.into_iter().fold(reply, |reply, (names, figure)| match figure {
        Some(figure) => with_limit_headers(reply, names, figure),
        None => reply,
    })
}

fn with_limit_headers(reply: Reply<Raw>, [limit, remaining, reset]: [HeaderName; 3], figure: LimitState) -> Reply<Raw> {
    let reply = reply.header(limit, figure.limit.into()).header(remaining, figure.remaining.into());
    match HeaderValue::from_str(&format_duration(figure.reset)) {
        Ok(value) => reply.header(reset, value),
        Err(_) => reply,
    }
}

/// Formats a duration as OpenAI does: `1s`, `6m0s`.
fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_millis().div_ceil(1_000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    if minutes == 0 { format!("{seconds}s") } else { format!("{minutes}m{seconds}s") }
}

/// Adds a header, unless its value is empty or has characters that headers can't have.
fn with_text(reply: Reply<Raw>, name: HeaderName, value: &str) -> Reply<Raw> {
    match HeaderValue::from_str(value) {
        Ok(value) if !value.is_empty() => reply.header(name, value),
        _ => reply,
    }
}
