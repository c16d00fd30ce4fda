//! Uploaded files and storage quotas: receiving, storage, images, text extraction and removal.
//!
//! Owns the rows and the objects of uploads. Foreign data is parsed only by the reader process of
//! the crate `extract`. Uses `billing` for storage quotas and `event-log` for access to
//! conversations; it doesn't know which features store files.

pub mod quotas;
pub mod uploads;

use std::{ops::Deref, sync::Arc};

use billing::BillingService;
use event_log::EventLogService;
use platform::Core;

use crate::uploads::Uploads;

/// State of uploads of an instance. Dereferences to [`Core`].
pub struct FilesService {
    pub core: Arc<Core>,
    pub events: Arc<EventLogService>,
    pub billing: Arc<BillingService>,
    pub uploads: Arc<Uploads>,
}

impl FilesService {
    /// Opens the file store.
    pub fn build(events: Arc<EventLogService>, billing: Arc<BillingService>) -> anyhow::Result<Arc<Self>> {
        let core = Arc::clone(&events.core);
        let uploads = Uploads::open(&core.config, Arc::clone(&core.work.disk))?;
        Ok(Arc::new(Self { core, events, billing, uploads }))
    }
}

impl Deref for FilesService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}
