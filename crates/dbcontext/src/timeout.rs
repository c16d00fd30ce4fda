//! Pooled connections for single statements, and the tests that remove unresponsive connections from the pool.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    prelude::async_trait::async_trait,
};
use sqlx::{Connection as _, PgConnection, Postgres, Row as _, pool::PoolOptions};

use crate::{
    availability::{Availability, PooledConnectionState, STATEMENT_DEADLINE},
    sqlite::{WriteGuard, WriteLock},
};

/// Idle time after which a connection is tested before use. A test costs a round trip.
pub(crate) const IDLE_BEFORE_TEST: Duration = Duration::from_secs(1);
/// Timeout of a connection test.
const TEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections for single statements. Each statement has a time limit and may be dropped at any point.
#[derive(Clone, Debug)]
pub struct Connections {
    pub(crate) pool: DatabaseConnection,
    pub(crate) availability: Availability,
    /// Lock that serialises writes; `None` if the database allows concurrent writes.
    pub(crate) write_lock: Option<WriteLock>,
}

impl Connections {
    pub(crate) async fn acquire_write_lock(&self) -> Result<Option<WriteGuard>, DbErr> {
        match &self.write_lock {
            Some(write_lock) => write_lock.acquire().await.map(Some),
            None => Ok(None),
        }
    }

    async fn within<T>(&self, executing: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let in_turn = async {
            let _turn = self.acquire_write_lock().await?;
            executing.await
        };
        self.availability.within(STATEMENT_DEADLINE, in_turn).await
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

/// Tests connections before and after use, with a time limit. Without the test, an unresponsive
/// connection would stay in the pool until TCP gives up.
pub(crate) fn test_connections(options: PoolOptions<Postgres>, availability: &Availability) -> PoolOptions<Postgres> {
    let availability = availability.clone();
    options
        .test_before_acquire(false)
        .before_acquire(move |connection, metadata| {
            let trust = availability.check_pooled(metadata.age, metadata.idle_for);
            Box::pin(async move {
                match trust {
                    PooledConnectionState::Dead => Ok(false),
                    PooledConnectionState::Usable if metadata.idle_for < IDLE_BEFORE_TEST => Ok(true),
                    PooledConnectionState::Usable | PooledConnectionState::Unproven => accepts_writes(connection).await,
                }
            })
        })
        .after_release(|connection, _| Box::pin(async move { test_connection(connection).await.map(|()| true) }))
}

/// Tests a connection, and whether its server accepts writes. After a fail-over a connection may lead to the former
/// primary; it is discarded, and the next one is opened to the server that the address names now.
async fn accepts_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let asked = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(connection);
    let answer = tokio::time::timeout(TEST_TIMEOUT, asked).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    let is_read_only = answer.try_get::<String, _>(0)? == "on";
    if is_read_only {
        tracing::info!("connection to a read-only database discarded");
    }
    Ok(!is_read_only)
}

pub(crate) async fn test_connection(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    match tokio::time::timeout(TEST_TIMEOUT, connection.ping()).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
