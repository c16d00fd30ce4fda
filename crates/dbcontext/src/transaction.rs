//! Transactions.

use std::ops::Deref;

use appcore::RuntimeBound;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    prelude::async_trait::async_trait,
};

use crate::{
    availability::{Availability, STATEMENT_DEADLINE},
    sqlite::WriteGuard,
};

/// Transaction in which each statement has a time limit. It is rolled back if it is dropped, which
/// may happen at any point.
#[derive(Debug)]
pub struct Transaction {
    backend: DbBackend,
    open: RuntimeBound<DatabaseTransaction>,
    availability: Availability,
    _turn: Option<WriteGuard>,
}

impl Transaction {
    pub(crate) fn new((open, turn): (DatabaseTransaction, Option<WriteGuard>), availability: Availability) -> Self {
        Self { backend: open.get_database_backend(), open: availability.bind(open), availability, _turn: turn }
    }

    pub async fn commit(mut self) -> Result<(), DbErr> {
        let open = self.open.take().ok_or_else(closed_error)?;
        self.within(open.commit()).await
    }

    pub async fn rollback(mut self) -> Result<(), DbErr> {
        let open = self.open.take().ok_or_else(closed_error)?;
        self.within(open.rollback()).await
    }

    async fn within<T>(&self, executing: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        self.availability.within(STATEMENT_DEADLINE, executing).await
    }

    fn open(&self) -> Result<&DatabaseTransaction, DbErr> {
        self.open.get().ok_or_else(closed_error)
    }
}

fn closed_error() -> DbErr {
    DbErr::Custom("the transaction is over".to_owned())
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.within(self.open()?.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.within(self.open()?.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.within(self.open()?.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.within(self.open()?.query_all_raw(statement)).await
    }
}

/// Transaction of the event log's writer, which runs outside of the worker threads.
#[derive(Debug)]
pub struct LogTransaction {
    open: DatabaseTransaction,
    write_guard: Option<WriteGuard>,
}

impl LogTransaction {
    pub(crate) fn new((open, turn): (DatabaseTransaction, Option<WriteGuard>)) -> Self {
        Self { open, write_guard: turn }
    }

    pub async fn commit(self) -> Result<(), DbErr> {
        let Self { open, write_guard: turn } = self;
        let committed = open.commit().await;
        drop(turn);
        committed
    }
}

impl Deref for LogTransaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use crate::Database;

    #[test]
    fn dropping_a_transaction_outside_of_a_runtime_releases_it() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("natter.db").display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let db = runtime.block_on(Database::connect(&url, 1)).unwrap();
        let begun = runtime.block_on(db.begin()).unwrap();
        drop(begun);
        runtime.block_on(async { db.begin().await.unwrap().commit().await.unwrap() });
    }
}
