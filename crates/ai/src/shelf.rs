//! What was given out, where all instances find it: a caller names an answer at whichever instance a balancer chooses.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use appcore::ApiKeyId;
use futures_util::future::BoxFuture;

/// Keeps texts for all instances, for a while and up to a bound for each key. What it can't keep or find is known to the instance alone that gave it out.
pub trait SharedShelf: Send + Sync {
    /// Keeps texts of this key by their names.
    fn keep(&self, key: ApiKeyId, texts: Vec<(String, String)>) -> BoxFuture<'static, ()>;

    /// The texts of this key that have these names, in their order.
    fn find(&self, key: ApiKeyId, names: Vec<String>) -> BoxFuture<'_, Vec<Option<String>>>;
}

/// What is on its way there. The caller hears the end of an answer after it, and can then name it anywhere.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<Vec<BoxFuture<'static, ()>>>);

impl UnderWay {
    fn add(&self, one: BoxFuture<'static, ()>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }

    /// Waits until all of it is there.
    pub async fn settled(&self) {
        let all = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for one in all {
            one.await;
        }
    }
}

impl fmt::Debug for UnderWay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UnderWay").finish_non_exhaustive()
    }
}

/// The way there from one call.
#[derive(Clone)]
pub(crate) struct Sharing {
    shelf: Arc<dyn SharedShelf>,
    key: ApiKeyId,
    under_way: Arc<UnderWay>,
}

impl Sharing {
    pub fn new(shelf: &Arc<dyn SharedShelf>, key: ApiKeyId, under_way: &Arc<UnderWay>) -> Self {
        Self { shelf: Arc::clone(shelf), key, under_way: Arc::clone(under_way) }
    }

    pub fn keep(&self, texts: Vec<(String, String)>) {
        if !texts.is_empty() {
            self.under_way.add(self.shelf.keep(self.key, texts));
        }
    }
}

impl fmt::Debug for Sharing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sharing").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A shelf in this process, for tests.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Board(Mutex<std::collections::HashMap<(ApiKeyId, String), String>>);

#[cfg(test)]
impl SharedShelf for Board {
    fn keep(&self, key: ApiKeyId, texts: Vec<(String, String)>) -> BoxFuture<'static, ()> {
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
