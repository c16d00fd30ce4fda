//! The ledger of requests: what finished requests used, written in groups.
//!
//! Whoever has finished a request leaves its row here and goes on at once. Rows wait a moment for each other, unless something was held for
//! one of them alone in a budget; a group is one transaction with its rows, the sums of its days and its budgets, so none of these is ever counted
//! without the others. While the database is away rows wait, up to a bound. What comes beyond it is not written; it is counted and logged.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use appcore::{AppError, Clock};
use dbcontext::{
    Database,
    constraint::app_error,
    entity::usage_request,
    query::{self, usage},
};
use sea_orm::ConnectionTrait;
use tokio::sync::{Notify, watch};

use super::budgets::{self, Holds, Settlement};
use crate::ledger::{self, CreditSettlement};

/// Rows that may wait, some 10 MiB.
const BOUND: usize = 20_000;
/// Rows of one transaction.
const BATCH: usize = 1_000;
/// How long rows wait for others that can go with them.
const GATHER: Duration = Duration::from_millis(100);
/// First wait before a group is written again; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a finished request leaves behind.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// None: it came to nothing, and only gives back what was held for it.
    pub row: Option<usage_request::Model>,
    /// The name that the model has here.
    pub model: Arc<str>,
    pub settlement: Option<Settlement>,
    pub credits: Option<CreditSettlement>,
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer(Arc<Shared>);

struct Shared {
    db: Database,
    clock: Clock,
    holds: Arc<Holds>,
    credits: Option<Arc<ledger::Holds>>,
    queue: Mutex<Queue>,
    /// There is something to write.
    wake: Notify,
    /// It must not wait.
    hurry: Notify,
    /// Entries that were written, or given up.
    done: watch::Sender<u64>,
    lost: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Entry>,
    /// Entries that ever came in.
    taken: u64,
}

impl Writer {
    pub fn start(db: Database, clock: Clock, holds: Arc<Holds>, credits: Option<Arc<ledger::Holds>>) -> Self {
        let writer = Self(Arc::new(Shared {
            db,
            clock,
            holds,
            credits,
            queue: Mutex::default(),
            wake: Notify::new(),
            hurry: Notify::new(),
            done: watch::Sender::new(0),
            lost: AtomicU64::new(0),
        }));
        tokio::spawn(writer.clone().run());
        writer
    }

    /// Takes an entry over. Never waits.
    pub fn push(&self, entry: Entry) {
        let is_urgent = entry.credits.is_some() || entry.settlement.is_some_and(|settlement| settlement.is_urgent());
        let waiting = {
            let mut queue = self.0.lock();
            if queue.waiting.len() >= BOUND {
                drop(queue);
                self.0.lose(&entry);
                return;
            }
            queue.waiting.push_back(entry);
            queue.taken += 1;
            queue.waiting.len()
        };
        self.0.wake.notify_one();
        if is_urgent || waiting >= BATCH {
            self.0.hurry.notify_one();
        }
    }

    /// Waits until everything is written that came before.
    pub async fn flush(&self) {
        let target = self.0.lock().taken;
        self.0.hurry.notify_one();
        // The sender lives as long as this.
        let _ = self.0.done.subscribe().wait_for(|done| *done >= target).await;
    }

    /// Whether something is not written yet.
    pub fn is_behind(&self) -> bool {
        *self.0.done.borrow() < self.0.lock().taken
    }

    /// Entries that wait, and entries that were never written.
    pub fn figures(&self) -> (usize, u64) {
        (self.0.lock().waiting.len(), self.0.lost.load(Ordering::Relaxed))
    }

    async fn run(self) {
        loop {
            let group: Vec<Entry> = {
                let mut queue = self.0.lock();
                let count = queue.waiting.len().min(BATCH);
                queue.waiting.drain(..count).collect()
            };
            if group.is_empty() {
                self.0.wake.notified().await;
                let _ = tokio::time::timeout(GATHER, self.0.hurry.notified()).await;
                continue;
            }
            let count = group.len() as u64;
            self.0.write(group).await;
            self.0.done.send_modify(|done| *done += count);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, entry: &Entry) {
        if let Some(settlement) = &entry.settlement {
            self.holds.forgotten(settlement);
        }
        let before = self.lost.fetch_add(1, Ordering::Relaxed);
        // A line for each doubling: an outage must not fill the log.
        if before == 0 || before.ilog2() != (before + 1).ilog2() {
            tracing::error!(
                lost = before + 1,
                "requests were not recorded, because the database takes too few of them"
            );
        }
    }

    /// Writes a group, as often as it takes.
    async fn write(&self, group: Vec<Entry>) {
        let mut wait = FIRST_WAIT;
        loop {
            match self.store(&group).await {
                Ok(()) => return,
                Err(AppError::Unavailable(error)) => {
                    tracing::warn!(%error, rows = group.len(), "what requests used could not be written yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    if self.is_stored(&group).await {
                        self.holds.booked(group.iter().filter_map(|entry| entry.settlement.as_ref()));
                        return;
                    }
                }
                Err(error) if group.len() == 1 => {
                    tracing::error!(%error, "what a request used could not be written");
                    group.iter().for_each(|entry| self.lose(entry));
                    return;
                }
                // One of them is what the database refuses.
                Err(_) => {
                    for entry in group {
                        Box::pin(self.write(vec![entry])).await;
                    }
                    return;
                }
            }
        }
    }

    async fn store(&self, group: &[Entry]) -> Result<(), AppError> {
        let rows: Vec<usage_request::Model> = group.iter().filter_map(|entry| entry.row.clone()).collect();
        let settlements: Vec<Settlement> = group.iter().filter_map(|entry| entry.settlement).collect();
        let credits: Vec<CreditSettlement> = group.iter().filter_map(|entry| entry.credits).collect();
        let _turn = self.holds.turn().await;
        let tx = self.db.begin().await.map_err(app_error)?;
        if !rows.is_empty() {
            let backend = tx.get_database_backend();
            let named = group.iter().filter_map(|entry| Some((entry.row.as_ref()?, &*entry.model)));
            let pieces = vec![usage::insert(backend, &rows)?, usage::add_up(backend, named)?];
            query::execute(&tx, pieces).await?;
        }
        budgets::settle(&tx, &settlements, self.clock.now()).await?;
        ledger::settle(&tx, &credits, self.clock.now()).await?;
        tx.commit().await.map_err(app_error)?;
        self.holds.booked(&settlements);
        if let Some(holds) = &self.credits {
            credits.iter().for_each(|settlement| holds.changed(settlement.account));
        }
        Ok(())
    }

    /// Whether a commit succeeded whose answer got lost. A group without rows only releases, which may be done twice.
    async fn is_stored(&self, group: &[Entry]) -> bool {
        let Some(row) = group.iter().find_map(|entry| entry.row.as_ref()) else { return false };
        matches!(usage::is_stored(self.db.writer(), row.id).await, Ok(true))
    }
}
