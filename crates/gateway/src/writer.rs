//! The ledger of requests: what finished requests used, written in groups.
//!
//! Whoever has finished a request leaves its row here and goes on at once. Rows wait a moment for each other, also where they never stop coming,
//! unless something was held for one of them alone; a group is one transaction with its rows, the sums of its days, its budgets and what pays for it, so none of these is ever counted
//! without the others. While the database is away rows wait, up to a bound. What comes beyond it is not written; it is counted and logged.
//! What waits stands in a [file](super::journal) as well, from which it is booked where the program is killed.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use appcore::{AppError, Clock};
use billing::holds::{self, Holds, Settlement};
use dbcontext::{
    Database,
    constraint::app_error,
    entity::usage_request,
    query::{self, usage},
};
use jobs::caught;
use metrics::{Call, metrics};
use tokio::sync::{Notify, watch};

use crate::journal::{Journal, Turns};

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
    pub settlements: Vec<Settlement>,
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer(Arc<Shared>);

struct Shared {
    db: Database,
    clock: Clock,
    holds: Arc<Holds>,
    queue: Mutex<Queue>,
    journal: Journal,
    calls: Calls,
    /// Entries that were written, or given up.
    done: watch::Sender<u64>,
    lost: AtomicU64,
}

/// What calls whoever writes.
#[derive(Default)]
struct Calls {
    /// There is something to write.
    wake: Notify,
    /// It must not wait.
    hurry: Notify,
}

impl Calls {
    /// Returns when a group is to be written, where so many entries wait.
    async fn until_due(&self, waiting: usize) {
        if waiting == 0 {
            self.wake.notified().await;
        }
        if waiting < BATCH {
            let _ = tokio::time::timeout(GATHER, self.hurry.notified()).await;
        }
    }
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Entry>,
    /// Entries that ever came in.
    taken: u64,
}

impl Writer {
    pub fn start(db: Database, clock: Clock, holds: Arc<Holds>, journal: Journal) -> Self {
        let writer = Self(Arc::new(Shared {
            db,
            clock,
            holds,
            queue: Mutex::default(),
            journal,
            calls: Calls::default(),
            done: watch::Sender::new(0),
            lost: AtomicU64::new(0),
        }));
        tokio::spawn(writer.clone().run());
        writer
    }

    /// Takes an entry over: from here on it is written, whatever becomes of this program. Never waits.
    pub fn push(&self, entry: Entry) {
        if let Some(row) = &entry.row {
            metrics().ai.count(&call(row, &entry.model));
        }
        let is_urgent = entry.settlements.iter().any(Settlement::is_urgent);
        let waiting = {
            let mut queue = self.0.lock();
            if queue.waiting.len() >= BOUND {
                drop(queue);
                self.0.lose(&entry);
                return;
            }
            if let Some(row) = &entry.row {
                let held: Vec<_> = entry.settlements.iter().filter_map(Settlement::left).collect();
                self.0.journal.keep(row, &entry.model, entry.account(), &held);
            }
            queue.waiting.push_back(entry);
            queue.taken += 1;
            queue.waiting.len()
        };
        self.0.calls.wake.notify_one();
        if is_urgent || waiting >= BATCH {
            self.0.calls.hurry.notify_one();
        }
    }

    /// Waits until everything is written that came before.
    pub async fn flush(&self) {
        let target = self.0.lock().taken;
        self.0.calls.hurry.notify_one();
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
        let mut turns = Turns::default();
        let mut is_cut = false;
        loop {
            // Those that a full group has left have waited for others already.
            if !is_cut {
                let waiting = self.0.lock().waiting.len();
                self.0.calls.until_due(waiting).await;
            }
            let group: Vec<Entry> = {
                let mut queue = self.0.lock();
                let count = queue.waiting.len().min(BATCH);
                let group: Vec<Entry> = queue.waiting.drain(..count).collect();
                if !group.is_empty() {
                    turns.begin(&self.0.journal, queue.taken);
                }
                group
            };
            is_cut = group.len() == BATCH;
            if group.is_empty() {
                continue;
            }
            let count = group.len() as u64;
            self.0.write(group).await;
            self.0.done.send_modify(|done| *done += count);
            turns.end(&self.0.journal, *self.0.done.borrow());
        }
    }
}

impl Entry {
    /// The account that pays for it.
    fn account(&self) -> Option<uuid::Uuid> {
        self.settlements.iter().find_map(Settlement::account)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, entry: &Entry) {
        entry.settlements.iter().for_each(|settlement| self.holds.forgotten(settlement));
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
            match caught(self.store(&group)).await {
                Ok(()) => return,
                Err(AppError::Unavailable(error)) => {
                    tracing::warn!(%error, rows = group.len(), "what requests used could not be written yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    if self.is_stored(&group).await {
                        self.holds.booked(group.iter().flat_map(|entry| &entry.settlements));
                        return;
                    }
                }
                // It was stored before: by the commit whose answer got lost, or by a program that was killed in it.
                Err(_) if group.len() == 1 && self.is_stored(&group).await => {
                    self.holds.booked(group.iter().flat_map(|entry| &entry.settlements));
                    return;
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
        let settlements: Vec<Settlement> = group.iter().flat_map(|entry| entry.settlements.iter().copied()).collect();
        let _turn = self.holds.turn().await;
        let tx = self.db.begin().await.map_err(app_error)?;
        if !rows.is_empty() {
            let named = group.iter().filter_map(|entry| Some((entry.row.as_ref()?, &*entry.model)));
            let pieces = vec![usage::insert(&rows), usage::add_up(named)];
            query::execute(&tx, pieces).await?;
        }
        holds::settle(&tx, &settlements, self.clock.now()).await?;
        tx.commit().await.map_err(app_error)?;
        self.holds.booked(&settlements);
        Ok(())
    }

    /// Whether a commit succeeded whose answer got lost. A group without rows only releases, which may be done twice.
    async fn is_stored(&self, group: &[Entry]) -> bool {
        let Some(row) = group.iter().find_map(|entry| entry.row.as_ref()) else { return false };
        matches!(usage::is_stored(self.db.writer(), row.id).await, Ok(true))
    }
}

/// A finished request as the metrics count it.
fn call<'a>(row: &'a usage_request::Model, model: &'a str) -> Call<'a> {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Call {
        provider: &row.deployment,
        model,
        status: row.status,
        input_tokens: count(row.input_tokens),
        cached_tokens: count(row.cached_tokens),
        output_tokens: count(row.output_tokens),
        cost: count(row.cost.0),
        first_token: row.first_token_ms.map(|millis| Duration::from_millis(count(millis))),
        took: Duration::from_millis(count(row.duration_ms)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rows_that_come_while_others_are_written_wait_for_their_like_unless_there_is_no_time() {
        let (calls, begun) = (Calls::default(), Instant::now());
        calls.until_due(3).await;
        assert_eq!(begun.elapsed(), GATHER);
        calls.until_due(BATCH).await;
        calls.hurry.notify_one();
        calls.until_due(3).await;
        assert_eq!(begun.elapsed(), GATHER);
        // The first one.
        calls.wake.notify_one();
        calls.until_due(0).await;
        assert_eq!(begun.elapsed(), GATHER * 2);
    }
}
