//! Connections to the replica, and the tests that remove broken ones from the pool.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sea_orm::DatabaseConnection;
use sqlx::{Postgres, pool::PoolOptions, postgres::PgConnectOptions};
use tokio::time::Instant;

use super::lock;
use crate::timeout::{IDLE_BEFORE_TEST, test_connection};

/// Connections to the replica.
pub(crate) struct ReplicaPools {
    pub pool: DatabaseConnection,
    pub probe_pool: DatabaseConnection,
    /// Time at which one of them broke.
    pub broken: Broken,
    /// Address, for the reason why there is no connection.
    pub options: PgConnectOptions,
}

/// Time at which a connection to the replica last broke. Older connections are not used again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Broken(Arc<Mutex<Option<Instant>>>);

impl Broken {
    pub(super) fn record(&self) {
        *lock(&self.0) = Some(Instant::now());
    }

    fn has_happened_within(&self, age: Duration) -> bool {
        lock(&self.0).is_some_and(|at| at.elapsed() <= age)
    }

    /// Tests connections to the replica before and after use, with a time limit.
    pub fn test_connections(&self, options: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
        let broken = self.clone();
        options
            .test_before_acquire(false)
            .before_acquire(move |connection, metadata| {
                let is_suspect = broken.has_happened_within(metadata.age);
                Box::pin(async move {
                    if is_suspect || metadata.idle_for < IDLE_BEFORE_TEST {
                        return Ok(!is_suspect);
                    }
                    test_connection(connection).await.map(|()| true)
                })
            })
            .after_release(|connection, _| Box::pin(async move { test_connection(connection).await.map(|()| true) }))
    }
}
