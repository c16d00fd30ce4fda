//! Fair write lock: grants writes in the order in which they were requested.
//!
//! SQLite has one writer at a time and lets the others poll every few milliseconds, in no
//! particular order. While batches are committed without a pause, another writer could starve for
//! seconds.

use std::sync::Arc;

use sea_orm::{ConnAcquireErr, DbErr};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::availability::ACQUIRE_TIMEOUT;

#[derive(Clone, Debug, Default)]
pub(crate) struct WriteLock(Arc<Mutex<()>>);

/// Guard of the write lock.
pub(crate) type WriteGuard = OwnedMutexGuard<()>;

impl WriteLock {
    pub async fn acquire(&self) -> Result<WriteGuard, DbErr> {
        tokio::time::timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.0).lock_owned())
            .await
            .map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
    }
}
