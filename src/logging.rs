//! Log: one line per event on standard output. The lines are JSON, unless the output is a terminal.

mod json;
mod lines;
mod repeats;

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use self::{
    json::JsonLayer,
    lines::{LogBuffer, LogThread},
    repeats::{RepeatFilter, RepeatedLines},
};

/// Filter that applies if `RUST_LOG` is not set.
const DEFAULT_FILTER: &str = "info";

/// Starts logging. A separate thread writes the log, so that a slow reader doesn't delay anything.
/// The thread stops when the returned guard is dropped.
pub fn start() -> io::Result<LogGuard> {
    let lines = LogBuffer::default();
    let thread = lines.write_to(io::stdout(), |count| tracing::warn!("{count} log lines dropped"))?;
    let (filter, repeats) = (filter(), RepeatedLines::start()?);
    let limit = RepeatFilter::new(Arc::clone(&repeats));
    if io::stdout().is_terminal() {
        let layer = tracing_subscriber::fmt::layer().with_writer(lines).with_target(false);
        tracing_subscriber::registry().with(filter).with(limit).with(layer).init();
    } else {
        tracing_subscriber::registry().with(filter).with(limit).with(JsonLayer::new(lines)).init();
    }
    Ok(LogGuard { repeats, _thread: thread })
}

/// Guard of the log. Dropping it writes the remaining lines.
#[must_use]
pub struct LogGuard {
    repeats: Arc<RepeatedLines>,
    _thread: LogThread,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.repeats.report_all();
    }
}

/// Returns the filter from `RUST_LOG`. An invalid value is ignored.
fn filter() -> EnvFilter {
    let levels = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|levels| !levels.is_empty());
    levels.and_then(|levels| EnvFilter::try_new(levels).ok()).unwrap_or_else(|| EnvFilter::new(DEFAULT_FILTER))
}

/// Logs warnings to standard error, for commands whose standard output is their result.
pub fn start_quietly() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
}
