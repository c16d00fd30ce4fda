//! A provider and its keys: addresses, headers, and the requests sent to it.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use appcore::{
    breaker::{Breaker, Policy},
    view::RestrictedParameter,
    work_pool::WorkOwner,
};
use bytes::Bytes;
use outgoing::Outgoing;
use reqwest::{
    Method, Request, Response, Url,
    header::{self, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{DeploymentProfiles, KeyListener, KeyStateChange, LearnedSetting, LearnedSettings, LearningListener};
use crate::{
    AiError, Meter, ProviderKind, ProviderSettings,
    blocking_pool::run,
    canonical::{Reader, Request as ChatQuestion},
    dialect::{EndpointPath, openai_responses, restricted_params},
    forward::AttemptError,
    image_download,
    keys::{KeyLease, KeyPool},
    params::ModelParamOverrides,
    profile::{
        Profile,
        adapt::{BodyFormat, adapt},
        refusal::{self, Remedy},
    },
    provider_http::{
        Http, TracedCall,
        failure::{Failure, Refusal},
    },
    route::Attempt,
    settings::SettingsError,
    web_search::OwnSearch,
};

/// Breaker policy for server errors and connection failures, whichever key is used. The key pool
/// handles failures of a single key. Pauses are short because a user waits for each refused
/// request.
const BREAKER_POLICY: Policy =
    Policy { failures: 5, pause: Duration::from_secs(1), longest_pause: Duration::from_secs(15) };
/// Time after an answer during which the provider counts as healthy even if other calls time out.
const HEALTHY_AFTER_ANSWER: Duration = Duration::from_secs(30);

/// A provider and its keys.
pub(crate) struct Upstream {
    pub name: String,
    pub kind: ProviderKind,
    pub http: Http,
    /// Client for images that the provider can't fetch itself.
    outgoing: Outgoing,
    pub base: Url,
    /// Address of the Responses API, if the provider has one.
    pub responses_url: Option<Url>,
    /// True if requests for tools that the provider runs are passed through.
    pub hosted_tools: bool,
    /// Restricted parameters that the provider's settings pass through.
    pub passthrough_params: Arc<[String]>,
    pub keys: Arc<KeyPool>,
    pub breaker: Breaker,
    /// Time of the last answer, whatever its status.
    answered_at: Mutex<Option<Instant>>,
    /// Profiles, which recorded copies of the provider share.
    pub profiles: Arc<DeploymentProfiles>,
    learning_listener: OnceLock<LearningListener>,
}

/// Maximum number of repairs of a request.
const MAX_REPAIRS: usize = 5;
/// Setting of a model that only the Responses API serves.
const RESPONSES_ONLY: &str = "api=responses";
/// Field that requests usage figures in a stream, and the setting of a model that rejects it.
const STREAM_OPTIONS: &str = "stream_options";
const WITHOUT_STREAM_OPTIONS: &str = "drop=stream_options";

/// API of a provider that answers a translated request.
pub(crate) struct ChatApi {
    pub format: BodyFormat,
    pub url: Url,
}

/// Request of an answer.
pub(crate) struct AnswerRequest<'a> {
    pub owner: WorkOwner,
    pub url: &'a Url,
    pub format: BodyFormat,
    pub body: Bytes,
    pub is_stream: bool,
    /// Value of the `anthropic-beta` header.
    pub betas: Option<&'a str>,
    pub meter: &'a Meter,
}

impl Upstream {
    pub(super) fn build(
        settings: &ProviderSettings,
        http: Http,
        outgoing: Outgoing,
        backoff: Duration,
    ) -> Result<Self, SettingsError> {
        let base = settings.base()?;
        if settings.keys.iter().any(|key| HeaderValue::from_str(key.expose()).is_err()) {
            return Err(SettingsError::Key(settings.name.clone()));
        }
        let keys = KeyPool::new(settings.keys.clone(), settings.requests_per_minute, backoff);
        let breaker = Breaker::new(format!("ai provider {}", settings.name), BREAKER_POLICY);
        let mut upstream = Self {
            name: settings.name.clone(),
            kind: settings.kind,
            http,
            outgoing,
            responses_url: None,
            profiles: Arc::new(DeploymentProfiles::new(settings.kind, base.clone())),
            hosted_tools: settings.hosted_tools,
            passthrough_params: settings.passes.clone().into(),
            base,
            keys,
            breaker,
            answered_at: Mutex::default(),
            learning_listener: OnceLock::new(),
        };
        let takes_responses = settings.responses && settings.kind.dialect().may_have_responses_api();
        upstream.responses_url = takes_responses.then(|| upstream.url(&EndpointPath::from_segments(["responses"])));
        Ok(upstream)
    }

    /// True if provider-hosted tools pass through for an API key with these permissions.
    pub(crate) fn passes_hosted_tools(&self, of_key: Option<&[RestrictedParameter]>) -> bool {
        self.hosted_tools && of_key.is_none_or(|passes| passes.contains(&RestrictedParameter::HostedTools))
    }

    pub(super) fn set_key_listener(&self, hearer: &KeyListener) {
        let (hearer, provider) = (Arc::clone(hearer), self.name.clone());
        self.keys.set_listener(move |key, model, fate| {
            hearer(KeyStateChange { provider: provider.clone(), key, model: model.map(str::to_owned), fate });
        });
    }

    pub(super) fn set_learning_listener(&self, listener: &LearningListener) {
        let _ = self.learning_listener.set(Arc::clone(listener));
    }

    /// Remembers settings of a model that were learned from a refusal.
    fn learn(&self, model: &str, settings: &[String]) {
        self.announce(self.profiles.learn(model, settings));
    }

    /// Announces settings that are new.
    fn announce(&self, settings: Vec<LearnedSetting>) {
        if let (Some(listener), false) = (self.learning_listener.get(), settings.is_empty()) {
            listener(LearnedSettings { provider: self.name.clone(), base_url: self.base.to_string(), settings });
        }
    }

    /// Records that the provider answered.
    pub(crate) fn record_answer(&self) {
        *self.answered_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// True if the provider answered another call within [`HEALTHY_AFTER_ANSWER`].
    pub(crate) fn answered_recently(&self) -> bool {
        let answered_at = *self.answered_at.lock().unwrap_or_else(PoisonError::into_inner);
        answered_at.is_some_and(|at| at.elapsed() < HEALTHY_AFTER_ANSWER)
    }

    /// Returns the URL of the chat endpoint for `model`.
    pub(crate) fn chat_url(&self, model: &str, is_stream: bool) -> Url {
        self.url(&self.kind.dialect().chat(model, is_stream))
    }

    /// Profile of the attempt's deployment.
    pub(crate) fn profile(&self, attempt: &Attempt<'_>) -> Arc<Profile> {
        let own = attempt.param_overrides.as_deref();
        let profile = self.profiles.of(attempt.model, own.map(ModelParamOverrides::accepts).unwrap_or_default());
        match own {
            Some(own) if own.reads_no_thoughts() && profile.requires_thoughts() => {
                Arc::new(profile.with(["thoughts=as_is"]))
            }
            _ => profile,
        }
    }

    /// API that answers the request, which the caller didn't send in the provider's own format.
    pub(crate) fn chat_api(&self, attempt: &Attempt<'_>, request: &ChatQuestion) -> ChatApi {
        let speaks_responses = self.kind.dialect().may_have_responses_api();
        let searches = request.web_search.as_ref().is_some_and(|search| search.own == Some(OwnSearch::Responses));
        if speaks_responses && (searches || self.profile(attempt).needs_responses(request)) {
            ChatApi { format: BodyFormat::Responses, url: self.url(&EndpointPath::from_segments(["responses"])) }
        } else {
            let url = self.chat_url(attempt.model, request.stream);
            ChatApi { format: BodyFormat::of(self.kind), url }
        }
    }

    /// If the provider refused a chat completion because only its Responses API serves the model,
    /// switches the model to that API and returns true: the request has to be sent again, and its
    /// success [confirmed](Self::confirm_responses).
    pub(crate) fn switch_to_responses(&self, attempt: &Attempt<'_>, failure: &Failure) -> bool {
        let phrases = [
            "v1/responses",
            "not supported in the v1/chat/completions",
            // Azure and GitHub Copilot.
            "chatcompletion operation does not work",
            "not accessible via the /chat/completions",
            "only supports the responses api",
        ];
        let is_asked = self.kind.dialect().may_have_responses_api()
            && failure
                .refusal
                .as_deref()
                .is_some_and(|told| phrases.iter().any(|phrase| told.message.contains(phrase)))
            && !self.profile(attempt).always_needs_responses();
        if is_asked {
            self.profiles.learn(attempt.model, &[RESPONSES_ONLY.to_owned()]);
        }
        is_asked
    }

    /// Records whether the Responses API accepted the request, and switches the model back if not.
    pub(crate) fn confirm_responses(&self, model: &str, is_accepted: bool) {
        if is_accepted {
            self.profiles.record_repair();
            let (model, setting) = (model.to_owned(), RESPONSES_ONLY.to_owned());
            self.announce(vec![LearnedSetting { model, setting, learned_at: SystemTime::now() }]);
        } else {
            self.profiles.unlearn(model, RESPONSES_ONLY);
        }
    }

    /// Creates a reader for answers of this API.
    pub(crate) fn reader(&self, format: BodyFormat) -> Box<dyn Reader> {
        match format {
            BodyFormat::Responses => Box::new(openai_responses::provider_format::ResponsesReader::default()),
            BodyFormat::Chat | BodyFormat::Messages | BodyFormat::Gemini => self.kind.dialect().reader(),
        }
    }

    /// Returns the URL of a path below the provider's base URL.
    pub(crate) fn url(&self, place: &EndpointPath) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&place.segments);
        }
        if place.query.is_some() {
            url.set_query(place.query);
        }
        url
    }

    /// Requests an answer and waits for the response headers. The body is adapted to what the
    /// deployment accepts. A refusal that another adaptation may resolve is followed by another
    /// request, and so is that one if it is refused for another reason, because many servers name
    /// one fault at a time. If a request is accepted, later ones are adapted at once.
    pub(crate) async fn request_answer(
        &self,
        attempt: &Attempt<'_>,
        request: AnswerRequest<'_>,
        deadline: Instant,
    ) -> Result<Response, AttemptError> {
        let (owner, format, model) = (request.owner, request.format, attempt.model);
        let mut profile = self.profile(attempt);
        let mut original = self.with_inline_images(&profile, format, request.body.clone()).await?;
        let mut body = adapted(owner, &profile, format, original.clone()).await?;
        let first = match self.post_answer_request(attempt, &request, body.clone(), deadline).await {
            Err(failure) if failure.refusal.is_some() => failure,
            sent => return Ok(sent?),
        };
        let mut next_refusal = first.refusal.clone();
        let mut last_message = String::new();
        let mut remedies: Vec<Remedy> = Vec::new();
        while let Some(refusal) = next_refusal.take().filter(|_| remedies.len() < MAX_REPAIRS) {
            let message = refusal.message.clone();
            let (current, unadapted) = (Arc::clone(&profile), original.clone());
            let finding = run(owner, body.len(), move || repair(&refusal, &current, format, &unadapted, &body));
            let Ok(Some((remedy, mut repaired))) = finding.await else { break };
            // The same message again means that the last repair was of no use. Another setting for it is
            // tried, but no further field is dropped.
            if message == last_message && remedy.drops_fields() {
                break;
            }
            last_message = message;
            profile = Arc::new(profile.with(remedy.settings.iter().map(String::as_str)));
            if remedy.inlines_images() {
                original = self.with_inline_images(&profile, format, original).await?;
                repaired = adapted(owner, &profile, format, original.clone()).await?;
            }
            remedies.push(remedy);
            match self.post_answer_request(attempt, &request, repaired.clone(), deadline).await {
                Ok(response) => {
                    self.record_remedies(model, &remedies, request.meter);
                    return Ok(response);
                }
                Err(next) if next.refusal.is_some() => next_refusal = next.refusal,
                Err(next) => return Err(next.into()),
            }
            body = repaired;
        }
        // The first refusal is about the request as the caller knows it.
        Err(first.into())
    }

    /// Replaces the URLs of images by their data if the deployment requires that.
    async fn with_inline_images(
        &self,
        profile: &Profile,
        format: BodyFormat,
        body: Bytes,
    ) -> Result<Bytes, AttemptError> {
        if format != BodyFormat::Chat || !profile.refuses_image_urls() {
            return Ok(body);
        }
        let inline = image_download::inline_chat_images(&self.outgoing, &body).await.map_err(AttemptError::Final)?;
        Ok(inline.unwrap_or(body))
    }

    /// Records the remedies by which a request was accepted, and remembers those that apply to every
    /// request.
    fn record_remedies(&self, model: &str, remedies: &[Remedy], meter: &Meter) {
        self.profiles.record_repair();
        for Remedy { settings, is_general } in remedies {
            tracing::warn!(provider = %self.name, model, settings = settings.join(" "), "request repaired after a refusal");
            meter.record_repair(settings);
            if *is_general {
                self.learn(model, settings);
            }
        }
    }

    async fn post_answer_request(
        &self,
        attempt: &Attempt<'_>,
        request: &AnswerRequest<'_>,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let AnswerRequest { owner, url, is_stream, betas, .. } = *request;
        match request.format {
            BodyFormat::Messages => self.post_message(url, attempt, body, (is_stream, betas), deadline).await,
            BodyFormat::Chat | BodyFormat::Responses | BodyFormat::Gemini => {
                self.post(owner, attempt, url, body, is_stream, deadline).await
            }
        }
    }

    /// Posts JSON and waits for the response headers.
    pub(crate) async fn post(
        &self,
        owner: WorkOwner,
        attempt: &Attempt<'_>,
        url: &Url,
        body: Bytes,
        is_stream: bool,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let (lease, model) = (&attempt.lease, attempt.model);
        // The Responses API always reports usage, and its field of this name has other options.
        let may_ask = is_stream && !url.path().ends_with("/responses");
        let is_plain = may_ask && self.profile(attempt).drops(STREAM_OPTIONS);
        let body =
            if is_plain { without_stream_options(owner, &body).await?.map_or(body, |(plain, _)| plain) } else { body };
        let request = self.request(url, lease, body.clone())?;
        match self.http.send(request, Some(self.traced(model)), is_stream, deadline).await {
            Err(failure) if may_ask && failure.is_stream_options_error => {
                // Options that the caller set are not removed: otherwise callers could avoid being
                // metered.
                let Some((plain, true)) = without_stream_options(owner, &body).await? else { return Err(failure) };
                let request = self.request(url, lease, plain)?;
                let response = self.http.send(request, Some(self.traced(model)), is_stream, deadline).await?;
                // Requests to other models keep the field, because it makes the provider report usage.
                tracing::warn!(provider = %self.name, model, "stream_options rejected by model, omitted from now on");
                self.profiles.record_repair();
                self.learn(model, &[WITHOUT_STREAM_OPTIONS.to_owned()]);
                Ok(response)
            }
            sent => sent,
        }
    }

    /// Description of a call for its tracing span.
    pub(crate) fn traced<'a>(&self, model: &'a str) -> TracedCall<'a> {
        TracedCall { provider: self.kind.trace_name(), model }
    }

    /// Like [`Self::post`], with the caller's `anthropic-beta` header.
    pub(crate) async fn post_message(
        &self,
        url: &Url,
        attempt: &Attempt<'_>,
        body: Bytes,
        (is_stream, betas): (bool, Option<&str>),
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let mut request = self.request(url, &attempt.lease, body)?;
        if let Some(Ok(betas)) = betas.map(HeaderValue::from_str) {
            request.headers_mut().insert("anthropic-beta", betas);
        }
        self.http.send(request, Some(self.traced(attempt.model)), is_stream, deadline).await
    }

    fn request(&self, url: &Url, lease: &KeyLease, body: Bytes) -> Result<Request, AiError> {
        let mut request = Request::new(Method::POST, url.clone());
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.authenticate(headers, lease)?;
        *request.body_mut() = Some(body.into());
        Ok(request)
    }

    /// Sets the provider's authentication headers.
    pub(crate) fn authenticate(&self, headers: &mut HeaderMap, lease: &KeyLease) -> Result<(), AiError> {
        let dialect = self.kind.dialect();
        for (name, value) in dialect.headers() {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        let Some(key) = lease.key() else { return Ok(()) };
        let (name, value) = dialect.credentials(key.expose());
        let value = HeaderValue::from_str(&value);
        let mut value = value.map_err(|_| AiError::Credentials)?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(())
    }
}

/// Adapts a body to a profile.
async fn adapted(owner: WorkOwner, profile: &Arc<Profile>, format: BodyFormat, body: Bytes) -> Result<Bytes, AiError> {
    let profile = Arc::clone(profile);
    let adapting = run(owner, body.len(), move || adapt(&profile, format, &body).unwrap_or(body));
    adapting.await.map_err(|_| AiError::Unavailable { retry_after: None })
}

/// Finds a remedy for the refusal of a body that was sent. Returns it with the body that the original
/// one becomes by it.
fn repair(
    refusal: &Refusal,
    profile: &Profile,
    format: BodyFormat,
    original: &Bytes,
    sent: &Bytes,
) -> Option<(Remedy, Bytes)> {
    let remedy = refusal::find(refusal, profile, format, sent)?;
    if remedy.inlines_images() {
        return Some((remedy, sent.clone()));
    }
    let repaired = adapt(&profile.with(remedy.settings.iter().map(String::as_str)), format, original)?;
    (repaired != *sent).then_some((remedy, repaired))
}

/// Removes `stream_options` from a body. The returned flag is true if the field held only the
/// gateway's own `include_usage`. Returns `None` if the field is absent.
async fn without_stream_options(owner: WorkOwner, body: &Bytes) -> Result<Option<(Bytes, bool)>, AiError> {
    let body = body.clone();
    let writing = run(owner, body.len(), move || {
        let (plain, options) = restricted_params::without_fields(&body, &[STREAM_OPTIONS])?;
        let is_ours =
            serde_json::from_str(options.get()).is_ok_and(|options: Value| options == json!({ "include_usage": true }));
        Some((plain, is_ours))
    });
    writing.await.map_err(|_| AiError::Unavailable { retry_after: None })
}
