//! What the console tells of an installation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{InstanceId, Timestamp};

/// How far back figures go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum FiguresRange {
    /// An hour by minutes.
    #[default]
    #[serde(rename = "1h")]
    Hour,
    /// A day by quarters of an hour.
    #[serde(rename = "24h")]
    Day,
    /// Thirty days of UTC.
    #[serde(rename = "30d")]
    Month,
}

/// A figure that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureName {
    /// People whose devices were there in the last five minutes; by days: on that day.
    People,
    /// Connections to the event stream, of all instances.
    Connections,
    /// Messages written.
    Messages,
    /// Requests answered.
    Requests,
    /// Of these with 5xx.
    Errors,
    /// Within how many milliseconds 99 of 100 requests were answered, on the slowest instance.
    LatencyMs,
    /// Jobs that were due and waited.
    JobsWaiting,
    /// Tokens of models.
    Tokens,
    /// What models cost, in micro-credits.
    Cost,
    /// Sign-ins that failed.
    FailedSignIns,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// The database did not answer.
    Database,
    /// Redis did not answer.
    Redis,
    /// No AI provider could be asked.
    Ai,
    /// One of them could not, because it failed, or because none of its keys was of use.
    Provider,
    /// A disk was full, or the database could only be read.
    Storage,
    /// Jobs failed for good.
    DeadLetters,
    /// An instance ended without a word.
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

/// An installation's figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Figures {
    pub range: FiguresRange,
    /// The beginning of the first value.
    pub from: Timestamp,
    /// How long each value is of.
    pub step_seconds: i64,
    pub series: Vec<FigureSeries>,
    pub now: FiguresNow,
    /// What was wrong in that time, the earliest first.
    pub incidents: Vec<Incident>,
}

/// One figure over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FigureSeries {
    pub name: FigureName,
    /// The earliest first. Null: nothing was written down then.
    pub values: Vec<Option<i64>>,
}

/// What holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FiguresNow {
    /// People with an account.
    pub people: i64,
    /// Those whose devices were there in the last 24 hours, and in the last 30 days.
    pub people_of_day: i64,
    pub people_of_month: i64,
    /// Those who are guests in a workspace.
    pub guests: i64,
    /// Addresses and networks that are kept out.
    pub bans: u64,
    pub dead_letters: i64,
    pub jobs_waiting: i64,
    /// How long the eldest of them has waited.
    pub longest_wait_seconds: i64,
    /// Bytes of people's files.
    pub stored_bytes: i64,
}

/// Something that was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    pub kind: IncidentKind,
    /// Of what (`provider`: its name). Null: there is one of its kind.
    #[schema(required)]
    pub detail: Option<String>,
    pub began_at: Timestamp,
    /// Null: it goes on.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
    /// How many instances noticed.
    pub instances: u64,
    /// Size of the impact: requests answered with 5xx (`database`), changes refused (`storage`), questions to models that failed (`ai`), requests to it that failed (`provider`), changes that other
    /// instances heard of late (`redis`), jobs given up at most (`dead_letters`), connections that were there at its last word (`instance`). Null: nobody
    /// has counted.
    #[schema(required)]
    pub impact: Option<i64>,
    /// Once it is over: how many people's questions failed (`ai`), or were there at most in that time (`database`, `redis`, `storage`). Null: that can't
    /// be told.
    #[schema(required)]
    pub people: Option<i64>,
}

/// An instance of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    pub id: InstanceId,
    /// The one that answers this.
    pub is_own: bool,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
    pub version: String,
    /// `all`, `web` or `worker`.
    pub role: String,
    pub host: String,
    pub connections: u64,
    /// Changes that wait to be committed.
    pub writer_queue: u64,
    /// Within how many milliseconds 99 of 100 requests of the last minute were answered. Null: there were none.
    #[schema(required)]
    pub latency_ms: Option<i64>,
    /// Within how many milliseconds of its commit 99 of 100 events of the last minute were delivered. Null: there were none.
    #[serde(default)]
    #[schema(required)]
    pub delivery_ms: Option<i64>,
    /// Memory that it uses, in bytes.
    pub memory: u64,
    pub database: bool,
    /// Within how many milliseconds the database answered. Null: it did not.
    #[serde(default)]
    #[schema(required)]
    pub database_ms: Option<i64>,
    /// Null: there is none.
    #[schema(required)]
    pub redis: Option<bool>,
    /// Within how many milliseconds Redis answered. Null: it did not, or there is none.
    #[serde(default)]
    #[schema(required)]
    pub redis_ms: Option<i64>,
}

/// What a profile tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProfileKind {
    /// What the processors work on.
    #[default]
    Cpu,
    /// Who allocates what stays in use.
    Heap,
}

/// What an installation needs, and how that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checks {
    /// The instance that looked.
    pub instance_id: InstanceId,
    pub checked_at: Timestamp,
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    pub about: CheckAbout,
    pub verdict: Verdict,
    /// What was found, and what to do about it.
    pub says: String,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckAbout {
    Configuration,
    Disk,
    /// What secrets in the database are encrypted with.
    Key,
    Database,
    Clock,
    Search,
    Redis,
    Mail,
    Ai,
    PublicAddress,
    Backups,
    /// Open files, connections among them.
    Files,
    Jobs,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    /// It works, but not as it should.
    Warning,
    Fault,
}

impl CheckAbout {
    /// As a person reads it.
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
