//! Metrics of HTTP requests.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::{
    Durations, OTHER, durations,
    quantiles::{DurationHistogram, HistogramSnapshot},
};

/// Counters and response times by route pattern.
pub struct Http {
    answers: Family<Answer, Counter>,
    durations: Durations<Route>,
    all: RequestCounters,
}

/// Total counts over all routes.
#[derive(Default)]
struct RequestCounters {
    errors: AtomicU64,
    durations: DurationHistogram,
}

/// Total counts of requests up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestTotals {
    pub count: u64,
    /// Number of responses with a 5xx status.
    pub errors: u64,
    durations: HistogramSnapshot,
}

impl RequestTotals {
    /// Returns the difference to the totals of an earlier moment.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            count: self.count.saturating_sub(earlier.count),
            errors: self.errors.saturating_sub(earlier.errors),
            durations: self.durations.since(earlier.durations),
        }
    }

    /// 99th percentile of the response time, rounded up to the bound of a bucket; `None` if there
    /// were no requests.
    #[must_use]
    pub fn p99(&self) -> Option<Duration> {
        self.durations.p99()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: &'static str,
}

/// Cache of the counter and histogram for each method, route and status.
type Handles = HashMap<(*const u8, &'static str, u16), (Counter, Histogram)>;

impl Http {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let http = Self {
            answers: Family::default(),
            durations: Family::new_with_constructor(durations),
            all: RequestCounters::default(),
        };
        registry.register("http_requests", "Answered requests", http.answers.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time from the head of a request to the head of its response",
            http.durations.clone(),
        );
        http
    }

    /// Records a request that was answered. `route` is the pattern of the route, not the path.
    pub fn record(&self, method: &str, route: &'static str, status: u16, took: Duration) {
        thread_local! {
            static HANDLES: RefCell<Handles> = RefCell::default();
        }
        let method = method_label(method);
        let seconds = took.as_secs_f64();
        self.all.durations.record(seconds);
        if status >= 500 {
            self.all.errors.fetch_add(1, Relaxed);
        }
        HANDLES.with_borrow_mut(|handles| {
            let (answers, durations) = handles.entry((route.as_ptr(), method, status)).or_insert_with(|| {
                (
                    self.answers.get_or_create_owned(&Answer { method, route, status }),
                    self.durations.get_or_create_owned(&Route { method, route }),
                )
            });
            answers.inc();
            durations.observe(seconds);
        });
    }
}

impl Http {
    /// Returns the totals up to now.
    pub fn requests(&self) -> RequestTotals {
        let took = self.all.durations.read();
        RequestTotals { count: took.count(), errors: self.all.errors.load(Relaxed), durations: took }
    }
}

fn method_label(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p99_ignores_the_slowest_of_a_hundred() {
        let http = Http::register(&mut Registry::default());
        assert_eq!(http.requests().p99(), None);
        for _ in 0..99 {
            http.record("GET", "/r1/users/me", 200, Duration::from_millis(4));
        }
        let before = http.requests();
        http.record("GET", "/r1/users/me", 503, Duration::from_secs(60));
        let requests = http.requests();
        assert_eq!((requests.count, requests.errors), (100, 1));
        assert_eq!(requests.p99(), Some(Duration::from_millis(5)));
        let last = requests.since(before);
        assert_eq!((last.count, last.errors, last.p99()), (1, 1, Some(Duration::from_secs(16))));
    }
}
