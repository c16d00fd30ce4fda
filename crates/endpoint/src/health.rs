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
}

#[derive(Serialize, ToSchema)]
struct Dependency {
    #[schema(inline)]
    status: DependencyStatus,
    /// How long it took to answer; none where it did not.
    latency_ms: Option<f64>,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// It serves, but news from other instances may be slow.
    Degraded,
    Unavailable,
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

async fn simple() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Liveness { status: Status::Ok })
}

async fn full(app: Data<App>) -> HttpResponse {
    let (database, redis) =
        futures_util::future::join(measure(async { app.db.ping().await.is_ok() }), redis(&app)).await;
    let status = match (database.status, redis.status) {
        (DependencyStatus::Down, _) => Status::Unavailable,
        (_, DependencyStatus::Down) => Status::Degraded,
        _ => Status::Ok,
    };
    let mut response =
        if matches!(status, Status::Unavailable) { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    if matches!(status, Status::Unavailable) {
        response.insert_header(("retry-after", "5"));
    }
    response.insert_header((CACHE_CONTROL, "no-store")).json(Health {
        status,
        instance_id: app.instance_id.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        database,
        redis,
    })
}

async fn redis(app: &App) -> Dependency {
    let Some(pool) = &app.redis else { return Dependency { status: DependencyStatus::Off, latency_ms: None } };
    measure(async {
        let Ok(mut connection) = pool.get().await else { return false };
        redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
    })
    .await
}

async fn measure(answers: impl Future<Output = bool>) -> Dependency {
    let start = Instant::now();
    let up = timeout(PATIENCE, answers).await.unwrap_or(false);
    Dependency {
        status: if up { DependencyStatus::Up } else { DependencyStatus::Down },
        latency_ms: up.then(|| start.elapsed().as_micros() as f64 / 1000.0),
    }
}
