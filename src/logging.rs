//! The log: one line per event on standard output, JSON unless a person is watching.

use std::{
    io::{self, BufWriter, IsTerminal as _, Stdout, Write},
    thread,
    time::Duration,
};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// What is logged where `RUST_LOG` doesn't say otherwise.
const USUAL: &str = "info";
/// Lines that wait for a reader who has stopped reading; what comes then is left out.
const WAITING: usize = 16_384;

/// What goes out in one write where many lines wait.
const GATHERED: usize = 64 * 1024;
/// How long the lines after one that was written at once are gathered.
const REST: Duration = Duration::from_millis(5);

/// A thread of its own writes it, so that nobody waits for whoever reads it; until the guard is dropped.
pub fn start() -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .thread_name("log")
        .finish(Rested(BufWriter::with_capacity(GATHERED, io::stdout())));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    if io::stdout().is_terminal() {
        log.with_target(false).init();
    } else {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    }
    guard
}

/// Warnings only, on standard error: standard output belongs to the command's answer.
pub fn start_quietly() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
}

/// Rests after each write, so that a busy log costs a wake-up and a write every few milliseconds and not for each line.
struct Rested(BufWriter<Stdout>);

impl Write for Rested {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(REST);
        Ok(())
    }
}
