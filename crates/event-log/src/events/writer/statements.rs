//! Database executor of a batch that counts changed rows.

use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{ConnectionTrait, DatabaseExecutor, DbBackend, DbErr, ExecResult, QueryResult, Statement};

/// Connection or transaction that counts the rows changed by its statements.
pub(super) struct Statements<'a> {
    db: DatabaseExecutor<'a>,
    changed: AtomicU64,
}

impl<'a> Statements<'a> {
    pub fn new(db: impl Into<DatabaseExecutor<'a>>) -> Self {
        Self { db: db.into(), changed: AtomicU64::new(0) }
    }

    /// Number of rows changed so far.
    pub fn changed(&self) -> u64 {
        self.changed.load(Ordering::Relaxed)
    }

    fn count(&self, rows: u64) {
        self.changed.fetch_add(rows, Ordering::Relaxed);
    }
}

/// True if a statement that returns rows also modifies data.
fn is_change(statement: &Statement) -> bool {
    ["INSERT", "UPDATE", "DELETE"].iter().any(|verb| statement.sql.trim_start().starts_with(verb))
}

#[async_trait::async_trait]
impl ConnectionTrait for Statements<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.db.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let done = self.db.execute_raw(statement).await?;
        self.count(done.rows_affected());
        Ok(done)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let done = self.db.execute_unprepared(sql).await?;
        self.count(done.rows_affected());
        Ok(done)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let is_change = is_change(&statement);
        let found = self.db.query_one_raw(statement).await?;
        self.count(u64::from(is_change && found.is_some()));
        Ok(found)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let is_change = is_change(&statement);
        let found = self.db.query_all_raw(statement).await?;
        self.count(if is_change { found.len() as u64 } else { 0 });
        Ok(found)
    }
}
