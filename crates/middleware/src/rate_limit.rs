//! How often a caller may call: by user where that is known, else by address.

use actix_web::{
    HttpMessage as _, HttpRequest,
    http::header::{HeaderName, HeaderValue},
};
use appcore::{
    AppError, UserId,
    limit::{RateGroup, Violation},
};
use service::{
    App,
    limits::{ConcurrencyPermit, RateDecision, Subject},
};

use crate::address;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Counts the call, and refuses it where it is one too many. What it answers is kept until the answer is there.
pub async fn count(
    app: &App,
    http: &HttpRequest,
    group: RateGroup,
    user: Option<UserId>,
) -> Result<Option<ConcurrencyPermit>, AppError> {
    let source = address::source(http, &app.config);
    let user = user.filter(|_| !app.limits.is_by_address(group)).map(Subject::User);
    // Without an address it is a request that this program makes to itself.
    let Some(subject) = user.or_else(|| Subject::of(source)) else { return Ok(None) };
    let Some((verdict, lease)) = app.limits.take(group, subject).await else { return Ok(None) };
    http.extensions_mut().insert(verdict);
    if let Err(refusal) = verdict.check() {
        Box::pin(app.firewall.note(source, Violation::RateLimited)).await;
        return Err(refusal);
    }
    Ok(lease)
}

/// What the answer says of the limit that the call was counted against.
pub fn headers(http: &HttpRequest) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let verdict = http.extensions().get::<RateDecision>().copied();
    let limit = verdict.map(|verdict| (LIMIT, HeaderValue::from(verdict.limit)));
    let window = verdict.and_then(|verdict| verdict.window);
    let remaining = window.map(|window| (REMAINING, HeaderValue::from(window.remaining)));
    let reset = window.map(|window| (RESET, HeaderValue::from(window.reset.as_millis().div_ceil(1_000) as u64)));
    [limit, remaining, reset].into_iter().flatten()
}
