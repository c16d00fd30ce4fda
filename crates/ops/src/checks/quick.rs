//! Checks that are cheap and public, for `/health`.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use appcore::{
    breaker::Circuit,
    config::Role,
    view::{Check, CheckAbout},
};
use dbcontext::{ReplicaStatus, connection::WriteRefusal};
use files::uploads::Uploads;
use futures_util::join;
use platform::host_health::{DiskSpace, OpenFiles};
use tokio::{sync::Mutex, time::timeout};

use super::{failure, local};
use crate::OpsService;

/// Timeout for contacting a dependency.
const DEPENDENCY_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for which the answers of the dependencies are cached, so that any number of requests for
/// `/health` contacts each dependency once per second.
const CACHE_TTL: Duration = Duration::from_secs(1);
/// Delay of the search index above which it is reported.
const MAX_SEARCH_LAG: Duration = Duration::from_secs(30);
/// Time for which a jump of the clock is reported.
const JUMP_REPORT_PERIOD: Duration = Duration::from_secs(600);

/// State of the dependencies of an instance, with the results of the checks.
pub struct QuickReport {
    pub database: Dependency,
    /// State of Redis; `None` for a single instance without Redis.
    pub redis: Option<Dependency>,
    pub storage: Dependency,
    pub ai: Dependency,
    /// False until the server of `bus.url` could be reached for the first time, on an instance that serves users.
    pub is_bus_ready: bool,
    pub checks: Vec<Check>,
}

#[derive(Clone, Copy, Debug)]
pub struct Dependency {
    pub is_up: bool,
    /// Response time; `None` if the dependency has not responded or was not contacted.
    pub latency: Option<Duration>,
    pub circuit: Option<Circuit>,
}

impl Dependency {
    const DOWN: Self = Self { is_up: false, latency: None, circuit: None };
}

/// Answers of the dependencies when they were last contacted.
#[derive(Clone, Debug)]
struct DependencyAnswers {
    database: Dependency,
    redis: Option<Dependency>,
    storage: Dependency,
    storage_checks: Vec<Check>,
}

impl DependencyAnswers {
    async fn request(service: &OpsService) -> Self {
        let (database, redis, (storage, storage_checks)) = join!(database(service), redis(service), storage(service));
        Self { database, redis, storage, storage_checks }
    }
}

/// Last answers of the dependencies, and when they were complete.
#[derive(Default)]
pub(crate) struct AnswerCache(Arc<Mutex<Option<(Instant, DependencyAnswers)>>>);

/// Returns the answers of the dependencies, which may be a second old. Concurrent callers wait for
/// the same answers.
async fn answers(service: &Arc<OpsService>) -> DependencyAnswers {
    let mut last = Arc::clone(&service.answers.0).lock_owned().await;
    if let Some((_, known)) = last.as_ref().filter(|(at, _)| at.elapsed() < CACHE_TTL) {
        return known.clone();
    }
    // Runs as a task, because a caller that disconnects must not cancel it for the others.
    let owned = Arc::clone(service);
    let requested = tokio::spawn(async move {
        let answers = DependencyAnswers::request(&owned).await;
        *last = Some((Instant::now(), answers.clone()));
        answers
    });
    requested.await.unwrap_or_else(|_| DependencyAnswers {
        database: Dependency::DOWN,
        redis: service.redis.as_ref().map(|_| Dependency::DOWN),
        storage: Dependency::DOWN,
        storage_checks: Vec::new(),
    })
}

pub async fn run(service: &Arc<OpsService>) -> QuickReport {
    let DependencyAnswers { database, redis, storage, storage_checks } = answers(service).await;
    // What is known without contacting a dependency is never cached.
    let database = Dependency { circuit: Some(service.db.circuit()), ..database };
    let circuit = service.redis.as_ref().map(|redis| redis.circuit());
    let redis = redis.map(|redis| Dependency { circuit, ..redis });
    let storage = if service.db.write_refusal().is_some() { Dependency::DOWN } else { storage };
    let ai = ai(service);
    let ms = |dependency: &Dependency| dependency.latency.unwrap_or_default().as_millis();
    let mut checks = vec![if database.is_up {
        Check::ok(CheckAbout::Database, format!("{} answers within {} ms", service.db.kind(), ms(&database)))
    } else {
        Check::fault(
            CheckAbout::Database,
            "The database can't be reached: nothing works until it's back. Start it, or check the network connection to it",
        )
    }];
    checks.extend(service.db.write_refusal().map(|refusal| match refusal {
        WriteRefusal::Full => Check::fault(
            CheckAbout::Disk,
            "The database's disk is full: nothing can be saved until you free up space. Reading still works",
        ),
        WriteRefusal::ReadOnly => Check::fault(
            CheckAbout::Database,
            "The database can only be read, as a replica: nothing can be saved. Promote it, or point database.url to the primary",
        ),
    }));
    checks.extend(service.db.replica_status().map(replica));
    checks.extend(redis.as_ref().map(|redis| if redis.is_up {
        Check::ok(CheckAbout::Redis, format!("Redis answers within {} ms", ms(redis)))
    } else {
        Check::fault(CheckAbout::Redis, "Redis can't be reached: updates between instances take up to a second, and each instance counts limits on its own. Restart Redis; it holds no data that must be restored")
    }));
    let is_bus_ready = !serves_users(service) || service.config.bus.url.is_none() || service.bus.has_connected();
    checks.extend(bus(service));
    checks.extend(event_stream(service).await);
    checks.extend(storage_checks);
    if !ai.is_up && uses_ai(service) {
        checks.push(Check::fault(
            CheckAbout::Ai,
            "No AI provider is available, so assistants don't answer. See why in Admin, Providers",
        ));
    }
    checks.extend(search(service.search.lag().longest));
    checks.push(clock(service));
    checks.extend(backups(service));
    QuickReport { database, redis, storage, ai, is_bus_ready, checks }
}

/// Reports whether the replica is used.
fn replica(status: ReplicaStatus) -> Check {
    if status.circuit == Circuit::Closed {
        return Check::ok(CheckAbout::Replica, "History, search and lists are read from the replica");
    }
    let reason = status.fault.unwrap_or_else(|| "it lags behind the primary".to_owned());
    Check::fault(
        CheckAbout::Replica,
        format!(
            "The replica of database.replica_url isn't used: {reason}. The primary answers all reads until it's back. Restart the replica, or remove the setting"
        ),
    )
}

/// Checks the event stream, if there is a broker.
async fn event_stream(service: &OpsService) -> Option<Check> {
    service.config.events.url.as_ref()?;
    let error = timeout(DEPENDENCY_TIMEOUT, event_log::stream::last_error(&service.events)).await.ok()?.ok()?;
    Some(match error {
        None => Check::ok(CheckAbout::Events, "The broker of events.url confirms all events"),
        Some(error) => Check::fault(
            CheckAbout::Events,
            format!(
                "The broker of events.url doesn't accept events, which wait in the database: {error}. Start it, or correct events.url"
            ),
        ),
    })
}

/// Checks the bus, if it has a server of its own.
fn bus(service: &OpsService) -> Option<Check> {
    let url = service.config.bus.url.as_ref()?;
    let address = failure::bus_address(url).unwrap_or_else(|| "bus.url".to_owned());
    Some(if service.bus.is_connected() {
        Check::ok(CheckAbout::Bus, format!("The bus at {address} carries events between instances"))
    } else if service.bus.has_connected() || !serves_users(service) {
        Check::fault(
            CheckAbout::Bus,
            format!(
                "The bus at {address} can't be reached: updates between instances take up to a second. Start it, or check the network connection to it"
            ),
        )
    } else {
        Check::fault(
            CheckAbout::Bus,
            format!(
                "The bus at {address} can't be reached, so this instance isn't ready. Start it, or correct bus.url"
            ),
        )
    })
}

/// Checks the database. A database that responds but commits nothing counts as down.
async fn database(service: &OpsService) -> Dependency {
    probe(async { service.db.ping().await.is_ok() && service.events.writer.is_healthy() }).await
}

async fn redis(service: &OpsService) -> Option<Dependency> {
    let redis = service.redis.as_ref()?;
    let ping = async {
        let mut connection = redis.connection().await?;
        Ok(deadpool_redis::redis::cmd("PING").query_async::<String>(&mut connection).await?)
    };
    Some(probe(async { redis.execute(DEPENDENCY_TIMEOUT, ping).await.is_ok() }).await)
}

/// Checks the disk space and the open files. Runs on a blocking thread, because a remote disk may be
/// slow.
async fn storage(service: &OpsService) -> (Dependency, Vec<Check>) {
    let (folder, uploads) = (service.config.server.data_dir.clone(), Arc::clone(&service.files.uploads));
    let begun = Instant::now();
    let looked = tokio::task::spawn_blocking(move || {
        (disk_space(&folder), upload_space(&uploads), OpenFiles::for_this_process())
    });
    let Ok(Ok((room, no_room, files))) = timeout(DEPENDENCY_TIMEOUT, looked).await else {
        let says = "The disk with server.data_dir doesn't respond. Check it, and the network connection if it's remote";
        return (Dependency::DOWN, vec![Check::fault(CheckAbout::Disk, says)]);
    };
    // If the folder can't be read, nothing is known about its disk.
    let is_up = !matches!(room, Some(DiskSpace::Full(_)));
    let checks = room.map(|room| local::disk_space(room, "server.data_dir"));
    let latency = is_up.then(|| begun.elapsed());
    let checks = checks.into_iter().chain(no_room).chain(files.map(local::open_files)).collect();
    (Dependency { is_up, latency, circuit: None }, checks)
}

fn disk_space(folder: &Path) -> Option<DiskSpace> {
    DiskSpace::for_folder(folder).ok()
}

fn upload_space(uploads: &Uploads) -> Option<Check> {
    let (folder, has_room) = uploads.store.incoming_space();
    (!has_room).then(|| {
        let says = format!(
            "Uploads are refused: {} has less free space than server.min_free_bytes. Delete files you don't need, old backups first",
            folder.display()
        );
        Check::fault(CheckAbout::Disk, says)
    })
}

/// Reports the AI providers by the state of the circuit breaker only, because a request costs
/// money.
fn ai(service: &OpsService) -> Dependency {
    let circuit = service.gateway.ai().circuit();
    Dependency { is_up: circuit != Circuit::Open, latency: None, circuit: Some(circuit) }
}

/// True if users connect to this instance. A worker needs no bus: it polls for jobs, and events that it can't publish are
/// published later.
fn serves_users(service: &OpsService) -> bool {
    service.config.server.role != Role::Worker
}

/// True if this instance calls AI providers: in jobs, or for programs that use the gateway.
fn uses_ai(service: &OpsService) -> bool {
    serves_users(service) || service.config.jobs.use_ai()
}

/// Reports the delay of the search index if it is too long.
fn search(lag: Duration) -> Option<Check> {
    (lag > MAX_SEARCH_LAG).then(|| {
        let says = format!(
            "Search misses messages from the last {} s: the search index can't be written, or can't keep up. It catches up automatically; the log has the error",
            lag.as_secs()
        );
        Check::fault(CheckAbout::Search, says)
    })
}

fn clock(service: &OpsService) -> Check {
    match service.clock_monitor.last_jump(JUMP_REPORT_PERIOD) {
        None => Check::ok(CheckAbout::Clock, "The clock hasn't jumped recently"),
        Some(jump) => Check::warning(
            CheckAbout::Clock,
            format!(
                "This machine's clock was set {jump}, so scheduled work ran too early or too late. Let NTP adjust the clock gradually"
            ),
        ),
    }
}

/// Reports scheduled backups that are late.
fn backups(service: &OpsService) -> Option<Check> {
    service.backups.as_ref()?.is_late(service.clock.now()).then(|| {
        Check::fault(
            CheckAbout::Backups,
            "There is no backup from the last two intervals of backup.every_hours. Search the log for \"backup\", then check backup.url",
        )
    })
}

async fn probe(answers: impl Future<Output = bool>) -> Dependency {
    let begun = Instant::now();
    let is_up = timeout(DEPENDENCY_TIMEOUT, answers).await.unwrap_or(false);
    Dependency { is_up, latency: is_up.then(|| begun.elapsed()), circuit: None }
}

#[cfg(test)]
mod tests {
    use appcore::view::Verdict;

    use super::*;

    #[test]
    fn search_lag_above_the_limit_is_a_fault() {
        assert_eq!(search(Duration::ZERO), None);
        assert_eq!(search(MAX_SEARCH_LAG), None);
        let check = search(MAX_SEARCH_LAG + Duration::from_secs(12)).unwrap();
        assert_eq!((check.about, check.verdict), (CheckAbout::Search, Verdict::Fault));
        assert!(check.says.contains("the last 42 s"), "{}", check.says);
    }
}
