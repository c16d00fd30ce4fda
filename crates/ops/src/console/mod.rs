//! What the console tells of the installation: figures over time, the instances, and what was wrong.
//!
//! Each instance [notes](keep) every few seconds what it counted and what it sees in the database. The values of several instances become one row for
//! each minute, so the rows are as many however many instances there are; days are put together from minutes once they are over.

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

use self::{figures::Noted, incidents::Watch};
pub use self::{profile::profile, users::user};
use crate::OpsService;

/// How often an instance looks whether something is wrong.
const LOOK: Duration = Duration::from_secs(1);
/// How often it notes its figures.
const NOTE: Duration = Duration::from_secs(10);
/// How long an instance is silent until it counts as gone.
const GONE: Duration = Duration::from_secs(25);

/// Notes what this instance sees, until it is told to stop.
pub(crate) async fn keep(service: Arc<OpsService>) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut noted_at = None;
    let (mut noted, mut watch) = (Noted::default(), Watch::default());
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = service.stopping.cancelled() => break,
        }
        if watch.is_full() {
            watch.look_at_disk(&service);
        }
        watch.look(&service);
        if let Some(jump) = service.clock_watch.look(service.clock.now()) {
            tracing::warn!("the clock of this machine was set {jump}");
        }
        let now = tokio::time::Instant::now();
        let is_due = noted_at.is_none_or(|at| now - at >= NOTE);
        if !service.db.is_available() || !(is_due || watch.has_news()) {
            continue;
        }
        if is_due {
            noted_at = Some(now);
            watch.look_at_disk(&service);
            if let Err(error) = note(&service, &mut noted, &mut watch).await {
                tracing::debug!(%error, "figures could not be noted");
            }
        }
        if let Err(error) = watch.write(&service).await {
            tracing::debug!(%error, "what was wrong could not be noted");
        }
    }
    let left = rows::delete_instance(service.db.writer(), service.instance_id).await;
    if let Err(error) = left {
        tracing::debug!(%error, "this instance stays in the list until it counts as gone");
    }
}

async fn note(service: &OpsService, noted: &mut Noted, watch: &mut Watch) -> Result<(), AppError> {
    // One that fails keeps no other: an instance that isn't shown counts as gone.
    let figures = noted.note(service).await;
    let counted = watch.count(service).await;
    let shown = instances::show(service, noted.latency(), noted.delivery()).await;
    figures.and(counted).and(shown).and(incidents::bury(service).await)
}

/// The figures of a time that ends now.
pub async fn figures(service: &OpsService, range: FiguresRange) -> Result<Figures, AppError> {
    figures::read(service, range).await
}

/// The instances that run, the eldest first.
pub async fn instances(service: &OpsService) -> Result<Vec<Instance>, AppError> {
    instances::list(service).await
}

/// Minutes are kept for two days, so that a day is whole when it is put together.
const KEPT: [(Step, Duration); 2] =
    [(Step::Minute, Duration::from_secs(49 * 3_600)), (Step::Day, Duration::from_secs(400 * 86_400))];
