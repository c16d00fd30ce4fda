//! Metrics of the search index.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// Counters and durations of indexing.
pub struct Search {
    indexed: Counter,
}

impl Search {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let search = Self { indexed: Counter::default() };
        registry.register(
            "search_indexed_messages",
            "Messages that this instance has added to or removed from the search index",
            search.indexed.clone(),
        );
        search
    }

    pub fn record_indexed(&self, messages: usize) {
        self.indexed.inc_by(messages as u64);
    }
}
