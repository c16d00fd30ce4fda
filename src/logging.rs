//! The log: one line per event on standard output, JSON unless a person is watching.

mod json;
mod lines;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use self::{
    json::JsonLayer,
    lines::{Lines, LogThread},
};

/// What is logged where `RUST_LOG` doesn't say otherwise.
const USUAL: &str = "info";

/// A thread of its own writes it, so that nobody waits for whoever reads it; until what is returned is dropped.
pub fn start() -> io::Result<LogThread> {
    let lines = Lines::default();
    let thread = lines.write_to(io::stdout(), |count| tracing::warn!("{count} lines were left out"))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL));
    if io::stdout().is_terminal() {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).with_target(false).init();
    } else {
        tracing_subscriber::registry().with(filter).with(JsonLayer::new(lines)).init();
    }
    Ok(thread)
}

/// Warnings only, on standard error: standard output belongs to the command's answer.
pub fn start_quietly() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
}
