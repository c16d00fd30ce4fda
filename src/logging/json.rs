//! Formats log events as JSON lines.
//!
//! The formatter is written by hand. A request's line costs the serving thread 0.7 µs, and 1.9 µs
//! with `tracing_subscriber` and `tracing-appender`: the difference is a sixth of the time of the
//! middleware around a small request.

use std::{cell::Cell, fmt, io::Write as _};

use appcore::{Clock, Timestamp};
use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::{Layer, layer::Context};

use super::lines::LogBuffer;

pub struct JsonLayer {
    lines: LogBuffer,
    clock: Clock,
}

impl JsonLayer {
    pub fn new(lines: LogBuffer) -> Self {
        Self { lines, clock: Clock::system() }
    }

    fn write(&self, kept: &mut LineBuffers, event: &Event<'_>) {
        let now = self.clock.now();
        if kept.moment != Some(now) {
            kept.moment = Some(now);
            kept.moment_text = now.to_string();
        }
        // Events from the `log` crate carry their metadata in fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let line = &mut kept.line;
        line.clear();
        let mut object = Object { line, is_empty: true };
        object.text("timestamp", &kept.moment_text);
        object.text("level", metadata.level().as_str());
        event.record(&mut object);
        object.text("target", metadata.target());
        if let Some(trace_id) = telemetry::trace_id() {
            object.text("trace_id", &trace_id);
        }
        line.extend_from_slice(b"}\n");
    }
}

impl<S: Subscriber> Layer<S> for JsonLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local!(static KEPT: Cell<LineBuffers> = Cell::default());
        // Takes the buffers rather than borrowing them, because formatting a value may itself log
        // something.
        let mut kept = KEPT.take();
        self.write(&mut kept, event);
        self.lines.add(&kept.line);
        KEPT.set(kept);
    }
}

/// Buffers of a thread, which are reused for each line.
#[derive(Default)]
struct LineBuffers {
    line: Vec<u8>,
    /// Time to which the formatted timestamp belongs. Lines within the same millisecond reuse the
    /// timestamp.
    moment: Option<Timestamp>,
    moment_text: String,
}

/// JSON object that is being written.
struct Object<'line> {
    line: &'line mut Vec<u8>,
    is_empty: bool,
}

impl Object<'_> {
    fn name(&mut self, name: &str) {
        self.line.push(if std::mem::take(&mut self.is_empty) { b'{' } else { b',' });
        write_text(self.line, name);
        self.line.push(b':');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_text(self.line, value);
    }

    fn value(&mut self, name: &str, value: impl Serialize) {
        self.name(name);
        write_value(self.line, value);
    }

    /// Writes the `Debug` output of a value as a string.
    fn debug(&mut self, name: &str, value: &dyn fmt::Debug) {
        self.name(name);
        self.line.push(b'"');
        let start = self.line.len();
        let _ = write!(self.line, "{value:?}");
        if is_plain(&self.line[start..]) {
            return self.line.push(b'"');
        }
        let text = String::from_utf8_lossy(&self.line[start..]).into_owned();
        self.line.truncate(start - 1);
        write_value(self.line, text);
    }
}

impl Visit for Object<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.debug(field.name(), value);
    }
}

/// True if a text needs no escaping in JSON. The loop has no early exit, so that the compiler can
/// vectorise it.
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |plain, byte| plain & (*byte >= b' ') & (*byte != b'"') & (*byte != b'\\'))
}

fn write_text(line: &mut Vec<u8>, text: &str) {
    if !is_plain(text.as_bytes()) {
        return write_value(line, text);
    }
    line.push(b'"');
    line.extend_from_slice(text.as_bytes());
    line.push(b'"');
}

fn write_value(line: &mut Vec<u8>, value: impl Serialize) {
    // Serialising numbers and strings can't fail, and a `Vec` accepts every write.
    let _ = serde_json::to_writer(line, &value);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;
    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    use super::*;

    /// Layer that stores the last line instead of writing it to the log.
    struct Last(Arc<Mutex<LineBuffers>>, JsonLayer);

    impl<S: Subscriber> Layer<S> for Last {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.1.write(&mut self.0.lock().unwrap(), event);
        }
    }

    #[test]
    fn every_event_is_a_line_of_json() {
        let last: Arc<Mutex<LineBuffers>> = Arc::default();
        let layer = Last(Arc::clone(&last), JsonLayer::new(LogBuffer::default()));
        let told = with_default(Registry::default().with(layer), || {
            let odd = "a \"quoted\"\\\n\u{1}\u{7f} ü 𝄞";
            tracing::warn!(odd, quoted = ?odd, shown = %odd, count = 7_u64, less = -7, half = 0.5, nan = f64::NAN, yes = true, "a {odd}");
            odd
        });
        let line = String::from_utf8(last.lock().unwrap().line.clone()).unwrap();
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        let timestamp = read["timestamp"].as_str().unwrap();
        assert!(Timestamp::parse(timestamp).is_ok(), "{timestamp}");
        let expected = serde_json::json!({
            "timestamp": timestamp, "level": "WARN", "message": format!("a {told}"), "odd": told, "quoted": format!("{told:?}"), "shown": told,
            "count": 7, "less": -7, "half": 0.5, "nan": null, "yes": true, "target": module_path!(),
        });
        assert_eq!(read, expected);
    }
}
