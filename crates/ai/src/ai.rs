//! All providers that there are, and the way of a worker's question to one of them.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use appcore::{
    ApiKeyId,
    breaker::{Breaker, Circuit, Policy},
    event::KeyFate,
    view::GatewayPass,
    work_pool::WorkOwner,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use outgoing::Outgoing;
use reqwest::{
    Method, Request, Response, Url,
    header::{self, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    AiError, AiSettings, ApiStyle, ChatDelta, ChatRequest, ChatStream, Deployment, GatewayError, Limits, ProviderKind,
    ProviderSettings, Route,
    conversation::{self, Conversation},
    demo::Demo,
    dialect::{Place, costly, openai_chat},
    forward::Stop,
    given::{self, Followed, Given},
    heavy::off_loop,
    keys::{KeyLease, KeyPool},
    meter::Meter,
    neutral::{Reader, Request as Question},
    peek::estimate,
    relay::Relay,
    route::{Attempt, Persistence, Tries},
    settings::{SettingsError, Target},
    shelf::SharedShelf,
    signatures::Signatures,
    takes::{self, OwnTakes},
    wire::{Http, Opened, failure::Failure},
};

/// The name of the model that the built-in demo goes by.
const DEMO: &str = "demo";

/// When a provider is not asked any more: its server fails or can't be reached, whichever key is used. What is wrong with one key is the
/// pool's concern. The pauses are short, because each refused question is an answer that somebody waits for.
const POLICY: Policy = Policy { failures: 5, pause: Duration::from_secs(1), longest_pause: Duration::from_secs(15) };

/// Of so many models of a provider it is remembered what they refuse: callers may name any.
const MOST_REMEMBERED: usize = 1_000;

/// For so long a provider that answered is well, whoever waits for it in vain.
const WELL: Duration = Duration::from_secs(30);

/// Every provider that is configured or was added, or the demo where there is none.
pub struct Ai {
    /// Replaced as a whole: whoever asks goes on with those that there were.
    upstreams: RwLock<Arc<Upstreams>>,
    /// By the configuration: the model of whoever asks for none.
    configured_default: Option<Target>,
    /// The default model that the configuration names and that isn't of its own providers: one that is added may have it.
    wished_default: Option<String>,
    /// The client of those that have no proxy of their own.
    shared: Http,
    has_proxy: bool,
    hearer: OnceLock<Hearer>,
    demo: Demo,
    limits: Arc<Limits>,
    signatures: Arc<Signatures>,
    given: Arc<Given>,
    /// What was given out by all instances, where there are several.
    shelf: OnceLock<Arc<dyn SharedShelf>>,
    outgoing: Outgoing,
}

/// Hears what this instance learns of its keys.
type Hearer = Arc<dyn Fn(KeyNews) + Send + Sync>;

/// The providers of one moment: those of the configuration, then those that were added.
pub(crate) struct Upstreams {
    known: Vec<Known>,
    /// The model of whoever asks for none; `None`: there is only the demo.
    default: Option<Target>,
}

/// A provider with what was said of it.
#[derive(Clone)]
pub(crate) struct Known {
    pub upstream: Arc<Upstream>,
    pub settings: ProviderSettings,
    /// While the program ran, and not by the configuration.
    pub is_added: bool,
}

/// What an instance has learned of a key, for the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyNews {
    pub provider: String,
    /// Its place in the configuration.
    pub key: usize,
    /// None: for all models.
    pub model: Option<String>,
    pub fate: KeyFate,
}

/// A provider with its keys.
pub(crate) struct Upstream {
    pub name: String,
    pub kind: ProviderKind,
    pub http: Http,
    pub base: Url,
    /// Where it takes responses, if it does.
    pub responses_url: Option<Url>,
    /// Whether the tools that it runs itself are handed on.
    pub hosted_tools: bool,
    /// What passes to it although it routes or costs.
    pub passes: Arc<[String]>,
    pub keys: Arc<KeyPool>,
    pub breaker: Breaker,
    /// When it answered last, whatever it said.
    answered_at: Mutex<Option<Instant>>,
    /// Models that refuse to be asked for the usage of a stream.
    without_stream_options: RwLock<HashSet<String>>,
}

impl Ai {
    /// Builds the layer from its settings, or says which of them cannot work.
    pub fn build(settings: AiSettings) -> Result<Self, SettingsError> {
        let limits = Arc::new(settings.limits.clone());
        takes::put_before(&settings.takes).map_err(SettingsError::Takes)?;
        let demo = Demo::new(limits.demo_pause);
        let outgoing = Outgoing::new(&settings.outgoing).map_err(|_| SettingsError::Client)?;
        let configured_default = if settings.providers.is_empty() {
            None
        } else {
            settings.check_map()?;
            Some(settings.default_target()?)
        };
        let shared = Http::new(settings.proxy.as_deref(), Arc::clone(&limits))?;
        let has_proxy = settings.proxy.as_deref().is_some_and(|proxy| !proxy.trim().is_empty());
        let build = |provider: ProviderSettings| -> Result<Known, SettingsError> {
            let http = match &provider.proxy {
                Some(proxy) => Http::new(Some(proxy), Arc::clone(&limits))?,
                None => shared.clone(),
            };
            let upstream = Arc::new(Upstream::build(&provider, http, limits.backoff)?);
            Ok(Known { upstream, settings: provider, is_added: false })
        };
        let known = settings.providers.into_iter().map(build).collect::<Result<Vec<_>, _>>()?;
        let upstreams = Upstreams { known, default: configured_default.clone() };
        Ok(Self {
            upstreams: RwLock::new(Arc::new(upstreams)),
            configured_default,
            wished_default: settings.default_model,
            shared,
            has_proxy,
            hearer: OnceLock::new(),
            demo,
            limits,
            signatures: Arc::default(),
            given: Arc::default(),
            shelf: OnceLock::new(),
            outgoing,
        })
    }

    /// Takes over the providers that were added while the program runs, beside those of the configuration. What is known of the keys of those
    /// that stay as they were stays known. One that can't be asked is left out, and so is one that has a configured one's name.
    pub fn replace_added(&self, added: Vec<ProviderSettings>) {
        let before = self.upstreams();
        let mut known: Vec<Known> = before.known.iter().filter(|known| !known.is_added).cloned().collect();
        for settings in added {
            if known.iter().any(|known| known.settings.name.eq_ignore_ascii_case(&settings.name)) {
                tracing::warn!(
                    provider = settings.name,
                    "the configuration has a provider of this name, which is asked instead"
                );
                continue;
            }
            let same = before.known.iter().find(|known| known.is_added && known.settings == settings);
            let upstream = match same.map_or_else(|| self.build_added(&settings), |same| Ok(Arc::clone(&same.upstream)))
            {
                Ok(upstream) => upstream,
                Err(error) => {
                    tracing::error!(%error, provider = settings.name, "a provider that was added can't be asked");
                    continue;
                }
            };
            known.push(Known { upstream, settings, is_added: true });
        }
        let wished = self.wished_default.as_deref().map(str::trim);
        let all = || {
            known.iter().enumerate().flat_map(|(at, known)| known.settings.models.iter().map(move |model| (at, model)))
        };
        let first = || {
            let found = all().find(|(_, model)| Some(model.as_str()) == wished).or_else(|| all().next());
            found.map(|(provider, model)| Target { provider, model: model.clone() })
        };
        let default = self.configured_default.clone().or_else(first);
        *self.upstreams.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Upstreams { known, default });
    }

    /// The providers that were added and can be asked, with their models.
    pub fn added(&self) -> Vec<(String, Vec<String>)> {
        let upstreams = self.upstreams();
        let added = upstreams.known().iter().filter(|known| known.is_added);
        added.map(|known| (known.settings.name.clone(), known.settings.models.clone())).collect()
    }

    /// The model of whoever asks for none, where the configuration has no provider but one was added.
    pub fn added_default(&self) -> Option<String> {
        let upstreams = self.upstreams();
        upstreams.default.as_ref().filter(|_| self.configured_default.is_none()).map(|default| default.model.clone())
    }

    /// Says whether a provider can be added so.
    pub fn check_added(&self, settings: &ProviderSettings) -> Result<(), SettingsError> {
        self.build_added(settings).map(drop)
    }

    /// Whoever adds providers need not be who runs this machine: they reach what `outgoing.allow` lets them, and no more.
    fn build_added(&self, settings: &ProviderSettings) -> Result<Arc<Upstream>, SettingsError> {
        let guarded = self.outgoing.client_for(&settings.base()?);
        let guarded = guarded.map_err(|_| SettingsError::BaseUrl(settings.name.clone()))?;
        let http = if self.has_proxy { self.shared.clone() } else { Http::of(guarded, Arc::clone(&self.limits)) };
        let upstream = Upstream::build(settings, http, self.limits.backoff)?;
        if let Some(hearer) = self.hearer.get() {
            upstream.tell_to(hearer);
        }
        Ok(Arc::new(upstream))
    }

    /// Names who hears what this instance learns of its keys; other instances take it in by [`hear`](Self::hear).
    pub fn tell_to(&self, hearer: impl Fn(KeyNews) + Send + Sync + 'static) {
        let hearer: Hearer = Arc::new(hearer);
        let _ = self.hearer.set(Arc::clone(&hearer));
        for known in self.upstreams().known() {
            known.upstream.tell_to(&hearer);
        }
    }

    /// Takes in what another instance, of the same configuration, has learned.
    pub fn hear(&self, news: &KeyNews) {
        if let Some(upstream) = self.upstreams().find(&news.provider) {
            upstream.keys.hear(news.key, news.model.as_deref(), news.fate);
        }
    }

    pub(crate) const fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    pub(crate) fn signatures(&self) -> &Arc<Signatures> {
        &self.signatures
    }

    pub(crate) fn given(&self) -> &Arc<Given> {
        &self.given
    }

    /// Names where all instances find what each of them gives out.
    pub fn share_on(&self, shelf: Arc<dyn SharedShelf>) {
        let _ = self.shelf.set(shelf);
    }

    pub(crate) fn shelf(&self) -> Option<&Arc<dyn SharedShelf>> {
        self.shelf.get()
    }

    /// A question to the Responses API with what it only names of this key's answers before. None: it names nothing.
    pub async fn fill_in(
        &self,
        owner: WorkOwner,
        key: ApiKeyId,
        body: &Bytes,
    ) -> Result<Option<(Bytes, Followed)>, GatewayError> {
        if !given::may_name(body) {
            return Ok(None);
        }
        if let Some(shelf) = self.shelf() {
            let asked = body.clone();
            let named = off_loop(owner, body.len(), move || given::named(&asked)).await?;
            self.given.bring(&**shelf, key, named).await;
        }
        let (given, body) = (Arc::clone(&self.given), body.clone());
        off_loop(owner, body.len(), move || given.fill_in(key, &body)).await?
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Whether one of those that may answer gets the tools that it runs itself, of a question to the Responses API.
    #[must_use]
    pub fn hands_on_tools(&self, route: &Route, of_key: Option<&[GatewayPass]>) -> bool {
        self.any_along(route, |upstream| upstream.responses_url.is_some() && upstream.hands_on_tools(of_key))
    }

    /// Whether one of those that may answer searches the web where chat completions ask for it.
    #[must_use]
    pub fn hands_on_searches(&self, route: &Route, of_key: Option<&[GatewayPass]>) -> bool {
        let hands_on =
            |upstream: &Upstream| costly::passing(&upstream.passes, of_key).iter().any(|name| name == costly::SEARCH);
        self.any_along(route, |upstream| upstream.kind.dialect().passes(ApiStyle::Chat) && hands_on(upstream))
    }

    /// Whether one of those that may answer may take no notice of the limit of its answers.
    #[must_use]
    pub fn may_ignore_limits(&self, route: &Route) -> bool {
        let upstreams = self.upstreams();
        route.all().any(|Deployment { provider, model, .. }| {
            let upstream = upstreams.find(provider).filter(|upstream| upstream.kind == ProviderKind::OPENAI);
            upstream.is_some_and(|upstream| openai_chat::may_ignore_limit(&upstream.base, model))
        })
    }

    /// Whether one of those that may answer signs the calls of tools.
    pub(crate) fn signs_calls(&self, route: &Route) -> bool {
        self.any_along(route, |upstream| upstream.kind.dialect().signs_calls())
    }

    fn any_along(&self, route: &Route, is_meant: impl Fn(&Upstream) -> bool) -> bool {
        let upstreams = self.upstreams();
        route.all().any(|Deployment { provider, .. }| upstreams.find(provider).is_some_and(&is_meant))
    }

    /// The providers as they are now.
    pub(crate) fn upstreams(&self) -> Arc<Upstreams> {
        Arc::clone(&self.upstreams.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a model answers, and not the demo.
    pub fn has_provider(&self) -> bool {
        self.upstreams().default.is_some()
    }

    /// Where the question of somebody who asks for no model goes.
    pub fn default_route(&self) -> Result<Route, AiError> {
        let upstreams = self.upstreams();
        let deployment = match &upstreams.default {
            Some(default) => upstreams.deployment(default)?,
            None => demo_deployment(),
        };
        Ok(Route { asked: deployment.model.clone(), deployments: vec![deployment], ..Route::default() })
    }

    /// The best that the circuit breakers of the providers say: open when none of them is asked.
    pub fn circuit(&self) -> Circuit {
        let upstreams = self.upstreams();
        let circuits = || upstreams.known().iter().map(|known| known.upstream.breaker.circuit());
        if upstreams.known().is_empty() {
            return Circuit::Closed;
        }
        [Circuit::Closed, Circuit::HalfOpen]
            .into_iter()
            .find(|best| circuits().any(|circuit| circuit == *best))
            .unwrap_or(Circuit::Open)
    }

    /// Asks along a route, and returns once the first token is there.
    ///
    /// Until then failures that may pass are retried (429, 5xx, a connection that fails or breaks): another key at once, the
    /// same one after a wait that doubles or that the provider asked for. A wait beyond `Limits::patience` is left to the
    /// reader. Dropping the future or the stream ends the request. The meter says at any moment what has been used.
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
        let Limits { retries: times, backoff: wait, patience, .. } = *self.limits;
        let question = conversation::request(&request);
        let size = request.estimated_tokens().saturating_add(request.max_tokens.map_or(0, u64::from));
        let mut tries = Tries::new(&upstreams, route, size, Persistence { times, wait, patience }, deadline);
        loop {
            let attempt = tries.next().await.map_err(|failure| failure.error)?;
            meter.ask(&attempt.upstream.name, attempt.model, attempt.lease.tail());
            match self.begin_chat(&attempt, (request.owner, &question), meter, deadline).await {
                Ok(answer) => {
                    let lease = attempt.succeeded();
                    // The key counts as used for as long as the answer streams.
                    return Ok(answer.inspect(move |_| _ = &lease).boxed());
                }
                // A question that can't be written is one without a word.
                Err(Stop::Told(_)) => return Err(AiError::Rejected),
                Err(Stop::Failed(failure)) => {
                    meter.refused();
                    tries.failed(attempt, failure).map_err(|failure| failure.error)?;
                }
            }
        }
    }

    /// Asks along a route for a text, and breaks it off once there is enough of it.
    pub async fn text(
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

    /// Asks once and waits for the first token, so that what fails before it can still be tried again.
    async fn begin_chat(
        &self,
        attempt: &Attempt<'_>,
        (owner, question): (WorkOwner, &Question),
        meter: &Arc<Meter>,
        deadline: Instant,
    ) -> Result<ChatStream, Stop> {
        let upstream = attempt.upstream;
        let own = attempt.takes.as_deref();
        let body = written(upstream.kind, &upstream.base, question, attempt.model, own).map_err(Stop::Told)?;
        meter.estimate_question(estimate(&body));
        let url = upstream.address(attempt.model, true);
        meter.sent();
        let response = upstream.post(owner, attempt, &url, body, true, deadline).await?;
        let mut listener = self.listener(attempt);
        let body = match upstream.http.open(response, deadline).await? {
            Opened::Stream(body) => body,
            Opened::Whole(body) => {
                let events = listener.whole(&body, meter)?;
                let ends = listener.conclude(meter)?;
                let said = Conversation::new(listener).tell(events, ends, meter)?;
                return Ok(stream::iter(said.into_iter().map(Ok)).boxed());
            }
        };
        let limits = Arc::clone(&self.limits);
        let mut relay =
            Relay::new(ApiStyle::Chat, Conversation::new(listener), body, Arc::clone(meter), limits, deadline);
        relay.first().await?;
        let pieces = |said: Result<Vec<ChatDelta>, Failure>| match said {
            Ok(said) => stream::iter(said.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(failure) => stream::iter(vec![Err(failure.error)]),
        };
        Ok(stream::poll_fn(move |cx| relay.poll_out(cx)).flat_map(pieces).boxed())
    }
}

/// The demo as a route names it.
fn demo_deployment() -> Deployment {
    Deployment { provider: DEMO.to_owned(), model: DEMO.to_owned(), weight: 1, priority: 0, takes: None }
}

/// A question to the provider at this address, in its dialect.
pub(crate) fn written(
    kind: ProviderKind,
    base: &Url,
    question: &Question,
    model: &str,
    own: Option<&OwnTakes>,
) -> Result<Bytes, GatewayError> {
    let fitted = takes::fit(question, model, own);
    Ok(kind.dialect().write(&fitted, model, base)?.to_string().into())
}

impl Upstreams {
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    pub fn find(&self, name: &str) -> Option<&Upstream> {
        self.known.iter().map(|known| &*known.upstream).find(|upstream| upstream.name == name)
    }

    fn deployment(&self, target: &Target) -> Result<Deployment, AiError> {
        let known = self.known.get(target.provider).ok_or(AiError::UnknownModel)?;
        let (provider, model) = (known.settings.name.clone(), target.model.clone());
        Ok(Deployment { provider, model, weight: 1, priority: 0, takes: None })
    }
}

impl Upstream {
    fn build(settings: &ProviderSettings, http: Http, backoff: Duration) -> Result<Self, SettingsError> {
        let base = settings.base()?;
        if settings.keys.iter().any(|key| HeaderValue::from_str(key.expose()).is_err()) {
            return Err(SettingsError::Key(settings.name.clone()));
        }
        let keys = KeyPool::new(settings.keys.clone(), settings.requests_per_minute, backoff);
        let breaker = Breaker::new(format!("ai provider {}", settings.name), POLICY);
        let mut upstream = Self {
            name: settings.name.clone(),
            kind: settings.kind,
            http,
            responses_url: None,
            hosted_tools: settings.hosted_tools,
            passes: settings.passes.clone().into(),
            base,
            keys,
            breaker,
            answered_at: Mutex::default(),
            without_stream_options: RwLock::default(),
        };
        let takes_responses = settings.responses && settings.kind.dialect().may_take_responses();
        upstream.responses_url = takes_responses.then(|| upstream.url(&Place::of(["responses"])));
        Ok(upstream)
    }

    /// Whether tools that it runs itself pass to it with a key that has this list.
    pub(crate) fn hands_on_tools(&self, of_key: Option<&[GatewayPass]>) -> bool {
        self.hosted_tools && of_key.is_none_or(|passes| passes.contains(&GatewayPass::HostedTools))
    }

    fn tell_to(&self, hearer: &Hearer) {
        let (hearer, provider) = (Arc::clone(hearer), self.name.clone());
        self.keys.tell_to(move |key, model, fate| {
            hearer(KeyNews { provider: provider.clone(), key, model: model.map(str::to_owned), fate });
        });
    }

    /// It has answered.
    pub(crate) fn note_answer(&self) {
        *self.answered_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether somebody got an answer a moment ago.
    pub(crate) fn has_answered_lately(&self) -> bool {
        let answered_at = *self.answered_at.lock().unwrap_or_else(PoisonError::into_inner);
        answered_at.is_some_and(|at| at.elapsed() < WELL)
    }

    /// Where a question for `model` is sent.
    pub(crate) fn address(&self, model: &str, is_stream: bool) -> Url {
        self.url(&self.kind.dialect().chat(model, is_stream))
    }

    /// Reads the provider's answers.
    pub(crate) fn reader(&self) -> Box<dyn Reader> {
        self.kind.dialect().reader()
    }

    /// An address below the provider's base.
    pub(crate) fn url(&self, place: &Place) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&place.segments);
        }
        if place.query.is_some() {
            url.set_query(place.query);
        }
        url
    }

    /// Posts JSON and waits for the head of the answer.
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
        // The Responses API tells of its usage unasked, and has other options by this name.
        let may_ask = is_stream && self.responses_url.as_ref() != Some(url);
        let is_plain = may_ask && self.is_asked_without_stream_options(model);
        let body =
            if is_plain { without_stream_options(owner, &body).await?.map_or(body, |(plain, _)| plain) } else { body };
        let request = self.request(url, lease, body.clone())?;
        match self.http.send(request, is_stream, deadline).await {
            Err(failure) if may_ask && failure.of_stream_options => {
                // What a caller has asked for there is the caller's to mend: nobody gets out of being counted by it.
                let Some((plain, true)) = without_stream_options(owner, &body).await? else { return Err(failure) };
                let request = self.request(url, lease, plain)?;
                let response = self.http.send(request, is_stream, deadline).await?;
                self.ask_without_stream_options(model);
                Ok(response)
            }
            sent => sent,
        }
    }

    fn is_asked_without_stream_options(&self, model: &str) -> bool {
        self.without_stream_options.read().unwrap_or_else(PoisonError::into_inner).contains(model)
    }

    /// A model behind a provider that has many: the others go on telling their usage.
    fn ask_without_stream_options(&self, model: &str) {
        let mut models = self.without_stream_options.write().unwrap_or_else(PoisonError::into_inner);
        if models.len() < MOST_REMEMBERED && models.insert(model.to_owned()) {
            tracing::warn!(provider = %self.name, model, "a model refuses stream_options and is asked without from now on");
        }
    }

    /// As [`Self::post`], with what the caller of an Anthropic library asks for beside the body.
    pub(crate) async fn post_message(
        &self,
        url: &Url,
        lease: &KeyLease,
        body: Bytes,
        (is_stream, betas): (bool, Option<&str>),
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let mut request = self.request(url, lease, body)?;
        if let Some(Ok(betas)) = betas.map(HeaderValue::from_str) {
            request.headers_mut().insert("anthropic-beta", betas);
        }
        self.http.send(request, is_stream, deadline).await
    }

    fn request(&self, url: &Url, lease: &KeyLease, body: Bytes) -> Result<Request, AiError> {
        let mut request = Request::new(Method::POST, url.clone());
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.sign(headers, lease)?;
        *request.body_mut() = Some(body.into());
        Ok(request)
    }

    /// Puts the key where the provider looks for it.
    pub(crate) fn sign(&self, headers: &mut HeaderMap, lease: &KeyLease) -> Result<(), AiError> {
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

/// A body that doesn't ask for the usage of its stream, and whether it asked for nothing else there. None: it does not anyway.
async fn without_stream_options(owner: WorkOwner, body: &Bytes) -> Result<Option<(Bytes, bool)>, AiError> {
    let body = body.clone();
    let writing = off_loop(owner, body.len(), move || {
        let (plain, options) = costly::without(&body, &["stream_options"])?;
        let is_ours =
            serde_json::from_str(options.get()).is_ok_and(|options: Value| options == json!({ "include_usage": true }));
        Some((plain, is_ours))
    });
    writing.await.map_err(|_| AiError::Unavailable { retry_after: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, models: &[&str]) -> ProviderSettings {
        let models = models.iter().map(|&model| model.to_owned()).collect();
        ProviderSettings { models, ..ProviderSettings::new(name.to_owned(), ProviderKind::OPENAI) }
    }

    /// Who is asked by those who name no model.
    fn default(ai: &Ai) -> (String, String) {
        let deployment = ai.default_route().unwrap().deployments.remove(0);
        (deployment.provider, deployment.model)
    }

    #[tokio::test]
    async fn providers_come_and_go_and_what_is_known_of_the_others_stays_known() {
        let ai = Ai::build(AiSettings::default()).unwrap();
        assert!(!ai.has_provider() && ai.added_default().is_none());
        ai.replace_added(vec![provider("one", &["small"]), provider("two", &["small", "large"])]);
        assert_eq!(default(&ai), ("one".to_owned(), "small".to_owned()));
        let minute = Some(Duration::from_secs(60));
        assert!(ai.rest_key("one", 0, minute) && ai.rest_key("two", 0, minute));
        ai.replace_added(vec![provider("one", &["small"]), provider("two", &["large"])]);
        let rests: Vec<_> = ai.states().into_iter().map(|state| (state.name, state.wait.is_some())).collect();
        assert_eq!(rests, [("one".to_owned(), true), ("two".to_owned(), false)]);
        ai.replace_added(Vec::new());
        assert!(!ai.has_provider() && ai.added().is_empty());
        assert_eq!(default(&ai), (DEMO.to_owned(), DEMO.to_owned()));
    }

    #[tokio::test]
    async fn those_of_the_configuration_go_first() {
        let providers = vec![provider("main", &["small"])];
        let ai = Ai::build(AiSettings { providers, ..AiSettings::default() }).unwrap();
        ai.replace_added(vec![provider("MAIN", &["other"]), provider("two", &["large"])]);
        assert_eq!(ai.added(), [("two".to_owned(), vec!["large".to_owned()])]);
        assert_eq!((default(&ai).0.as_str(), ai.added_default()), ("main", None));
        let wish = AiSettings { default_model: Some("large".to_owned()), ..AiSettings::default() };
        let ai = Ai::build(wish).unwrap();
        ai.replace_added(vec![provider("one", &["small"]), provider("two", &["large"])]);
        assert_eq!(ai.added_default().as_deref(), Some("large"));
        let inside = ProviderSettings { base_url: Some("http://10.0.0.1/v1".to_owned()), ..provider("in", &["x"]) };
        assert_eq!(ai.check_added(&inside), Err(SettingsError::BaseUrl("in".to_owned())));
    }
}
