//! An end to waiting for a database that says nothing.
//!
//! PostgreSQL ends what takes too long by itself, but not when it stands still, or when the network between has gone without a word:
//! then a connection stays open, and nothing comes. Neither a statement nor the pool may wait for that for ever.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
    prelude::async_trait::async_trait,
};
use sqlx::{Connection as _, PgConnection, Postgres, pool::PoolOptions};

use crate::{
    runtime_bound::RuntimeBound,
    sqlite::{Turn, WriteLock},
};

/// What a statement may take, the wait for a connection included: a little more than PostgreSQL gives a statement.
const STATEMENT: Duration = Duration::from_secs(12);
/// What a connection may take to prove that it can be used again.
const PROOF: Duration = Duration::from_secs(2);

/// Connections for single statements, each of which is given up in time, and may be dropped anywhere.
#[derive(Clone, Debug)]
pub struct Connections {
    pub(crate) pool: DatabaseConnection,
    /// Where only one may write at a time.
    pub(crate) write_lock: Option<WriteLock>,
}

impl Connections {
    pub(crate) async fn turn(&self) -> Result<Option<Turn>, DbErr> {
        match &self.write_lock {
            Some(write_lock) => write_lock.take().await.map(Some),
            None => Ok(None),
        }
    }

    async fn within<T>(&self, executing: impl Future<Output = Result<T, DbErr>> + Unpin) -> Result<T, DbErr> {
        let executing = RuntimeBound::new(executing);
        let in_turn = async {
            let _turn = self.turn().await?;
            executing.await
        };
        match tokio::time::timeout(STATEMENT, in_turn).await {
            Ok(answer) => answer,
            Err(_) => Err(DbErr::Conn(RuntimeErr::Internal("the database did not answer in time".to_owned()))),
        }
    }
}

#[async_trait]
impl ConnectionTrait for Connections {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.within(self.pool.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.within(self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.within(self.pool.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.within(self.pool.query_all_raw(statement)).await
    }
}

/// Keeps a pool from waiting for a connection that is given back and says nothing: it would hold its place for as long.
pub(crate) fn drop_the_silent(options: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
    options.after_release(|connection, _| Box::pin(async move { prove(connection).await.map(|()| true) }))
}

async fn prove(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    match tokio::time::timeout(PROOF, connection.ping()).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
