//! Health of the providers and their keys, for administrators.

use std::{fmt, time::Duration};

use reqwest::{Method, Request};
use tokio::time::Instant;

use crate::{
    Ai, AiError, LearnedSetting, ProviderSettings,
    ai::RegisteredProvider,
    dialect::EndpointPath,
    keys::{KeyHealth, KeyState, NoKeyAvailable},
    provider_http::{ConnectionCause, failure::Failure},
};

/// Timeout of a provider test.
const TEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Failure of a provider test. `Display` names the cause for administrators, as a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderTestError {
    pub error: AiError,
    /// Cause of a failed connection.
    cause: Option<ConnectionCause>,
}

impl fmt::Display for ProviderTestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match (&self.error, self.cause) {
            (_, Some(cause)) => cause.clause(),
            (AiError::Unavailable { .. }, None) => "the provider is unavailable",
            (AiError::Busy { .. }, None) => "the rate limit is reached, or all keys are paused",
            (AiError::Timeout, None) => {
                return write!(formatter, "no answer within {} seconds", TEST_TIMEOUT.as_secs());
            }
            (AiError::Credentials, None) => "the provider rejected the API key",
            (AiError::Quota, None) => "the quota with the provider is used up",
            (AiError::Barred, None) => "the provider, or a firewall before it, refused the call",
            (AiError::WrongCountry, None) => "the provider doesn't serve the country of this server",
            (AiError::UnknownModel, None) => "the base URL has no list of models",
            (error, None) => return formatter.write_str(error.to_string().trim_end_matches('.')),
        };
        formatter.write_str(cause)
    }
}

impl std::error::Error for ProviderTestError {}

impl From<AiError> for ProviderTestError {
    fn from(error: AiError) -> Self {
        Self { error, cause: None }
    }
}

impl From<Failure> for ProviderTestError {
    fn from(Failure { error, cause, .. }: Failure) -> Self {
        Self { error, cause }
    }
}

/// A provider and its keys.
#[derive(Debug, Clone)]
pub struct ProviderHealth {
    pub settings: ProviderSettings,
    /// True if added at runtime rather than by the configuration.
    pub is_added: bool,
    pub keys: Vec<KeyHealth>,
    /// True if the circuit breaker is open.
    pub is_circuit_open: bool,
    /// Settings of models that were learned from refusals.
    pub learned: Vec<LearnedSetting>,
}

/// Minimum cooldown for which a provider without a ready key counts as unavailable instead of busy.
const LONG_COOLDOWN: Duration = Duration::from_secs(10);

/// Availability of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderState {
    pub name: String,
    /// True if the circuit breaker is open.
    pub is_failing: bool,
    /// Time until the first key is usable. `None`: one is usable now.
    pub wait: Option<Duration>,
    /// Number of failed requests.
    pub failures: u64,
    /// Number of requests that the provider accepted only after a repair.
    pub repairs: u64,
}

impl ProviderState {
    /// True if no key will be usable for longer than a short rate limit lasts.
    #[must_use]
    pub fn is_out_of_keys(&self) -> bool {
        self.wait.is_some_and(|wait| wait >= LONG_COOLDOWN)
    }
}

impl Ai {
    /// Availability of each provider, as known to this instance.
    pub fn states(&self) -> Vec<ProviderState> {
        let state = |known: &RegisteredProvider| {
            let keys = known.upstream.keys.health();
            let is_ready = keys.iter().any(|key| key.state == KeyState::Ready);
            let rests = keys.iter().filter(|key| key.state == KeyState::CoolingDown).filter_map(|key| key.wait);
            ProviderState {
                name: known.settings.name.clone(),
                is_failing: known.upstream.breaker.is_open(),
                // A rejected key has no known recovery time, so it doesn't shorten the wait.
                wait: (!is_ready).then(|| rests.min().unwrap_or(Duration::MAX)),
                failures: keys.iter().map(|key| key.failures).sum(),
                repairs: known.upstream.profiles.repairs(),
            }
        };
        self.upstreams().providers().iter().map(state).collect()
    }

    /// Health of each provider's keys on this instance.
    pub fn health(&self) -> Vec<ProviderHealth> {
        let health = |known: &RegisteredProvider| ProviderHealth {
            settings: known.settings.clone(),
            is_added: known.is_added,
            keys: known.upstream.keys.health(),
            is_circuit_open: known.upstream.breaker.is_open(),
            learned: known.upstream.profiles.learned(),
        };
        self.upstreams().providers().iter().map(health).collect()
    }

    /// Cools a key down for this time, or enables it at once if `None`. Returns false if there is
    /// no such key.
    pub fn cool_down_key(&self, provider: &str, key: usize, wait: Option<Duration>) -> bool {
        self.upstreams().find(provider).is_some_and(|upstream| upstream.keys.cool_down_key(key, wait))
    }

    /// True if this setting of a provider's model was learned, and not forgotten.
    pub fn has_learned(&self, provider: &str, model: &str, setting: &str) -> bool {
        self.upstreams().find(provider).is_some_and(|upstream| upstream.profiles.has_learned(model, setting))
    }

    /// Forgets what was learned from refusals about a provider's model. Returns false if nothing was.
    pub fn clear_learned(&self, provider: &str, model: &str) -> bool {
        self.upstreams().find(provider).is_some_and(|upstream| upstream.profiles.clear(model))
    }

    /// Tests a provider by listing its models, which is free of charge, and returns the duration.
    /// `None` if there is no such provider.
    pub async fn test(&self, provider: &str) -> Option<Result<Duration, ProviderTestError>> {
        let upstreams = self.upstreams();
        let upstream = upstreams.find(provider)?;
        let begun = Instant::now();
        let asking = async {
            let lease = upstream.keys.acquire("", 0, &[]).map_err(|no_key| match no_key {
                NoKeyAvailable::CoolingDown(wait) => AiError::Busy { retry_after: Some(wait) },
                NoKeyAvailable::Disabled => AiError::Credentials,
            })?;
            let mut request = Request::new(Method::GET, upstream.url(&EndpointPath::from_segments(["models"])));
            upstream.authenticate(request.headers_mut(), &lease)?;
            upstream.http.send(request, None, false, begun + TEST_TIMEOUT).await?;
            Ok::<_, ProviderTestError>(())
        };
        Some(asking.await.map(|()| begun.elapsed()))
    }
}
