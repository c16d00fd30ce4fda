//! Response cache: identical requests of the same key within a few minutes.
//!
//! Requests are identical if their endpoint and every byte of the body are. Answers are cached per
//! key; streams are never cached. Requests use the cache if they ask for a reproducible answer
//! (`temperature` of zero, `seed`, embeddings) or send `Cache-Control: max-age`; `no-cache` and
//! `no-store` have their usual meaning.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use appcore::{ApiKeyId, view::GatewayEndpoint};
use bytes::Bytes;
use moka::future::Cache;

/// Maximum total size of the cache, in bytes.
const MAX_CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Maximum size of a request with its response, in bytes.
const MAX_ENTRY_BYTES: usize = 1024 * 1024;
/// Estimated overhead of an entry, in bytes.
const OVERHEAD: usize = 512;

/// Cache key of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    pub key_id: ApiKeyId,
    pub endpoint: GatewayEndpoint,
    /// Header values that affect the answer besides the body.
    pub betas: Option<String>,
    pub body: Bytes,
}

/// Cached answer.
#[derive(Debug)]
pub struct CachedAnswer {
    pub content_type: &'static str,
    pub body: Bytes,
    /// Upstream name of the model that answered.
    pub model: String,
    cached_at: Instant,
}

/// Cache directives of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheDirectives {
    /// Maximum age of an answer; `None` requests a new one.
    pub max_age: Option<Duration>,
    /// True if the answer may be stored.
    pub may_store: bool,
}

impl CacheDirectives {
    pub const NOTHING: Self = Self { max_age: None, may_store: false };

    /// Parses the `Cache-Control` header. Without directives, requests that are `repeatable` use
    /// the cache.
    #[must_use]
    pub fn parse(cache_control: Option<&str>, is_repeatable: bool) -> Self {
        let mut wish =
            if is_repeatable { Self { max_age: Some(Duration::MAX), may_store: true } } else { Self::NOTHING };
        for directive in cache_control.unwrap_or_default().split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => return Self::NOTHING,
                "no-cache" => return Self { max_age: None, ..wish },
                "max-age" => {
                    let age = value.trim().trim_matches('"').parse().ok().map(Duration::from_secs);
                    wish = Self { max_age: age.filter(|age| !age.is_zero()), may_store: true };
                }
                _ => {}
            }
        }
        wish
    }
}

/// Answers cached by this instance.
pub(super) struct ResponseCache(Option<Cache<CacheKey, Arc<CachedAnswer>>>);

impl ResponseCache {
    /// Creates a cache with this time to live; zero disables it.
    pub fn new(lifetime: Duration) -> Self {
        let build = || {
            let weigh = |question: &CacheKey, answer: &Arc<CachedAnswer>| {
                u32::try_from(question.body.len() + answer.body.len() + OVERHEAD).unwrap_or(u32::MAX)
            };
            Cache::builder().max_capacity(MAX_CACHE_BYTES).weigher(weigh).time_to_live(lifetime).build()
        };
        Self((!lifetime.is_zero()).then(build))
    }

    pub async fn find(&self, question: &CacheKey, wish: CacheDirectives) -> Option<Arc<CachedAnswer>> {
        // Long requests are not looked up: they are never cached, and hashing them is expensive.
        let (answers, max_age) = (self.0.as_ref().filter(|_| question.body.len() <= MAX_ENTRY_BYTES)?, wish.max_age?);
        answers.get(question).await.filter(|answer| answer.cached_at.elapsed() <= max_age)
    }

    pub async fn insert(&self, question: CacheKey, content_type: &'static str, body: Bytes, model: String) {
        let is_short = question.body.len().saturating_add(body.len()) <= MAX_ENTRY_BYTES;
        if let Some(answers) = self.0.as_ref().filter(|_| is_short) {
            let answer = CachedAnswer { content_type, body, model, cached_at: Instant::now() };
            answers.insert(question, Arc::new(answer)).await;
        }
    }

    /// Clears the cache after the models have changed.
    pub fn clear(&self) {
        if let Some(answers) = &self.0 {
            answers.invalidate_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(key_id: ApiKeyId, body: &'static str) -> CacheKey {
        CacheKey { key_id, endpoint: GatewayEndpoint::Chat, betas: None, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn parses_cache_directives() {
        let wish = |header, repeatable| CacheDirectives::parse(header, repeatable);
        assert_eq!(wish(None, false), CacheDirectives::NOTHING);
        assert_eq!(wish(None, true), CacheDirectives { max_age: Some(Duration::MAX), may_store: true });
        assert_eq!(
            wish(Some("max-age=60"), false),
            CacheDirectives { max_age: Some(Duration::from_secs(60)), may_store: true }
        );
        assert_eq!(wish(Some("max-age=0"), true), CacheDirectives { max_age: None, may_store: true });
        assert_eq!(wish(Some("No-Cache"), true), CacheDirectives { max_age: None, may_store: true });
        assert_eq!(wish(Some("max-age=60, no-store"), true), CacheDirectives::NOTHING);
        assert_eq!(wish(Some("max-age=soon"), false), CacheDirectives { max_age: None, may_store: true });
    }

    #[tokio::test]
    async fn returns_answers_to_their_key_only_and_within_the_maximum_age() {
        let (answers, key) = (ResponseCache::new(Duration::from_secs(300)), ApiKeyId::new());
        let any = CacheDirectives::parse(None, true);
        answers.insert(question(key, "a"), "application/json", Bytes::from_static(b"1"), "m".to_owned()).await;
        assert_eq!(answers.find(&question(key, "a"), any).await.unwrap().body, "1");
        assert!(answers.find(&question(key, "b"), any).await.is_none());
        assert!(answers.find(&question(ApiKeyId::new(), "a"), any).await.is_none());
        let elsewhere = CacheKey { endpoint: GatewayEndpoint::Responses, ..question(key, "a") };
        assert!(answers.find(&elsewhere, any).await.is_none());
        let young = CacheDirectives { max_age: Some(Duration::ZERO), may_store: true };
        assert!(answers.find(&question(key, "a"), young).await.is_none());
        answers.clear();
        assert!(answers.find(&question(key, "a"), any).await.is_none());
        let long = Bytes::from(vec![b' '; MAX_ENTRY_BYTES]);
        answers.insert(question(key, "a"), "application/json", long, "m".to_owned()).await;
        assert!(answers.find(&question(key, "a"), any).await.is_none());
        let off = ResponseCache::new(Duration::ZERO);
        off.insert(question(key, "a"), "application/json", Bytes::new(), "m".to_owned()).await;
        assert!(off.find(&question(key, "a"), any).await.is_none());
    }
}
