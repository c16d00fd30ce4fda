//! Rate limits: by user if known, otherwise by address; for refreshes by token family.

use actix_web::{
    HttpMessage as _, HttpRequest,
    http::header::{HeaderName, HeaderValue},
};
use appcore::{
    AppError, RequestSource, SessionId, UserId,
    limit::{RateGroup, Violation},
};
use platform::rate_limits::{ConcurrencyPermit, LimitSubject, RateDecision};

use crate::{RequestServices, address};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Counts a call by its user, or by its address if the user is unknown, and refuses it beyond the
/// limit. The permit is held until the response is complete.
///
/// A call beyond the limit is a violation of the address only if the caller is unknown. The limit
/// of a user or key doesn't concern others at the same address.
pub async fn count(
    services: &RequestServices,
    http: &HttpRequest,
    group: RateGroup,
    user: Option<UserId>,
) -> Result<Option<ConcurrencyPermit>, AppError> {
    // Counted by `count_refresh`, once the endpoint knows the token family.
    if group == RateGroup::Refresh {
        return Ok(None);
    }
    let source = address::source(http, &services.config);
    let counted = acquire(services, http, group, source, user.map(LimitSubject::User)).await;
    if counted.is_err() && user.is_none() {
        Box::pin(services.firewall.record_violation(source, Violation::RateLimited)).await;
    }
    counted
}

/// Counts a call with refused credentials by its address. This is not a violation, since the credentials may have
/// expired or been revoked; forged ones are counted separately.
pub async fn count_refused(services: &RequestServices, http: &HttpRequest, group: RateGroup) -> Result<(), AppError> {
    acquire(services, http, group, address::source(http, &services.config), None).await.map(drop)
}

/// Counts a refresh by token family, or by address if the token is unknown.
pub async fn count_refresh(
    services: &RequestServices,
    http: &HttpRequest,
    family: Option<SessionId>,
) -> Result<Option<ConcurrencyPermit>, AppError> {
    acquire(
        services,
        http,
        RateGroup::Refresh,
        address::source(http, &services.config),
        family.map(LimitSubject::Session),
    )
    .await
}

async fn acquire(
    services: &RequestServices,
    http: &HttpRequest,
    group: RateGroup,
    source: RequestSource,
    known: Option<LimitSubject>,
) -> Result<Option<ConcurrencyPermit>, AppError> {
    let known = known.filter(|_| !services.limits.is_by_address(group));
    // Requests without an address come from this program itself.
    let Some(subject) = known.or_else(|| LimitSubject::from_source(source)) else { return Ok(None) };
    let Some((decision, permit)) = services.limits.admit(group, subject).await else { return Ok(None) };
    http.extensions_mut().insert(decision);
    decision.check().map(|()| permit)
}

/// Rate limit headers of the limit that the call was counted against.
pub fn headers(http: &HttpRequest) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let verdict = http.extensions().get::<RateDecision>().copied();
    let limit = verdict.map(|verdict| (LIMIT, HeaderValue::from(verdict.limit)));
    let window = verdict.and_then(|verdict| verdict.window);
    let remaining = window.map(|window| (REMAINING, HeaderValue::from(window.remaining)));
    let reset = window.map(|window| (RESET, HeaderValue::from(window.reset.as_millis().div_ceil(1_000) as u64)));
    [limit, remaining, reset].into_iter().flatten()
}
