//! Work pools of an instance: fair admission to work with which one user could saturate it.

use std::{sync::Arc, time::Duration};

pub use appcore::work_pool::{PoolLimits, WorkOwner, WorkPool, WorkSlot};
use dbcontext::entity::job;

/// Work pools of an instance, one per resource.
pub struct WorkPools {
    /// Searches and calculations of assistants: short work on blocking threads.
    pub compute: Arc<WorkPool>,
    /// Parsing of untrusted data: documents, pages and pictures.
    pub parsing: Arc<WorkPool>,
    /// Exports of all data of a user.
    pub export: Arc<WorkPool>,
    /// Uploads, which use the disk and the database. A slot is held for one chunk of a file or for
    /// one transaction, each of which delays other commits of the database.
    pub disk: Arc<WorkPool>,
}

impl Default for WorkPools {
    fn default() -> Self {
        Self {
            compute: WorkPool::new(PoolLimits {
                slots: 8,
                per_user: 2,
                max_waiting: 16,
                max_wait: Duration::from_secs(5),
                sentence: "Too many searches or calculations are running on the server. Try again in 5 seconds.",
            }),
            parsing: WorkPool::new(PoolLimits {
                slots: 2,
                per_user: 1,
                max_waiting: 64,
                max_wait: Duration::from_secs(60),
                sentence: "Too many of your files are being processed. Try again in a minute.",
            }),
            export: WorkPool::new(PoolLimits {
                slots: 2,
                per_user: 1,
                max_waiting: 2,
                max_wait: Duration::from_secs(10),
                sentence: "Too many exports are running on the server. Try again in 10 seconds.",
            }),
            disk: WorkPool::new(PoolLimits {
                slots: 4,
                per_user: 1,
                // The number of waiting chunks is not limited: a sender sends its next chunk only
                // after the previous one was stored.
                max_waiting: usize::MAX,
                max_wait: Duration::MAX,
                sentence: "",
            }),
        }
    }
}

/// Owner of a job.
pub fn job_owner(claim: &job::Model) -> WorkOwner {
    claim.owner.map_or(WorkOwner::System, |user| WorkOwner::User { user, workspace: claim.scope })
}
