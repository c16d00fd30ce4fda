//! Spans, and how they belong together.

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

/// Which side of an exchange a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers somebody.
    Server,
    /// Asks somebody.
    Client,
    /// Works on what was left for it.
    Consumer,
    Internal,
}

/// Something under way. It ends when it is dropped.
#[derive(Debug, Default)]
pub struct Span(Option<Context>);

impl Span {
    /// Begins within what is under way here.
    #[must_use]
    pub fn begin(kind: Kind, name: impl Into<Cow<'static, str>>) -> Self {
        Self::within(kind, name, None)
    }

    /// Begins within what another process or an earlier time has begun, named by its [`traceparent`]; else as [`Self::begin`] does.
    #[must_use]
    pub fn within(kind: Kind, name: impl Into<Cow<'static, str>>, parent: Option<&str>) -> Self {
        let Some(tracer) = tracer() else { return Self(None) };
        let current = Context::current();
        let parent = match parent.and_then(parse) {
            Some(remote) => current.with_remote_span_context(remote),
            None => current,
        };
        let builder = SpanBuilder::from_name(name.into()).with_kind(match kind {
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Consumer => SpanKind::Consumer,
            Kind::Internal => SpanKind::Internal,
        });
        let span = tracer.build_with_context(builder, &parent);
        Self(Some(parent.with_span(span)))
    }

    /// Whether somebody collects it: what is costly to find out need not be found out otherwise.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Gives it the name that is known only now.
    pub fn rename(&self, name: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            context.span().update_name(name);
        }
    }

    /// Marks it as failed, for a reason without contents.
    pub fn fail(&self, reason: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::Error { description: reason.into() });
        }
    }

    /// It serves what began elsewhere, too: one transaction commits the changes of many requests.
    pub fn follow(&self, traceparent: Option<&str>) {
        if let (Some(context), Some(remote)) = (&self.0, traceparent.and_then(parse)) {
            context.span().add_link(remote, Vec::new());
        }
    }

    /// Has the spans that `work` begins be within this one.
    pub fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.0 {
            Some(context) => Either::Left(work.with_context(context.clone())),
            None => Either::Right(work),
        }
    }

    /// Until the guard is dropped, spans that begin on this thread are within this one.
    #[must_use]
    pub fn enter(&self) -> Option<ContextGuard> {
        self.0.as_ref().map(|context| context.clone().attach())
    }
}

/// Whether anybody collects spans.
#[must_use]
pub fn is_on() -> bool {
    tracer().is_some()
}

/// What is under way here, as W3C Trace Context writes it, to be followed elsewhere.
#[must_use]
pub fn traceparent() -> Option<String> {
    tracer()?;
    Context::map_current(|context| {
        let span = context.span();
        let is = span.span_context();
        is.is_valid().then(|| format!("00-{}-{}-{:02x}", is.trace_id(), is.span_id(), is.trace_flags().to_u8()))
    })
}

/// The trace that what is under way here belongs to.
#[must_use]
pub fn trace_id() -> Option<String> {
    tracer()?;
    Context::map_current(|context| {
        let span = context.span();
        let is = span.span_context();
        is.is_valid().then(|| is.trace_id().to_string())
    })
}

/// Version 00 of <https://www.w3.org/TR/trace-context/#traceparent-header>; of later ones what they have in common with it.
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

    /// The example of the standard, and what it says is invalid.
    #[test]
    fn only_what_the_standard_allows_is_followed() {
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
    fn without_a_collector_nothing_is_under_way() {
        let span = Span::within(Kind::Server, "nothing", Some(PARENT));
        assert!(!span.is_on() && span.enter().is_none());
        assert_eq!((traceparent(), trace_id()), (None, None));
    }
}
