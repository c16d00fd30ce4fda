//! An event as a line of JSON.
//!
//! `tracing_subscriber`'s own JSON goes through a string, and looks at each piece of it once more to be sure that it is one: of what
//! a small request costs, two percent.

use std::cell::Cell;

use appcore::Clock;
use serde::{Serializer as _, ser::SerializeMap as _};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_serde::SerdeMapVisitor;
use tracing_subscriber::{Layer, layer::Context};

use super::lines::Lines;

pub struct JsonLayer {
    lines: Lines,
    clock: Clock,
}

impl JsonLayer {
    pub fn new(lines: Lines) -> Self {
        Self { lines, clock: Clock::system() }
    }

    fn write(&self, line: &mut Vec<u8>, event: &Event<'_>) -> Result<(), serde_json::Error> {
        // What came by the `log` crate says in fields what others say of themselves.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let mut serializer = serde_json::Serializer::new(&mut *line);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &self.clock.now())?;
        map.serialize_entry("level", metadata.level().as_str())?;
        let mut fields = SerdeMapVisitor::new(map);
        event.record(&mut fields);
        let mut map = fields.take_serializer()?;
        map.serialize_entry("target", metadata.target())?;
        map.end()?;
        line.push(b'\n');
        Ok(())
    }
}

impl<S: Subscriber> Layer<S> for JsonLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local!(static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });
        // Taken and put back: what is being written may log something itself.
        let mut line = LINE.take();
        line.clear();
        if self.write(&mut line, event).is_ok() {
            self.lines.add(&line);
        }
        LINE.set(line);
    }
}
