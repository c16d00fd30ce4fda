//! `/v1/responses/compact`: compaction of a conversation as a call of its own.

use appcore::work_pool::WorkOwner;
use bytes::Bytes;

use crate::{
    Ai, AiError, AnswerBody, Call, Forwarded, GatewayError,
    blocking_pool::{run, run_for_answer},
    dialect::openai_responses::compaction::{compaction_object, response_request},
    provider_http::failure::Failure,
};

/// Converts a request to compact into one to create a response.
pub async fn compaction_request(owner: WorkOwner, body: Bytes) -> Result<Bytes, GatewayError> {
    run(owner, body.len(), move || response_request(&body)).await?
}

impl Ai {
    /// Forwards a [compaction request](compaction_request) and converts the response.
    pub async fn compact(&self, call: Call) -> Result<Forwarded, GatewayError> {
        let owner = call.owner;
        let forwarded = self.forward(call).await?;
        let AnswerBody::Whole(response) = forwarded.body else { return Err(Failure::from(AiError::Garbled).into()) };
        let converting = run_for_answer(owner, response.len(), move || compaction_object(&response));
        let body = converting.await?.ok_or_else(|| Failure::from(AiError::Garbled))?;
        Ok(Forwarded { body: AnswerBody::Whole(body), ..forwarded })
    }
}
