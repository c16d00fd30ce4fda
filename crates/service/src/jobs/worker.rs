//! Workers: they claim jobs and see to it that each ends.
//!
//! One dispatcher per instance claims for all its workers. It is woken by the bus when a job was asked for on any instance, and
//! looks by itself every second, for leases that ran out and for news that got lost.

use std::{sync::Arc, time::Duration};

use appcore::{
    AppError,
    config::Role,
    event::{BusMessage, Listener, Signal},
};
use dbcontext::{entity::job, query};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    kind::{Ended, KINDS, Kind, Work},
    lease::{LEASE, Lease},
};
use crate::App;

/// How often an idle dispatcher looks for jobs that nobody told it of.
const POLL: Duration = Duration::from_secs(1);
/// How long the end of the program waits for jobs to be given back.
const DRAIN: Duration = Duration::from_secs(5);
/// When a job is tried again that could not be brought to an end; after the last, it is a dead letter.
const SCHEDULE: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(600), Duration::from_secs(3_600), Duration::from_secs(86_400)];

/// The workers of this instance.
#[derive(Debug)]
pub struct Workers {
    draining: CancellationToken,
    tasks: TaskTracker,
}

/// Starts the workers; an instance with the role `web` has none.
pub fn start_workers(app: Arc<App>) -> Workers {
    let workers = Workers { draining: CancellationToken::new(), tasks: TaskTracker::new() };
    if app.config.server.role != Role::Web {
        let wake = Arc::new(Notify::new());
        let listener = app.bus.listen();
        workers.tasks.spawn(listen(Arc::clone(&app), listener, Arc::clone(&wake), workers.draining.clone()));
        workers.tasks.spawn(dispatch(app, wake, workers.draining.clone(), workers.tasks.clone()));
    }
    workers
}

impl Workers {
    /// Claims nothing more and gives back what is being worked on, so that other instances take it at once.
    pub async fn drain(self) {
        self.draining.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("not every job could be handed on; their leases run out");
        }
    }
}

/// Hears what other parts, here and on other instances, want of the workers.
async fn listen(app: Arc<App>, mut listener: Listener, wake: Arc<Notify>, draining: CancellationToken) {
    loop {
        let message = tokio::select! {
            message = listener.recv() => message,
            () = draining.cancelled() => return,
        };
        match message {
            Some(BusMessage::Signal(Signal::JobsWaiting)) => wake.notify_one(),
            Some(BusMessage::Signal(Signal::StopGeneration(answer))) => app.assistants.stop_here(answer),
            Some(_) => {}
            None => return,
        }
    }
}

async fn dispatch(app: Arc<App>, wake: Arc<Notify>, draining: CancellationToken, tasks: TaskTracker) {
    // SQLite has this one process: whoever worked on a job died, and nobody need wait for the lease to run out.
    if app.db.is_sqlite()
        && let Err(error) = query::jobs::release_all(app.db.writer()).await
    {
        tracing::warn!(%error, "the jobs of the last run wait until their leases run out");
    }
    let places = Arc::new(Semaphore::new(app.config.ai.workers));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = draining.cancelled() => return,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { return };
        match next(&app).await {
            Ok(Some((claim, lease))) => {
                tasks.spawn(work(Arc::clone(&app), claim, lease, draining.clone(), place, Arc::clone(&wake)));
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "no job could be claimed"),
        }
        drop(place);
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(POLL) => {}
            () = draining.cancelled() => return,
        }
    }
}

async fn next(app: &App) -> Result<Option<(job::Model, Lease)>, AppError> {
    if !query::jobs::any_due(app.db.reader()).await? {
        return Ok(None);
    }
    let asked = Instant::now();
    let claim = query::jobs::claim(app.db.writer(), app.instance_id, LEASE).await?;
    Ok(claim.map(|claim| {
        let lease = Lease::new(&claim, asked);
        (claim, lease)
    }))
}

/// Works on a claimed job and brings it to its end, or back among the waiting.
async fn work(
    app: Arc<App>,
    claim: job::Model,
    lease: Lease,
    draining: CancellationToken,
    place: OwnedSemaphorePermit,
    wake: Arc<Notify>,
) {
    let kind = KINDS.iter().find(|kind| kind.name == claim.kind);
    let ended = match kind {
        Some(kind) => (kind.run)(Work { app: &app, claim: &claim, lease: &lease, draining: &draining }).await,
        None => Err(AppError::internal(anyhow::anyhow!("no worker knows jobs of the kind {:?}", claim.kind))),
    };
    if let Err(error) = conclude(&app, &claim, kind, ended).await {
        // The lease runs out, and somebody starts over.
        tracing::warn!(%error, job = %claim.id, "a job's end could not be stored");
    }
    drop(place);
    // Another job may have waited for this one's lane.
    wake.notify_one();
}

async fn conclude(
    app: &App,
    claim: &job::Model,
    kind: Option<&Kind>,
    ended: Result<Ended, AppError>,
) -> Result<(), AppError> {
    let db = app.db.writer();
    let (id, attempt) = (claim.id, claim.attempt);
    match ended {
        Ok(Ended::Lost) => tracing::info!(job = %id, "another worker has the job"),
        Ok(Ended::Done) if kind.is_some_and(|kind| kind.leaves_nothing) => {
            query::jobs::remove(db, id, attempt).await?;
        }
        Ok(Ended::Done) => _ = query::jobs::finish(db, id, attempt).await?,
        Ok(Ended::Hopeless(reason)) => {
            tracing::error!(reason, job = %id, kind = claim.kind, "a job can't be done");
            query::jobs::bury(db, id, attempt, &reason).await?;
        }
        Ok(Ended::HandedOn) => {
            query::jobs::release(db, id, attempt).await?;
            drop(app.bus.publish(vec![BusMessage::Signal(Signal::JobsWaiting)]));
            tracing::info!(job = %id, "a job was handed on");
        }
        Err(error) => {
            tracing::error!(%error, job = %id, kind = claim.kind, attempt, "a job failed");
            let tried = usize::try_from(attempt).unwrap_or(0).saturating_sub(1);
            match SCHEDULE.get(tried) {
                Some(&wait) => query::jobs::postpone(db, id, attempt, wait, &error.to_string()).await?,
                None => query::jobs::bury(db, id, attempt, &error.to_string()).await?,
            };
        }
    }
    Ok(())
}
