//! Metrics of dependencies: the database and Redis.

use std::time::Duration;

use prometheus_client::{encoding::EncodeLabelSet, metrics::family::Family, registry::Registry};

use crate::{Durations, durations};

/// Response times of dependencies.
pub struct Dependencies {
    answers: Durations<Dependency>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dependency {
    dependency: &'static str,
}

impl Dependencies {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let dependencies = Self { answers: Family::new_with_constructor(durations) };
        registry.register(
            "dependency_answer_seconds",
            "Response time of a trivial query every ten seconds",
            dependencies.answers.clone(),
        );
        dependencies
    }

    pub fn record_response(&self, dependency: &'static str, took: Duration) {
        self.answers.get_or_create(&Dependency { dependency }).observe(took.as_secs_f64());
    }
}
