//! Delays requested by a provider.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// Parses `retry-after-ms`, else `retry-after` in seconds or as a date.
pub(super) fn retry_after(head: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| head.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(wait) = text("retry-after-ms").and_then(seconds) {
        return Some(wait / 1_000);
    }
    let value = text("retry-after")?;
    seconds(value.strip_suffix('s').unwrap_or(value))
        .or_else(|| httpdate::parse_http_date(value).ok().map(|date| date.duration_since(now).unwrap_or_default()))
}

/// Seconds, possibly fractional; `None` if the value is not a valid delay.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Time until a daily quota has surely been renewed: midnight in Pacific time is 07:00 or 08:00
/// UTC, so 08:00 is right all year.
pub(super) fn until_renewal(now: SystemTime) -> Duration {
    const DAY: u64 = 24 * 3_600;
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() % DAY;
    let renewal = 8 * 3_600;
    Duration::from_secs(if seconds < renewal { renewal - seconds } else { DAY + renewal - seconds })
}
