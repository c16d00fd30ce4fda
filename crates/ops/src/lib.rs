//! Operations: the data of the console, and the checks of `natter doctor`.
//!
//! Owns the rows of figures, instances and incidents. Reads the state of all domains. Only the
//! endpoints for administrators use this crate.

pub mod backups;
pub mod certificate;
pub mod checks;
pub mod console;
pub mod program;

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use billing::BillingService;
use event_log::EventLogService;
use files::FilesService;
use gateway::GatewayService;
use identity::IdentityService;
use message_search::SearchService;
use platform::{Core, host_health::ClockMonitor};

use crate::{backups::BackupMonitor, certificate::CertificateMonitor, program::Program};

/// Service of the operations domain. Dereferences to [`Core`].
pub struct OpsService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub events: Arc<EventLogService>,
    pub billing: Arc<BillingService>,
    pub files: Arc<FilesService>,
    pub gateway: Arc<GatewayService>,
    pub search: Arc<SearchService>,
    /// Interface to the program; set once the program is assembled.
    pub program: OnceLock<Box<dyn Program>>,
    /// State of the scheduled backups; `None` if none are configured.
    pub backups: Option<Arc<BackupMonitor>>,
    /// Certificate of `server.public_url`.
    pub certificate: CertificateMonitor,
    /// Cached results of the checks.
    checks: checks::CheckCache,
    /// Cached answers of the dependencies.
    answers: checks::quick::AnswerCache,
    /// Lock that allows one profile at a time.
    profiling: Arc<tokio::sync::Mutex<()>>,
    clock_monitor: ClockMonitor,
}

impl OpsService {
    pub fn build(search: Arc<SearchService>) -> Arc<Self> {
        let backups = BackupMonitor::of(&search.core.config, search.core.started_at).map(Arc::new);
        Arc::new(Self {
            core: Arc::clone(&search.core),
            identity: Arc::clone(&search.identity),
            events: Arc::clone(&search.events),
            billing: Arc::clone(&search.gateway.billing),
            files: Arc::clone(&search.files),
            gateway: Arc::clone(&search.gateway),
            search,
            program: OnceLock::new(),
            backups,
            certificate: CertificateMonitor::default(),
            checks: checks::CheckCache::default(),
            answers: checks::quick::AnswerCache::default(),
            profiling: Arc::default(),
            clock_monitor: ClockMonitor::default(),
        })
    }

    /// Records figures and incidents, and reads the certificate of `server.public_url`, until the
    /// instance stops.
    pub fn start(self: &Arc<Self>) {
        tokio::spawn(certificate::run(Arc::clone(self)));
        self.shutdown_tasks.spawn(console::run(Arc::clone(self)));
    }
}

impl Deref for OpsService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}
