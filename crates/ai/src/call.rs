//! Gateway calls: a request in a client format, and the answer returned for it.

use std::{convert::Infallible, sync::Arc};

use appcore::{ApiKeyId, view::RestrictedParameter, work_pool::WorkOwner};
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{
    ai::Upstream,
    dialect::restricted_params,
    meter::{Meter, searches_always},
    params::ModelParamOverrides,
    preflight::estimate,
    response_history::PreviousResponse,
    response_store::PendingWrites,
};

/// API format of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiStyle {
    Chat,
    /// OpenAI's `/v1/responses`.
    Responses,
    /// Anthropic's `/v1/messages`.
    Messages,
    /// Gemini's `/v1beta`.
    Gemini,
}

/// A provider's model that can serve a public model name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Name of the provider in the configuration.
    pub provider: String,
    /// Provider's own name of the model.
    pub model: String,
    /// Share of the calls among deployments of the same priority.
    pub weight: u32,
    /// Lower values are tried first.
    pub priority: u32,
    /// Configured model parameters, which override the built-in ones.
    pub param_overrides: Option<Arc<ModelParamOverrides>>,
}

/// Fallback deployments, by cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fallbacks {
    /// Used if the request exceeds the model's context window.
    pub context_length: Vec<Deployment>,
    /// Used if the provider's content filter refused.
    pub content_policy: Vec<Deployment>,
    /// Used for every other failure that isn't the caller's mistake.
    pub failure: Vec<Deployment>,
}

/// Deployments that may serve a call, with aliases resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// Model name in the caller's request.
    pub requested_model: String,
    pub deployments: Vec<Deployment>,
    pub fallbacks: Fallbacks,
}

impl Route {
    /// All deployments, including fallbacks.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Deployment> {
        let Fallbacks { context_length, content_policy, failure } = &self.fallbacks;
        [&self.deployments, context_length, content_policy, failure].into_iter().flatten()
    }

    /// True if a deployment searches the web for every answer.
    #[must_use]
    pub fn searches_always(&self) -> bool {
        self.all().any(|deployment| searches_always(&deployment.model))
    }
}

/// A call of an API client.
#[derive(Debug, Clone)]
pub struct Call {
    pub style: ApiStyle,
    /// JSON body in the client's format.
    pub body: Bytes,
    pub route: Arc<Route>,
    pub request_id: String,
    /// Owner of the call. The large bodies of different owners are processed in turn.
    pub(crate) owner: WorkOwner,
    /// Value of the `anthropic-beta` header, sent only to Anthropic upstreams.
    pub betas: Option<String>,
    /// Restricted parameters that the API key may pass through, as far as the provider's settings
    /// allow them. `None`: all that the provider's settings allow.
    passes: Option<Arc<[RestrictedParameter]>>,
    /// API key whose stored responses the call may refer to, and the response that it continues.
    pub(crate) history: Option<(ApiKeyId, Option<PreviousResponse>)>,
    /// Pending writes that publish this call's answer to the other instances.
    pub(crate) publication: Arc<PendingWrites>,
    /// Estimated input tokens, if already known.
    input: Option<u64>,
    /// Maximum output tokens, as far as known; providers count them against rate limits in advance.
    pub most_output: u64,
    /// True if the call's maximum cost has been reserved.
    is_reserved: bool,
    /// Meter that is filled while the call runs. The billing code keeps a clone so that a call
    /// whose client disconnects is billed too.
    pub meter: Arc<Meter>,
}

impl Call {
    #[must_use]
    pub fn new(style: ApiStyle, body: Bytes, route: Arc<Route>, request_id: String) -> Self {
        let (owner, betas, passes, of_key, input) = (WorkOwner::System, None, None, None, None);
        let (under_way, meter) = (Arc::default(), Arc::default());
        let (most_output, is_held) = (0, false);
        Self {
            style,
            body,
            route,
            request_id,
            owner,
            betas,
            passes,
            history: of_key,
            publication: under_way,
            input,
            most_output,
            is_reserved: is_held,
            meter,
        }
    }

    /// Stores the answer, so that later requests of this API key can refer to it. `followed` is the
    /// earlier response that this request [referred to](crate::Ai::fill_in).
    #[must_use]
    pub fn with_history(self, key: ApiKeyId, followed: Option<PreviousResponse>) -> Self {
        Self { history: Some((key, followed)), ..self }
    }

    /// Sets the owner of the call.
    #[must_use]
    pub fn on_behalf_of(self, owner: WorkOwner) -> Self {
        Self { owner, ..self }
    }

    #[must_use]
    pub fn with_betas(self, betas: Option<String>) -> Self {
        Self { betas, ..self }
    }

    /// Sets the restricted parameters that the API key may pass through.
    #[must_use]
    pub fn with_passes(self, passes: Option<Arc<[RestrictedParameter]>>) -> Self {
        Self { passes, ..self }
    }

    /// Sets the estimated input tokens and the maximum output tokens.
    #[must_use]
    pub fn with_tokens(self, input: u64, most_output: u64) -> Self {
        Self { input: Some(input), most_output, ..self }
    }

    /// Sets whether the maximum cost has been reserved. If it has, web searches of a non-streamed
    /// answer are limited to the reserved number unless the caller sets a limit, because the
    /// reservation can't be extended while the call runs.
    #[must_use]
    pub fn with_reservation(self, is_held: bool) -> Self {
        Self { is_reserved: is_held, ..self }
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    /// Restricted parameters of the call that are passed on to this provider.
    pub(crate) fn passthrough_params(&self, upstream: &Upstream) -> Arc<[String]> {
        restricted_params::allowed_params(&upstream.passthrough_params, self.passes.as_deref())
    }

    /// Restricted parameters that the API key may pass through; `None`: all.
    pub(crate) fn passes(&self) -> Option<&[RestrictedParameter]> {
        self.passes.as_deref()
    }

    /// True if tools that this provider runs itself stay in the request.
    pub(crate) fn passes_hosted_tools(&self, upstream: &Upstream) -> bool {
        upstream.passes_hosted_tools(self.passes.as_deref())
    }

    /// `anthropic-beta` header value that is passed on to this provider.
    pub(crate) fn betas_for(&self, upstream: &Upstream) -> Option<String> {
        let asked = self.betas.as_deref()?;
        Some(restricted_params::strip_costly_betas(asked, &self.passthrough_params(upstream)))
            .filter(|betas| !betas.is_empty())
    }

    /// Estimated input tokens.
    pub(crate) fn estimated_input(&self) -> u64 {
        self.input.unwrap_or_else(|| estimate(&self.body))
    }
}

/// Frames of a streamed answer; each item holds one or more complete frames. The stream never
/// fails: an error is sent as a frame, after which the stream ends.
pub type Frames = BoxStream<'static, Result<Bytes, Infallible>>;

pub enum AnswerBody {
    Whole(Bytes),
    Stream(Frames),
}

/// An answer in the client's format, with status 200. Dropping it cancels the upstream request.
pub struct Forwarded {
    pub content_type: &'static str,
    pub body: AnswerBody,
    pub meter: Arc<Meter>,
}
