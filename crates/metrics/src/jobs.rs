//! Metrics of jobs.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::Durations;

/// Counters and durations of attempts to run jobs.
pub struct Jobs {
    ended: Family<End, Counter>,
    durations: Durations<Kind>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct End {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

impl Jobs {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let durations = || Histogram::new([0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0]);
        let jobs = Self { ended: Family::default(), durations: Family::new_with_constructor(durations) };
        registry.register("jobs", "Finished attempts of jobs, by outcome", jobs.ended.clone());
        registry.register("job_duration_seconds", "Duration of an attempt of a job", jobs.durations.clone());
        jobs
    }

    /// Records a finished attempt.
    pub fn record_attempt(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.ended.get_or_create(&End { kind, outcome }).inc();
        self.durations.get_or_create(&Kind { kind }).observe(took.as_secs_f64());
    }
}
