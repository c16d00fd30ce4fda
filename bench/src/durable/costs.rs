//! Cost of one message: CPU time of each program and bytes of the database. docs/scaling.md uses these figures.

use std::time::{Duration, Instant};

use support::{Application, Engine};

use super::Measure;
use crate::machine::Cpu;

/// Interval at which the CPU time is read while the instances become idle.
const INTERVAL: Duration = Duration::from_millis(500);
/// Maximum CPU time of idle instances within an interval, in seconds.
const IDLE: f64 = 0.04;
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Waits until the instances have finished the work that follows messages, such as indexing.
pub async fn wait_until_idle(app: &Application) -> anyhow::Result<()> {
    let (begun, mut before) = (Instant::now(), natter_cpu(app)?);
    while begun.elapsed() < IDLE_TIMEOUT {
        tokio::time::sleep(INTERVAL).await;
        let now = natter_cpu(app)?;
        if now - before <= IDLE {
            return Ok(());
        }
        before = now;
    }
    eprintln!("  the instances are still busy {IDLE_TIMEOUT:?} after the last message");
    Ok(())
}

/// CPU time of all instances, in seconds.
fn natter_cpu(app: &Application) -> anyhow::Result<f64> {
    app.instances.iter().map(|instance| Cpu::of(instance.process_id()).map(Cpu::total)).sum()
}

/// Size of the database, in bytes.
pub async fn database_size(app: &Application) -> i64 {
    let sql = match app.database.engine {
        Engine::Postgres => "SELECT pg_database_size(current_database())::bigint",
        Engine::Sqlite => "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    };
    app.database.number(sql).await
}

/// Resource usage up to now.
pub struct Meter {
    natter: f64,
    postgres: f64,
    redis: f64,
    messages: i64,
    written: i64,
    stored: i64,
}

impl Meter {
    pub async fn read(app: &Application) -> anyhow::Result<Self> {
        let written = match app.database.engine {
            Engine::Postgres => app.database.number("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint").await,
            Engine::Sqlite => 0,
        };
        Ok(Self {
            natter: natter_cpu(app)?,
            postgres: Cpu::named("postgres")?.total(),
            redis: Cpu::named("redis-server")?.total(),
            messages: app.database.number("SELECT COUNT(*) FROM messages").await,
            written,
            stored: database_size(app).await,
        })
    }

    /// Returns the cost of each message sent since `before`.
    pub fn since(&self, before: &Self) -> Vec<(Measure, f64)> {
        #[expect(clippy::cast_precision_loss)]
        let messages = (self.messages - before.messages).max(1) as f64;
        let microseconds = |seconds: f64| seconds * 1e6 / messages;
        #[expect(clippy::cast_precision_loss)]
        let bytes = |bytes: i64| bytes as f64 / messages;
        let costs = [
            (Measure::NatterCpu, microseconds(self.natter - before.natter)),
            (Measure::PostgresCpu, microseconds(self.postgres - before.postgres)),
            (Measure::RedisCpu, microseconds(self.redis - before.redis)),
            (Measure::Written, bytes(self.written - before.written)),
            (Measure::Stored, bytes(self.stored - before.stored)),
        ];
        costs.into_iter().filter(|(_, cost)| *cost > 0.0).collect()
    }
}
