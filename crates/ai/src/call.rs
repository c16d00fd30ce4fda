//! What goes through the gateway: a call in a caller's dialect, and what is handed back.

use std::{convert::Infallible, sync::Arc};

use appcore::{ApiKeyId, view::RestrictedParameter, work_pool::WorkOwner};
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{
    ai::Upstream,
    dialect::costly,
    given::Followed,
    meter::{Meter, searches_always},
    peek::estimate,
    shelf::UnderWay,
    takes::OwnTakes,
};

/// The dialect of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiStyle {
    /// OpenAI's `/v1/chat/completions`.
    Chat,
    /// OpenAI's `/v1/responses`.
    Responses,
    /// Anthropic's `/v1/messages`.
    Messages,
}

/// A model of a provider that can answer for a public model name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's own name for the model.
    pub model: String,
    /// Its share of the calls among those of the same priority.
    pub weight: u32,
    /// A smaller one is tried first.
    pub priority: u32,
    /// What is said of the model, before what Natter knows of it.
    pub takes: Option<Arc<OwnTakes>>,
}

/// Deployments that take over, by cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fallbacks {
    /// The question is longer than the model takes.
    pub context_length: Vec<Deployment>,
    /// The provider's filter refused.
    pub content_policy: Vec<Deployment>,
    /// Everything else that isn't the caller's mistake.
    pub failure: Vec<Deployment>,
}

/// Where a call may go. Aliases are resolved by then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// The name that the caller asked for.
    pub asked: String,
    pub deployments: Vec<Deployment>,
    pub fallbacks: Fallbacks,
}

impl Route {
    /// All that may answer.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Deployment> {
        let Fallbacks { context_length, content_policy, failure } = &self.fallbacks;
        [&self.deployments, context_length, content_policy, failure].into_iter().flatten()
    }

    /// Whether one of those that may answer searches the web for each answer.
    #[must_use]
    pub fn searches_always(&self) -> bool {
        self.all().any(|deployment| searches_always(&deployment.model))
    }
}

/// A call of a client.
#[derive(Debug, Clone)]
pub struct Call {
    pub style: ApiStyle,
    /// The JSON of the API.
    pub body: Bytes,
    pub route: Arc<Route>,
    pub request_id: String,
    /// Processing of large bodies takes turns by person.
    pub(crate) owner: WorkOwner,
    /// What an Anthropic library asks for in `anthropic-beta`, for an upstream of that kind.
    pub betas: Option<String>,
    /// What routes or costs and may pass, where the provider's settings hand it on. `None`: all that they do.
    passes: Option<Arc<[RestrictedParameter]>>,
    /// Whose answers it may name, and goes on from.
    pub(crate) of_key: Option<(ApiKeyId, Option<Followed>)>,
    /// What of its answer is on its way to the other instances.
    pub(crate) under_way: Arc<UnderWay>,
    /// Tokens of its question by our estimate, where somebody has made one already.
    input: Option<u64>,
    /// The most tokens that its answers may have, as far as is known: providers count them before they answer.
    pub most_output: u64,
    /// What it may cost at most is held for it.
    is_held: bool,
    /// Filled while the call runs. Whoever settles it keeps a clone, so that a call whose client leaves is counted too.
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
            of_key,
            under_way,
            input,
            most_output,
            is_held,
            meter,
        }
    }

    /// Its answer can be named by this key later on. `followed`: what it names itself, as it was [filled in](crate::Ai::fill_in).
    #[must_use]
    pub fn of_key(self, key: ApiKeyId, followed: Option<Followed>) -> Self {
        Self { of_key: Some((key, followed)), ..self }
    }

    /// Names on whose behalf it is made.
    #[must_use]
    pub fn on_behalf_of(self, owner: WorkOwner) -> Self {
        Self { owner, ..self }
    }

    #[must_use]
    pub fn with_betas(self, betas: Option<String>) -> Self {
        Self { betas, ..self }
    }

    /// What its key lets pass of what routes or costs.
    #[must_use]
    pub fn with_passes(self, passes: Option<Arc<[RestrictedParameter]>>) -> Self {
        Self { passes, ..self }
    }

    /// What is known of its tokens: those of the question, and the most of its answers.
    #[must_use]
    pub fn with_tokens(self, input: u64, most_output: u64) -> Self {
        Self { input: Some(input), most_output, ..self }
    }

    /// What it may cost at most is held for it: where nobody bounds what can't be held later, that is bounded.
    #[must_use]
    pub fn held(self, is_held: bool) -> Self {
        Self { is_held, ..self }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.is_held
    }

    /// What routes or costs and passes to this provider.
    pub(crate) fn passing(&self, upstream: &Upstream) -> Arc<[String]> {
        costly::passing(&upstream.passes, self.passes.as_deref())
    }

    /// Whether tools that this provider runs itself pass to it.
    pub(crate) fn hands_on_tools(&self, upstream: &Upstream) -> bool {
        upstream.hands_on_tools(self.passes.as_deref())
    }

    /// The betas that are asked for, as they pass to this provider.
    pub(crate) fn betas_for(&self, upstream: &Upstream) -> Option<String> {
        let asked = self.betas.as_deref()?;
        Some(costly::betas(asked, &self.passing(upstream))).filter(|betas| !betas.is_empty())
    }

    /// Tokens of its question by our estimate.
    pub(crate) fn estimated(&self) -> u64 {
        self.input.unwrap_or_else(|| estimate(&self.body))
    }
}

/// The frames of a streamed answer, each item one or more whole ones. It never fails: an error is a frame, after which it ends.
pub type Frames = BoxStream<'static, Result<Bytes, Infallible>>;

/// The body of an answer.
pub enum AnswerBody {
    Whole(Bytes),
    Stream(Frames),
}

/// An answer in the caller's dialect, with status 200. Dropping it ends the connection upstream.
pub struct Forwarded {
    pub content_type: &'static str,
    pub body: AnswerBody,
    pub meter: Arc<Meter>,
}
