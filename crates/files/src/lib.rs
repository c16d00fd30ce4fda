//! Uploaded files and storage quotas: receiving, storage, images, text extraction and removal.
//!
//! Owns the database rows and the stored objects of uploads. Untrusted data is parsed only in the
//! separate process of the crate `extract`. Uses the crate `billing` for storage quotas and
//! `event-log` for access to conversations. The features that store files are in other crates.

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
    /// Opens the file store and creates the service.
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
