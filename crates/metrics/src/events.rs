//! Metrics of the event-log writer and the outbox publisher.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::durations;

pub struct Events {
    batch: Histogram,
    commit: Histogram,
    failures: Counter,
    republished: Counter,
    streamed: Counter,
    stream_failures: Counter,
    partitions: Family<TableLabel, Gauge>,
    partitioning_blocked: Gauge,
    changes: AtomicU64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabel {
    table: &'static str,
}

impl Events {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let events = Self {
            batch: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            commit: durations(),
            failures: Counter::default(),
            republished: Counter::default(),
            streamed: Counter::default(),
            stream_failures: Counter::default(),
            partitions: Family::default(),
            partitioning_blocked: Gauge::default(),
            changes: AtomicU64::default(),
        };
        registry.register("writer_batch_changes", "Changes per transaction", events.batch.clone());
        registry.register(
            "writer_commit_seconds",
            "Duration of a transaction including its commit",
            events.commit.clone(),
        );
        registry.register("writer_failures", "Batches that could not be committed", events.failures.clone());
        registry.register(
            "relay_events",
            "Events that were republished because their publication was not confirmed",
            events.republished.clone(),
        );
        registry.register("event_stream_events", "Events that the broker has confirmed", events.streamed.clone());
        registry.register(
            "event_stream_failures",
            "Failed attempts to publish events to the broker",
            events.stream_failures.clone(),
        );
        registry.register("table_partitions", "Partitions of a table, or 0", events.partitions.clone());
        registry.register(
            "partitioning_blocked",
            "1 while a table can't be partitioned because it is in use or has rows with a time in the future",
            events.partitioning_blocked.clone(),
        );
        events
    }

    /// Records events that the broker has confirmed.
    pub fn record_streamed(&self, count: usize) {
        self.streamed.inc_by(count as u64);
    }

    /// Records a failed attempt to publish events to the broker.
    pub fn record_stream_failure(&self) {
        self.stream_failures.inc();
    }

    pub fn set_partitions(&self, table: &'static str, count: usize) {
        self.partitions.get_or_create(&TableLabel { table }).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn set_partitioning_blocked(&self, is_blocked: bool) {
        self.partitioning_blocked.set(is_blocked.into());
    }

    /// Records an attempt to commit a batch of changes.
    pub fn record_commit(&self, changes: usize, took: Duration, is_done: bool) {
        self.batch.observe(changes as f64);
        self.commit.observe(took.as_secs_f64());
        if is_done {
            self.changes.fetch_add(changes as u64, Relaxed);
        } else {
            self.failures.inc();
        }
    }

    /// Number of committed changes so far.
    pub fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    pub fn record_republished(&self, events: usize) {
        self.republished.inc_by(events as u64);
    }
}
