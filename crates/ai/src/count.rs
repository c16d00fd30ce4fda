//! `count_tokens`: how long a question is, as its model counts.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    Ai, AiError, Call, GatewayError,
    dialect::{Count, anthropic, halves},
    forward::Stop,
    heavy::off_loop,
    neutral::Request,
    route::{Attempt, Tries},
    tool_names,
};

/// So long a count is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

impl Ai {
    /// The tokens of a question to the Messages API. Where no provider counts, or none answers, they are estimated: a client that asks
    /// before each turn must not stop for it.
    pub async fn count_tokens(&self, call: Call) -> Result<u64, GatewayError> {
        let deadline = Instant::now() + self.limits().idle.min(PATIENCE);
        let route = Arc::clone(&call.route);
        let estimated = call.estimated();
        let upstreams = self.upstreams();
        let mut tries = Tries::new(&upstreams, &route, estimated, self.persistence(), deadline);
        let Ok(attempt) = tries.next().await else { return Ok(estimated) };
        match ask(&call, &attempt, deadline).await {
            Ok(Some(tokens)) => {
                attempt.succeeded();
                Ok(tokens)
            }
            Ok(None) => Ok(estimated),
            Err(Stop::Told(error)) => Err(error),
            Err(Stop::Failed(failure)) => {
                tracing::info!(code = failure.error.code(), "a provider didn't count; tokens are estimated");
                // It is noted of the key, and nothing more is tried.
                let _ = tries.failed(attempt, failure);
                Ok(estimated)
            }
        }
    }
}

/// The question in the neutral form.
async fn read(call: &Call) -> Result<Request, GatewayError> {
    let body = call.body.clone();
    let reading = off_loop(call.owner, body.len(), move || {
        let body = halves::read(&body)?;
        let mut request = anthropic::request::read_to_count(&body)?;
        tool_names::fit(&mut request);
        Ok::<_, GatewayError>(request)
    });
    reading.await?
}

async fn ask(call: &Call, attempt: &Attempt<'_>, deadline: Instant) -> Result<Option<u64>, Stop> {
    let upstream = attempt.upstream;
    let dialect = upstream.kind.dialect();
    // Whose own form it is reads it itself, with all that is new in it.
    let request = if dialect.passes(call.style) { Request::default() } else { read(call).await.map_err(Stop::Told)? };
    // What can't be written as it stands, such as a picture by its address, is guessed.
    let Ok(Some(Count { post, field })) = dialect.count(&call.body, &request, attempt.model) else {
        return Ok(None);
    };
    let betas = if dialect.passes(call.style) { call.betas_for(upstream) } else { None };
    let wishes = (false, betas.as_deref());
    let response =
        upstream.post_message(&upstream.url(&post.place), &attempt.lease, post.body, wishes, deadline).await?;
    let answer = upstream.http.whole(response, deadline).await?;
    let value: Value = serde_json::from_slice(&answer).map_err(|_| AiError::Garbled)?;
    Ok(Some(value[field].as_u64().ok_or(AiError::Garbled)?))
}
