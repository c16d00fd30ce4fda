//! Where spans go: in batches, over OTLP, from a thread of its own.

use std::{env, sync::OnceLock, time::Duration};

use opentelemetry::{InstrumentationScope, KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, Protocol, SpanExporter, WithExportConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};

/// How long the end of the program waits for a collector to take the last spans.
const PATIENCE: Duration = Duration::from_secs(2);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

pub(crate) fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get()
}

/// Why no traces can be collected as the environment asks.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken, at the collector's port 4318")]
    Protocol,
    #[error("traces can't be sent as OTEL_EXPORTER_OTLP_… says: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("traces are collected already")]
    Twice,
}

/// Sends what is left when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Collector(SdkTracerProvider);

/// Collects traces where the environment names a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`, or `…_TRACES_ENDPOINT`), as the variables of
/// the [OpenTelemetry specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/) say.
///
/// To be called outside of an asynchronous runtime: the exporter's HTTP client blocks, in its own thread.
pub fn start(version: &'static str, instance: &str) -> Result<Option<Collector>, StartError> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let is_named = set(OTEL_EXPORTER_OTLP_ENDPOINT).or_else(|| set(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)).is_some();
    let is_disabled = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !is_named || is_disabled || set("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none") {
        return Ok(None);
    }
    let protocol = set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"));
    if protocol.is_some_and(|protocol| protocol != "http/protobuf") {
        return Err(StartError::Protocol);
    }
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).build()?;
    let mut resource = Resource::builder();
    if set("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("natter");
    }
    let resource = resource.with_attributes([
        KeyValue::new("service.version", version),
        KeyValue::new("service.instance.id", instance.to_owned()),
    ]);
    let provider = SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build();
    let scope = InstrumentationScope::builder("natter").with_version(version).build();
    TRACER.set(provider.tracer_with_scope(scope)).map_err(|_| StartError::Twice)?;
    Ok(Some(Collector(provider)))
}

impl Drop for Collector {
    fn drop(&mut self) {
        // A collector that is away must not keep the program from ending; what it did not take is lost, and logged by the SDK.
        let _ = self.0.shutdown_with_timeout(PATIENCE);
    }
}
