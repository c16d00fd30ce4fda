//! Spans, and the propagation of their context.

use std::{borrow::Cow, future::Future};

use futures_util::future::Either;
use opentelemetry::{
    Context, ContextGuard, KeyValue, Value,
    trace::{
        FutureExt as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
        TraceState, Tracer as _,
    },
};

use crate::collector::tracer;

/// Role of a span in the communication between two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanRole {
    /// Handles a request.
    Server,
    /// Sends a request.
    Client,
    /// Processes a queued message.
    Consumer,
    Internal,
}

/// Operation in progress. The span ends when it is dropped.
#[derive(Debug, Default)]
pub struct Span(Option<Context>);

impl Span {
    /// Starts a span as a child of the current one.
    #[must_use]
    pub fn start(kind: SpanRole, name: impl Into<Cow<'static, str>>) -> Self {
        Self::start_within(kind, name, None)
    }

    /// Starts a span as a child of the span that `parent`, a [`traceparent`], identifies. Without
    /// `parent`, it is a child of the current span.
    #[must_use]
    pub fn start_within(kind: SpanRole, name: impl Into<Cow<'static, str>>, parent: Option<&str>) -> Self {
        let Some(tracer) = tracer() else { return Self(None) };
        let current = Context::current();
        let parent = match parent.and_then(parse) {
            Some(remote) => current.with_remote_span_context(remote),
            None => current,
        };
        let builder = SpanBuilder::from_name(name.into()).with_kind(match kind {
            SpanRole::Server => SpanKind::Server,
            SpanRole::Client => SpanKind::Client,
            SpanRole::Consumer => SpanKind::Consumer,
            SpanRole::Internal => SpanKind::Internal,
        });
        let span = tracer.build_with_context(builder, &parent);
        Self(Some(parent.with_span(span)))
    }

    /// True if the span is exported. Attributes that are costly to compute should be set only then.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub fn set_attribute(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Changes the name, for spans whose name is known only after the start.
    pub fn set_name(&self, name: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            context.span().update_name(name);
        }
    }

    /// Marks the span as failed. The reason must not contain content of users.
    pub fn fail(&self, reason: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::Error { description: reason.into() });
        }
    }

    /// Links the span to another one that it also serves. For example, one transaction commits the
    /// changes of many requests.
    pub fn link(&self, traceparent: Option<&str>) {
        if let (Some(context), Some(remote)) = (&self.0, traceparent.and_then(parse)) {
            context.span().add_link(remote, Vec::new());
        }
    }

    /// Runs `work` with this span as the current one.
    pub fn scope<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.0 {
            Some(context) => Either::Left(work.with_context(context.clone())),
            None => Either::Right(work),
        }
    }

    /// Makes this span the current one of the thread until the returned guard is dropped.
    #[must_use]
    pub fn enter(&self) -> Option<ContextGuard> {
        self.0.as_ref().map(|context| context.clone().attach())
    }
}

/// True if spans are exported.
#[must_use]
pub fn is_on() -> bool {
    tracer().is_some()
}

/// Returns the context of the current span as a W3C Trace Context header, for passing it on.
#[must_use]
pub fn traceparent() -> Option<String> {
    tracer()?;
    Context::map_current(|context| {
        let span = context.span();
        let is = span.span_context();
        is.is_valid().then(|| format!("00-{}-{}-{:02x}", is.trace_id(), is.span_id(), is.trace_flags().to_u8()))
    })
}

/// Returns the trace id of the current span.
#[must_use]
pub fn trace_id() -> Option<String> {
    tracer()?;
    Context::map_current(|context| {
        let span = context.span();
        let is = span.span_context();
        is.is_valid().then(|| is.trace_id().to_string())
    })
}

/// Parses version 00 of <https://www.w3.org/TR/trace-context/#traceparent-header>, and the
/// compatible part of later versions.
fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    if !is_hex(version, 2) || version == "ff" || (version == "00" && parts.next().is_some()) || !is_hex(flags, 2) {
        return None;
    }
    if !is_hex(trace, 32) || !is_hex(span, 16) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & TraceFlags::SAMPLED.to_u8());
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// Uses the example of the standard, and invalid values that the standard lists.
    #[test]
    fn accepts_only_valid_traceparents() {
        let context = parse(PARENT).unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && context.is_remote());
        assert!(!parse(&PARENT.replace("-01", "-00")).unwrap().is_sampled());
        assert!(parse(&format!("01{}-later", &PARENT[2..])).is_some());
        for wrong in [
            "",
            "00",
            &PARENT[..54],
            &format!("{PARENT}-more"),
            &PARENT.to_uppercase(),
            &format!("ff{}", &PARENT[2..]),
            &PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            &PARENT.replace("0af7", "0ag7"),
            "00-é",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn spans_are_off_without_a_collector() {
        let span = Span::start_within(SpanRole::Server, "nothing", Some(PARENT));
        assert!(!span.is_on() && span.enter().is_none());
        assert_eq!((traceparent(), trace_id()), (None, None));
    }
}
