//! Liveness and readiness checks for load balancers and operators. Their responses have no
//! envelope.

use actix_web::{
    HttpResponse,
    http::header::CACHE_CONTROL,
    web::{Data, ServiceConfig},
};
use app::App;
use appcore::{breaker::Circuit, view::Check};
use ops::checks::quick;
use serde::Serialize;
use utoipa::ToSchema;

use crate::only_get;

#[derive(Serialize, ToSchema)]
pub(crate) struct Liveness {
    status: HealthStatus,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    status: HealthStatus,
    instance_id: String,
    version: &'static str,
    /// Reasons for a status other than `ok`.
    reasons: Vec<String>,
    database: Dependency,
    redis: Dependency,
    /// AI providers; `down` if none is available.
    ai: Dependency,
    /// Disks and database of this instance; `down` if full or read-only.
    storage: Dependency,
}

#[derive(Serialize, ToSchema)]
struct Dependency {
    status: DependencyStatus,
    /// Response time in milliseconds; null if none.
    latency_ms: Option<f64>,
    /// State of the circuit breaker; null if none.
    circuit: Option<Circuit>,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HealthStatus {
    Ok,
    /// The instance serves requests, but with reduced functionality; see `reasons`.
    Degraded,
    /// The instance can't serve requests.
    Down,
    /// The instance is being drained: it accepts no real-time connections, and load balancers use others.
    Draining,
    /// The instance is shutting down and accepts no new requests.
    Stopping,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DependencyStatus {
    Up,
    Down,
    /// The dependency is not in use, because this is the only instance.
    Off,
}

pub fn configure(config: &mut ServiceConfig) {
    config.service(only_get("/health/simple", simple)).service(only_get("/health", full));
}

async fn simple(app: Data<App>) -> HttpResponse {
    let status = if app.stopping.is_cancelled() {
        HealthStatus::Stopping
    } else if *app.is_draining.borrow() {
        HealthStatus::Draining
    } else {
        HealthStatus::Ok
    };
    let is_available = matches!(status, HealthStatus::Ok);
    let mut response = if is_available { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((CACHE_CONTROL, "no-store")).json(Liveness { status })
}

async fn full(app: Data<App>) -> HttpResponse {
    let found = quick::run(&app.ops).await;
    let reasons: Vec<String> = found.checks.into_iter().filter(Check::is_fault).map(|check| check.says + ".").collect();
    let status = match reasons.is_empty() {
        _ if app.stopping.is_cancelled() => HealthStatus::Stopping,
        _ if *app.is_draining.borrow() => HealthStatus::Draining,
        _ if !found.database.is_up || !found.is_bus_ready => HealthStatus::Down,
        false => HealthStatus::Degraded,
        true => HealthStatus::Ok,
    };
    let cannot_serve = matches!(status, HealthStatus::Down | HealthStatus::Draining | HealthStatus::Stopping);
    let mut response = if cannot_serve { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    if cannot_serve {
        response.insert_header(("retry-after", "5"));
    }
    let off = Dependency { status: DependencyStatus::Off, latency_ms: None, circuit: None };
    response.insert_header((CACHE_CONTROL, "no-store")).json(Health {
        status,
        instance_id: app.instance_id.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        reasons,
        database: found.database.into(),
        redis: found.redis.map_or(off, Dependency::from),
        ai: found.ai.into(),
        storage: found.storage.into(),
    })
}

impl From<quick::Dependency> for Dependency {
    fn from(found: quick::Dependency) -> Self {
        let quick::Dependency { is_up, latency, circuit } = found;
        Self {
            status: if is_up { DependencyStatus::Up } else { DependencyStatus::Down },
            latency_ms: latency.map(|latency| latency.as_micros() as f64 / 1000.0),
            circuit,
        }
    }
}
