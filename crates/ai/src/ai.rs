//! AI gateway client: the configured providers, and default-model routing for Natter's own
//! requests.

mod chat;
mod deployment_profiles;
mod recorded;
mod upstream;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use appcore::{ApiKeyId, breaker::Circuit, event::ProviderKeyChange, view::RestrictedParameter, work_pool::WorkOwner};
use bytes::Bytes;
use outgoing::Outgoing;

pub use self::deployment_profiles::{LearnedSetting, LearnedSettings, MAX_LEARNED_SETTINGS};
pub(crate) use self::{
    chat::encode_request,
    deployment_profiles::DeploymentProfiles,
    upstream::{AnswerRequest, ChatApi, Upstream},
};
use crate::{
    AiError, AiSettings, ApiStyle, Deployment, GatewayError, Limits, ProviderKind, ProviderSettings, Route,
    blocking_pool::run,
    demo::Demo,
    dialect::{openai_chat, restricted_params},
    params,
    provider_http::Http,
    response_history::{self, PreviousResponse, StoredResponses},
    response_store::ResponseStore,
    settings::{SettingsError, Target},
    thought_signatures::SignatureCache,
    web_search::SearchClient,
};

/// Model and provider name of the built-in demo.
const DEMO_NAME: &str = "demo";

/// AI client with the configured providers and those added at runtime. The built-in demo answers if
/// there are none.
pub struct Ai {
    /// Current snapshot of the providers. It is replaced as a whole; a call in progress keeps the
    /// snapshot with which it started.
    upstreams: RwLock<Arc<ProviderSnapshot>>,
    /// Default model from the configuration.
    configured_default: Option<Target>,
    /// Default model that the configuration names but none of its providers offers. A provider that
    /// is added at runtime may offer it.
    unresolved_default: Option<String>,
    /// HTTP client of providers without a proxy of their own.
    shared_http: Http,
    has_proxy: bool,
    key_listener: OnceLock<KeyListener>,
    learning_listener: OnceLock<LearningListener>,
    demo: Demo,
    limits: Arc<Limits>,
    signatures: Arc<SignatureCache>,
    stored_responses: Arc<StoredResponses>,
    /// Response store shared between instances; unset on a single instance.
    response_store: OnceLock<Arc<dyn ResponseStore>>,
    outgoing: Outgoing,
    /// Client of the search provider, if one is configured.
    search: Option<Arc<SearchClient>>,
}

/// Listener for key state changes on this instance.
type KeyListener = Arc<dyn Fn(KeyStateChange) + Send + Sync>;

/// Listener for settings of models that this instance learns.
type LearningListener = Arc<dyn Fn(LearnedSettings) + Send + Sync>;

/// Snapshot of the providers: first the configured ones, then those added at runtime.
pub(crate) struct ProviderSnapshot {
    providers: Vec<RegisteredProvider>,
    /// Default model; `None` if only the demo is available.
    default: Option<Target>,
}

/// A provider and the settings it was built from.
#[derive(Clone)]
pub(crate) struct RegisteredProvider {
    pub upstream: Arc<Upstream>,
    pub settings: ProviderSettings,
    /// True if added at runtime rather than by the configuration.
    pub is_added: bool,
}

/// Change in the state of a provider's API key on one instance, sent to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStateChange {
    pub provider: String,
    /// Index of the key in the configuration.
    pub key: usize,
    /// Model that the change concerns; `None` for all models.
    pub model: Option<String>,
    pub fate: ProviderKeyChange,
}

impl Ai {
    /// Builds the client; returns an error naming the setting that is invalid.
    pub fn build(settings: AiSettings) -> Result<Self, SettingsError> {
        let limits = Arc::new(settings.limits.clone());
        params::set_configured_rows(&settings.model_params).map_err(SettingsError::Takes)?;
        let demo = Demo::new(limits.demo_pause);
        let outgoing = Outgoing::new(&settings.outgoing).map_err(|_| SettingsError::Client)?;
        let search = match &settings.web_search {
            Some(search) => {
                Some(Arc::new(SearchClient::build(search, outgoing.clone()).ok_or(SettingsError::WebSearch)?))
            }
            None => None,
        };
        let configured_default = if settings.providers.is_empty() {
            None
        } else {
            settings.check_map()?;
            Some(settings.default_target()?)
        };
        let shared = Http::new(settings.proxy.as_deref(), Arc::clone(&limits))?;
        let has_proxy = settings.proxy.as_deref().is_some_and(|proxy| !proxy.trim().is_empty());
        let build = |provider: ProviderSettings| -> Result<RegisteredProvider, SettingsError> {
            let http = match &provider.proxy {
                Some(proxy) => Http::new(Some(proxy), Arc::clone(&limits))?,
                None => shared.clone(),
            };
            let upstream = Arc::new(Upstream::build(&provider, http, outgoing.clone(), limits.backoff)?);
            Ok(RegisteredProvider { upstream, settings: provider, is_added: false })
        };
        let known = settings.providers.into_iter().map(build).collect::<Result<Vec<_>, _>>()?;
        let upstreams = ProviderSnapshot { providers: known, default: configured_default.clone() };
        Ok(Self {
            upstreams: RwLock::new(Arc::new(upstreams)),
            configured_default,
            unresolved_default: settings.default_model,
            shared_http: shared,
            has_proxy,
            key_listener: OnceLock::new(),
            learning_listener: OnceLock::new(),
            demo,
            limits,
            signatures: Arc::default(),
            stored_responses: Arc::default(),
            response_store: OnceLock::new(),
            outgoing,
            search,
        })
    }

    /// Replaces the providers added at runtime; configured ones stay.
    ///
    /// A provider with unchanged settings keeps its key and breaker state. Providers that can't be
    /// built and those with the name of a configured one are skipped.
    pub fn replace_added(&self, added: Vec<ProviderSettings>) {
        let before = self.upstreams();
        let mut known: Vec<RegisteredProvider> =
            before.providers.iter().filter(|known| !known.is_added).cloned().collect();
        for settings in added {
            if known.iter().any(|known| known.settings.name.eq_ignore_ascii_case(&settings.name)) {
                tracing::warn!(provider = settings.name, "added provider skipped, name taken by a configured provider");
                continue;
            }
            let same = before.providers.iter().find(|known| known.is_added && known.settings == settings);
            let upstream = match same
                .map_or_else(|| self.build_added_provider(&settings), |same| Ok(Arc::clone(&same.upstream)))
            {
                Ok(upstream) => upstream,
                Err(error) => {
                    tracing::error!(%error, provider = settings.name, "failed to build added provider");
                    continue;
                }
            };
            known.push(RegisteredProvider { upstream, settings, is_added: true });
        }
        let wished = self.unresolved_default.as_deref().map(str::trim);
        let all = || {
            known.iter().enumerate().flat_map(|(at, known)| known.settings.models.iter().map(move |model| (at, model)))
        };
        let first = || {
            let found = all().find(|(_, model)| Some(model.as_str()) == wished).or_else(|| all().next());
            found.map(|(provider, model)| Target { provider, model: model.clone() })
        };
        let default = self.configured_default.clone().or_else(first);
        *self.upstreams.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(ProviderSnapshot { providers: known, default });
    }

    /// Names and models of the providers in use that were added at runtime.
    pub fn added_providers(&self) -> Vec<(String, Vec<String>)> {
        let upstreams = self.upstreams();
        let added = upstreams.providers().iter().filter(|known| known.is_added);
        added.map(|known| (known.settings.name.clone(), known.settings.models.clone())).collect()
    }

    /// Default model, if it comes from a provider that was added at runtime.
    pub fn added_default_model(&self) -> Option<String> {
        let upstreams = self.upstreams();
        upstreams.default.as_ref().filter(|_| self.configured_default.is_none()).map(|default| default.model.clone())
    }

    /// Validates the settings of a provider before it is added.
    pub fn check_added_provider(&self, settings: &ProviderSettings) -> Result<(), SettingsError> {
        self.build_added_provider(settings).map(drop)
    }

    /// Builds a provider that is added at runtime. Its requests go through the guarded client
    /// (`outgoing.allow`), because administrators who add providers need not control the server's
    /// network.
    fn build_added_provider(&self, settings: &ProviderSettings) -> Result<Arc<Upstream>, SettingsError> {
        let guarded = self.outgoing.client_for(&settings.base()?);
        let guarded = guarded.map_err(|_| SettingsError::BaseUrl(settings.name.clone()))?;
        let http = if self.has_proxy { self.shared_http.clone() } else { Http::of(guarded, Arc::clone(&self.limits)) };
        let upstream = Upstream::build(settings, http, self.outgoing.clone(), self.limits.backoff)?;
        if let Some(hearer) = self.key_listener.get() {
            upstream.set_key_listener(hearer);
        }
        if let Some(listener) = self.learning_listener.get() {
            upstream.set_learning_listener(listener);
        }
        Ok(Arc::new(upstream))
    }

    /// Sets the listener for key state changes; other instances apply them with
    /// [`hear`](Self::hear).
    pub fn set_key_listener(&self, hearer: impl Fn(KeyStateChange) + Send + Sync + 'static) {
        let hearer: KeyListener = Arc::new(hearer);
        let _ = self.key_listener.set(Arc::clone(&hearer));
        for known in self.upstreams().providers() {
            known.upstream.set_key_listener(&hearer);
        }
    }

    /// Sets the listener for settings of models that this instance learns from refusals. It shares
    /// them by [`Self::replace_learned`] with all instances.
    pub fn set_learning_listener(&self, listener: impl Fn(LearnedSettings) + Send + Sync + 'static) {
        let listener: LearningListener = Arc::new(listener);
        let _ = self.learning_listener.set(Arc::clone(&listener));
        for known in self.upstreams().providers() {
            known.upstream.set_learning_listener(&listener);
        }
    }

    /// Replaces the learned settings that all instances share. Those of unknown providers, and of
    /// other addresses of a provider, are skipped.
    pub fn replace_learned(&self, learned: Vec<LearnedSettings>) {
        for known in self.upstreams().providers() {
            let upstream = &known.upstream;
            let is_own =
                |one: &&LearnedSettings| one.provider == upstream.name && one.base_url == upstream.base.as_str();
            let settings: Vec<LearnedSetting> =
                learned.iter().filter(is_own).flat_map(|one| one.settings.iter().cloned()).collect();
            upstream.profiles.replace_shared(&settings);
        }
    }

    /// Applies a key state change of another instance with the same configuration.
    pub fn apply_key_state(&self, news: &KeyStateChange) {
        if let Some(upstream) = self.upstreams().find(&news.provider) {
            upstream.keys.apply_state(news.key, news.model.as_deref(), news.fate);
        }
    }

    pub(crate) const fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// Client of the gateway's search provider.
    pub(crate) fn search_client(&self) -> Option<&Arc<SearchClient>> {
        self.search.as_ref()
    }

    pub(crate) fn signatures(&self) -> &Arc<SignatureCache> {
        &self.signatures
    }

    pub(crate) fn stored_responses(&self) -> &Arc<StoredResponses> {
        &self.stored_responses
    }

    /// Sets the response store shared between instances.
    pub fn set_response_store(&self, shelf: Arc<dyn ResponseStore>) {
        let _ = self.response_store.set(shelf);
    }

    pub(crate) fn response_store(&self) -> Option<&Arc<dyn ResponseStore>> {
        self.response_store.get()
    }

    /// Expands `previous_response_id` and item references in a Responses API request.
    ///
    /// Returns `None` if the request refers to no earlier output of this API key.
    pub async fn expand_references(
        &self,
        owner: WorkOwner,
        key: ApiKeyId,
        body: &Bytes,
    ) -> Result<Option<(Bytes, PreviousResponse)>, GatewayError> {
        if !response_history::may_have_references(body) {
            return Ok(None);
        }
        if let Some(shelf) = self.response_store() {
            let asked = body.clone();
            let named = run(owner, body.len(), move || response_history::referenced_ids(&asked)).await?;
            // Another instance may have deleted the response.
            if let Some(previous) = named.first() {
                self.load_response(key, previous).await;
            }
            self.stored_responses.load_shared(&**shelf, key, named).await;
        }
        let (given, body) = (Arc::clone(&self.stored_responses), body.clone());
        run(owner, body.len(), move || given.expand_references(key, &body)).await?
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// True if at least one provider of the route lets provider-hosted tools of the Responses API
    /// pass.
    #[must_use]
    pub fn passes_hosted_tools(&self, route: &Route, of_key: Option<&[RestrictedParameter]>) -> bool {
        self.any_deployment(route, |upstream| upstream.responses_url.is_some() && upstream.passes_hosted_tools(of_key))
    }

    /// True if at least one provider of the route lets the web-search options of chat completions
    /// pass.
    #[must_use]
    pub fn passes_web_search(&self, route: &Route, of_key: Option<&[RestrictedParameter]>) -> bool {
        let hands_on = |upstream: &Upstream| {
            restricted_params::allowed_params(&upstream.passthrough_params, of_key)
                .iter()
                .any(|name| name == restricted_params::WEB_SEARCH_FIELD)
        };
        self.any_deployment(route, |upstream| {
            upstream.kind.dialect().passes_through(ApiStyle::Chat) && hands_on(upstream)
        })
    }

    /// True if a deployment of the route may ignore `max_tokens`.
    #[must_use]
    pub fn may_ignore_limits(&self, route: &Route) -> bool {
        let upstreams = self.upstreams();
        route.all().any(|Deployment { provider, model, .. }| {
            let upstream = upstreams.find(provider).filter(|upstream| upstream.kind == ProviderKind::OPENAI);
            upstream.is_some_and(|upstream| openai_chat::may_ignore_limit(&upstream.base, model))
        })
    }

    /// True if a provider of the route signs tool calls and needs the signatures back.
    pub(crate) fn signs_tool_calls(&self, route: &Route) -> bool {
        self.any_deployment(route, |upstream| upstream.kind.dialect().signs_tool_calls())
    }

    fn any_deployment(&self, route: &Route, is_meant: impl Fn(&Upstream) -> bool) -> bool {
        let upstreams = self.upstreams();
        route.all().any(|Deployment { provider, .. }| upstreams.find(provider).is_some_and(&is_meant))
    }

    /// Current snapshot of the providers.
    pub(crate) fn upstreams(&self) -> Arc<ProviderSnapshot> {
        Arc::clone(&self.upstreams.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// True if at least one provider is available, so that the demo doesn't answer.
    pub fn has_provider(&self) -> bool {
        self.upstreams().default.is_some()
    }

    /// Route of requests that name no model.
    pub fn default_route(&self) -> Result<Route, AiError> {
        let upstreams = self.upstreams();
        let deployment = match &upstreams.default {
            Some(default) => upstreams.deployment(default)?,
            None => demo_deployment(),
        };
        Ok(Route { requested_model: deployment.model.clone(), deployments: vec![deployment], ..Route::default() })
    }

    /// Breaker state of the healthiest provider: open only if every provider's breaker is open.
    pub fn circuit(&self) -> Circuit {
        let upstreams = self.upstreams();
        let circuits = || upstreams.providers().iter().map(|known| known.upstream.breaker.circuit());
        if upstreams.providers().is_empty() {
            return Circuit::Closed;
        }
        [Circuit::Closed, Circuit::HalfOpen]
            .into_iter()
            .find(|best| circuits().any(|circuit| circuit == *best))
            .unwrap_or(Circuit::Open)
    }
}

/// Deployment of the demo.
fn demo_deployment() -> Deployment {
    Deployment {
        provider: DEMO_NAME.to_owned(),
        model: DEMO_NAME.to_owned(),
        weight: 1,
        priority: 0,
        param_overrides: None,
    }
}

impl ProviderSnapshot {
    pub fn providers(&self) -> &[RegisteredProvider] {
        &self.providers
    }

    pub fn find(&self, name: &str) -> Option<&Upstream> {
        self.providers.iter().map(|known| &*known.upstream).find(|upstream| upstream.name == name)
    }

    fn deployment(&self, target: &Target) -> Result<Deployment, AiError> {
        let known = self.providers.get(target.provider).ok_or(AiError::UnknownModel)?;
        let (provider, model) = (known.settings.name.clone(), target.model.clone());
        Ok(Deployment { provider, model, weight: 1, priority: 0, param_overrides: None })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn provider(name: &str, models: &[&str]) -> ProviderSettings {
        let models = models.iter().map(|&model| model.to_owned()).collect();
        ProviderSettings { models, ..ProviderSettings::new(name.to_owned(), ProviderKind::OPENAI) }
    }

    /// Provider and model of the default route.
    fn default(ai: &Ai) -> (String, String) {
        let deployment = ai.default_route().unwrap().deployments.remove(0);
        (deployment.provider, deployment.model)
    }

    #[tokio::test]
    async fn keeps_key_state_of_unchanged_added_providers() {
        let ai = Ai::build(AiSettings::default()).unwrap();
        assert!(!ai.has_provider() && ai.added_default_model().is_none());
        ai.replace_added(vec![provider("one", &["small"]), provider("two", &["small", "large"])]);
        assert_eq!(default(&ai), ("one".to_owned(), "small".to_owned()));
        let minute = Some(Duration::from_secs(60));
        assert!(ai.cool_down_key("one", 0, minute) && ai.cool_down_key("two", 0, minute));
        ai.replace_added(vec![provider("one", &["small"]), provider("two", &["large"])]);
        let rests: Vec<_> = ai.states().into_iter().map(|state| (state.name, state.wait.is_some())).collect();
        assert_eq!(rests, [("one".to_owned(), true), ("two".to_owned(), false)]);
        ai.replace_added(Vec::new());
        assert!(!ai.has_provider() && ai.added_providers().is_empty());
        assert_eq!(default(&ai), (DEMO_NAME.to_owned(), DEMO_NAME.to_owned()));
    }

    #[tokio::test]
    async fn prefers_configured_providers_over_added_ones() {
        let providers = vec![provider("main", &["small"])];
        let ai = Ai::build(AiSettings { providers, ..AiSettings::default() }).unwrap();
        ai.replace_added(vec![provider("MAIN", &["other"]), provider("two", &["large"])]);
        assert_eq!(ai.added_providers(), [("two".to_owned(), vec!["large".to_owned()])]);
        assert_eq!((default(&ai).0.as_str(), ai.added_default_model()), ("main", None));
        let wish = AiSettings { default_model: Some("large".to_owned()), ..AiSettings::default() };
        let ai = Ai::build(wish).unwrap();
        ai.replace_added(vec![provider("one", &["small"]), provider("two", &["large"])]);
        assert_eq!(ai.added_default_model().as_deref(), Some("large"));
        let inside = ProviderSettings { base_url: Some("http://10.0.0.1/v1".to_owned()), ..provider("in", &["x"]) };
        assert_eq!(ai.check_added_provider(&inside), Err(SettingsError::BaseUrl("in".to_owned())));
    }
}
