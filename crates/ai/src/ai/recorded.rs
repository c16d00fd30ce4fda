//! Copies of the client whose requests go to an exchange instead of the network.

use std::{
    sync::{Arc, OnceLock, RwLock},
    time::Duration,
};

use super::{Ai, ProviderSnapshot, RegisteredProvider, Upstream};
use crate::{Limits, ProviderSettings, provider_http::exchange::Exchange};

impl Ai {
    /// Copy with one provider and one of its keys, whose requests go to `exchange`. It has the
    /// provider's profiles, but a key pool and a breaker of its own, and waits for nothing between
    /// attempts. `None` if the provider is unknown.
    pub(crate) fn recorded(&self, provider: &str, key: usize, exchange: &Arc<Exchange>) -> Option<Self> {
        let upstreams = self.upstreams();
        let known = upstreams.providers().iter().find(|known| known.settings.name == provider)?;
        let settings = ProviderSettings {
            keys: known.settings.keys.get(key).cloned().into_iter().collect(),
            requests_per_minute: None,
            ..known.settings.clone()
        };
        let http = known.upstream.http.with_exchange(Arc::clone(exchange));
        let mut upstream = Upstream::build(&settings, http, self.outgoing.clone(), Duration::ZERO).ok()?;
        upstream.profiles = Arc::clone(&known.upstream.profiles);
        let provider = RegisteredProvider { upstream: Arc::new(upstream), settings, is_added: false };
        Some(Self {
            upstreams: RwLock::new(Arc::new(ProviderSnapshot { providers: vec![provider], default: None })),
            configured_default: None,
            unresolved_default: None,
            shared_http: self.shared_http.clone(),
            has_proxy: self.has_proxy,
            key_listener: OnceLock::new(),
            learning_listener: OnceLock::new(),
            demo: self.demo.clone(),
            limits: Arc::new(Limits { backoff: Duration::ZERO, ..Limits::clone(&self.limits) }),
            signatures: Arc::clone(&self.signatures),
            stored_responses: Arc::clone(&self.stored_responses),
            response_store: self.response_store.clone(),
            outgoing: self.outgoing.clone(),
            search: self.search.clone(),
        })
    }
}
