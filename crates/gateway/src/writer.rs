//! Usage ledger: writes finished requests in groups.
//!
//! A finished request leaves its row here without waiting. Rows wait a moment for further ones,
//! even if they never stop arriving, unless one of them has an individual reservation. A group is
//! one transaction with its rows, daily totals, budgets and charges, so none of these is ever
//! counted without the others. While the database is unavailable, rows wait up to a limit; further
//! rows are dropped, counted and logged. Waiting rows are also in a [journal](super::journal), from
//! which they are booked if the process is killed.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use appcore::{AppError, Clock};
use billing::reservations::{self, Reservations, Settlement};
use dbcontext::{
    Database,
    constraint::app_error,
    entity::usage_request,
    query::{self, usage},
};
use jobs::catch_panic;
use metrics::{ProviderCall, metrics};
use tokio::sync::{Notify, watch};

use crate::journal::{Journal, JournalRotation};

/// Maximum number of waiting rows, about 10 MiB.
const MAX_WAITING_ROWS: usize = 20_000;
/// Maximum number of rows per transaction.
const MAX_ROWS_PER_TRANSACTION: usize = 1_000;
/// Time that rows wait for others to join their transaction.
const COALESCE_DELAY: Duration = Duration::from_millis(100);
/// Initial backoff before a failed group is written again; doubled up to [`MAX_BACKOFF`].
const INITIAL_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Record of a finished request.
#[derive(Clone, Debug)]
pub(super) struct UsageEntry {
    /// Usage row; `None` if no call was made and only the reservations are released.
    pub row: Option<usage_request::Model>,
    /// Name of the model on this server.
    pub model: Arc<str>,
    pub settlements: Vec<Settlement>,
}

/// Handle of the ledger. Cheap to clone.
#[derive(Clone)]
pub(super) struct UsageLedger(Arc<Shared>);

struct Shared {
    db: Database,
    clock: Clock,
    reservations: Arc<Reservations>,
    queue: Mutex<Queue>,
    journal: Journal,
    calls: WakeSignals,
    /// Number of entries written or given up.
    done: watch::Sender<u64>,
    lost: AtomicU64,
}

/// Wake-up signals of the writing task.
#[derive(Default)]
struct WakeSignals {
    /// An entry has arrived.
    wake: Notify,
    /// An entry must be written without delay.
    urgent: Notify,
}

impl WakeSignals {
    /// Waits until a group is due, given the number of waiting entries.
    async fn until_due(&self, waiting: usize) {
        if waiting == 0 {
            self.wake.notified().await;
        }
        if waiting < MAX_ROWS_PER_TRANSACTION {
            let _ = tokio::time::timeout(COALESCE_DELAY, self.urgent.notified()).await;
        }
    }
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<UsageEntry>,
    /// Number of entries received so far.
    received: u64,
}

impl UsageLedger {
    pub fn start(db: Database, clock: Clock, holds: Arc<Reservations>, journal: Journal) -> Self {
        let writer = Self(Arc::new(Shared {
            db,
            clock,
            reservations: holds,
            queue: Mutex::default(),
            journal,
            calls: WakeSignals::default(),
            done: watch::Sender::new(0),
            lost: AtomicU64::new(0),
        }));
        tokio::spawn(writer.clone().run());
        writer
    }

    /// Accepts an entry, which is then written even if the process is killed. Never blocks.
    pub fn push(&self, entry: UsageEntry) {
        if let Some(row) = &entry.row {
            metrics().ai.record(&call(row, &entry.model));
        }
        let is_urgent = entry.settlements.iter().any(Settlement::is_urgent);
        let waiting = {
            let mut queue = self.0.lock();
            if queue.waiting.len() >= MAX_WAITING_ROWS {
                drop(queue);
                self.0.drop_entry(&entry);
                return;
            }
            if let Some(row) = &entry.row {
                let held: Vec<_> = entry.settlements.iter().filter_map(Settlement::orphaned).collect();
                self.0.journal.append(row, &entry.model, entry.account(), &held);
            }
            queue.waiting.push_back(entry);
            queue.received += 1;
            queue.waiting.len()
        };
        self.0.calls.wake.notify_one();
        if is_urgent || waiting >= MAX_ROWS_PER_TRANSACTION {
            self.0.calls.urgent.notify_one();
        }
    }

    /// Waits until all entries pushed so far are written.
    pub async fn flush(&self) {
        let target = self.0.lock().received;
        self.0.calls.urgent.notify_one();
        // Waiting can't fail, because the sender lives as long as this handle.
        let _ = self.0.done.subscribe().wait_for(|done| *done >= target).await;
    }

    /// True if there are unwritten entries.
    pub fn is_behind(&self) -> bool {
        *self.0.done.borrow() < self.0.lock().received
    }

    /// Number of waiting entries, and number of dropped ones.
    pub fn backlog(&self) -> (usize, u64) {
        (self.0.lock().waiting.len(), self.0.lost.load(Ordering::Relaxed))
    }

    async fn run(self) {
        let mut turns = JournalRotation::default();
        let mut is_cut = false;
        loop {
            // Entries that didn't fit into the previous group have already waited.
            if !is_cut {
                let waiting = self.0.lock().waiting.len();
                self.0.calls.until_due(waiting).await;
            }
            let group: Vec<UsageEntry> = {
                let mut queue = self.0.lock();
                let count = queue.waiting.len().min(MAX_ROWS_PER_TRANSACTION);
                let group: Vec<UsageEntry> = queue.waiting.drain(..count).collect();
                if !group.is_empty() {
                    turns.start(&self.0.journal, queue.received);
                }
                group
            };
            is_cut = group.len() == MAX_ROWS_PER_TRANSACTION;
            if group.is_empty() {
                continue;
            }
            let count = group.len() as u64;
            self.0.write(group).await;
            self.0.done.send_modify(|done| *done += count);
            turns.finish(&self.0.journal, *self.0.done.borrow());
        }
    }
}

impl UsageEntry {
    /// Account that pays for the request.
    fn account(&self) -> Option<uuid::Uuid> {
        self.settlements.iter().find_map(Settlement::account)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_entry(&self, entry: &UsageEntry) {
        entry.settlements.iter().for_each(|settlement| self.reservations.discard(settlement));
        let before = self.lost.fetch_add(1, Ordering::Relaxed);
        // The loss is logged only when the count reaches a power of two, so that an outage doesn't
        // fill the log.
        if before == 0 || before.ilog2() != (before + 1).ilog2() {
            tracing::error!(lost = before + 1, "requests not recorded, the database accepts too few");
        }
    }

    /// Writes a group, with as many attempts as necessary.
    async fn write(&self, group: Vec<UsageEntry>) {
        let mut wait = INITIAL_BACKOFF;
        loop {
            match catch_panic(self.store(&group)).await {
                Ok(()) => return,
                Err(AppError::Unavailable(error)) => {
                    tracing::warn!(%error, rows = group.len(), "failed to write usage, retrying");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(MAX_BACKOFF);
                    if self.is_stored(&group).await {
                        self.reservations.mark_posted(group.iter().flat_map(|entry| &entry.settlements));
                        return;
                    }
                }
                // The row was stored before, by a commit whose response was lost or by a process
                // that was killed during the commit.
                Err(_) if group.len() == 1 && self.is_stored(&group).await => {
                    self.reservations.mark_posted(group.iter().flat_map(|entry| &entry.settlements));
                    return;
                }
                Err(error) if group.len() == 1 => {
                    tracing::error!(%error, "failed to write usage");
                    group.iter().for_each(|entry| self.drop_entry(entry));
                    return;
                }
                // The database rejects one of the rows, so each is written separately.
                Err(_) => {
                    for entry in group {
                        Box::pin(self.write(vec![entry])).await;
                    }
                    return;
                }
            }
        }
    }

    async fn store(&self, group: &[UsageEntry]) -> Result<(), AppError> {
        let rows: Vec<usage_request::Model> = group.iter().filter_map(|entry| entry.row.clone()).collect();
        let settlements: Vec<Settlement> = group.iter().flat_map(|entry| entry.settlements.iter().copied()).collect();
        let _turn = self.reservations.lock_writes().await;
        let tx = self.db.begin().await.map_err(app_error)?;
        if !rows.is_empty() {
            let named = group.iter().filter_map(|entry| Some((entry.row.as_ref()?, &*entry.model)));
            let pieces = vec![usage::insert(&rows), usage::add_to_days(named)];
            query::execute(&tx, pieces).await?;
        }
        reservations::settle(&tx, &settlements, self.clock.now()).await?;
        tx.commit().await.map_err(app_error)?;
        self.reservations.mark_posted(&settlements);
        Ok(())
    }

    /// True if a commit whose response was lost has succeeded. A group without rows only releases
    /// reservations, which is idempotent.
    async fn is_stored(&self, group: &[UsageEntry]) -> bool {
        let Some(row) = group.iter().find_map(|entry| entry.row.as_ref()) else { return false };
        matches!(usage::is_stored(self.db.writer(), row.id).await, Ok(true))
    }
}

/// Converts a finished request for the metrics.
fn call<'a>(row: &'a usage_request::Model, model: &'a str) -> ProviderCall<'a> {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    ProviderCall {
        provider: &row.deployment,
        model,
        status: row.status,
        input_tokens: count(row.input_tokens),
        cached_tokens: count(row.cached_tokens),
        output_tokens: count(row.output_tokens),
        cost: count(row.cost.0),
        first_token: row.first_token_ms.map(|millis| Duration::from_millis(count(millis))),
        duration: Duration::from_millis(count(row.duration_ms)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn batches_rows_that_arrive_during_a_write_unless_one_is_urgent() {
        let (calls, begun) = (WakeSignals::default(), Instant::now());
        calls.until_due(3).await;
        assert_eq!(begun.elapsed(), COALESCE_DELAY);
        calls.until_due(MAX_ROWS_PER_TRANSACTION).await;
        calls.urgent.notify_one();
        calls.until_due(3).await;
        assert_eq!(begun.elapsed(), COALESCE_DELAY);
        // Wakes the task for the first row.
        calls.wake.notify_one();
        calls.until_due(0).await;
        assert_eq!(begun.elapsed(), COALESCE_DELAY * 2);
    }
}
