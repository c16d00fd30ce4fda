//! Export of spans over OTLP, in batches and from a separate thread.

use std::{env, sync::OnceLock, time::Duration};

use opentelemetry::{InstrumentationScope, KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, Protocol, SpanExporter, WithExportConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};

/// Maximum time for sending the last spans when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

pub(crate) fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get()
}

/// Reason why traces can't be exported as the environment configures it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is supported, at the collector's port 4318")]
    Protocol,
    #[error("invalid OTEL_EXPORTER_OTLP_… settings: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("traces are collected already")]
    AlreadyStarted,
}

/// Guard of the exporter. Dropping it sends the remaining spans.
#[derive(Debug)]
#[must_use]
pub struct ExporterGuard(SdkTracerProvider);

/// Starts the export of traces if the environment names a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`,
/// or `…_TRACES_ENDPOINT`). It is configured by the environment variables of the [OpenTelemetry
/// specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
///
/// Must be called outside of an asynchronous runtime, because the exporter's HTTP client is a
/// blocking one. It runs in its own thread.
pub fn start(version: &'static str, instance: &str) -> Result<Option<ExporterGuard>, StartError> {
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
    TRACER.set(provider.tracer_with_scope(scope)).map_err(|_| StartError::AlreadyStarted)?;
    Ok(Some(ExporterGuard(provider)))
}

impl Drop for ExporterGuard {
    fn drop(&mut self) {
        // A collector that is unavailable must not delay the end of the process. The SDK logs spans
        // that are lost.
        let _ = self.0.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
    }
}
