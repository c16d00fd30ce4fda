//! Figures of the day: latencies and errors that the clients see, and the resources that the server
//! uses.

use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use support::{Answer, Application, Value};

use crate::durable::costs::database_size;
use crate::durable::stage::{Stopwatch, percentile};
use crate::machine::{Cpu, folder_size};

/// Latencies in nanoseconds, from the planned time of sending.
type Latencies = Mutex<Vec<u64>>;

/// Latencies and errors of all clients.
pub struct Tally {
    pub watch: Stopwatch,
    acknowledgements: Latencies,
    deliveries: Latencies,
    errors: AtomicU64,
}

impl Tally {
    pub fn start() -> Self {
        Self {
            watch: Stopwatch::start(),
            acknowledgements: Latencies::default(),
            deliveries: Latencies::default(),
            errors: AtomicU64::new(0),
        }
    }

    pub fn record_acknowledgement(&self, due: u64) {
        self.record(&self.acknowledgements, due);
    }

    pub fn record_delivery(&self, due: u64) {
        self.record(&self.deliveries, due);
    }

    fn record(&self, latencies: &Latencies, due: u64) {
        let taken = self.watch.nanoseconds().saturating_sub(due);
        latencies.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
    }

    /// Prints and counts an error.
    pub fn fail(&self, error: impl Display) {
        eprintln!("error: {error}");
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the data of a successful response; otherwise counts an error.
    pub fn check(&self, answer: Result<Answer, reqwest::Error>) -> Option<Value> {
        match answer {
            Ok(answer) if (200..300).contains(&answer.status) => Some(answer.data()),
            Ok(answer) => {
                self.fail(format_args!("{answer:?}"));
                None
            }
            Err(error) => {
                self.fail(format_args!("{error:?}"));
                None
            }
        }
    }

    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Number of acknowledgements, and their latencies as text.
    pub fn acknowledgements(&self) -> (usize, String) {
        summary(&self.acknowledgements)
    }

    /// Number of deliveries to connections, and their latencies as text.
    pub fn deliveries(&self) -> (usize, String) {
        summary(&self.deliveries)
    }
}

fn summary(latencies: &Latencies) -> (usize, String) {
    let mut sorted = latencies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    sorted.sort_unstable();
    let at = |share| percentile(&sorted, share);
    (sorted.len(), format!("{:.1} / {:.1} / {:.1} ms", at(0.5), at(0.95), at(0.99)))
}

/// CPU time of the server, and of PostgreSQL and Redis together, in seconds.
#[derive(Clone, Copy)]
pub struct CpuTimes {
    pub natter: f64,
    pub database: f64,
}

impl CpuTimes {
    pub fn read(process: u32) -> anyhow::Result<Self> {
        let database = Cpu::named("postgres")?.total() + Cpu::named("redis-server")?.total();
        Ok(Self { natter: Cpu::of(process)?.total(), database })
    }

    /// Subtracts an earlier reading, or the CPU time of an idle server.
    pub fn since(self, before: Self) -> Self {
        Self { natter: self.natter - before.natter, database: self.database - before.database }
    }

    pub fn scaled(self, factor: f64) -> Self {
        Self { natter: self.natter * factor, database: self.database * factor }
    }
}

/// Stored data.
pub struct Stored {
    pub messages: i64,
    /// Bytes of the database, the search index and the uploaded files.
    pub bytes: [i64; 3],
}

impl Stored {
    pub async fn read(app: &Application) -> anyhow::Result<Self> {
        let size = |folder: &str| size_if_exists(&app.folder().join(folder));
        let bytes = [database_size(app).await, size("search")?, size("uploads")?];
        Ok(Self { messages: app.database.number("SELECT COUNT(*) FROM messages").await, bytes })
    }
}

fn size_if_exists(folder: &Path) -> anyhow::Result<i64> {
    Ok(if folder.exists() { i64::try_from(folder_size(folder)?)? } else { 0 })
}
