//! Log: one line per event on standard output. The lines are JSON, unless the output is a terminal.

mod json;
mod lines;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use self::{
    json::JsonLayer,
    lines::{LogBuffer, LogThread},
};

/// Filter that applies if `RUST_LOG` is not set.
const DEFAULT_FILTER: &str = "info";

/// Starts logging. A separate thread writes the log, so that a slow reader doesn't delay anything.
/// The thread stops when the returned guard is dropped.
pub fn start() -> io::Result<LogThread> {
    let lines = LogBuffer::default();
    let thread = lines.write_to(io::stdout(), |count| tracing::warn!("{count} log lines dropped"))?;
    let filter = filter();
    if io::stdout().is_terminal() {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).with_target(false).init();
    } else {
        tracing_subscriber::registry().with(filter).with(JsonLayer::new(lines)).init();
    }
    Ok(thread)
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
