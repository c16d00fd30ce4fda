//! Response store shared between instances: a client may refer to a response at any instance that
//! the load balancer selects.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use appcore::ApiKeyId;
use futures_util::future::BoxFuture;

/// Short-lived key-value store shared by all instances, with a size limit per API key. Failures are
/// not reported: an entry that can't be stored or found is known only to the instance that created
/// it.
pub trait ResponseStore: Send + Sync {
    /// Stores entries of this API key, as name and text.
    fn store(&self, key: ApiKeyId, texts: Vec<(String, String)>) -> BoxFuture<'static, ()>;

    /// Looks up entries of this API key by name, in order.
    fn find(&self, key: ApiKeyId, names: Vec<String>) -> BoxFuture<'_, Vec<Option<String>>>;
}

/// Pending writes to the shared store. The end of an answer is sent after them, so that the client
/// can refer to it at every instance.
#[derive(Default)]
pub(crate) struct PendingWrites(Mutex<Vec<BoxFuture<'static, ()>>>);

impl PendingWrites {
    fn add(&self, one: BoxFuture<'static, ()>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }

    /// Waits until all writes have finished.
    pub async fn finished(&self) {
        let all = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for one in all {
            one.await;
        }
    }
}

impl fmt::Debug for PendingWrites {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UnderWay").finish_non_exhaustive()
    }
}

/// Publisher of one call's entries.
#[derive(Clone)]
pub(crate) struct ResponsePublisher {
    store: Arc<dyn ResponseStore>,
    key: ApiKeyId,
    under_way: Arc<PendingWrites>,
}

impl ResponsePublisher {
    pub fn new(shelf: &Arc<dyn ResponseStore>, key: ApiKeyId, under_way: &Arc<PendingWrites>) -> Self {
        Self { store: Arc::clone(shelf), key, under_way: Arc::clone(under_way) }
    }

    pub fn publish(&self, texts: Vec<(String, String)>) {
        if !texts.is_empty() {
            self.under_way.add(self.store.store(self.key, texts));
        }
    }
}

impl fmt::Debug for ResponsePublisher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sharing").field("key", &self.key).finish_non_exhaustive()
    }
}

/// In-process store, for tests.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct InMemoryStore(Mutex<std::collections::HashMap<(ApiKeyId, String), String>>);

#[cfg(test)]
impl ResponseStore for InMemoryStore {
    fn store(&self, key: ApiKeyId, texts: Vec<(String, String)>) -> BoxFuture<'static, ()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(texts.into_iter().map(|(name, text)| ((key, name), text)));
        Box::pin(std::future::ready(()))
    }

    fn find(&self, key: ApiKeyId, names: Vec<String>) -> BoxFuture<'_, Vec<Option<String>>> {
        let texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<Option<String>> = names.into_iter().map(|name| texts.get(&(key, name)).cloned()).collect();
        Box::pin(std::future::ready(found))
    }
}
