//! Reads on the replica, which the primary repeats if they fail.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use appcore::RuntimeBound;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    prelude::async_trait::async_trait,
};
use tokio::time::{Instant, timeout};

use super::{SLOW_RESPONSE, Shared, position::Fault};
use crate::{
    availability::{Failure as _, STATEMENT_DEADLINE},
    timeout::Connections,
};

/// Transaction on the replica. It is rolled back if it is dropped, which may happen at any point.
#[derive(Debug)]
pub(crate) struct ReplicaTransaction {
    open: RuntimeBound<DatabaseTransaction>,
    shared: Arc<Shared>,
    has_failed: AtomicBool,
}

impl ReplicaTransaction {
    pub(super) const fn new(open: RuntimeBound<DatabaseTransaction>, shared: Arc<Shared>) -> Self {
        Self { open, shared, has_failed: AtomicBool::new(false) }
    }

    /// Executes a read. Returns `None` if the primary must execute it, which is then the case for all later ones as well.
    async fn execute<T>(&self, executing: impl Future<Output = Result<T, DbErr>>) -> Option<T> {
        let Shared { breaker, suspected, counts, .. } = &*self.shared;
        let started = Instant::now();
        let mut executing = self.shared.bind(Box::pin(executing));
        let silent = || DbErr::Custom(Fault::Silent.to_string());
        let result = match timeout(SLOW_RESPONSE, &mut executing).await {
            Ok(result) => result,
            Err(_) => {
                suspected.notify_one();
                let remaining = STATEMENT_DEADLINE.saturating_sub(started.elapsed());
                tokio::select! {
                    result = timeout(remaining, &mut executing) => result.unwrap_or_else(|_| Err(silent())),
                    () = breaker.wait_until_open() => Err(silent()),
                }
            }
        };
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            counts.repeated.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%error, "statement failed on the replica, repeating it on the primary");
        }
        if error.is_connection_error()
            && let Ok(admitted) = breaker.admit()
        {
            admitted.record_failure(&self.shared.fault(&error));
            suspected.notify_one();
        }
        None
    }

    fn usable(&self) -> Option<&DatabaseTransaction> {
        self.open.get().filter(|_| !self.has_failed.load(Ordering::Relaxed))
    }
}

/// Connections for reads that may be executed by the replica. Use it for one page or list at a time: it occupies a
/// connection to the replica until it is dropped.
#[derive(Debug)]
pub struct ReplicaReader<'a> {
    primary: &'a Connections,
    replica: Option<ReplicaTransaction>,
}

impl<'a> ReplicaReader<'a> {
    pub(crate) const fn new(primary: &'a Connections, replica: Option<ReplicaTransaction>) -> Self {
        Self { primary, replica }
    }
}

#[async_trait]
impl ConnectionTrait for ReplicaReader<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.primary.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.primary.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.primary.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if let Some(replica) = &self.replica
            && let Some(open) = replica.usable()
            && let Some(row) = replica.execute(open.query_one_raw(statement.clone())).await
        {
            return Ok(row);
        }
        self.primary.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if let Some(replica) = &self.replica
            && let Some(open) = replica.usable()
            && let Some(rows) = replica.execute(open.query_all_raw(statement.clone())).await
        {
            return Ok(rows);
        }
        self.primary.query_all_raw(statement).await
    }
}
