//! Flood guard: limits the total number of requests per address.
//!
//! This is a coarse limit in front of everything; the limits of each rate group follow in
//! [`crate::rate_limit`]. With the feature `flood-guard`, requests are counted by `actix-governor`.
//! Without it, and for handshakes, which bypass actix-web's middleware, the same kind of counters
//! is used directly. Requests of trusted proxies and API calls with recently validated credentials
//! are not counted: many users and programs may share an address, and each of them has limits of
//! its own. Requests with other credentials are counted.

use std::{
    num::NonZeroU32,
    sync::{Arc, Weak},
    time::Duration,
};

use actix_web::{dev::ServiceRequest, web::Data};
use appcore::{AppError, Code, RequestSource, config::Config};
use governor::{Quota, RateLimiter, clock::Clock as _, clock::DefaultClock, state::keyed::DefaultKeyedStateStore};
use metrics::metrics;
use platform::rate_limits::LimitSubject;

use crate::{
    RequestServices, address,
    auth::{self, Credentials},
    firewall,
};

type Counters = RateLimiter<LimitSubject, DefaultKeyedStateStore<LimitSubject>, DefaultClock>;

/// Interval for evicting the counters of inactive addresses.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Path prefixes of API calls, which count against the limits of their user.
const API_PREFIXES: [&str; 6] =
    ["/r1/", GATEWAY_PREFIXES[0], GATEWAY_PREFIXES[1], GATEWAY_PREFIXES[2], GATEWAY_PREFIXES[3], GATEWAY_PREFIXES[4]];
/// Path prefixes of calls that accept only API keys, including those in `x-api-key` and `api-key`.
const GATEWAY_PREFIXES: [&str; 5] = ["/v1/", "/v1beta/", "/v2/", "/api/", "/openai/"];

/// Request counters of this instance, shared between clones.
#[derive(Clone)]
pub struct FloodGuard {
    counters: Arc<Counters>,
    #[cfg(feature = "flood-guard")]
    config: actix_governor::GovernorConfig<governed::BySubject, ::governor::middleware::NoOpMiddleware>,
}

impl FloodGuard {
    /// Creates the counters and spawns their eviction on the current runtime. Returns `None` if the limits are not a
    /// valid quota.
    #[must_use]
    pub fn start(config: &Config) -> Option<Self> {
        // With a disabled guard the quota is not used, so any value will do.
        let rate = NonZeroU32::new(config.rate_limit.flood_per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(config.rate_limit.flood_burst).unwrap_or(NonZeroU32::MIN);
        let guard = Self::with(Quota::per_second(rate).allow_burst(burst))?;
        tokio::spawn(sweep_counters(Arc::downgrade(&guard.counters)));
        Some(guard)
    }

    #[cfg(not(feature = "flood-guard"))]
    #[expect(clippy::unnecessary_wraps, reason = "fallible with the feature")]
    fn with(quota: Quota) -> Option<Self> {
        Some(Self { counters: Arc::new(RateLimiter::keyed(quota)) })
    }

    /// Counts a request. Returns an error if its address exceeds the limit.
    pub fn admit(&self, source: RequestSource, config: &Config) -> Result<(), AppError> {
        let Some(subject) = subject(source, config) else { return Ok(()) };
        let early = self.counters.check_key(&subject);
        early.map_err(|early| refusal(early.wait_time_from(self.counters.clock().now())))
    }

    /// Returns an error if the middleware has counted the request as excess.
    #[cfg(feature = "flood-guard")]
    pub fn check(&self, request: &ServiceRequest, _config: &Config) -> Result<(), AppError> {
        governed::verdict(request)
    }

    /// Counts a request. Returns an error if it exceeds the limit.
    #[cfg(not(feature = "flood-guard"))]
    pub fn check(&self, request: &ServiceRequest, config: &Config) -> Result<(), AppError> {
        if is_exempt(request) { Ok(()) } else { self.admit(address::source(request.request(), config), config) }
    }

    /// Middleware that counts requests; a no-op without `actix-governor`.
    #[cfg(not(feature = "flood-guard"))]
    #[must_use]
    pub fn middleware(&self) -> actix_web::middleware::Identity {
        actix_web::middleware::Identity::default()
    }
}

/// Records the result of authenticating these credentials. Errors other than invalid credentials are ignored.
pub fn record_credentials(services: &RequestServices, credentials: Option<&Credentials>, refusal: Option<&AppError>) {
    let Some(Credentials { token, .. }) = credentials.filter(|_| is_on(&services.config)) else { return };
    match refusal.map(AppError::code) {
        None => services.valid_credentials.insert(token),
        Some(Code::Unauthenticated) => services.valid_credentials.remove(token),
        Some(_) => {}
    }
}

/// True for requests that are not counted by address.
fn is_exempt(request: &ServiceRequest) -> bool {
    firewall::is_health_check(request.path()) || has_valid_credentials(request)
}

/// True for an API call with recently validated credentials. A cookie that a browser added to a
/// cross-site request doesn't count as credentials.
fn has_valid_credentials(request: &ServiceRequest) -> bool {
    let path = request.path();
    if !API_PREFIXES.iter().any(|root| path.starts_with(root)) {
        return false;
    }
    let Some(services) = request.app_data::<Data<RequestServices>>().filter(|services| is_on(&services.config)) else {
        return false;
    };
    let headers = request.headers();
    let found = if GATEWAY_PREFIXES.iter().any(|root| path.starts_with(root)) {
        auth::find_key(headers)
    } else {
        Credentials::find(headers, &services.config)
    };
    found.is_some_and(|found| {
        services.valid_credentials.contains(&found.token)
            && !(found.by_cookie && address::source(request.request(), &services.config).is_cross_site)
    })
}

fn is_on(config: &Config) -> bool {
    config.rate_limit.enabled && config.rate_limit.flood_per_second > 0
}

/// Subject that requests are counted for; `None` if they are not counted.
fn subject(source: RequestSource, config: &Config) -> Option<LimitSubject> {
    LimitSubject::from_source(source)
        .filter(|_| is_on(config) && !source.address.is_some_and(|address| address::is_trusted(address, config)))
        .map(LimitSubject::canonical)
}

fn refusal(wait: Duration) -> AppError {
    metrics().gates.flood_refused();
    let retry_after = Some(Duration::from_secs(wait.as_millis().div_ceil(1_000).max(1) as u64));
    AppError::Refused { code: Code::RateLimited, message: None, retry_after }
}

async fn sweep_counters(counters: Weak<Counters>) {
    let mut tick = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tick.tick().await;
        let Some(counters) = counters.upgrade() else { return };
        let swept = tokio::task::spawn_blocking(move || {
            counters.retain_recent();
            counters.shrink_to_fit();
        });
        let _ = swept.await;
    }
}

/// Counting by `actix-governor`. It only records its verdict; the error response is generated here as everywhere.
#[cfg(feature = "flood-guard")]
mod governed {
    use actix_governor::{Governor, GovernorConfigBuilder, GovernorResult, KeyExtractor};
    use actix_web::{HttpMessage as _, ResponseError, dev::ServiceRequest, web::Data};
    use appcore::AppError;
    use governor::{Quota, middleware::NoOpMiddleware};
    use platform::rate_limits::LimitSubject;

    use super::{FloodGuard, is_exempt, refusal, subject};
    use crate::{RequestServices, address};

    /// Key extractor by client address instead of peer address.
    #[derive(Clone)]
    pub struct BySubject;

    /// Key extraction error: the request has no subject, or is not counted.
    #[derive(Debug)]
    pub struct NotCounted;

    impl std::fmt::Display for NotCounted {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("the request is not counted")
        }
    }

    impl ResponseError for NotCounted {}

    impl KeyExtractor for BySubject {
        type Key = LimitSubject;
        type KeyExtractionError = NotCounted;

        fn extract(&self, request: &ServiceRequest) -> Result<LimitSubject, NotCounted> {
            if is_exempt(request) {
                return Err(NotCounted);
            }
            let services = request.app_data::<Data<RequestServices>>().ok_or(NotCounted)?;
            subject(address::source(request.request(), &services.config), &services.config).ok_or(NotCounted)
        }
    }

    impl FloodGuard {
        pub(super) fn with(quota: Quota) -> Option<Self> {
            let config = GovernorConfigBuilder::default()
                .key_extractor(BySubject)
                .period(quota.replenish_interval())
                .burst_size(quota.burst_size().get())
                .permissive(true)
                .finish()?;
            Some(Self { counters: config.limiter(), config })
        }

        /// Middleware that counts requests.
        #[must_use]
        pub fn middleware(&self) -> Governor<BySubject, NoOpMiddleware> {
            Governor::new(&self.config)
        }
    }

    pub(super) fn verdict(request: &ServiceRequest) -> Result<(), AppError> {
        match request.extensions().get::<GovernorResult<NotCounted>>() {
            Some(GovernorResult::Wait { wait, .. }) => Err(refusal(std::time::Duration::from_secs(*wait))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use appcore::config;

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Config {
        let variables = pairs.iter().map(|(key, value)| (format!("NATTER__{key}").into(), (*value).into()));
        config::load_core(None, variables).unwrap().config
    }

    fn from(text: &str) -> RequestSource {
        RequestSource::direct(Some(text.parse().unwrap()))
    }

    #[tokio::test]
    async fn limits_requests_per_address() {
        let config = settings(&[
            ("RATE_LIMIT__FLOOD_PER_SECOND", "1"),
            ("RATE_LIMIT__FLOOD_BURST", "3"),
            ("SERVER__TRUSTED_PROXIES", "10.0.0.0/8"),
        ]);
        let guard = FloodGuard::start(&config).unwrap();
        for caller in ["203.0.113.1", "2001:db8::1"] {
            for _ in 0..3 {
                guard.admit(from(caller), &config).unwrap();
            }
            let refused = guard.clone().admit(from(caller), &config).unwrap_err();
            assert_eq!((refused.code(), refused.retry_after()), (Code::RateLimited, Some(Duration::from_secs(1))));
        }
        assert!(guard.admit(from("2001:db8::2"), &config).is_err(), "of IPv6 the /64 is one caller");
        guard.admit(from("203.0.113.2"), &config).unwrap();
        let page = RequestSource { is_cross_site: true, ..from("203.0.113.1") };
        guard.admit(page, &config).unwrap();
        for _ in 0..9 {
            guard.admit(from("10.0.0.1"), &config).unwrap();
            guard.admit(RequestSource::default(), &config).unwrap();
        }
    }

    #[tokio::test]
    async fn can_be_disabled() {
        for off in [("RATE_LIMIT__ENABLED", "false"), ("RATE_LIMIT__FLOOD_PER_SECOND", "0")] {
            let config = settings(&[off, ("RATE_LIMIT__FLOOD_BURST", "1")]);
            let guard = FloodGuard::start(&config).unwrap();
            for _ in 0..9 {
                guard.admit(from("203.0.113.1"), &config).unwrap();
            }
        }
    }
}
