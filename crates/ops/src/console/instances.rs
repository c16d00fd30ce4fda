//! Running instances.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use appcore::{AppError, UNTRUSTED_PROXIES, breaker::Circuit, config::Role, view::Instance};
use dbcontext::query::figures::{self as rows, InstanceRow};
use metrics::metrics;
use serde_json::{Value, json};

use crate::OpsService;

/// Field of the stored state with the untrusted proxies that an instance has seen. It is not part
/// of the API.
const UNTRUSTED_PROXIES_FIELD: &str = "untrusted_proxies";

/// Publishes the state of this instance.
pub(super) async fn publish(
    service: &OpsService,
    latency: Option<Duration>,
    delivery: Option<Duration>,
) -> Result<(), AppError> {
    let role = match service.config.server.role {
        Role::All => "all",
        Role::Web => "web",
        Role::Worker => "worker",
    };
    let database_ms = measure_response("database", service.db.ping()).await;
    let redis_ms = match &service.redis {
        Some(redis) => measure_response("redis", redis.ping()).await,
        None => None,
    };
    let now = service.clock.now();
    let instance = Instance {
        id: service.instance_id,
        is_own: false,
        started_at: service.started_at,
        seen_at: now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        role: role.to_owned(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        connections: metrics().realtime.open_connections(),
        writer_queue: service.events.writer.waiting() as u64,
        latency_ms: latency.and_then(in_millis),
        delivery_ms: delivery.and_then(in_millis),
        memory: resident_bytes(),
        database: service.db.is_available(),
        database_ms,
        redis: service.redis.as_ref().map(|redis| redis.circuit() == Circuit::Closed),
        redis_ms,
    };
    let mut state = serde_json::to_value(&instance).map_err(AppError::internal)?;
    state[UNTRUSTED_PROXIES_FIELD] = json!(UNTRUSTED_PROXIES.peers());
    let state = state.to_string();
    let row = InstanceRow { id: service.instance_id, started_at: service.started_at, seen_at: now, state };
    rows::upsert_instance(service.db.writer(), row).await
}

/// Lists the running instances, oldest first. An instance whose state this version can't parse is
/// left out.
pub(super) async fn list(service: &OpsService) -> Result<Vec<Instance>, AppError> {
    let rows = rows::instances(service.db.reader()).await?;
    let view = |row: InstanceRow| Some(Instance { is_own: row.id == service.instance_id, ..read(&row)? });
    Ok(rows.into_iter().filter_map(view).collect())
}

/// Parses the state that an instance has published.
pub(super) fn read(row: &InstanceRow) -> Option<Instance> {
    serde_json::from_str(&row.state).ok()
}

/// Host on which an instance runs.
#[must_use]
pub fn host(row: &InstanceRow) -> Option<String> {
    read(row).map(|instance| instance.host)
}

/// Untrusted proxies that an instance has seen.
pub(crate) fn untrusted_proxies(row: &InstanceRow) -> Vec<IpAddr> {
    let state: Value = serde_json::from_str(&row.state).unwrap_or_default();
    let peers = state[UNTRUSTED_PROXIES_FIELD].as_array().into_iter().flatten();
    peers.filter_map(|peer| peer.as_str()?.parse().ok()).collect()
}

/// Returns the response time of a dependency in milliseconds; `None` if it doesn't respond.
async fn measure_response<E>(dependency: &'static str, question: impl Future<Output = Result<(), E>>) -> Option<i64> {
    let asked = Instant::now();
    question.await.ok()?;
    let took = asked.elapsed();
    metrics().dependencies.record_response(dependency, took);
    in_millis(took)
}

fn in_millis(time: Duration) -> Option<i64> {
    i64::try_from(time.as_millis()).ok()
}

/// Resident memory of this process, in bytes.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}
