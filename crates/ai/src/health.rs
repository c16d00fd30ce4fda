//! What an operator sees of the providers, and does to them.

use std::time::Duration;

use reqwest::{Method, Request};
use tokio::time::Instant;

use crate::{
    Ai, AiError, ProviderSettings,
    ai::Known,
    dialect::Place,
    keys::{KeyHealth, KeyState, NoKey},
};

/// How long a provider may take to answer a test.
const TEST: Duration = Duration::from_secs(10);

/// A provider with its keys.
#[derive(Debug, Clone)]
pub struct ProviderHealth {
    pub settings: ProviderSettings,
    /// While the program ran, and not by the configuration.
    pub is_added: bool,
    pub keys: Vec<KeyHealth>,
    /// It fails so often that it is left alone for a while.
    pub is_resting: bool,
}

/// A provider whose keys rest for less is busy, and not away.
const LONG_REST: Duration = Duration::from_secs(10);

/// Whether a provider can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderState {
    pub name: String,
    /// It failed so often that it is left alone for a while.
    pub is_failing: bool,
    /// Until the first of its keys is of use again. None: one is.
    pub wait: Option<Duration>,
    /// Requests to it that failed.
    pub failures: u64,
}

impl ProviderState {
    /// Whether none of its keys is of use, for so long that it is more than a busy moment.
    #[must_use]
    pub fn is_out_of_keys(&self) -> bool {
        self.wait.is_some_and(|wait| wait >= LONG_REST)
    }
}

impl Ai {
    /// Which providers can be asked, as this instance knows without asking.
    pub fn states(&self) -> Vec<ProviderState> {
        let state = |known: &Known| {
            let keys = known.upstream.keys.health();
            let is_ready = keys.iter().any(|key| key.state == KeyState::Ready);
            let rests = keys.iter().filter(|key| key.state == KeyState::Resting).filter_map(|key| key.wait);
            ProviderState {
                name: known.settings.name.clone(),
                is_failing: known.upstream.breaker.is_open(),
                // Nobody knows when one that is refused will be taken again.
                wait: (!is_ready).then(|| rests.min().unwrap_or(Duration::MAX)),
                failures: keys.iter().map(|key| key.failures).sum(),
            }
        };
        self.upstreams().known().iter().map(state).collect()
    }

    /// How each provider's keys fare on this instance.
    pub fn health(&self) -> Vec<ProviderHealth> {
        let health = |known: &Known| ProviderHealth {
            settings: known.settings.clone(),
            is_added: known.is_added,
            keys: known.upstream.keys.health(),
            is_resting: known.upstream.breaker.is_open(),
        };
        self.upstreams().known().iter().map(health).collect()
    }

    /// Lets a key rest for so long, or uses it again at once. `false`: there is no such key.
    pub fn rest_key(&self, provider: &str, key: usize, wait: Option<Duration>) -> bool {
        self.upstreams().find(provider).is_some_and(|upstream| upstream.keys.rest(key, wait))
    }

    /// Asks a provider for its models, which costs nothing; how long it took. `None`: there is no such provider.
    pub async fn test(&self, provider: &str) -> Option<Result<Duration, AiError>> {
        let upstreams = self.upstreams();
        let upstream = upstreams.find(provider)?;
        let begun = Instant::now();
        let asking = async {
            let lease = upstream.keys.lend("", 0, &[]).map_err(|no_key| match no_key {
                NoKey::Resting(wait) => AiError::Busy { retry_after: Some(wait) },
                NoKey::Off => AiError::Credentials,
            })?;
            let mut request = Request::new(Method::GET, upstream.url(&Place::of(["models"])));
            upstream.sign(request.headers_mut(), &lease)?;
            upstream.http.send(request, false, begun + TEST).await.map_err(|failure| failure.error)
        };
        Some(asking.await.map(|_| begun.elapsed()))
    }
}
