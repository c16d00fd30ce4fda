//! Figures, incidents and checks of the admin console.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{InstanceId, Timestamp};

/// Time range of the figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum FiguresRange {
    /// The last hour, with one value per minute.
    #[default]
    #[serde(rename = "1h")]
    Hour,
    /// The last day, with one value per quarter of an hour.
    #[serde(rename = "24h")]
    Day,
    /// The last thirty days, with one value per UTC day.
    #[serde(rename = "30d")]
    Month,
}

/// Name of a recorded figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureName {
    /// Number of users who were active in the last five minutes; in daily values, on that day.
    People,
    /// Number of connections to the event stream, on all instances.
    Connections,
    /// Number of messages sent.
    Messages,
    /// Number of requests answered.
    Requests,
    /// Number of requests answered with 5xx.
    Errors,
    /// Response time that 99 % of the requests stay below, on the slowest instance, in
    /// milliseconds.
    LatencyMs,
    /// Number of jobs that were due but not started yet.
    JobsWaiting,
    /// Number of tokens used by models.
    Tokens,
    /// Cost of models, in micro-credits.
    Cost,
    /// Number of failed sign-ins.
    FailedSignIns,
}

/// Kind of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// The database did not respond.
    Database,
    /// Redis did not respond.
    Redis,
    /// No AI provider was available.
    Ai,
    /// An AI provider was unavailable, because it failed or because none of its keys could be used.
    Provider,
    /// A disk was full, or the database was read-only.
    Storage,
    /// Jobs failed permanently.
    DeadLetters,
    /// An instance ended without shutting down.
    Instance,
}

stored_by_name! {
    FiguresRange { Hour = "1h", Day = "24h", Month = "30d" }
    FigureName {
        People = "people", Connections = "connections", Messages = "messages", Requests = "requests", Errors = "errors",
        LatencyMs = "latency_ms", JobsWaiting = "jobs_waiting", Tokens = "tokens", Cost = "cost", FailedSignIns = "failed_sign_ins",
    }
    ProfileKind { Cpu = "cpu", Heap = "heap" }
    IncidentKind {
        Database = "database", Redis = "redis", Ai = "ai", Provider = "provider", Storage = "storage", DeadLetters = "dead_letters", Instance = "instance",
    }
}

/// Figures of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Figures {
    pub range: FiguresRange,
    /// Start of the first value.
    pub from: Timestamp,
    /// Interval that each value covers, in seconds.
    pub step_seconds: i64,
    pub series: Vec<FigureSeries>,
    pub now: FiguresNow,
    /// Incidents in the time range, the earliest first.
    pub incidents: Vec<Incident>,
}

/// Values of one figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FigureSeries {
    pub name: FigureName,
    /// Values, earliest first; null if nothing was recorded.
    pub values: Vec<Option<i64>>,
}

/// Current figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FiguresNow {
    /// Number of accounts.
    pub people: i64,
    /// Number of users who were active in the last 24 hours.
    pub people_of_day: i64,
    pub people_of_month: i64,
    /// Number of guests in workspaces.
    pub guests: i64,
    /// Number of banned networks.
    pub bans: u64,
    pub dead_letters: i64,
    pub jobs_waiting: i64,
    /// Waiting time of the oldest waiting job, in seconds.
    pub longest_wait_seconds: i64,
    /// Size of users' files, in bytes.
    pub stored_bytes: i64,
}

/// Disruption of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    pub kind: IncidentKind,
    /// Affected object, such as the name of a `provider`; null for kinds with only one.
    #[schema(required)]
    pub detail: Option<String>,
    pub began_at: Timestamp,
    /// End; null if still going on.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
    /// Number of instances that noticed it.
    pub instances: u64,
    /// Size of the impact; null if not counted. Requests answered with 5xx (`database`), refused
    /// changes (`storage`), failed questions to models (`ai`), failed requests to the provider
    /// (`provider`), late changes on other instances (`redis`), maximum of permanently failed jobs
    /// (`dead_letters`), or connections at the last sign of life (`instance`).
    #[schema(required)]
    pub impact: Option<i64>,
    /// Affected users after the end: users with failed questions (`ai`), or the maximum of online
    /// users (`database`, `redis`, `storage`). Null if unknown.
    #[schema(required)]
    pub people: Option<i64>,
}

/// State of the event stream, through which other programs receive events.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventStreamState {
    /// Kind of the broker: `nats`, `kafka`, or `none` if no broker is configured.
    pub kind: String,
    /// False if the last attempt of the publishing instance failed.
    pub connected: bool,
    /// Position of the last event in the stream on NATS; number of events that Kafka has confirmed.
    pub published_seq: i64,
    /// Number of events of the whole installation that the broker has not confirmed, with those of accounts.
    pub waiting: u64,
    /// Reason for which the last attempt failed.
    #[schema(required)]
    pub last_error: Option<String>,
}

/// Whether an instance is drained.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DrainState {
    /// Instance that has answered the request.
    pub instance_id: InstanceId,
    pub draining: bool,
    /// Number of its real-time connections that are still open.
    pub connections: u64,
}

/// Instance of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    pub id: InstanceId,
    /// True for the instance that handles this request.
    pub is_own: bool,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
    pub version: String,
    /// Role: `all`, `web` or `worker`.
    pub role: String,
    pub host: String,
    pub connections: u64,
    /// Number of changes waiting to be committed.
    pub writer_queue: u64,
    /// 99th percentile of the response time in the last minute, in milliseconds; null without
    /// requests.
    #[schema(required)]
    pub latency_ms: Option<i64>,
    /// 99th percentile of the time from commit to delivery in the last minute, in milliseconds;
    /// null without events.
    #[serde(default)]
    #[schema(required)]
    pub delivery_ms: Option<i64>,
    /// Memory usage, in bytes.
    pub memory: u64,
    pub database: bool,
    /// Response time of the database, in milliseconds; null if none.
    #[serde(default)]
    #[schema(required)]
    pub database_ms: Option<i64>,
    /// True if Redis responds; null if not configured.
    #[schema(required)]
    pub redis: Option<bool>,
    /// Response time of Redis, in milliseconds; null if none.
    #[serde(default)]
    #[schema(required)]
    pub redis_ms: Option<i64>,
}

/// Kind of a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProfileKind {
    /// CPU time by call stack.
    #[default]
    Cpu,
    /// Heap memory in use, by the call stack that allocated it.
    Heap,
}

/// Health checks of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checks {
    /// Instance that ran the checks.
    pub instance_id: InstanceId,
    pub checked_at: Timestamp,
    pub checks: Vec<Check>,
}

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    pub about: CheckAbout,
    pub verdict: Verdict,
    /// Result in words, with a recommended action for a problem.
    pub says: String,
}

/// Subject of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckAbout {
    Configuration,
    Disk,
    /// Key that encrypts the secrets in the database.
    Key,
    Database,
    /// Standby of `database.replica_url`.
    Replica,
    Clock,
    Search,
    Redis,
    /// Server of `bus.url`.
    Bus,
    /// Broker of `events.url`.
    Events,
    Mail,
    Ai,
    PublicAddress,
    Backups,
    /// Number of open file descriptors, including connections.
    Files,
    Jobs,
}

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    /// The server works, but with restrictions.
    Warning,
    Fault,
}

impl CheckAbout {
    /// Name for display.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Disk => "disk",
            Self::Key => "key",
            Self::Database => "database",
            Self::Replica => "replica",
            Self::Clock => "clock",
            Self::Search => "search",
            Self::Redis => "redis",
            Self::Bus => "bus",
            Self::Events => "events",
            Self::Mail => "mail",
            Self::Ai => "ai",
            Self::PublicAddress => "public address",
            Self::Backups => "backups",
            Self::Files => "files",
            Self::Jobs => "jobs",
        }
    }
}

impl Check {
    #[must_use]
    pub fn ok(about: CheckAbout, says: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Ok, says: says.into() }
    }

    #[must_use]
    pub fn warning(about: CheckAbout, says: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Warning, says: says.into() }
    }

    #[must_use]
    pub fn fault(about: CheckAbout, says: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Fault, says: says.into() }
    }

    #[must_use]
    pub fn is_fault(&self) -> bool {
        self.verdict == Verdict::Fault
    }
}
