//! Whether the process lives, and whether it can serve. For load balancers and operators: without an envelope.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use actix_web::{
    HttpResponse,
    http::header::CACHE_CONTROL,
    rt::time::timeout,
    web::{Data, ServiceConfig},
};
use appcore::breaker::Circuit;
use serde::Serialize;
use service::App;
use utoipa::ToSchema;

use crate::only_get;

/// A dependency that takes longer is as good as away.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Serialize, ToSchema)]
pub(crate) struct Liveness {
    #[schema(inline)]
    status: Status,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(inline)]
    status: Status,
    instance_id: String,
    version: &'static str,
    #[schema(inline)]
    database: Dependency,
    #[schema(inline)]
    redis: Dependency,
    /// The providers of the assistants: down when none of them can be asked.
    #[schema(inline)]
    ai: Dependency,
}

#[derive(Serialize, ToSchema)]
struct Dependency {
    #[schema(inline)]
    status: DependencyStatus,
    /// How long it took to answer; none where it did not, or was not asked.
    latency_ms: Option<f64>,
    /// What its circuit breaker does with the next call; none where there is none.
    #[schema(inline)]
    circuit: Option<Circuit>,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// It serves, but news from other instances may be slow.
    Degraded,
    Unavailable,
    /// It was told to stop, and takes nothing new.
    Stopping,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DependencyStatus {
    Up,
    Down,
    /// Not configured: this instance is alone.
    Off,
}

pub fn configure(config: &mut ServiceConfig) {
    config.service(only_get("/health/simple", simple)).service(only_get("/health", full));
}

async fn simple(app: Data<App>) -> HttpResponse {
    let is_stopping = app.stopping.is_cancelled();
    let mut response = if is_stopping { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    let status = if is_stopping { Status::Stopping } else { Status::Ok };
    response.insert_header((CACHE_CONTROL, "no-store")).json(Liveness { status })
}

async fn full(app: Data<App>) -> HttpResponse {
    let (database, redis) = futures_util::future::join(database(&app), redis(&app)).await;
    let ai = ai(&app);
    let status = match (database.status, redis.status) {
        _ if app.stopping.is_cancelled() => Status::Stopping,
        (DependencyStatus::Down, _) => Status::Unavailable,
        (_, DependencyStatus::Down) => Status::Degraded,
        _ => Status::Ok,
    };
    let cannot_serve = matches!(status, Status::Unavailable | Status::Stopping);
    let mut response = if cannot_serve { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    if cannot_serve {
        response.insert_header(("retry-after", "5"));
    }
    response.insert_header((CACHE_CONTROL, "no-store")).json(Health {
        status,
        instance_id: app.instance_id.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        database,
        redis,
        ai,
    })
}

/// A database that answers while nothing can be committed is of no use.
async fn database(app: &App) -> Dependency {
    let asked = measure(async { app.db.ping().await.is_ok() && app.writer.is_healthy() }).await;
    Dependency { circuit: Some(app.db.circuit()), ..asked }
}

async fn redis(app: &App) -> Dependency {
    let Some(redis) = &app.redis else {
        return Dependency { status: DependencyStatus::Off, latency_ms: None, circuit: None };
    };
    let ping = async {
        let mut connection = redis.connection().await?;
        Ok(redis::cmd("PING").query_async::<String>(&mut connection).await?)
    };
    let asked = measure(async { redis.within(PATIENCE, ping).await.is_ok() }).await;
    Dependency { circuit: Some(redis.circuit()), ..asked }
}

/// They are not asked: an answer costs money.
fn ai(app: &App) -> Dependency {
    let circuit = app.assistants.circuit();
    let status = if circuit == Circuit::Open { DependencyStatus::Down } else { DependencyStatus::Up };
    Dependency { status, latency_ms: None, circuit: Some(circuit) }
}

async fn measure(answers: impl Future<Output = bool>) -> Dependency {
    let start = Instant::now();
    let up = timeout(PATIENCE, answers).await.unwrap_or(false);
    Dependency {
        status: if up { DependencyStatus::Up } else { DependencyStatus::Down },
        latency_ms: up.then(|| start.elapsed().as_micros() as f64 / 1000.0),
        circuit: None,
    }
}
