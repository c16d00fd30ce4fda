//! Traces: durations and causal relations of requests, frames, jobs and calls to providers, for a
//! collector that supports OTLP.
//!
//! Tracing is off unless the environment names a collector ([`start`]). While it is off, a [`Span`]
//! costs only the check of a flag. Spans contain names, numbers and ids, but no content of users.

mod collector;
mod span;

pub use collector::{ExporterGuard, StartError, start};
pub use span::{Span, SpanRole, is_on, trace_id, traceparent};
