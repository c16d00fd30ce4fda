//! Limits repeated warnings and errors, so that an outage doesn't fill the log.
//!
//! The first line of a kind is logged. Further ones are counted and reported by one line with
//! `repeated = N` every 10 s. Lines are of one kind if they differ only in numbers and ids. Failed
//! requests are not limited, because the log has one line for each request.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use middleware::tracing::LOG_TARGET as REQUEST_LOG;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::{Layer, layer::Context};

/// Time for which lines of one kind are counted instead of logged.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// Interval at which due reports are looked for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of kinds that are tracked. Lines of further kinds are not limited.
const MAX_KINDS: usize = 1_000;
/// Messages of actix about the listener that a stop closes: target and beginning.
const LISTENER_CLOSED: [(&str, &str); 2] = [
    ("actix_server::accept", "Error accepting connection: Invalid argument"),
    ("actix_server::accept", "Can not deregister server socket"),
];

/// Kinds of lines that were logged within the last interval.
#[derive(Default)]
pub struct RepeatedLines(Mutex<HashMap<u64, RepeatedLine>>);

struct RepeatedLine {
    level: Level,
    message: String,
    /// Time at which the line or its last report was logged.
    logged_at: Instant,
    /// Number of lines since then.
    repeated: u64,
}

/// Lines that are due to be reported.
struct Report {
    level: Level,
    message: String,
    repeated: u64,
}

impl RepeatedLines {
    /// Starts the thread that reports repeated lines.
    pub fn start() -> io::Result<Arc<Self>> {
        let lines = Arc::new(Self::default());
        let weak = Arc::downgrade(&lines);
        thread::Builder::new().name("log-repeats".to_owned()).spawn(move || {
            while let Some(lines) = weak.upgrade() {
                log_reports(lines.due(Instant::now(), REPORT_INTERVAL));
                drop(lines);
                thread::sleep(POLL_INTERVAL);
            }
        })?;
        Ok(lines)
    }

    /// Reports everything that was counted so far.
    pub fn report_all(&self) {
        log_reports(self.due(Instant::now(), Duration::ZERO));
    }

    /// True if the line must be logged; otherwise it is counted.
    fn admit(&self, metadata: &Metadata<'_>, line: LineText, now: Instant) -> bool {
        let kind = line.kind(metadata);
        let mut kinds = self.lock();
        if let Some(known) = kinds.get_mut(&kind) {
            known.repeated += 1;
            return false;
        }
        if kinds.len() < MAX_KINDS {
            let first = RepeatedLine { level: *metadata.level(), message: line.message, logged_at: now, repeated: 0 };
            kinds.insert(kind, first);
        }
        true
    }

    /// Returns the lines to report whose interval has passed. Kinds that did not recur are removed.
    fn due(&self, now: Instant, interval: Duration) -> Vec<Report> {
        let mut reports = Vec::new();
        self.lock().retain(|_, line| {
            if now.duration_since(line.logged_at) < interval {
                return true;
            }
            let repeated = mem::take(&mut line.repeated);
            if repeated == 0 {
                return false;
            }
            line.logged_at = now;
            reports.push(Report { level: line.level, message: line.message.clone(), repeated });
            true
        });
        reports
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, RepeatedLine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_reports(reports: Vec<Report>) {
    for Report { level, message, repeated } in reports {
        if level == Level::ERROR {
            tracing::error!(repeated, "{message}");
        } else {
            tracing::warn!(repeated, "{message}");
        }
    }
}

/// Layer that drops repeated warnings and errors.
pub struct RepeatFilter(Arc<RepeatedLines>);

impl RepeatFilter {
    pub const fn new(lines: Arc<RepeatedLines>) -> Self {
        Self(lines)
    }
}

impl<S: Subscriber> Layer<S> for RepeatFilter {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        // Events from the `log` crate carry their metadata in fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        if *metadata.level() > Level::WARN || [module_path!(), REQUEST_LOG].contains(&metadata.target()) {
            return true;
        }
        let mut line = LineText::default();
        event.record(&mut line);
        let is_of_stop = LISTENER_CLOSED
            .iter()
            .any(|(target, start)| metadata.target() == *target && line.message.starts_with(start));
        !is_of_stop && self.0.admit(metadata, line, Instant::now())
    }
}

/// Texts of an event. Numbers and flags are ignored.
#[derive(Default)]
struct LineText {
    message: String,
    /// Values of the other fields.
    fields: String,
}

impl LineText {
    /// Identifies the kind of the line. Words that contain a digit, such as ids and addresses, don't
    /// count.
    fn kind(&self, metadata: &Metadata<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        (metadata.target(), metadata.line()).hash(&mut hasher);
        let words = [&self.message, &self.fields].into_iter().flat_map(|text| text.split_whitespace());
        words.filter(|word| !word.bytes().any(|byte| byte.is_ascii_digit())).for_each(|word| word.hash(&mut hasher));
        hasher.finish()
    }
}

impl Visit for LineText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string can't fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if name.starts_with("log.") => Ok(()),
            _ => write!(self.fields, "{value:?} "),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_bool(&mut self, _: &Field, _: bool) {}
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    use super::*;

    /// Layer that stores the messages of the events that are logged.
    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Logged {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = LineText::default();
            event.record(&mut line);
            self.0.lock().unwrap().push(line.message);
        }
    }

    fn logged(work: impl FnOnce(&RepeatedLines)) -> Vec<String> {
        let (lines, logged) = (Arc::new(RepeatedLines::default()), Logged::default());
        let layers = Registry::default().with(RepeatFilter::new(Arc::clone(&lines))).with(logged.clone());
        with_default(layers, || work(&lines));
        let messages = logged.0.lock().unwrap();
        messages.clone()
    }

    #[test]
    fn repeated_lines_are_counted() {
        let messages = logged(|lines| {
            for number in 0..5 {
                tracing::warn!(target: "database", id = %format!("0af7-{number}"), number, "refused");
                tracing::info!(target: "database", "asked");
            }
            let reports = lines.due(Instant::now() + REPORT_INTERVAL, REPORT_INTERVAL);
            let counts: Vec<_> = reports.iter().map(|report| (report.message.as_str(), report.repeated)).collect();
            assert_eq!(counts, [("refused", 4)]);
            // A kind that did not recur is forgotten after a further interval.
            assert!(lines.due(Instant::now() + REPORT_INTERVAL * 3, REPORT_INTERVAL).is_empty());
            assert!(lines.lock().is_empty());
        });
        assert_eq!(messages.iter().filter(|message| *message == "refused").count(), 1);
        assert_eq!(messages.iter().filter(|message| *message == "asked").count(), 5);
    }

    #[test]
    fn other_causes_are_other_kinds() {
        let messages = logged(|_| {
            for cause in ["connection refused", "disk full", "connection refused"] {
                tracing::warn!(target: "database", cause, "failed");
            }
        });
        assert_eq!(messages, ["failed", "failed"]);
    }

    #[test]
    fn every_failed_request_is_logged() {
        let messages = logged(|_| {
            for _ in 0..3 {
                tracing::warn!(target: REQUEST_LOG, status = 503, "request");
            }
        });
        assert_eq!(messages.len(), 3);
    }

    #[test]
    fn closing_the_listener_logs_no_error() {
        let messages = logged(|_| {
            tracing::error!(target: "actix_server::accept", "Error accepting connection: {}", "Invalid argument (os error 22)");
            tracing::error!(target: "actix_server::accept", "Error accepting connection: {}", "Too many open files (os error 24)");
        });
        assert_eq!(messages, ["Error accepting connection: Too many open files (os error 24)"]);
    }
}
