//! An instance's sign of life: a lock in PostgreSQL that lasts as long as the connection that holds it.
//!
//! The kernel closes the connections of a process that is killed, so PostgreSQL lets go of its lock at once, and whoever looks sees that the
//! instance is gone. A host that vanishes says nothing; then leases run out.

use std::time::Duration;

use anyhow::Context as _;
use appcore::InstanceId;
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use crate::Database;

/// How long the connection may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Held while an instance lives. Renewing finds out whether the lock is still there, and takes it again where it was lost.
#[derive(Debug)]
pub struct Sign {
    key: i64,
    held: Option<PgConnection>,
}

impl Sign {
    /// Its key is made of the instance's id as [`workers_without_sign`](crate::query::jobs::workers_without_sign) makes it.
    #[must_use]
    pub fn of(instance: InstanceId) -> Self {
        let (_, low) = instance.0.as_u64_pair();
        Self { key: low.cast_signed(), held: None }
    }

    /// Sees to it that the lock is held; an error: it is not.
    pub async fn renew(&mut self, db: &Database) -> anyhow::Result<()> {
        if let Some(mut connection) = self.held.take() {
            timeout(PATIENCE, connection.ping()).await.context("no answer")??;
            self.held = Some(connection);
            return Ok(());
        }
        let pool = db.log().get_postgres_connection_pool();
        // Of its own: what it holds lasts as long as it does, and no query waits behind it.
        let mut connection = pool.acquire().await?.detach();
        let locking = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(self.key).fetch_one(&mut connection);
        let is_held: bool = timeout(PATIENCE, locking).await.context("no answer")??;
        anyhow::ensure!(is_held, "somebody looks at it");
        self.held = Some(connection);
        Ok(())
    }
}
