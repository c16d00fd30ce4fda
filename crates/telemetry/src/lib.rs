//! Traces: what a request, a frame, a job or a call to a provider took, and what caused what, for a collector that speaks OTLP.
//!
//! Off unless the environment names a collector ([`start`]); a [`Span`] costs the look at one flag then. Spans carry names, numbers and
//! ids, never contents.

mod collector;
mod span;

pub use collector::{Collector, StartError, start};
pub use span::{Kind, Span, is_on, trace_id, traceparent};
