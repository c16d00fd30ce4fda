//! Prometheus metrics: counters and histograms of this process, updated by the code that they
//! measure.
//!
//! Like the logger, there is one set per process, [`metrics`]. Metrics that are updated for each
//! frame or event use handles that were looked up before. Metrics that are updated for each request
//! or job are looked up each time, among few labels.
//!
//! Labels come from small sets: route patterns, kinds, configured providers. For names that come
//! from outside, [`BoundedNames`] uses the first ones as labels and maps all others to [`OTHER`].
//! No label contains a user, a workspace, a key, an address or a text.

mod ai;
mod dependencies;
mod events;
mod http;
mod jobs;
mod names;
mod quantiles;
mod realtime;
mod refusals;
mod search;

use std::{
    fmt::{self, Write as _},
    sync::LazyLock,
};

use prometheus_client::{
    encoding::text,
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};

pub use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry,
};

pub use self::{
    ai::{Ai, ProviderCall},
    dependencies::Dependencies,
    events::Events,
    http::{Http, RequestTotals},
    jobs::Jobs,
    names::{BoundedNames, OTHER},
    quantiles::HistogramSnapshot,
    realtime::{ConnectionGuard, Realtime},
    refusals::Refusals,
    search::Search,
};

/// Prefix of the names of all metrics except the standard ones of a process.
pub const PREFIX: &str = "natter";

/// Upper bounds of the histogram buckets for durations that should be some milliseconds, from 0.5
/// ms to 16 s.
const DURATIONS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 4.0, 16.0];

/// Metrics of a process.
pub struct Metrics {
    registry: Registry,
    pub http: Http,
    pub realtime: Realtime,
    pub events: Events,
    pub jobs: Jobs,
    pub ai: Ai,
    pub gates: Refusals,
    pub search: Search,
    pub dependencies: Dependencies,
}

/// Returns the metrics of this process.
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    &METRICS
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let to = &mut registry;
        let (http, realtime, events) = (Http::register(to), Realtime::register(to), Events::register(to));
        let (jobs, ai, gates) = (Jobs::register(to), Ai::register(to), Refusals::register(to));
        let (search, dependencies) = (Search::register(to), Dependencies::register(to));
        Self { registry, http, realtime, events, jobs, ai, gates, search, dependencies }
    }

    /// Formats all metrics in the text format of Prometheus, including the values in `current`,
    /// which are computed for each request.
    pub fn text(&self, current: &[Registry]) -> Result<String, fmt::Error> {
        let mut open_metrics = String::new();
        text::encode_registry(&mut open_metrics, &self.registry)?;
        for registry in current {
            text::encode_registry(&mut open_metrics, registry)?;
        }
        to_classic_format(&open_metrics)
    }
}

/// Converts OpenMetrics to the classic text format of Prometheus, which every reader supports,
/// including `promtool check`. In this format, the name of a family of counters is that of its
/// series.
fn to_classic_format(open_metrics: &str) -> Result<String, fmt::Error> {
    let (mut text, mut about) = (String::with_capacity(open_metrics.len() + 4_096), "");
    for line in open_metrics.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            about = help.split_once(' ').map_or("", |(_, about)| about);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|family| family.split_once(' ')) {
            let ending = if kind == "counter" { "_total" } else { "" };
            writeln!(text, "# HELP {name}{ending} {about}")?;
            writeln!(text, "# TYPE {name}{ending} {kind}")?;
        } else {
            writeln!(text, "{line}")?;
        }
    }
    Ok(text)
}

/// Content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Creates a histogram of durations, in seconds.
fn durations() -> Histogram {
    Histogram::new(DURATIONS)
}

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_from_outside_are_bounded() {
        let metrics = Metrics::new();
        for n in 0..10_000 {
            let text = format!("made-up-{n}");
            let call = ProviderCall { provider: &text, model: &text, status: 200, ..ProviderCall::default() };
            metrics.ai.record(&call);
            metrics.http.record("BREW", "/never/matched", u16::try_from(n % 1_000).unwrap_or(0), Duration::ZERO);
        }
        let text = metrics.text(&[]).unwrap();
        let series = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(series("natter_ai_requests_total"), names::MAX_NAMES + 1);
        assert_eq!(series("natter_http_requests_total"), 1_000);
        assert!(text.lines().count() < 4_000, "{}", text.lines().count());
        assert!(text.contains(r#"method="other""#) && text.contains(r#"model="other""#));
    }

    #[test]
    fn connection_is_counted_while_open() {
        let metrics = Metrics::new();
        let has = |line: &str| metrics.text(&[]).unwrap().contains(line);
        assert!(has("natter_connections{transport=\"websocket\"} 0") && has("natter_connections{transport=\"sse\"} 0"));
        let counted = metrics.realtime.connect("websocket");
        assert!(has("natter_connections{transport=\"websocket\"} 1"));
        drop(counted);
        assert!(has("natter_connections{transport=\"websocket\"} 0"));
    }
}
