//! The work pools of an instance: fair admission to work that one person could otherwise fill it with.

use std::{sync::Arc, time::Duration};

pub use appcore::work_pool::{PoolLimits, WorkOwner, WorkPool, WorkSlot};
use dbcontext::entity::job;

/// The pools of an instance, one per resource.
pub struct WorkPools {
    /// Searches and calculations of assistants: short work on blocking threads.
    pub compute: Arc<WorkPool>,
    /// Foreign data: documents, pages and pictures.
    pub parsing: Arc<WorkPool>,
    /// Downloads of everything that one person has written.
    pub export: Arc<WorkPool>,
    /// Uploads on the disk and in the database: a slot is held for one part of a file, or for one transaction. Each of them delays the database's
    /// other commits.
    pub disk: Arc<WorkPool>,
}

impl Default for WorkPools {
    fn default() -> Self {
        Self {
            compute: WorkPool::new(PoolLimits {
                slots: 8,
                per_person: 2,
                max_waiting: 16,
                max_wait: Duration::from_secs(5),
                sentence: "Too many searches or calculations are running on the server. Try again in 5 seconds.",
            }),
            parsing: WorkPool::new(PoolLimits {
                slots: 2,
                per_person: 1,
                max_waiting: 64,
                max_wait: Duration::from_secs(60),
                sentence: "Too many of your files are being processed. Try again in a minute.",
            }),
            export: WorkPool::new(PoolLimits {
                slots: 2,
                per_person: 1,
                max_waiting: 2,
                max_wait: Duration::from_secs(10),
                sentence: "Too many exports are running on the server. Try again in 10 seconds.",
            }),
            disk: WorkPool::new(PoolLimits {
                slots: 4,
                per_person: 1,
                // Parts wait without a limit: a part that waits keeps its file's sender from sending the next.
                max_waiting: usize::MAX,
                max_wait: Duration::MAX,
                sentence: "",
            }),
        }
    }
}

/// The person who asked for a job.
pub fn job_owner(claim: &job::Model) -> WorkOwner {
    claim.owner.map_or(WorkOwner::System, |user| WorkOwner::Person { user, workspace: claim.scope })
}
