//! Console data: figures over time, instances and incidents.
//!
//! Every few seconds, each instance records its own counters and values from the database. The
//! values of several instances are merged into one row per minute, so the number of rows is
//! independent of the number of instances; days are aggregated from minutes once they are over.

mod draining;
mod figures;
mod incidents;
mod instances;
pub mod jobs;
mod profile;
pub mod setup;
mod users;

use std::{sync::Arc, time::Duration};

use appcore::{
    AppError,
    view::{Figures, FiguresRange, Instance},
};
use dbcontext::query::figures::{self as rows, Step};
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use self::instances::untrusted_proxies;
pub use self::{draining::set_draining, instances::host, profile::profile, users::user};
use self::{figures::FigureRecorder, incidents::IncidentMonitor};
use crate::OpsService;

/// Interval at which incidents are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Interval at which figures are recorded.
const RECORD_INTERVAL: Duration = Duration::from_secs(10);
/// Time without a report after which an instance counts as dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(25);

/// Records figures and incidents until the instance stops.
pub(crate) async fn run(service: Arc<OpsService>) {
    let mut looks = interval(CHECK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut noted_at = None;
    let (mut noted, mut watch) = (FigureRecorder::default(), IncidentMonitor::default());
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = service.stopping.cancelled() => break,
        }
        if watch.is_full() {
            watch.check_disk(&service);
        }
        watch.check(&service);
        if let Some(jump) = service.clock_monitor.check(service.clock.now()) {
            tracing::warn!("system clock was set {jump}");
        }
        let now = tokio::time::Instant::now();
        let is_due = noted_at.is_none_or(|at| now - at >= RECORD_INTERVAL);
        if !service.db.is_available() || !(is_due || watch.has_changes()) {
            continue;
        }
        if is_due {
            noted_at = Some(now);
            watch.check_disk(&service);
            if let Err(error) = record(&service, &mut noted, &mut watch).await {
                tracing::debug!(%error, "failed to record figures");
            }
        }
        if let Err(error) = watch.store(&service).await {
            tracing::debug!(%error, "failed to record incidents");
        }
    }
    let left = rows::delete_instance(service.db.writer(), service.instance_id).await;
    if let Err(error) = left {
        tracing::debug!(%error, "failed to deregister instance");
    }
}

async fn record(service: &OpsService, noted: &mut FigureRecorder, watch: &mut IncidentMonitor) -> Result<(), AppError> {
    // Each step runs even if another one has failed, because an instance whose state isn't
    // published would count as dead.
    let figures = noted.record(service).await;
    let counted = watch.check_jobs(service).await;
    let shown = instances::publish(service, noted.latency(), noted.delivery()).await;
    figures.and(counted).and(shown).and(incidents::remove_dead_instances(service).await)
}

/// Returns the figures of the period that ends now.
pub async fn figures(service: &OpsService, range: FiguresRange) -> Result<Figures, AppError> {
    figures::read(service, range).await
}

/// Lists the running instances, oldest first.
pub async fn instances(service: &OpsService) -> Result<Vec<Instance>, AppError> {
    instances::list(service).await
}

/// Time for which figures are kept. Figures per minute are kept for two days, so that they are
/// complete when their day is aggregated.
const RETENTION: [(Step, Duration); 2] =
    [(Step::Minute, Duration::from_secs(49 * 3_600)), (Step::Day, Duration::from_secs(400 * 86_400))];
