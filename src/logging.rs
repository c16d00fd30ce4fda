//! The log: one line per event on standard output, JSON unless a person is watching.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// What is logged where `RUST_LOG` doesn't say otherwise.
const USUAL: &str = "info";

pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    if std::io::stdout().is_terminal() {
        log.with_target(false).init();
    } else {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    }
}

/// Warnings only, on standard error: standard output belongs to the command's answer.
pub fn start_quietly() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
}
