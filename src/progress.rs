//! Progress of long commands: one line at a terminal, which is replaced by the next one.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Minimum interval between two lines.
const INTERVAL: Duration = Duration::from_millis(100);
/// Sequence that returns to the start of the line and clears it.
const CLEAR_LINE: &str = "\r\u{1b}[K";

/// Line about the progress. Cheap to clone; the line is cleared when the last clone is dropped.
#[derive(Clone, Default)]
pub struct Progress {
    line: Option<Arc<Line>>,
}

#[derive(Default)]
struct Line {
    shown_at: Mutex<Option<Instant>>,
}

impl Progress {
    /// Shows nothing.
    pub fn hidden() -> Self {
        Self::default()
    }

    /// Shows the progress on standard error if that is a terminal.
    pub fn at_terminal() -> Self {
        Self { line: io::stderr().is_terminal().then(Arc::default) }
    }

    /// Shows a line, unless the last one was shown a moment ago.
    pub fn show(&self, line: impl FnOnce() -> String) {
        let Some(Line { shown_at }) = self.line.as_deref() else { return };
        let mut shown_at = shown_at.lock().unwrap_or_else(PoisonError::into_inner);
        if shown_at.is_none_or(|shown_at| shown_at.elapsed() >= INTERVAL) {
            *shown_at = Some(Instant::now());
            print(&line());
        }
    }

    /// Shows how many of `total` bytes are done.
    pub fn show_bytes(&self, what: &str, done: u64, total: u64) {
        self.show(|| format!("{what}: {} of {} MiB", done >> 20, total >> 20));
    }

    /// Shows how many rows of a table are done.
    pub fn show_rows(&self, table: &str, rows: u64) {
        self.show(|| format!("{table}: {rows} rows"));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let shown_at = self.shown_at.get_mut().unwrap_or_else(PoisonError::into_inner);
        if shown_at.is_some() {
            print("");
        }
    }
}

fn print(line: &str) {
    let mut terminal = io::stderr().lock();
    // A failure to show it is harmless.
    let _ = write!(terminal, "{CLEAR_LINE}{line}").and_then(|()| terminal.flush());
}
