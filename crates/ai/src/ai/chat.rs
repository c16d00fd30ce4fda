//! Chat in the provider-independent form, retried along a route until the first token arrives.

use std::{borrow::Cow, sync::Arc};

use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::Url;
use tokio::time::Instant;

use super::{Ai, AnswerRequest, ChatApi, demo_deployment};
use crate::{
    AiError, ApiStyle, ChatDelta, ChatRequest, ChatStream, GatewayError, Limits, ProviderKind, Route,
    canonical::Request as Question,
    conversation::{self, ChatDeltaReader},
    dialect::{openai_chat, openai_responses},
    forward::AttemptError,
    meter::Meter,
    params::{self, ModelParamOverrides},
    preflight::estimate,
    profile::adapt::BodyFormat,
    provider_http::{Opened, failure::Failure},
    route::{Attempt, RetryPolicy, RouteAttempts},
    tapped_stream::TappedStream,
    used_call_ids::UsedCallIds,
};

/// Length of the hash that is sent as `prompt_cache_key`, in characters.
const PROMPT_CACHE_KEY_LEN: usize = 32;

impl Ai {
    /// Sends a chat request along a route and returns once the first token has arrived.
    ///
    /// Until then transient failures (429, 5xx, connections that fail or break) are retried: with
    /// another key at once, with the same key after an exponential backoff or the provider's
    /// `Retry-After`. If that delay is longer than `Limits::max_retry_after`, the failure is
    /// returned instead. Dropping the future or the stream cancels the request. `meter` holds the
    /// usage so far at any moment.
    pub async fn chat(&self, route: &Route, request: ChatRequest, meter: &Arc<Meter>) -> Result<ChatStream, AiError> {
        let upstreams = self.upstreams();
        if upstreams.default.is_none() {
            let is_meant = route.deployments.iter().any(|deployment| *deployment == demo_deployment());
            return if is_meant {
                Ok(self.demo.answer(&request, Arc::clone(meter)))
            } else {
                Err(AiError::UnknownModel)
            };
        }
        let deadline = Instant::now() + self.limits.deadline;
        let Limits { retries: times, backoff: wait, max_retry_after: patience, .. } = *self.limits;
        let question = conversation::request(&request);
        let size = request.estimated_tokens().saturating_add(request.max_tokens.map_or(0, u64::from));
        let mut tries =
            RouteAttempts::new(&upstreams, route, size, RetryPolicy { times, wait, max_delay: patience }, deadline);
        loop {
            let attempt = tries.next().await.map_err(|failure| failure.error)?;
            meter.start_attempt(&attempt.upstream.name, attempt.model, attempt.lease.tail());
            let mut answer = self.start_chat(&attempt, (request.owner, &question), meter, deadline).await;
            if let Err(AttemptError::Retryable(failure)) = &answer
                && attempt.upstream.switch_to_responses(&attempt, failure)
            {
                answer = self.start_chat(&attempt, (request.owner, &question), meter, deadline).await;
                attempt.upstream.confirm_responses(attempt.model, answer.is_ok());
            }
            match answer {
                Ok(answer) => {
                    let lease = attempt.record_success();
                    // The key counts as in use for as long as the answer streams.
                    return Ok(answer.inspect(move |_| _ = &lease).boxed());
                }
                // A request that can't be encoded for the provider is reported as rejected.
                Err(AttemptError::Final(_)) => return Err(AiError::Rejected),
                Err(AttemptError::Retryable(failure)) => {
                    meter.record_attempt_failure(&failure.error);
                    tries.record_failure(attempt, failure).map_err(|failure| failure.error)?;
                }
            }
        }
    }

    /// Sends a chat request along a route, collects the text, and cancels once `is_enough` returns
    /// true.
    pub async fn chat_text(
        &self,
        route: &Route,
        request: ChatRequest,
        meter: &Arc<Meter>,
        is_enough: impl Fn(&str) -> bool + Send,
    ) -> Result<String, AiError> {
        let mut said = self.chat(route, request, meter).await?;
        let mut text = String::new();
        while let Some(delta) = said.next().await {
            match delta? {
                ChatDelta::Text(more) => text.push_str(&more),
                ChatDelta::Thought(_) | ChatDelta::Calls(_) => {}
                ChatDelta::Done { .. } => break,
            }
            if is_enough(&text) {
                break;
            }
        }
        Ok(text)
    }

    /// Makes one attempt and waits for the first token, so that earlier failures can still be
    /// retried.
    async fn start_chat(
        &self,
        attempt: &Attempt<'_>,
        (owner, question): (WorkOwner, &Question),
        meter: &Arc<Meter>,
        deadline: Instant,
    ) -> Result<ChatStream, AttemptError> {
        let upstream = attempt.upstream;
        let own = attempt.param_overrides.as_deref();
        let ChatApi { format, url } = upstream.chat_api(attempt, question);
        let body = encode_request((upstream.kind, format), &upstream.base, question, attempt.model, own)
            .map_err(AttemptError::Final)?;
        meter.set_estimated_input(estimate(&body));
        meter.record_request_sent();
        let asked = AnswerRequest { owner, url: &url, format, body, is_stream: true, betas: None, meter };
        let response = upstream.request_answer(attempt, asked, deadline).await?;
        meter.trace(&response);
        let mut listener = self.listener(attempt, format).with_used_ids(UsedCallIds::of_request(question));
        let body = match upstream.http.open(response, deadline).await? {
            Opened::Stream(body) => body,
            Opened::Whole(body) => {
                let events = listener.parse_complete(&body, meter)?;
                let ends = listener.finish(meter)?;
                let said = ChatDeltaReader::new(listener).convert_events(events, ends, meter)?;
                return Ok(stream::iter(said.into_iter().map(Ok)).boxed());
            }
        };
        let limits = Arc::clone(&self.limits);
        let mut relay = TappedStream::new(
            ApiStyle::Chat,
            ChatDeltaReader::new(listener),
            body,
            Arc::clone(meter),
            limits,
            deadline,
        );
        relay.first().await?;
        let pieces = |said: Result<Vec<ChatDelta>, Failure>| match said {
            Ok(said) => stream::iter(said.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(failure) => stream::iter(vec![Err(failure.error)]),
        };
        Ok(stream::poll_fn(move |cx| relay.poll_out(cx)).flat_map(pieces).boxed())
    }
}

/// Encodes a request for a provider of this kind, in the format of one of its APIs.
pub(crate) fn encode_request(
    (kind, format): (ProviderKind, BodyFormat),
    base: &Url,
    question: &Question,
    model: &str,
    own: Option<&ModelParamOverrides>,
) -> Result<Bytes, GatewayError> {
    if question.audio.is_some() && kind != ProviderKind::GEMINI {
        return Err(GatewayError::invalid_param("modalities", "This model can't answer with audio."));
    }
    let mut fitted = params::fit(question, model, own);
    if own.is_none_or(ModelParamOverrides::uses_prompt_cache) {
        fitted = with_prompt_cache(fitted, kind, base, model);
    }
    let body = match format {
        BodyFormat::Responses => openai_responses::provider_format::encode(&fitted, model)?,
        BodyFormat::Chat | BodyFormat::Messages | BodyFormat::Gemini => kind.dialect().write(&fitted, model, base)?,
    };
    Ok(body.to_string().into())
}

/// Adds what the provider needs to answer from its prompt cache.
fn with_prompt_cache<'a>(request: Cow<'a, Question>, kind: ProviderKind, base: &Url, model: &str) -> Cow<'a, Question> {
    const KEY: &str = "prompt_cache_key";
    let is_claude = kind == ProviderKind::ANTHROPIC
        || (openai_chat::is_openrouter(base) && params::canonical_name(model).starts_with("claude"));
    if is_claude {
        return Question::with_cache_marks(request);
    }
    match request.user.as_deref() {
        Some(user) if openai_chat::knows_cache_key(base) && !request.extra.contains_key(KEY) => {
            let key = openai_chat::provider_format::sha256_hex(user)[..PROMPT_CACHE_KEY_LEN].into();
            let mut request = request.into_owned();
            request.extra.insert(KEY, key);
            Cow::Owned(request)
        }
        _ => request,
    }
}
