//! Requests of a batch, encoded for a provider's batch API.

use std::sync::Arc;

use ai::{
    GatewayError, Route,
    batch::{BatchApi, BatchEncodeError, EncodedRequest},
};
use appcore::view::BatchFormat;
use bytes::Bytes;
use gateway::{BatchCost, BatchQuote, GatewayCaller, Refusal};

use crate::{
    call::{self, CallTerms},
    run::Run,
};

/// Request that a batch API can execute.
pub(super) struct PreparedRequest {
    pub target: JobTarget,
    pub request: EncodedRequest,
    pub cost: BatchCost,
}

/// Properties that the requests of a job have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JobTarget {
    pub provider: String,
    pub api: BatchApi,
    pub endpoint: String,
    /// Model of the job; `None` if its requests name their models.
    pub model: Option<String>,
    pub betas: Option<String>,
}

/// Reason why a request isn't part of a job.
pub(super) enum Unprepared {
    /// The request is wrong, or its key may not send it.
    Invalid(GatewayError),
    /// No batch API can execute it.
    Unsupported,
}

impl From<GatewayError> for Unprepared {
    fn from(error: GatewayError) -> Self {
        Self::Invalid(error)
    }
}

impl From<Refusal> for Unprepared {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Failed(_) => Self::Unsupported,
            refusal => Self::Invalid(refusal.into()),
        }
    }
}

/// Encodes a request.
pub(super) async fn prepare(
    run: &Run<'_>,
    caller: &GatewayCaller,
    body: Bytes,
    request_id: &str,
) -> Result<PreparedRequest, Unprepared> {
    let (service, batch) = (run.service, run.batch);
    let read = call::read(service, caller, batch.endpoint, body).await?;
    let properties = read.properties(request_id, None);
    let quote = gateway::quote_batched(&service.gateway, caller, batch.endpoint, properties).await?;
    let BatchQuote { deployment, api, most_output, cost } = quote.ok_or(Unprepared::Unsupported)?;
    let provider = deployment.provider.clone();
    let requested_model = read.model().to_owned();
    let request = read.into_call(CallTerms {
        key_id: batch.key_id,
        endpoint: batch.endpoint,
        owner: caller.work_owner(),
        request_id,
        betas: batch.betas.as_deref(),
        passes: caller.policy.passes.clone(),
        route: Arc::new(Route { requested_model, deployments: vec![deployment], ..Route::default() }),
        most_output,
        is_held: true,
        has_image_price: false,
    });
    let encoded = service.gateway.ai().encode_batch_request(&provider, api.form, request).await;
    let request = encoded.map_err(|error| match error {
        BatchEncodeError::Invalid(error) => Unprepared::Invalid(error),
        BatchEncodeError::NotOffered => Unprepared::Unsupported,
    })?;
    let model = (api.form.0 == BatchFormat::OpenAi).then(|| request.model.clone());
    let target = JobTarget { provider, api, endpoint: request.endpoint.clone(), model, betas: request.betas.clone() };
    Ok(PreparedRequest { target, request, cost })
}
