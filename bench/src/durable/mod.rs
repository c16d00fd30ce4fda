//! Durable path only: commits per second, and latency from sending to receipt at a fifth of the
//! promised rate. The server, the database and the load generator share all cores.

pub mod costs;
mod latency;
pub mod stage;
mod throughput;
pub mod wire;

use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use support::Application;

use costs::{Meter, wait_until_idle};
use stage::{Pair, Stage};
use throughput::Throughput;

use crate::machine;

/// Storage of messages, and number of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Persistence {
    /// SQLite with one instance.
    Sqlite,
    /// PostgreSQL and Redis with one instance.
    Postgres,
    /// PostgreSQL and Redis with two instances; the sender and the receiver are connected to
    /// different ones.
    PostgresPair,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Messages per second in many conversations.
    Persisted,
    /// Messages per second that the receiving users get.
    Delivered,
    /// Messages per second in a single conversation.
    PersistedInOne,
    /// Latency in milliseconds, from the scheduled time of sending to the receipt.
    P50,
    P99,
    P999,
    /// CPU time per message in many conversations, in microseconds: of all instances (`NatterCpu`),
    /// and of the database and Redis (`PostgresCpu`).
    NatterCpu,
    PostgresCpu,
    RedisCpu,
    /// Bytes per such message: written to PostgreSQL's write-ahead log (`Written`), and by which
    /// the database grows (`Stored`).
    Written,
    Stored,
}

impl Persistence {
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::PostgresPair];

    pub fn title(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL + Redis",
            Self::PostgresPair => "PostgreSQL + Redis, 2 instances",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::PostgresPair => "postgres-pair",
        }
    }

    /// Returns a fifth of the promised rate, in messages per second.
    pub fn rate(self) -> u32 {
        match self {
            Self::Sqlite => 4_000,
            Self::Postgres | Self::PostgresPair => 2_000,
        }
    }
}

/// Result of one round.
#[derive(Serialize, Deserialize)]
pub struct Outcome {
    pub persistence: Persistence,
    pub round: usize,
    pub values: Vec<(Measure, f64)>,
}

/// Number of conversations that are written concurrently.
const CONVERSATIONS: usize = 100;
/// Number of concurrent writers in the single conversation.
const WRITERS: usize = 16;

const WARM_UP: Duration = Duration::from_secs(3);
const DURATION: Duration = Duration::from_secs(10);

pub async fn measure(persistence: Persistence, round: usize) -> anyhow::Result<Outcome> {
    let (stage, pairs) = prepare(persistence).await;
    let latency = latency::measure(&pairs, persistence.rate(), WARM_UP, DURATION).await?;
    let (many, costs) = saturate(&stage.app, &pairs, WARM_UP, DURATION).await?;
    let one = throughput::measure(&stage.app, &stage.one_room(WRITERS).await, WARM_UP, DURATION).await?;
    let mut values = vec![
        (Measure::P50, latency.p50),
        (Measure::P99, latency.p99),
        (Measure::P999, latency.p999),
        (Measure::Persisted, many.persisted_per_second),
        (Measure::Delivered, many.delivered_per_second),
        (Measure::PersistedInOne, one.persisted_per_second),
    ];
    values.extend(costs);
    Ok(Outcome { persistence, round, values })
}

/// Cost of a message in many conversations.
pub struct MessageCost {
    /// CPU time of all instances, in microseconds.
    pub cpu: f64,
    /// Resident memory of the first instance after the messages, in bytes.
    pub memory: u64,
}

/// Measures only the cost of a message.
pub async fn measure_cost(
    persistence: Persistence,
    warm_up: Duration,
    duration: Duration,
) -> anyhow::Result<MessageCost> {
    let (stage, pairs) = prepare(persistence).await;
    let (_, costs) = saturate(&stage.app, &pairs, warm_up, duration).await?;
    let cpu = costs.iter().find(|(measure, _)| *measure == Measure::NatterCpu).context("no CPU time was used")?.1;
    Ok(MessageCost { cpu, memory: machine::memory(stage.app.instances[0].process_id())? })
}

/// Starts the application with the users of many conversations.
async fn prepare(persistence: Persistence) -> (Stage, Vec<Pair>) {
    let stage = Stage::start(persistence).await;
    let pairs = stage.pairs(CONVERSATIONS).await;
    if persistence != Persistence::Sqlite {
        // Recycles the WAL segments of the previous round; see `age_postgres` in bench/run.
        stage.app.database.run("CHECKPOINT").await;
    }
    // Flushes earlier writes, for which the messages would otherwise have to wait.
    rustix::fs::sync();
    (stage, pairs)
}

/// Sends messages as fast as possible. Returns the throughput, and the costs of a message including
/// the work that follows it, such as indexing.
async fn saturate(
    app: &Application,
    pairs: &[Pair],
    warm_up: Duration,
    duration: Duration,
) -> anyhow::Result<(Throughput, Vec<(Measure, f64)>)> {
    let before = Meter::read(app).await?;
    let throughput = throughput::measure(app, pairs, warm_up, duration).await?;
    wait_until_idle(app).await?;
    Ok((throughput, Meter::read(app).await?.since(&before)))
}
