//! Cache of a provider's documents.

use std::{sync::Arc, time::Duration};

use reqwest::header::{CACHE_CONTROL, HeaderMap};
use tokio::{sync::Mutex, time::Instant};

use crate::OidcError;

/// Minimum and maximum lifetime of a cached document, regardless of the response's `Cache-Control`.
const MIN_TTL: Duration = Duration::from_secs(300);
const MAX_TTL: Duration = Duration::from_secs(86_400);
/// Time until the next fetch after a failed one, during which an older value is used if there is one.
const RETRY_PAUSE: Duration = Duration::from_secs(60);
/// Minimum interval between early fetches, which are made before the cached value expires because it doesn't suffice.
const EARLY_FETCH_INTERVAL: Duration = Duration::from_secs(60);

/// A cached value. Concurrent requests wait for a single fetch.
pub(crate) struct CachedDocument<T>(Mutex<State<T>>);

struct State<T> {
    entry: Option<Entry<T>>,
    fetched_early_at: Option<Instant>,
}

struct Entry<T> {
    value: Arc<T>,
    until: Instant,
}

impl<T> CachedDocument<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { entry: None, fetched_early_at: None }))
    }

    /// Returns the cached or a fetched value. If the provider is unavailable, an expired value is returned.
    pub(crate) async fn get(
        &self,
        fetch: impl AsyncFnOnce() -> Result<(T, Duration), OidcError>,
    ) -> Result<Arc<T>, OidcError> {
        let mut state = self.0.lock().await;
        if let Some(entry) = state.entry.as_ref().filter(|entry| entry.until > Instant::now()) {
            return Ok(Arc::clone(&entry.value));
        }
        match (fetch().await, &mut state.entry) {
            (Ok((value, lasts)), entry) => Ok(store(entry, value, lasts)),
            (Err(error), Some(entry)) => {
                tracing::warn!(%error, "failed to refresh provider document, using the expired one");
                entry.until = Instant::now() + RETRY_PAUSE;
                Ok(Arc::clone(&entry.value))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Returns a value newer than `old`, if an early fetch is allowed now.
    pub(crate) async fn refresh(
        &self,
        old: &Arc<T>,
        fetch: impl AsyncFnOnce() -> Result<(T, Duration), OidcError>,
    ) -> Option<Arc<T>> {
        let mut state = self.0.lock().await;
        // A concurrent caller has fetched a newer value already.
        if let Some(entry) = state.entry.as_ref().filter(|entry| !Arc::ptr_eq(&entry.value, old)) {
            return Some(Arc::clone(&entry.value));
        }
        if state.fetched_early_at.is_some_and(|asked| asked.elapsed() < EARLY_FETCH_INTERVAL) {
            return None;
        }
        state.fetched_early_at = Some(Instant::now());
        match fetch().await {
            Ok((value, lasts)) => Some(store(&mut state.entry, value, lasts)),
            Err(error) => {
                tracing::warn!(%error, "failed to fetch newer provider document");
                None
            }
        }
    }
}

fn store<T>(entry: &mut Option<Entry<T>>, value: T, lasts: Duration) -> Arc<T> {
    let value = Arc::new(value);
    *entry = Some(Entry { value: Arc::clone(&value), until: Instant::now() + lasts.clamp(MIN_TTL, MAX_TTL) });
    value
}

/// Lifetime of a response by its `Cache-Control: max-age`.
pub(crate) fn max_age(headers: &HeaderMap) -> Duration {
    let text = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn away() -> OidcError {
        OidcError::Unavailable("test".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn expired_value_is_refetched_and_used_while_the_provider_is_unavailable() {
        let kept = CachedDocument::new();
        let count = Cell::new(0);
        let fetch = async || {
            count.set(count.get() + 1);
            Ok((count.get(), Duration::from_secs(600)))
        };
        assert_eq!((*kept.get(fetch).await.unwrap(), *kept.get(fetch).await.unwrap()), (1, 1));
        tokio::time::advance(Duration::from_secs(601)).await;
        assert_eq!(*kept.get(async || Err(away())).await.unwrap(), 1);
        assert_eq!(*kept.get(fetch).await.unwrap(), 1, "no retry within a minute");
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(*kept.get(fetch).await.unwrap(), 2);
        assert!(CachedDocument::<()>::new().get(async || Err(away())).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn early_fetches_are_limited_to_one_a_minute() {
        let kept = CachedDocument::new();
        let count = Cell::new(0);
        let fetch = async || {
            count.set(count.get() + 1);
            Ok((count.get(), Duration::from_secs(600)))
        };
        let first = kept.get(fetch).await.unwrap();
        let second = kept.refresh(&first, fetch).await.unwrap();
        assert_eq!((*second, *kept.refresh(&first, fetch).await.unwrap()), (2, 2), "already fetched by another caller");
        assert!(kept.refresh(&second, fetch).await.is_none());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(kept.refresh(&second, async || Err(away())).await.is_none());
        assert_eq!(*kept.get(fetch).await.unwrap(), 2, "the value is kept");
    }

    #[test]
    fn parses_max_age() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, text.parse().unwrap());
            max_age(&headers).as_secs()
        };
        assert_eq!(of("public, max-age=22087, must-revalidate"), 22_087);
        assert_eq!((of("no-store"), of("max-age=x"), max_age(&HeaderMap::new()).as_secs()), (0, 0, 0));
    }
}
