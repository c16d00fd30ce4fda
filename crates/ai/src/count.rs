//! Counts of input tokens by the model's provider.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    Ai, AiError, ApiStyle, Call, GatewayError,
    blocking_pool::run,
    canonical::Request,
    dialect::{CountRequest, anthropic, gemini, lone_surrogates, openai_responses},
    forward::AttemptError,
    route::{Attempt, RouteAttempts},
    tool_names,
};

/// Timeout of a count.
const COUNT_TIMEOUT: Duration = Duration::from_secs(30);

impl Ai {
    /// Counts the input tokens of a request. Falls back to an estimate if the provider
    /// can't count or fails, because clients that count before each turn must not be blocked.
    pub async fn count_tokens(&self, call: Call) -> Result<u64, GatewayError> {
        let deadline = Instant::now() + self.limits().idle.min(COUNT_TIMEOUT);
        let route = Arc::clone(&call.route);
        let estimated = call.estimated_input();
        let upstreams = self.upstreams();
        let mut tries = RouteAttempts::new(&upstreams, &route, estimated, self.retry_policy(), deadline);
        let Ok(attempt) = tries.next().await else { return Ok(estimated) };
        match count_at_provider(&call, &attempt, deadline).await {
            Ok(Some(tokens)) => {
                attempt.record_success();
                Ok(tokens)
            }
            Ok(None) => Ok(estimated),
            Err(AttemptError::Final(error)) => Err(error),
            Err(AttemptError::Retryable(failure)) => {
                tracing::info!(code = failure.error.code(), "failed to count tokens, using estimate");
                // The failure affects the key's state, but the count is not retried.
                let _ = tries.record_failure(attempt, failure);
                Ok(estimated)
            }
        }
    }
}

/// Parses the request into the provider-independent form.
async fn parse_request(call: &Call) -> Result<Request, GatewayError> {
    let (style, body) = (call.style, call.body.clone());
    let reading = run(call.owner, body.len(), move || {
        let body = lone_surrogates::parse_request(&body)?;
        let mut request = match style {
            ApiStyle::Responses => openai_responses::request::read(&body)?.0,
            ApiStyle::Gemini => gemini::client_request::read(&body)?.0,
            ApiStyle::Chat | ApiStyle::Messages => anthropic::request::read_to_count(&body)?,
        };
        tool_names::normalise(&mut request);
        Ok::<_, GatewayError>(request)
    });
    reading.await?
}

async fn count_at_provider(call: &Call, attempt: &Attempt<'_>, deadline: Instant) -> Result<Option<u64>, AttemptError> {
    let upstream = attempt.upstream;
    let dialect = upstream.kind.dialect();
    // The provider's own format passes through unparsed, including fields that Natter doesn't know.
    let counted = match (call.style, dialect.passes_through(call.style)) {
        (ApiStyle::Gemini, true) => gemini::passthrough::count_request(&call.body, attempt.model).map(Some),
        (_, true) => dialect.count(&call.body, None, attempt.model),
        (_, false) => {
            let request = parse_request(call).await.map_err(AttemptError::Final)?;
            dialect.count(&call.body, Some(&request), attempt.model)
        }
    };
    // If the provider can't count this request, for example because of an image by URL, the tokens
    // are estimated.
    let Ok(Some(CountRequest { post, field })) = counted else { return Ok(None) };
    let betas = if dialect.passes_through(call.style) { call.betas_for(upstream) } else { None };
    let wishes = (false, betas.as_deref());
    let response = upstream.post_message(&upstream.url(&post.path), attempt, post.body, wishes, deadline).await?;
    let answer = upstream.http.read_whole(response, deadline).await?;
    let value: Value = serde_json::from_slice(&answer).map_err(|_| AiError::Garbled)?;
    Ok(Some(value[field].as_u64().ok_or(AiError::Garbled)?))
}
