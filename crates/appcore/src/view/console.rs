//! Figures, incidents and checks of the admin console.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{InstanceId, Timestamp};

/// Time range of figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum FiguresRange {
    /// One hour by minutes.
    #[default]
    #[serde(rename = "1h")]
    Hour,
    /// One day by quarters of an hour.
    #[serde(rename = "24h")]
    Day,
    /// Thirty days (UTC).
    #[serde(rename = "30d")]
    Month,
}

/// Name of a recorded figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureName {
    /// Users who were active in the last five minutes; in daily values, on that day.
    People,
    /// Connections to the event stream on all instances.
    Connections,
    /// Messages sent.
    Messages,
    /// Requests answered.
    Requests,
    /// Requests answered with 5xx.
    Errors,
    /// 99th percentile of the response time on the slowest instance, in milliseconds.
    LatencyMs,
    /// Jobs that were due and waiting.
    JobsWaiting,
    /// Tokens of models.
    Tokens,
    /// Cost of models, in micro-credits.
    Cost,
    /// Failed sign-ins.
    FailedSignIns,
}

/// Kind of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// The database did not answer.
    Database,
    /// Redis did not answer.
    Redis,
    /// No AI provider was available.
    Ai,
    /// An AI provider was unavailable because it failed, or because none of its keys was usable.
    Provider,
    /// A disk was full, or the database was read-only.
    Storage,
    /// Jobs failed permanently.
    DeadLetters,
    /// An instance ended without a shutdown.
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
    /// Length of the interval of each value.
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
    /// The earliest first. Null: nothing was recorded in that interval.
    pub values: Vec<Option<i64>>,
}

/// Current figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FiguresNow {
    /// Number of accounts.
    pub people: i64,
    /// Users who were active in the last 24 hours.
    pub people_of_day: i64,
    pub people_of_month: i64,
    /// Users who are guests in a workspace.
    pub guests: i64,
    /// Banned networks.
    pub bans: u64,
    pub dead_letters: i64,
    pub jobs_waiting: i64,
    /// Waiting time of the oldest waiting job.
    pub longest_wait_seconds: i64,
    /// Size of users' files, in bytes.
    pub stored_bytes: i64,
}

/// Disruption of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    pub kind: IncidentKind,
    /// Affected object, such as the name of a `provider`. Null if there is only one of its kind.
    #[schema(required)]
    pub detail: Option<String>,
    pub began_at: Timestamp,
    /// Null if the incident is ongoing.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
    /// Number of instances that noticed it.
    pub instances: u64,
    /// Size of the impact: requests answered with 5xx (`database`), changes refused (`storage`),
    /// failed questions to models (`ai`), failed requests to the provider (`provider`), changes
    /// that other instances received late (`redis`), maximum number of dead letters
    /// (`dead_letters`), connections at the last sign of life (`instance`). Null if it was not
    /// counted.
    #[schema(required)]
    pub impact: Option<i64>,
    /// Affected users once the incident is over: users whose questions failed (`ai`), or the
    /// maximum of users online (`database`, `redis`, `storage`). Null if unknown.
    #[schema(required)]
    pub people: Option<i64>,
}

/// Instance of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    pub id: InstanceId,
    /// True for the instance that answers this request.
    pub is_own: bool,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
    pub version: String,
    /// `all`, `web` or `worker`.
    pub role: String,
    pub host: String,
    pub connections: u64,
    /// Changes that wait for a commit.
    pub writer_queue: u64,
    /// 99th percentile of the response time in the last minute, in milliseconds. Null if there were
    /// no requests.
    #[schema(required)]
    pub latency_ms: Option<i64>,
    /// 99th percentile of the time from commit to delivery of events in the last minute, in
    /// milliseconds. Null if there were no events.
    #[serde(default)]
    #[schema(required)]
    pub delivery_ms: Option<i64>,
    /// Memory usage, in bytes.
    pub memory: u64,
    pub database: bool,
    /// Response time of the database, in milliseconds. Null if it did not answer.
    #[serde(default)]
    #[schema(required)]
    pub database_ms: Option<i64>,
    /// True if Redis answers. Null if there is none.
    #[schema(required)]
    pub redis: Option<bool>,
    /// Response time of Redis, in milliseconds. Null if it did not answer, or if there is none.
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
    /// Live heap memory by allocating call stack.
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
    /// Finding, and recommended action.
    pub says: String,
}

/// Subject of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckAbout {
    Configuration,
    Disk,
    /// Encryption key of the secrets in the database.
    Key,
    Database,
    Clock,
    Search,
    Redis,
    Mail,
    Ai,
    PublicAddress,
    Backups,
    /// Open file descriptors, including connections.
    Files,
    Jobs,
}

/// Verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    /// Degraded.
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
            Self::Clock => "clock",
            Self::Search => "search",
            Self::Redis => "redis",
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
