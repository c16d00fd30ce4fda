//! Endpoint `/metrics`, on a separate address (`metrics.listen`). Serves the counters of the crate
//! [`metrics`], and gauges that are computed for each request.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    sync::{Arc, LazyLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use actix_http::HttpService;
use actix_server::ServerBuilder;
use actix_service::{Service as _, apply_fn_factory, map_config};
use actix_web::{
    HttpResponse,
    dev::AppConfig,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::{self, Data},
};
use app::App;
use appcore::{
    breaker::Circuit,
    limit::{RateGroup, Violation},
};
use dbcontext::query;
use endpoint::only_get;
use metrics::{Gauge, metrics, registry::Registry};
use platform::host_health::{DiskSpace, OpenFiles};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
    },
};
use tokio::{join, net::TcpStream, sync::Mutex, time::timeout};

use crate::{schema::SchemaState, server::HttpConnections};

/// Git revision of the source code; `None` if it was unknown when the program was built.
const REVISION: Option<&str> = option_env!("NATTER_REVISION");
/// Timeout for reading from the database.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for which the state of the schema is cached.
const SCHEMA_CACHE_TTL: Duration = Duration::from_secs(60);
/// Clock ticks per second in `/proc`; the same on every Linux system.
const TICKS_PER_SECOND: f64 = 100.0;
/// Time after which an idle connection of a scraper is closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Approximate time at which the process started.
static STARTED_AT: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);

/// Serves the metrics in the background. If the address is in use, for example by another instance
/// on this machine, a warning is logged and nothing is served.
pub fn listen(
    app: &Arc<App>,
    builder: ServerBuilder,
    connections: &HttpConnections,
    open: impl Fn(SocketAddr) -> std::io::Result<TcpListener>,
) -> anyhow::Result<ServerBuilder> {
    let _ = *STARTED_AT;
    metrics().gates.create_series(
        RateGroup::ALL.into_iter().map(RateGroup::as_str),
        Violation::ALL.into_iter().map(Violation::as_str),
    );
    let Some(address) = app.config.metrics.listen else { return Ok(builder) };
    let listener = match open(address) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%address, %error, "failed to serve metrics: set metrics.listen to a free address, or remove it");
            return Ok(builder);
        }
    };
    let (app, connections, newer_steps) = (Arc::clone(app), connections.clone(), Data::new(NewerSteps::default()));
    Ok(builder.listen("metrics", listener, move || {
        let application = actix_web::App::new()
            .app_data(Data::from(Arc::clone(&app)))
            .app_data(newer_steps.clone())
            .service(only_get("/metrics", answer))
            .default_service(web::to(HttpResponse::NotFound));
        let http = HttpService::build()
            .keep_alive(KEEP_ALIVE)
            .graceful_shutdown_signal(connections.closing_signal())
            .h1(map_config(application, |_| AppConfig::default()))
            .tcp();
        let connections = connections.clone();
        apply_fn_factory(http, move |socket: TcpStream, http| connections.track(http.call(socket)))
    })?)
}

async fn answer(app: Data<App>, newer_steps: Data<NewerSteps>) -> HttpResponse {
    let (mut moment, mut process) = (Registry::with_prefix(metrics::PREFIX), Registry::default());
    register_instance(&app, &mut moment);
    register_replica(&app, &mut moment);
    register_search(&app, &mut moment);
    register_backups(&app, &mut moment);
    register_certificate(&app, &mut moment);
    let (newer_steps, ()) = join!(newer_steps.get(&app), register_jobs(&app, &mut moment));
    if let Some(count) = newer_steps {
        gauge(&mut moment, "schema_newer_steps", "Applied migrations that only a newer release has", count);
    }
    // Runs on a blocking thread, because listing the open files may take long, and so may a remote
    // disk.
    let folder = app.config.server.data_dir.clone();
    if let Ok((statistics, is_full)) =
        web::block(move || (Process::read(), matches!(DiskSpace::for_folder(&folder), Ok(DiskSpace::Full(_))))).await
    {
        statistics.register(&mut process);
        gauge(
            &mut moment,
            "database_writable",
            "1 unless a disk is full or the database is read-only",
            u64::from(!is_full && app.db.write_refusal().is_none()),
        );
    }
    register_allocator(&mut moment);
    match metrics().text(&[moment, process]) {
        Ok(text) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dependency {
    dependency: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Provider {
    provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pool {
    pool: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReplicaOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Memory {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

/// Maximum number of providers that have their own series, as for other metrics.
const MAX_PROVIDERS: usize = 100;

/// Registers a family of gauges with the given values.
fn gauges<L: EncodeLabelSet + Clone + std::hash::Hash + Eq + std::fmt::Debug + Send + Sync + 'static>(
    to: &mut Registry,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, i64)>,
) {
    let family = Family::<L, Gauge>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
    to.register(name, help, family);
}

fn gauge(to: &mut Registry, name: &str, help: &str, value: u64) {
    to.register(name, help, ConstGauge::new(value));
}

fn register_instance(app: &App, to: &mut Registry) {
    let build = [("version", env!("CARGO_PKG_VERSION")), ("database", app.db.kind())].into_iter();
    let build: Vec<_> = build.chain(REVISION.map(|revision| ("revision", revision))).collect();
    gauges(to, "build_info", "Version, Git revision and database of this instance", [(build, 1)]);
    let is_up = |circuit: Circuit| i64::from(circuit == Circuit::Closed);
    let redis = app.redis.as_ref().map(|redis| ("redis", redis.circuit()));
    let replica = app.db.replica_status().map(|status| ("replica", status.circuit));
    let dependencies = [("database", app.db.circuit()), ("ai", app.gateway.ai().circuit())].into_iter();
    let dependencies = dependencies.chain(redis).chain(replica);
    let dependencies = dependencies.map(|(dependency, circuit)| (Dependency { dependency }, is_up(circuit)));
    gauges(to, "dependency_up", "1 while the circuit breaker of the dependency is closed", dependencies);
    let repairs = Family::<Provider, Counter>::default();
    let providers = app.gateway.ai().states().into_iter().take(MAX_PROVIDERS).map(|state| {
        let is_up = !state.is_failing && !state.is_out_of_keys();
        repairs.get_or_create(&Provider { provider: state.name.clone() }).inc_by(state.repairs);
        (Provider { provider: state.name }, i64::from(is_up))
    });
    gauges(to, "ai_provider_up", "1 unless the provider fails repeatedly or has no usable key", providers);
    to.register("ai_repairs", "Requests that a provider accepted only in an adapted form", repairs);
    gauge(to, "writer_queue_changes", "Changes waiting to be committed", app.events.writer.waiting() as u64);
    gauge(to, "body_bytes", "Memory of request bodies", app.bodies.bytes_in_use() as u64);
    let (waiting, lost) = app.gateway.backlog();
    gauge(to, "usage_queue_rows", "Usage records waiting to be stored", waiting as u64);
    to.register("usage_lost_rows", "Usage records that could not be stored", ConstCounter::new(lost));
    let database = app.db.pools().into_iter().map(|pool| (pool.name, u64::from(pool.open), pool.idle as u64));
    let redis = app.redis.as_ref().map(|redis| redis.connections());
    let redis = redis.map(|(open, idle)| ("redis", open as u64, idle as u64));
    let pools = database.chain(redis).flat_map(|(pool, open, idle)| {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        [("idle", count(idle)), ("used", count(open.saturating_sub(idle)))]
            .map(|(state, number)| (Pool { pool, state }, number))
    });
    gauges(to, "pool_connections", "Connections of the pools to the database and to Redis", pools);
}

/// Registers the state of the replica, if one is configured.
fn register_replica(app: &App, to: &mut Registry) {
    let Some(status) = app.db.replica_status() else { return };
    gauge(to, "replica_lag_bytes", "Write-ahead log that the replica had not replayed", status.lag_bytes);
    let lag = ConstGauge::new(status.lag.as_secs_f64());
    to.register("replica_lag_seconds", "Time since the replica had last replayed everything", lag);
    let reads = Family::<ReplicaOutcome, Counter>::default();
    for (outcome, count) in status.reads {
        reads.get_or_create(&ReplicaOutcome { outcome }).inc_by(count);
    }
    let help =
        "Reads that the replica may execute, by outcome: replica, or the reason why the primary has executed them";
    to.register("replica_reads", help, reads);
}

fn register_search(app: &App, to: &mut Registry) {
    let lag = app.search.lag();
    let waiting = lag.waiting as u64;
    gauge(to, "search_waiting_conversations", "Conversations with messages that are not indexed yet", waiting);
    let help = "Age of the oldest message that is not indexed yet";
    to.register("search_lag_seconds", help, ConstGauge::new(lag.longest.as_secs_f64()));
    gauge(to, "search_filling", "1 while the search index is filled with old messages", u64::from(lag.is_filling));
}

/// Registers the state of the scheduled backups, if any are configured.
fn register_backups(app: &App, to: &mut Registry) {
    let Some(monitor) = &app.ops.backups else { return };
    let status = monitor.status();
    let age = monitor.age(app.clock.now()).map_or(-1.0, |age| age.as_secs_f64());
    to.register("backup_age_seconds", "Age of the newest backup; -1 if there is none", ConstGauge::new(age));
    let duration = ConstGauge::new(status.duration.as_secs_f64());
    to.register("backup_duration_seconds", "Duration of the last backup", duration);
    gauge(to, "backup_size_bytes", "Size of the newest backup", status.last.map_or(0, |last| last.bytes));
    to.register("backup_failures", "Backups that failed", ConstCounter::new(status.failures));
}

/// Registers the end of the certificate of `server.public_url`, if it is known.
fn register_certificate(app: &App, to: &mut Registry) {
    let Some(end) = app.ops.certificate.expires_at() else { return };
    let help = "End of the certificate of server.public_url, in Unix time";
    to.register("certificate_expiration_timestamp_seconds", help, ConstGauge::new(end.seconds()));
}

/// Number of applied migrations that only a newer release has, cached for [`SCHEMA_CACHE_TTL`].
#[derive(Default)]
struct NewerSteps(Mutex<Option<(Instant, u64)>>);

impl NewerSteps {
    /// Returns the number; the last known one if the database can't be read, `None` without one.
    async fn get(&self, app: &App) -> Option<u64> {
        let mut last = self.0.lock().await;
        let is_fresh = last.is_some_and(|(at, _)| at.elapsed() < SCHEMA_CACHE_TTL);
        if !is_fresh && app.db.is_available() {
            let state = timeout(QUERY_TIMEOUT, SchemaState::of(&app.db)).await;
            if let Ok(Ok(state)) = state {
                *last = Some((Instant::now(), state.newer.len() as u64));
            }
        }
        last.map(|(_, count)| count)
    }
}

async fn register_jobs(app: &App, to: &mut Registry) {
    if !app.db.is_available() {
        return;
    }
    let census = timeout(QUERY_TIMEOUT, query::job_list::stats_by_kind(app.db.reader())).await;
    let Ok(Ok(kinds)) = census else { return };
    // Kinds without jobs have series as well, so that the first dead letter is an increase.
    let of = |value: fn(&query::job_list::KindStats) -> i64| {
        let absent = app::job_kinds().filter(|name| kinds.iter().all(|census| census.kind != *name));
        let absent = absent.map(|name| (Kind { kind: name.to_owned() }, 0));
        kinds.iter().map(move |census| (Kind { kind: census.kind.clone() }, value(census))).chain(absent)
    };
    gauges(to, "jobs_waiting", "Due jobs that are not running", of(|census| census.due));
    gauges(to, "jobs_running", "Running jobs", of(|census| census.running));
    gauges(to, "jobs_dead", "Dead letters: jobs that failed permanently", of(|census| census.dead));
    let wait = kinds.iter().map(|census| census.longest_wait).max().unwrap_or(0);
    gauge(to, "jobs_longest_wait_seconds", "Time since the oldest waiting job became due", wait.unsigned_abs() / 1_000);
}

/// Registers the memory statistics of jemalloc. A leak shows in the allocated memory, a burst of
/// load in the resident memory.
fn register_allocator(to: &mut Registry) {
    use tikv_jemalloc_ctl::{epoch, stats};
    // jemalloc updates its cached statistics only when the epoch advances.
    if epoch::advance().is_err() {
        return;
    }
    let read = [
        ("allocated", stats::allocated::read()),
        ("active", stats::active::read()),
        ("resident", stats::resident::read()),
        ("retained", stats::retained::read()),
    ];
    let values =
        read.into_iter().filter_map(|(state, bytes)| Some((Memory { state }, i64::try_from(bytes.ok()?).ok()?)));
    gauges(to, "allocator_bytes", "Memory of the allocator: allocated, active pages, resident, retained", values);
}

/// Statistics of this process that the kernel reports.
struct Process {
    cpu: f64,
    resident: u64,
    virtual_memory: u64,
    threads: u64,
    open_files: u64,
    max_files: u64,
}

impl Process {
    fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // Fields are counted from the end of the program's name, which may contain spaces.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        let files = OpenFiles::for_this_process();
        Self {
            cpu: (ticks(11) + ticks(12)) / TICKS_PER_SECOND,
            resident: line("VmRSS:") * 1_024,
            virtual_memory: line("VmSize:") * 1_024,
            threads: line("Threads:"),
            open_files: files.map_or(0, |files| files.open),
            max_files: files.map_or(0, |files| files.limit),
        }
    }

    /// Registers the statistics under the standard names of Prometheus client libraries, which have
    /// no prefix.
    fn register(&self, to: &mut Registry) {
        to.register("process_cpu_seconds", "CPU time", ConstCounter::new(self.cpu));
        gauge(to, "process_resident_memory_bytes", "Resident memory", self.resident);
        gauge(to, "process_virtual_memory_bytes", "Virtual memory", self.virtual_memory);
        gauge(to, "process_threads", "Threads", self.threads);
        gauge(to, "process_open_fds", "Open file descriptors, including connections", self.open_files);
        gauge(to, "process_max_fds", "Limit of open file descriptors", self.max_files);
        let started_at = STARTED_AT.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        to.register("process_start_time_seconds", "Start time, in Unix time", ConstGauge::new(started_at));
    }
}
