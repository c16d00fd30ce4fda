//! Traces: durations and causal relations of requests, frames, jobs and calls to providers, for a
//! collector that supports OTLP.
//!
//! Off unless the environment names a collector ([`start`]); a [`Span`] then costs the check of one
//! flag. Spans have names, numbers and ids, but no content.

mod collector;
mod span;

pub use collector::{ExporterGuard, StartError, start};
pub use span::{Span, SpanRole, is_on, trace_id, traceparent};
