//! A provider with its keys: its addresses, its headers, and the requests that are sent to it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use appcore::{
    breaker::{Breaker, Policy},
    view::RestrictedParameter,
    work_pool::WorkOwner,
};
use bytes::Bytes;
use reqwest::{
    Method, Request, Response, Url,
    header::{self, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Hearer, KeyNews};
use crate::{
    AiError, ProviderKind, ProviderSettings,
    dialect::{Place, costly},
    heavy::off_loop,
    keys::{KeyLease, KeyPool},
    neutral::Reader,
    route::Attempt,
    settings::SettingsError,
    wire::{Http, failure::Failure},
};

/// When a provider is not asked any more: its server fails or can't be reached, whichever key is used. What is wrong with one key is the
/// pool's concern. The pauses are short, because each refused question is an answer that somebody waits for.
const POLICY: Policy = Policy { failures: 5, pause: Duration::from_secs(1), longest_pause: Duration::from_secs(15) };
/// Of so many models of a provider it is remembered what they refuse: callers may name any.
const MOST_REMEMBERED: usize = 1_000;
/// For so long a provider that answered is well, whoever waits for it in vain.
const WELL: Duration = Duration::from_secs(30);

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

impl Upstream {
    pub(super) fn build(settings: &ProviderSettings, http: Http, backoff: Duration) -> Result<Self, SettingsError> {
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
    pub(crate) fn hands_on_tools(&self, of_key: Option<&[RestrictedParameter]>) -> bool {
        self.hosted_tools && of_key.is_none_or(|passes| passes.contains(&RestrictedParameter::HostedTools))
    }

    pub(super) fn tell_to(&self, hearer: &Hearer) {
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
