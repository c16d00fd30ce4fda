//! The door: a model's name and a conversation in, a stream of text out.

use std::{sync::Arc, time::Duration};

use appcore::breaker::{Breaker, Circuit, Policy};
use backon::{ExponentialBuilder, Retryable};
use futures_util::{StreamExt, stream};
use reqwest::{Url, header::HeaderValue};
use tokio::time::Instant;

use crate::{
    AiError, AiSettings, ChatDelta, ChatRequest, ChatStream, Limits, ProviderKind, ProviderSettings,
    keys::{KeyLease, KeyPool, NoKey},
    provider::{Provider, demo::Demo, gemini::Gemini, openai::OpenAi},
    settings::{SettingsError, Target},
    wire::Http,
};

/// The name of the model that the built-in demo goes by.
const DEMO: &str = "demo";

/// When a provider is not asked any more: its server fails or can't be reached, whichever key is used. What is wrong with one key is the
/// pool's concern. The pauses are short, because each refused question is an answer that somebody waits for.
const POLICY: Policy = Policy { failures: 5, pause: Duration::from_secs(1), longest_pause: Duration::from_secs(15) };

/// Every provider that is configured, or the demo where none is.
pub struct Ai {
    upstreams: Vec<Upstream>,
    /// Finds an upstream by model; `None`: there is only the demo.
    routes: Option<Routes>,
    limits: Limits,
}

struct Routes {
    settings: AiSettings,
    default: Target,
}

/// A provider with its keys.
struct Upstream {
    name: String,
    provider: Box<dyn Provider>,
    keys: Arc<KeyPool>,
    breaker: Breaker,
}

impl Ai {
    /// Builds the layer from its settings, or says which of them cannot work.
    pub fn build(settings: AiSettings) -> Result<Self, SettingsError> {
        let limits = settings.limits.clone();
        if settings.providers.is_empty() {
            let provider = Box::new(Demo::new(limits.demo_pause));
            let keys = KeyPool::new(Vec::new(), None, limits.backoff);
            let demo = Upstream { name: DEMO.to_owned(), provider, keys, breaker: Breaker::new(DEMO, POLICY) };
            return Ok(Self { upstreams: vec![demo], routes: None, limits });
        }
        settings.check_map()?;
        let default = settings.default_target()?;
        let http = Http::new(settings.proxy.as_deref(), limits.clone())?;
        let upstreams: Result<_, _> =
            settings.providers.iter().map(|provider| Upstream::build(provider, &http, limits.backoff)).collect();
        Ok(Self { upstreams: upstreams?, routes: Some(Routes { settings, default }), limits })
    }

    /// The name of the model that answers where none is asked for.
    pub fn default_model(&self) -> &str {
        self.routes.as_ref().map_or(DEMO, |routes| &routes.default.model)
    }

    /// The best that the circuit breakers of the providers say: open when none of them is asked.
    pub fn circuit(&self) -> Circuit {
        let circuits = || self.upstreams.iter().map(|upstream| upstream.breaker.circuit());
        [Circuit::Closed, Circuit::HalfOpen]
            .into_iter()
            .find(|best| circuits().any(|circuit| circuit == *best))
            .unwrap_or(Circuit::Open)
    }

    /// Whether `model` can be asked for.
    pub fn has_model(&self, model: &str) -> bool {
        self.find(Some(model)).is_ok()
    }

    /// Asks `model`, or the default, and returns once the first token is there.
    ///
    /// Until then failures that may pass are retried (429, 5xx, a connection that fails or breaks): another key at once, the
    /// same one after a wait that doubles or that the provider asked for. A wait beyond `Limits::patience` is left to the
    /// reader. Dropping the future or the stream ends the request.
    pub async fn chat(&self, model: Option<&str>, request: ChatRequest) -> Result<ChatStream, AiError> {
        let (upstream, model) = self.find(model)?;
        let request = ChatRequest { model, ..request };
        let deadline = Instant::now() + self.limits.deadline;
        let waits = ExponentialBuilder::new()
            .with_min_delay(self.limits.backoff)
            .with_factor(2.0)
            .with_max_times(self.limits.retries);
        (|| upstream.ask(&request, deadline))
            .retry(waits)
            .when(AiError::is_passing)
            .adjust(|error, wait| self.wait_before_retry(error, wait?, deadline))
            .notify(|error, wait| {
                tracing::info!(
                    provider = upstream.name,
                    code = error.code(),
                    wait_ms = wait.as_millis(),
                    "asking a provider again"
                );
            })
            .await
    }

    fn wait_before_retry(&self, error: &AiError, backoff: Duration, deadline: Instant) -> Option<Duration> {
        let wait = error.retry_after().map_or(backoff, |asked| asked.max(backoff));
        let asked_too_much = error.retry_after().is_some_and(|asked| asked > self.limits.patience);
        (!asked_too_much && Instant::now() + wait < deadline).then_some(wait)
    }

    fn find(&self, model: Option<&str>) -> Result<(&Upstream, String), AiError> {
        let Some(routes) = &self.routes else {
            let known = model.is_none_or(|model| model == DEMO);
            let demo = self.upstreams.first().filter(|_| known).ok_or(AiError::UnknownModel)?;
            return Ok((demo, DEMO.to_owned()));
        };
        let target = match model {
            Some(model) => routes.settings.target(model)?,
            None => routes.default.clone(),
        };
        let upstream = self.upstreams.get(target.provider).ok_or(AiError::UnknownModel)?;
        Ok((upstream, target.model))
    }
}

impl Upstream {
    fn build(settings: &ProviderSettings, http: &Http, backoff: Duration) -> Result<Self, SettingsError> {
        let base_url = settings.base_url.as_deref().map_or(settings.kind.public_base_url(), str::trim);
        let base = Url::parse(base_url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.ok_or_else(|| SettingsError::BaseUrl(settings.name.clone()))?;
        if settings.keys.iter().any(|key| HeaderValue::from_str(key.expose()).is_err()) {
            return Err(SettingsError::Key(settings.name.clone()));
        }
        let provider: Box<dyn Provider> = match settings.kind {
            ProviderKind::OpenAi => Box::new(OpenAi::new(http.clone(), base.as_str())),
            ProviderKind::Gemini => Box::new(Gemini::new(http.clone(), base)),
        };
        let keys = KeyPool::new(settings.keys.clone(), settings.requests_per_minute, backoff);
        let breaker = Breaker::new(format!("ai provider {}", settings.name), POLICY);
        Ok(Self { name: settings.name.clone(), provider, keys, breaker })
    }

    /// Asks with one key after the other until one is not the cause of the failure.
    async fn ask(&self, request: &ChatRequest, deadline: Instant) -> Result<ChatStream, AiError> {
        let mut tried = Vec::new();
        let mut last = None;
        loop {
            let lease = match self.keys.lend(&request.model, &tried) {
                Ok(lease) => lease,
                Err(no_key) => return Err(last.unwrap_or_else(|| of_no_key(&no_key))),
            };
            tried.push(lease.index());
            let admitted = self
                .breaker
                .admit()
                .map_err(|open| last.clone().unwrap_or(AiError::Unavailable { retry_after: Some(open.retry_after) }))?;
            let answer = self.ask_with(request, &lease, deadline).await;
            match &answer {
                Err(error) if error.is_of_provider() => admitted.failed(error),
                _ => admitted.succeeded(),
            }
            match answer {
                Ok(answer) => {
                    lease.succeeded();
                    // The key counts as used for as long as the answer streams.
                    return Ok(answer.inspect(move |_| _ = &lease).boxed());
                }
                Err(error) => {
                    tracing::warn!(provider = self.name, key = lease.index(), code = error.code(), "a provider failed");
                    if !lease.failed(&error) {
                        return Err(error);
                    }
                    last = Some(error);
                }
            }
        }
    }

    /// Asks once and waits for the first token, so that what fails before it can still be tried again.
    async fn ask_with(
        &self,
        request: &ChatRequest,
        lease: &KeyLease,
        deadline: Instant,
    ) -> Result<ChatStream, AiError> {
        let mut answer = self.provider.stream(request, lease.key(), deadline).await?;
        let first: ChatDelta = answer.next().await.unwrap_or(Err(AiError::Cut))?;
        Ok(stream::iter([Ok(first)]).chain(answer).boxed())
    }
}

fn of_no_key(no_key: &NoKey) -> AiError {
    match no_key {
        NoKey::Resting(wait) => AiError::Busy { retry_after: Some(*wait) },
        NoKey::Off => AiError::Credentials,
    }
}
