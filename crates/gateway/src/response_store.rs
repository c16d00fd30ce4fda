//! Response store in Redis: makes stored responses available to all instances.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ::ai::ResponseStore;
use appcore::ApiKeyId;
use deadpool_redis::redis::{Script, cmd};
use futures_util::future::BoxFuture;
use platform::redis::Redis;

/// Timeout of a Redis call.
const REDIS_TIMEOUT: Duration = Duration::from_millis(500);
/// Lifetime of a stored text, and of all texts of a key after its last one. Texts contain their own
/// expiry.
const TEXT_LIFETIME: Duration = Duration::from_secs(3_600);
/// Maximum size of the texts of one key, in bytes.
const MAX_KEY_BYTES: usize = 2 * 1024 * 1024;
/// Maximum number of bytes that an instance stores within [`TEXT_LIFETIME`]. Further texts are kept
/// locally only.
const MAX_INSTANCE_BYTES: usize = 256 * 1024 * 1024;
/// Share of a single key in that maximum, so that no key can use it up.
const MAX_SHARE_BYTES: usize = MAX_INSTANCE_BYTES / 8;

pub(super) struct RedisResponseStore(Arc<Shared>);

struct Shared {
    redis: Redis,
    store_script: Script,
    stored: Mutex<StoredBytes>,
}

/// Bytes stored by this instance in the current period.
struct StoredBytes {
    since: Instant,
    bytes: usize,
    by_key: HashMap<ApiKeyId, usize>,
}

impl StoredBytes {
    fn start() -> Self {
        Self { since: Instant::now(), bytes: 0, by_key: HashMap::new() }
    }
}

impl RedisResponseStore {
    pub fn new(redis: Redis) -> Self {
        let keep = Script::new(include_str!("shelf.lua"));
        Self(Arc::new(Shared { redis, store_script: keep, stored: Mutex::new(StoredBytes::start()) }))
    }
}

impl Shared {
    /// Reserves `bytes` for this key. Returns false if a limit would be exceeded.
    fn has_room(&self, key: ApiKeyId, bytes: usize) -> bool {
        let mut put = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if put.since.elapsed() >= TEXT_LIFETIME {
            *put = StoredBytes::start();
        }
        let sum = put.bytes.saturating_add(bytes);
        let of_key = put.by_key.get(&key).copied().unwrap_or_default().saturating_add(bytes);
        let has_room = sum <= MAX_INSTANCE_BYTES && of_key <= MAX_SHARE_BYTES;
        if has_room {
            put.bytes = sum;
            put.by_key.insert(key, of_key);
        }
        has_room
    }
}

impl ResponseStore for RedisResponseStore {
    fn store(&self, key: ApiKeyId, texts: Vec<(String, String)>) -> BoxFuture<'static, ()> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            if !shared.has_room(key, texts.iter().map(|(name, text)| name.len() + text.len()).sum()) {
                return;
            }
            let kept = async {
                let mut connection = shared.redis.connection().await?;
                let mut call = shared.store_script.prepare_invoke();
                for part in ["texts", "order", "bytes"] {
                    call.key(format!("natter:given:{{{key}}}:{part}"));
                }
                call.arg(TEXT_LIFETIME.as_secs()).arg(MAX_KEY_BYTES);
                for (name, text) in &texts {
                    call.arg(name).arg(text);
                }
                anyhow::Ok(call.invoke_async::<()>(&mut connection).await?)
            };
            if let Err(error) = shared.redis.execute(REDIS_TIMEOUT, kept).await {
                tracing::debug!(error = format!("{error:#}"), "failed to share response with other instances");
            }
        })
    }

    fn find(&self, key: ApiKeyId, names: Vec<String>) -> BoxFuture<'_, Vec<Option<String>>> {
        Box::pin(async move {
            let found = async {
                let mut connection = self.0.redis.connection().await?;
                let mut call = cmd("HMGET");
                call.arg(format!("natter:given:{{{key}}}:texts")).arg(&names);
                anyhow::Ok(call.query_async::<Vec<Option<String>>>(&mut connection).await?)
            };
            match self.0.redis.execute(REDIS_TIMEOUT, found).await {
                Ok(texts) => texts,
                Err(error) => {
                    tracing::debug!(error = format!("{error:#}"), "failed to look up responses of other instances");
                    Vec::new()
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn limits_the_bytes_that_an_instance_stores() {
        let RedisResponseStore(shared) = RedisResponseStore::new(Redis::new(stage::unreachable_redis()));
        let key = ApiKeyId::new();
        let room = [MAX_SHARE_BYTES - 10, 11, 10, 1].map(|bytes| shared.has_room(key, bytes));
        assert_eq!(room, [true, false, true, false], "limit per key");
        let others = [MAX_SHARE_BYTES; 8].map(|bytes| shared.has_room(ApiKeyId::new(), bytes));
        assert_eq!(others, [true, true, true, true, true, true, true, false]);
    }

    #[tokio::test]
    async fn finds_texts_by_their_key_only_and_evicts_the_oldest() {
        let Some(pool) = stage::redis_pool() else { return };
        let (shelf, key) = (RedisResponseStore::new(Redis::new(pool)), ApiKeyId::new());
        let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let find = async |key: ApiKeyId, names: &[&str]| {
            let found = shelf.find(key, names.iter().map(|name| (*name).to_owned()).collect()).await;
            found.into_iter().map(|text| text.map(|text| text.len())).collect::<Vec<_>>()
        };
        shelf.store(key, vec![text("a", "one"), text("b", "two"), text("a", "three")]).await;
        assert_eq!(find(key, &["b", "c", "a"]).await, [Some(3), None, Some(5)]);
        assert_eq!(find(ApiKeyId::new(), &["a"]).await, [None::<usize>]);
        let large = "x".repeat(MAX_KEY_BYTES / 2 - 100);
        for name in ["c", "d", "e"] {
            shelf.store(key, vec![text(name, &large)]).await;
        }
        assert_eq!(
            find(key, &["a", "b", "c", "d", "e"]).await,
            [None, None, None, Some(large.len()), Some(large.len())]
        );
    }
}
