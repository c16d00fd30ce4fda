//! Liveness lock of an instance: an advisory lock in PostgreSQL that lasts as long as the connection that holds it.
//!
//! The kernel closes the connections of a killed process, so PostgreSQL releases the lock at once and other instances
//! see that the instance is gone. A host that vanishes closes nothing; then its leases expire.

use std::time::Duration;

use anyhow::Context as _;
use appcore::InstanceId;
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use crate::Database;

/// Timeout of a response on the lock's connection.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Liveness lock that an instance holds while it runs. [`LivenessLock::renew`] tests it, and
/// acquires it again if it was lost.
#[derive(Debug)]
pub struct LivenessLock {
    key: i64,
    connection: Option<PgConnection>,
}

impl LivenessLock {
    /// Derives the key from the instance's id, as
    /// [`workers_without_liveness_lock`](crate::query::jobs::workers_without_liveness_lock) does.
    #[must_use]
    pub fn for_instance(instance: InstanceId) -> Self {
        let (_, low) = instance.0.as_u64_pair();
        Self { key: low.cast_signed(), connection: None }
    }

    /// Acquires the lock, or confirms that it is still held. Returns an error if neither succeeds.
    pub async fn renew(&mut self, db: &Database) -> anyhow::Result<()> {
        if let Some(mut connection) = self.connection.take() {
            timeout(RESPONSE_TIMEOUT, connection.ping()).await.context("no response")??;
            self.connection = Some(connection);
            return Ok(());
        }
        let pool = db.log().get_postgres_connection_pool();
        // Uses a dedicated connection: the lock lasts as long as the connection, and no query waits
        // behind it.
        let mut connection = pool.acquire().await?.detach();
        let locking = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(self.key).fetch_one(&mut connection);
        let is_held: bool = timeout(RESPONSE_TIMEOUT, locking).await.context("no response")??;
        anyhow::ensure!(is_held, "liveness lock is held by a liveness check");
        self.connection = Some(connection);
        Ok(())
    }
}
