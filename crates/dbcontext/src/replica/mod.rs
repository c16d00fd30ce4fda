//! Read replica: a PostgreSQL standby from which history, search and lists are read.
//!
//! A read from the replica is never older than anything that was committed anywhere before the read started:
//!
//! 1. The read requests the position of the primary's write-ahead log, `pg_current_wal_flush_lsn()`. Reads that arrive
//!    while a request is in progress share the next one, so that a position is never older than the read's start.
//! 2. The read opens a transaction on the replica and waits up to [`MAX_REPLAY_WAIT`] until the replica has replayed that
//!    position. If it doesn't, the primary is read.
//!
//! PostgreSQL flushes a commit before it confirms it and before others see it. The position therefore covers everything
//! that a session has written or seen, on whichever instance, by request or by frame, and no session needs a token.
//! A primary that can't be reached gives no position: then the read goes to the primary, and fails as it would without a
//! replica. A stale read is never returned instead.
//!
//! The position is compared on the connection that reads, because the address may lead to several standbys, and because a
//! standby that has crashed may restart behind the position that it had reached. Positions are comparable within one
//! history only, so the cluster's identifier and timeline are compared as well: a promoted standby is left out.
//!
//! A replica that lags or fails is left out by a circuit breaker until a probe of [`Shared::monitor`] succeeds. A statement
//! that fails on the replica, for example because it conflicts with recovery, is repeated on the primary.

mod pools;
mod position;
mod reader;
mod replication;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use appcore::{
    RuntimeBound,
    breaker::{Breaker, Circuit, Policy},
};
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait as _};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use self::position::{Fault, Position, PositionRequests, missing_bytes};
pub use self::reader::ReplicaReader;
pub(crate) use self::{
    pools::{Broken, ReplicaPools},
    reader::ReplicaTransaction,
};
use crate::{availability::Failure as _, timeout::Connections};

/// Maximum time for which a read waits for a connection to the replica, and then for the replay of its position.
const MAX_CONNECTION_WAIT: Duration = Duration::from_millis(100);
const MAX_REPLAY_WAIT: Duration = Duration::from_millis(100);
/// Pause between two comparisons of a position. It doubles up to the maximum.
const REPLAY_POLL: Duration = Duration::from_millis(2);
const MAX_REPLAY_POLL: Duration = Duration::from_millis(10);
/// Response time of a statement above which the replica is probed. If the probes fail, the primary executes the statement.
const SLOW_RESPONSE: Duration = Duration::from_millis(500);
/// Interval of the probes while the replica is in use, and the shorter one after a failed probe.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const REPROBE_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum time for which a probe waits for its connection.
const PROBE_CONNECTION_WAIT: Duration = Duration::from_millis(500);
/// Time after which a check gives up.
const MAX_CHECK_TIME: Duration = Duration::from_secs(3);
/// Timeout of a connection that is opened to find out why the pool has none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Circuit breaker policy: consecutive failures after which the replica is left out, and the pause before it is probed.
const POLICY: Policy = Policy { failures: 3, pause: Duration::from_millis(500), longest_pause: Duration::from_secs(2) };

/// Number of reads by where they were executed and why.
#[derive(Debug, Default)]
struct Counts {
    replica: AtomicU64,
    lagging: AtomicU64,
    left_out: AtomicU64,
    busy: AtomicU64,
    failed: AtomicU64,
    repeated: AtomicU64,
}

/// Result of the last probe, or of a read that has failed after it.
#[derive(Debug)]
struct LastResult {
    lag_bytes: u64,
    /// Time of the last probe at which the replica had replayed the primary's position.
    caught_up_at: Instant,
    fault: Option<String>,
}

/// State of the replica, for metrics and checks.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// Circuit breaker: closed while the replica is used.
    pub circuit: Circuit,
    /// Number of bytes of the write-ahead log that it had not replayed at the last probe or failed read.
    pub lag_bytes: u64,
    /// Time since it had last replayed everything.
    pub lag: Duration,
    /// Reason why the last probe, or a read after it, has failed.
    pub fault: Option<String>,
    /// Number of reads: by the replica (`replica`), and by the primary because the replica was behind (`lagging`), left
    /// out (`left_out`), had no free connection (`busy`), was unusable (`failed`), or failed in a statement (`repeated`).
    pub reads: [(&'static str, u64); 6],
}

/// The configured replica. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

/// Background tasks of a replica; they end with it.
#[derive(Debug)]
struct Tasks([AbortHandle; 2]);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

#[derive(Debug)]
struct Shared {
    pool: DatabaseConnection,
    /// Connection of the probes, so that they don't wait for reads.
    probe_pool: DatabaseConnection,
    primary: Connections,
    positions: PositionRequests,
    breaker: Breaker,
    broken: Broken,
    options: PgConnectOptions,
    /// Wakes the probes before their time.
    suspected: Notify,
    counts: Counts,
    last: Mutex<LastResult>,
    runtime: Handle,
}

// A panic can't leave these values inconsistent, so a poisoned lock is still usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Replica {
    pub fn start(pools: ReplicaPools, primary: Connections) -> Self {
        let ReplicaPools { pool, probe_pool, broken, options } = pools;
        let shared = Arc::new(Shared {
            pool,
            probe_pool,
            primary,
            positions: PositionRequests::default(),
            breaker: Breaker::new("replica", POLICY),
            broken,
            suspected: Notify::new(),
            counts: Counts::default(),
            options,
            last: Mutex::new(LastResult { lag_bytes: 0, caught_up_at: Instant::now(), fault: None }),
            runtime: Handle::current(),
        });
        let serving = tokio::spawn(Arc::clone(&shared).serve_positions());
        let monitoring = tokio::spawn(Arc::clone(&shared).monitor());
        Self { shared, _tasks: Arc::new(Tasks([serving.abort_handle(), monitoring.abort_handle()])) }
    }

    /// Opens a transaction on the replica that sees everything that was committed before this call. Returns `None` if the
    /// primary must be read.
    pub async fn open(&self) -> Option<ReplicaTransaction> {
        let Shared { breaker, counts, .. } = &*self.shared;
        let count = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        // The monitor probes, so that no read has to.
        let Some(admitted) = (!breaker.is_open()).then(|| breaker.admit().ok()).flatten() else {
            count(&counts.left_out);
            return None;
        };
        // Boxed, so that requests don't reserve memory for it.
        match Box::pin(self.shared.open(&self.shared.pool, MAX_CONNECTION_WAIT)).await {
            Ok(open) => {
                admitted.record_success();
                count(&counts.replica);
                let shared = Arc::clone(&self.shared);
                return Some(ReplicaTransaction::new(open, shared));
            }
            // Says nothing about the replica.
            Err(Fault::NoPosition) => count(&counts.failed),
            Err(Fault::Busy) => {
                self.shared.suspected.notify_one();
                count(&counts.busy)
            }
            Err(fault) => {
                self.shared.record_fault(&fault);
                admitted.record_failure(&fault);
                count(if matches!(fault, Fault::Lagging(_)) { &counts.lagging } else { &counts.failed })
            }
        };
        None
    }

    /// Probes the replica until it can be used, or for [`MAX_CHECK_TIME`]. Returns the reason if it can't be used.
    pub async fn check(&self) -> Result<(), String> {
        let deadline = Instant::now() + MAX_CHECK_TIME;
        loop {
            match self.shared.probe().await {
                Ok(()) => return Ok(()),
                Err(Fault::Silent | Fault::Lagging(_)) if Instant::now() < deadline => sleep(REPROBE_INTERVAL).await,
                Err(fault) => return Err(fault.to_string()),
            }
        }
    }

    pub fn status(&self) -> ReplicaStatus {
        let Shared { breaker, counts, last, .. } = &*self.shared;
        let of = |name, count: &AtomicU64| (name, count.load(Ordering::Relaxed));
        let last = lock(last);
        ReplicaStatus {
            circuit: breaker.circuit(),
            lag_bytes: last.lag_bytes,
            lag: if last.fault.is_none() { Duration::ZERO } else { last.caught_up_at.elapsed() },
            fault: last.fault.clone(),
            reads: [
                of("replica", &counts.replica),
                of("lagging", &counts.lagging),
                of("left_out", &counts.left_out),
                of("busy", &counts.busy),
                of("failed", &counts.failed),
                of("repeated", &counts.repeated),
            ],
        }
    }

    /// Pool of the reads.
    pub fn pool(&self) -> &DatabaseConnection {
        &self.shared.pool
    }

    pub async fn close(self) -> Result<(), DbErr> {
        let Shared { pool, probe_pool, .. } = &*self.shared;
        pool.clone().close().await?;
        probe_pool.clone().close().await
    }
}

impl Shared {
    fn bind<T>(&self, inside: T) -> RuntimeBound<T> {
        RuntimeBound::new(self.runtime.clone(), inside)
    }

    /// Answers the requests for the primary's position, by one query at a time.
    async fn serve_positions(self: Arc<Self>) {
        loop {
            let requests = self.positions.collect().await;
            let position = Position::query(&self.primary).await;
            for request in requests {
                // A request whose read was cancelled has no receiver.
                let _ = request.send(position.clone());
            }
        }
    }

    /// Opens a transaction that has replayed the primary's position as of this call.
    async fn open(
        &self,
        pool: &DatabaseConnection,
        connection_wait: Duration,
    ) -> Result<RuntimeBound<DatabaseTransaction>, Fault> {
        let (pool, runtime) = (pool.clone(), self.runtime.clone());
        let opening = async move { pool.begin().await.map(|open| RuntimeBound::new(runtime, open)) };
        // A task, so that a connection that is being opened is completed for the next read if this one doesn't wait for it.
        let opening = self.runtime.spawn(opening);
        let (position, opened) = tokio::join!(self.positions.request(), timeout(connection_wait, opening));
        let position = position?;
        if !position.is_synchronous {
            return Err(Fault::AsynchronousCommit);
        }
        let opened = opened.map_err(|_| Fault::Busy)?.map_err(|error| Fault::Error(error.to_string()))?;
        let open = opened.map_err(|error| self.fault(&error))?;
        self.wait_for_replay(&open, &position).await?;
        Ok(open)
    }

    async fn wait_for_replay(
        &self,
        open: &RuntimeBound<DatabaseTransaction>,
        position: &Position,
    ) -> Result<(), Fault> {
        let Some(transaction) = open.get() else { return Err(Fault::Silent) };
        let (deadline, mut pause) = (Instant::now() + MAX_REPLAY_WAIT, REPLAY_POLL);
        loop {
            let standby =
                timeout_at(deadline, self.bind(Box::pin(replication::standby(transaction, &position.lsn)))).await;
            let standby = standby.map_err(|_| Fault::Silent)?.map_err(|error| self.fault(&error))?;
            let missing = missing_bytes(&standby, position)?;
            if missing == 0 {
                return Ok(());
            }
            if Instant::now() + pause >= deadline {
                return Err(Fault::Lagging(missing));
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_REPLAY_POLL);
        }
    }

    /// Converts an error of the replica, and remembers whether it broke the connection.
    fn fault(&self, error: &DbErr) -> Fault {
        if error.is_connection_error() {
            self.broken.record();
        }
        Fault::Error(error.to_string())
    }

    fn record_fault(&self, fault: &Fault) {
        let mut last = lock(&self.last);
        last.fault = Some(fault.to_string());
        if let Fault::Lagging(bytes) = fault {
            last.lag_bytes = bytes.unsigned_abs();
        }
    }

    /// Opens a transaction like a read. The connection is that of the probes, so that it doesn't wait for reads.
    async fn probe(&self) -> Result<(), Fault> {
        match self.open(&self.probe_pool, PROBE_CONNECTION_WAIT).await {
            Ok(open) => {
                drop(open);
                Ok(())
            }
            // The pool doesn't report why it has no connection.
            Err(Fault::Busy) => match timeout(CONNECT_TIMEOUT, self.options.connect()).await {
                Ok(Err(error)) => Err(Fault::Error(error.to_string())),
                Ok(Ok(_)) | Err(_) => Err(Fault::Silent),
            },
            Err(fault) => Err(fault),
        }
    }

    /// Probes the replica periodically, and reports the results to the breaker.
    async fn monitor(self: Arc<Self>) {
        loop {
            let pause = match self.breaker.admit() {
                Err(refused) => refused.retry_after,
                Ok(admitted) => match self.probe().await {
                    Ok(()) => {
                        admitted.record_success();
                        *lock(&self.last) = LastResult { lag_bytes: 0, caught_up_at: Instant::now(), fault: None };
                        PROBE_INTERVAL
                    }
                    Err(Fault::NoPosition) => PROBE_INTERVAL,
                    Err(fault) => {
                        self.record_fault(&fault);
                        admitted.record_failure(&fault);
                        REPROBE_INTERVAL
                    }
                },
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.suspected.notified() => {}
            }
        }
    }
}
