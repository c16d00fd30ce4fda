//! Batch APIs of providers: requests of a batch are submitted together as a job, which the provider
//! executes within a day at a lower price.
//!
//! The body of a request is encoded, and its answer is read, by the code of ordinary calls: the
//! request goes to an exchange in place of the network, which captures it or has its recorded
//! answer. So requests are translated, adapted and metered like those that are sent one by one.

mod anthropic;
mod client;
mod openai;
mod result_reader;
mod upload;

use std::sync::Arc;

use appcore::view::BatchFormat;
use bytes::Bytes;
use serde::Deserialize;

pub use self::{
    client::{BatchClient, BatchError, JobSearch, JobSignature, ProviderJob, ProviderJobState},
    result_reader::{BatchAnswer, BatchResult, ResultReader},
    upload::{BatchBody, BatchUpload},
};
pub use crate::provider_http::exchange::RecordedAnswer;
use crate::{
    Ai, AnswerBody, Call, Deployment, ErrorKind, Forwarded, GatewayError, Meter, PassthroughCall, ProviderKind,
    params::ModelParamOverrides, provider_http::exchange::Exchange,
};

/// Form of a provider's batch API. It is that of a client's batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchForm(pub BatchFormat);

/// Limits of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobLimits {
    pub requests: usize,
    /// Size of the uploaded body, in bytes.
    pub bytes: u64,
}

/// Batch API that serves a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchApi {
    pub form: BatchForm,
    /// Price in percent of the ordinary one.
    pub price_percent: u8,
}

/// Request of a batch.
#[derive(Debug, Clone)]
pub enum BatchedRequest {
    Answer(Call),
    Embeddings(Call),
    Passthrough(PassthroughCall),
}

/// Request as the provider's batch API gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRequest {
    /// Path of the endpoint, such as `/v1/chat/completions`.
    pub endpoint: String,
    pub model: String,
    pub body: Bytes,
    /// Value of the `anthropic-beta` header.
    pub betas: Option<String>,
}

/// Reason why a request can't be submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchEncodeError {
    Invalid(GatewayError),
    /// The provider's batch API has no such request.
    NotOffered,
}

/// Fields of a request that its job depends on.
#[derive(Deserialize)]
struct Head {
    model: Option<String>,
    stream: Option<bool>,
}

impl BatchedRequest {
    #[must_use]
    pub fn meter(&self) -> Arc<Meter> {
        Arc::clone(match self {
            Self::Answer(call) | Self::Embeddings(call) => &call.meter,
            Self::Passthrough(call) => &call.meter,
        })
    }
}

impl BatchForm {
    /// Parses the name in the settings of a profile.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// Limits of a job. Those of OpenAI are 50,000 requests and 200 MB (developers.openai.com, Batch
    /// API), those of Anthropic 100,000 requests and 256 MB (platform.claude.com, Message Batches).
    #[must_use]
    pub const fn limits(self) -> JobLimits {
        match self.0 {
            BatchFormat::OpenAi => JobLimits { requests: 50_000, bytes: 200_000_000 },
            BatchFormat::Anthropic => JobLimits { requests: 100_000, bytes: 256_000_000 },
        }
    }

    fn kind(self) -> ProviderKind {
        match self.0 {
            BatchFormat::OpenAi => ProviderKind::OPENAI,
            BatchFormat::Anthropic => ProviderKind::ANTHROPIC,
        }
    }

    /// True if the batch API executes requests to this endpoint.
    fn has_endpoint(self, endpoint: &str) -> bool {
        match self.0 {
            BatchFormat::OpenAi => matches!(
                endpoint,
                "/v1/chat/completions" | "/v1/responses" | "/v1/embeddings" | "/v1/completions" | "/v1/moderations"
            ),
            BatchFormat::Anthropic => endpoint == "/v1/messages",
        }
    }
}

impl Ai {
    /// Batch API of a deployment. `None` if its provider has none, or an administrator has switched
    /// it off for the model.
    #[must_use]
    pub fn batch_api(&self, deployment: &Deployment) -> Option<BatchApi> {
        let upstreams = self.upstreams();
        let upstream = upstreams.find(&deployment.provider)?;
        let configured = deployment.param_overrides.as_deref().map(ModelParamOverrides::accepts).unwrap_or_default();
        let (form, price_percent) = upstream.profiles.of(&deployment.model, configured).batch()?;
        (form.kind() == upstream.kind).then_some(BatchApi { form, price_percent })
    }

    /// Encodes a request for the batch API of a provider. The route of the request has only that
    /// provider's deployment.
    pub async fn encode_batch_request(
        &self,
        provider: &str,
        form: BatchForm,
        request: BatchedRequest,
    ) -> Result<EncodedRequest, BatchEncodeError> {
        let exchange = Exchange::capturing();
        let recorded = self.recorded(provider, 0, &exchange).ok_or(BatchEncodeError::NotOffered)?;
        let captured = tokio::select! {
            biased;
            captured = exchange.stopped() => captured.ok_or(BatchEncodeError::NotOffered)?,
            answer = recorded.answer(request) => {
                return Err(answer.map_or_else(BatchEncodeError::Invalid, |_| BatchEncodeError::NotOffered));
            }
        };
        let upstreams = recorded.upstreams();
        let base = upstreams.find(provider).map(|upstream| upstream.base.path().trim_end_matches('/').to_owned());
        let path = captured.url.path().strip_prefix(base.as_deref().unwrap_or_default());
        let endpoint = path.map(|path| format!("/v1{path}")).filter(|endpoint| form.has_endpoint(endpoint));
        let head: Option<Head> = serde_json::from_slice(&captured.body).ok();
        match (endpoint, head) {
            (Some(endpoint), Some(Head { model: Some(model), stream: None | Some(false) })) => {
                Ok(EncodedRequest { endpoint, model, body: captured.body, betas: captured.betas })
            }
            _ => Err(BatchEncodeError::NotOffered),
        }
    }

    /// Reads the answer to a request of a batch, in the client's format. `key` is the index of the
    /// provider's key that submitted the job. `None` if the request should be sent again on its own:
    /// if the failure isn't the caller's mistake, or another form of the request may succeed.
    pub async fn decode_batch_answer(
        &self,
        provider: &str,
        key: usize,
        request: BatchedRequest,
        answer: RecordedAnswer,
    ) -> Option<Result<Bytes, GatewayError>> {
        let is_success = answer.status == 200;
        let exchange = Exchange::answering(answer);
        let recorded = self.recorded(provider, key, &exchange)?;
        tokio::select! {
            biased;
            _ = exchange.stopped() => None,
            answered = recorded.answer(request) => match answered {
                Ok(Forwarded { body: AnswerBody::Whole(body), .. }) => Some(Ok(body)),
                Ok(_) => None,
                // The answer was paid for, so it isn't requested again.
                Err(error) if is_success || is_callers_mistake(error.kind()) => Some(Err(error)),
                Err(_) => None,
            },
        }
    }

    /// Answers a request at once.
    pub async fn answer(&self, request: BatchedRequest) -> Result<Forwarded, GatewayError> {
        match request {
            BatchedRequest::Answer(call) => self.forward(call).await,
            BatchedRequest::Embeddings(call) => self.forward_embeddings(call).await,
            BatchedRequest::Passthrough(call) => self.forward_passthrough(call).await,
        }
    }
}

const fn is_callers_mistake(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::ContextTooLong | ErrorKind::Declined)
}
