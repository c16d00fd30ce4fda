//! What a measurement stands on: the application, people, conversations and connections.

use std::time::Instant;

use anyhow::Context;
use support::{Application, Engine, Member, Setup};

/// A database, and how many instances work on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Sqlite,
    Postgres,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite, 1 instance",
            Self::Postgres => "PostgreSQL + Redis, 2 instances",
        }
    }

    pub async fn start(self) -> Application {
        let (engine, instances) = match self {
            Self::Sqlite => (Engine::Sqlite, 1),
            Self::Postgres => (Engine::Postgres, 2),
        };
        Setup::new()
            .on(engine)
            .instances(instances)
            .set("realtime.max_connections_per_user", 0)
            .set("realtime.max_frames_per_second", 1_000_000)
            .start()
            .await
    }
}

/// Two people who talk, one at the first instance and one at the last.
pub struct Pair {
    pub sender: Member,
    pub receiver: Member,
    pub conversation: String,
}

pub async fn pairs(app: &Application, count: usize) -> Vec<Pair> {
    let (first, last) = (app.instances[0].url(), app.instances[app.instances.len() - 1].url());
    let mut pairs = Vec::with_capacity(count);
    for number in 0..count {
        let sender = Member::sign_up(&first, &format!("Sender {number}")).await;
        let receiver = Member::sign_up(&last, &format!("Receiver {number}")).await;
        let conversation = sender.open_single(&receiver).await;
        // Both directions of both instances are used.
        let pair = if number % 2 == 0 {
            Pair { sender, receiver, conversation }
        } else {
            Pair { sender: receiver.clone(), receiver: sender, conversation }
        };
        pairs.push(pair);
    }
    pairs
}

/// Moments as whole nanoseconds, so that they can travel in a message.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn nanoseconds(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Processor seconds that all instances have used.
pub fn cpu_seconds(app: &Application) -> anyhow::Result<f64> {
    // The kernel counts in hundredths of a second, whatever its own clock does.
    const TICKS: f64 = 100.0;
    let mut ticks = 0.0;
    for instance in &app.instances {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", instance.process_id()))?;
        let fields = stat.rsplit(") ").next().context("no fields")?.split(' ');
        ticks += fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>();
    }
    Ok(ticks / TICKS)
}

/// The value below which this share of all values lies, in milliseconds.
pub fn percentile(sorted: &[u64], share: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let place = ((sorted.len() - 1) as f64 * share).round() as usize;
    #[expect(clippy::cast_precision_loss)]
    let nanoseconds = sorted[place] as f64;
    nanoseconds / 1e6
}
