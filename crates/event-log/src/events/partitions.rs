//! Partitions of the event log and the messages: converts the tables if `database.partitions` says
//! so, creates partitions ahead of time, and reports their number. Tables that are partitioned stay
//! so whatever the setting says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use appcore::{AppError, config::Partitions};
use dbcontext::{
    Database,
    query::partitions::{self, Layout, PartitionedTable, Progress},
};
use jobs::catch_panic;
use metrics::metrics;

use crate::EventLogService;

/// Interval between two checks whether a partition must be created, and whether another instance
/// has converted the tables. Rows reach a new partition weeks after its creation at the earliest.
const CHECK_INTERVAL: Duration = Duration::from_secs(3_600);
/// Delay before a step is tried again whose table was in use.
const RETRY_DELAY: Duration = Duration::from_secs(10);
/// Number of failed attempts between two warnings.
const ATTEMPTS_PER_WARNING: u32 = 30;
/// Number of attempts to remove a constraint before the instance starts nevertheless.
const MAX_START_ATTEMPTS: u32 = 5;

/// Whether the messages are partitioned. Then the database no longer refuses a `client_id` that
/// exists in another partition, so the writer looks for it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct MessagePartitions(Arc<AtomicBool>);

impl MessagePartitions {
    pub(super) fn exist(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Reads the state of the tables before the first message is written. Removes the constraint of
    /// an unfinished conversion if messages would soon violate it.
    pub(crate) async fn load(db: &Database, setting: Partitions) -> Result<Self, AppError> {
        let loaded = Self::default();
        if db.is_sqlite() {
            return Ok(loaded);
        }
        for table in PartitionedTable::ALL {
            for _ in 0..MAX_START_ATTEMPTS {
                match partitions::remove_cutover(db, table, setting == Partitions::Monthly).await? {
                    Progress::Locked | Progress::Elsewhere => tokio::time::sleep(Duration::from_secs(1)).await,
                    Progress::Complete | Progress::Advanced | Progress::FutureRows(_) => break,
                }
            }
        }
        loaded.refresh(db).await?;
        if loaded.exist() && setting == Partitions::None {
            tracing::info!("database.partitions is none, but the tables stay partitioned");
        }
        Ok(loaded)
    }

    async fn refresh(&self, db: &Database) -> Result<(), AppError> {
        for table in PartitionedTable::ALL {
            let layout = partitions::layout(db.writer(), table).await?;
            let count = match &layout {
                Layout::Plain { .. } => 0,
                Layout::Partitioned(partitions) => partitions.len(),
            };
            metrics().events.set_partitions(table.name(), count);
            if table == PartitionedTable::Messages {
                self.0.store(layout.is_partitioned(), Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// Converts the tables and creates partitions until the task is aborted.
pub(crate) async fn run(service: Arc<EventLogService>) {
    let mut attempts = 0;
    loop {
        let warns = attempts % ATTEMPTS_PER_WARNING == 0;
        let is_waiting = match catch_panic(maintain(&service, warns)).await {
            Ok(is_complete) => !is_complete,
            Err(error) => {
                if warns && service.db.is_available() {
                    tracing::warn!(%error, "failed to maintain partitions");
                }
                true
            }
        };
        attempts = if is_waiting { attempts + 1 } else { 0 };
        tokio::time::sleep(if is_waiting { RETRY_DELAY } else { CHECK_INTERVAL }).await;
    }
}

/// Does what is due. Returns whether nothing is left to do.
async fn maintain(service: &EventLogService, warns: bool) -> Result<bool, AppError> {
    let converts = service.config.database.partitions == Partitions::Monthly;
    let (mut is_complete, mut is_blocked) = (true, false);
    for table in PartitionedTable::ALL {
        let progress = loop {
            match partitions::advance(&service.db, table, converts).await? {
                Progress::Advanced => {}
                progress => break progress,
            }
        };
        is_complete &= progress == Progress::Complete;
        is_blocked |= matches!(progress, Progress::Locked | Progress::FutureRows(_));
        match progress {
            Progress::Locked if warns => {
                tracing::warn!(table = table.name(), "partitioning blocked by a table in use, retrying");
            }
            Progress::FutureRows(time) if warns => {
                tracing::warn!(table = table.name(), %time, "partitioning blocked by rows with a time in the future");
            }
            _ => {}
        }
    }
    metrics().events.set_partitioning_blocked(is_blocked);
    service.writer.partitions().refresh(&service.db).await?;
    Ok(is_complete)
}
