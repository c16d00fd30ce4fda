//! Workers: claim jobs and run each to its end.
//!
//! On each instance, one dispatcher claims the jobs for all workers. The bus wakes it when a job is
//! enqueued on any instance. In addition, it polls every second, because leases expire without a
//! message and messages on the bus can be lost. The kinds of jobs are claimed in turn.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use anyhow::anyhow;
use appcore::{
    AppError, UserId,
    config::{Config, Role},
    event::{BusMessage, Listener, Signal},
};
use dashmap::DashMap;
use dbcontext::{
    entity::job,
    query::{self, jobs::DueKind},
};
use futures_util::FutureExt as _;
use metrics::metrics;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Host, JobContext, JobOutcome, JobRegistration, Lease, kind, lease::LEASE_DURATION, liveness, wake_workers,
};

/// Polling interval of an idle dispatcher.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of attempts that crashed, in addition to those that failed. Above it, the job
/// becomes a dead letter, because it may be the cause of the crashes.
const MAX_CRASHES: u32 = 8;
/// Maximum time for returning jobs to the queue at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Workers of this instance.
#[derive(Debug)]
pub struct Workers {
    draining: CancellationToken,
    tasks: TaskTracker,
}

/// Starts the workers. An instance with the role `web` has none.
pub fn start_workers<H: Host>(host: Arc<H>, kinds: &'static [JobRegistration<H>]) -> Workers {
    let workers = Workers { draining: CancellationToken::new(), tasks: TaskTracker::new() };
    if host.config().server.role != Role::Web {
        let wake = Arc::new(Notify::new());
        let listener = host.bus().subscribe();
        workers.tasks.spawn(listen(Arc::clone(&host), listener, Arc::clone(&wake), workers.draining.clone()));
        let places = JobSlots::new(kinds, host.config());
        workers.tasks.spawn(dispatch_jobs(host, places, wake, workers.draining.clone(), workers.tasks.clone()));
    }
    workers
}

impl Workers {
    /// Stops claiming jobs and returns running ones to the queue, so that other instances can claim
    /// them at once.
    pub async fn drain(self) {
        self.draining.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("failed to return all jobs in time, leaving them to lease expiry");
        }
    }
}

async fn listen(host: Arc<impl Host>, mut listener: Listener, wake: Arc<Notify>, draining: CancellationToken) {
    loop {
        let message = tokio::select! {
            message = listener.recv() => message,
            () = draining.cancelled() => return,
        };
        match message {
            Some(BusMessage::Signal(Signal::JobsWaiting)) => wake.notify_one(),
            Some(BusMessage::Signal(signal)) => host.on_signal(signal),
            Some(_) => {}
            None => return,
        }
    }
}

async fn dispatch_jobs<H: Host>(
    host: Arc<H>,
    mut places: JobSlots<H>,
    wake: Arc<Notify>,
    draining: CancellationToken,
    tasks: TaskTracker,
) {
    let db = host.db();
    // On SQLite this process is the only one. Workers of earlier runs are dead, so there is no need
    // to wait until their leases expire.
    if db.is_sqlite()
        && let Err(error) = query::jobs::release_all(db.writer()).await
    {
        tracing::warn!(%error, "failed to release jobs of the last run");
    }
    if !db.is_sqlite() {
        let sign = liveness::acquire_lock(&*host).await;
        // Runs until the program ends, because jobs that are being returned to the queue still
        // belong to this instance.
        tokio::spawn(liveness::monitor(Arc::clone(&host), sign));
    }
    if let Err(error) = query::jobs::unblock_all(db.writer()).await {
        tracing::warn!(%error, "failed to unblock jobs left over by a crash");
    }
    while !draining.is_cancelled() {
        match claim_next(&*host, &mut places).await {
            Ok(Some(taken)) => {
                tasks.spawn(run_job(Arc::clone(&host), taken, draining.clone(), Arc::clone(&wake)));
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "failed to claim job"),
        }
        // A job that has finished wakes the dispatcher as well, because it frees a slot.
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            () = draining.cancelled() => return,
        }
    }
}

/// Concurrency limits of all kinds. The kind from which a job was claimed last is at the end.
struct JobSlots<H: 'static>(Vec<(&'static JobRegistration<H>, KindSlots)>);

/// Concurrency limit of one kind.
struct KindSlots {
    free: Arc<Semaphore>,
    per_user: usize,
    /// Number of running jobs per user.
    running: Arc<DashMap<UserId, usize>>,
}

/// Slot of a running job, released on drop.
struct JobSlot {
    _permit: OwnedSemaphorePermit,
    running: Arc<DashMap<UserId, usize>>,
    owner: Option<UserId>,
}

impl Drop for JobSlot {
    fn drop(&mut self) {
        let Some(owner) = self.owner else { return };
        self.running.remove_if_mut(&owner, |_, count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
    }
}

impl<H> JobSlots<H> {
    fn new(kinds: &'static [JobRegistration<H>], config: &Config) -> Self {
        let places = |kind: &'static JobRegistration<H>| {
            let free = Arc::new(Semaphore::new((kind.max_concurrent)(config)));
            (kind, KindSlots { free, per_user: (kind.max_concurrent_per_user)(config), running: Arc::default() })
        };
        Self(kinds.iter().filter(|kind| config.jobs.runs(kind.name)).map(places).collect())
    }

    /// Returns the kinds that have a free slot.
    fn free_kinds(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, places)| places.free.available_permits() > 0).map(|(kind, _)| kind.name).collect()
    }

    /// Returns the users who have as many running jobs of this kind as a user may have.
    fn saturated_users(&self, name: &str) -> Vec<UserId> {
        let Some((_, places)) = self.0.iter().find(|(kind, _)| kind.name == name) else { return Vec::new() };
        places.running.iter().filter(|taken| *taken.value() >= places.per_user).map(|taken| *taken.key()).collect()
    }

    /// Takes a slot and moves the kind to the end. Without this rotation, a kind whose jobs finish
    /// as fast as they are claimed would never run out of slots, and a thousand such jobs would
    /// block all kinds behind it.
    fn acquire(&mut self, name: &str, owner: Option<UserId>) -> Option<(&'static JobRegistration<H>, JobSlot)> {
        let at = self.0.iter().position(|(kind, _)| kind.name == name)?;
        self.0[at..].rotate_left(1);
        let (kind, places) = self.0.last()?;
        let permit = Arc::clone(&places.free).try_acquire_owned().ok()?;
        if let Some(owner) = owner {
            *places.running.entry(owner).or_default() += 1;
        }
        Some((kind, JobSlot { _permit: permit, running: Arc::clone(&places.running), owner }))
    }
}

/// Claimed job that holds a slot.
struct ClaimedJob<H: 'static> {
    kind: &'static JobRegistration<H>,
    claim: job::Model,
    lease: Lease,
    slot: JobSlot,
}

/// Claims a job of a kind that has a free slot. Jobs of kinds that this version doesn't know are
/// left for a newer version.
async fn claim_next<H: Host>(host: &H, places: &mut JobSlots<H>) -> Result<Option<ClaimedJob<H>>, AppError> {
    let (db, free) = (host.db(), places.free_kinds());
    if free.is_empty() || !db.is_available() {
        return Ok(None);
    }
    for DueKind { kind, awaits_turns } in query::jobs::due_kinds(db.reader(), &free).await? {
        if awaits_turns {
            query::jobs::assign_turns(db.writer(), kind).await?;
        }
        let asked = Instant::now();
        let busy = places.saturated_users(kind);
        let claimed = query::jobs::claim(db.writer(), (kind, &busy), host.instance_id(), LEASE_DURATION).await?;
        let Some(claim) = claimed else { continue };
        // Only this task takes slots, so the slot that was free before the claim is still free.
        return Ok(places.acquire(kind, claim.owner).map(|(kind, place)| ClaimedJob {
            kind,
            lease: Lease::new(&claim, asked),
            claim,
            slot: place,
        }));
    }
    Ok(None)
}

/// Runs a claimed job until it ends or is returned to the queue.
async fn run_job<H: Host>(host: Arc<H>, taken: ClaimedJob<H>, draining: CancellationToken, wake: Arc<Notify>) {
    let ClaimedJob { kind, claim, lease, slot: place } = taken;
    let begun = Instant::now();
    let span = kind::job_span(&claim);
    let ended = if failures(&claim) > host.config().jobs.max_attempts.saturating_add(MAX_CRASHES) {
        Ok(JobOutcome::DeadLettered("too many crashed attempts".to_owned()))
    } else {
        // Catches a panic. Otherwise the lease would expire and the job would be claimed again and
        // again.
        let run = (kind.run)(JobContext { state: &*host, claim: &claim, lease: &lease, draining: &draining });
        span.scope(catch_panic(run)).await
    };
    if !matches!(ended, Ok(JobOutcome::Done | JobOutcome::Requeued)) {
        span.fail(outcome_label(&ended));
    }
    drop(span);
    metrics().jobs.record_attempt(kind.name, outcome_label(&ended), begun.elapsed());
    if let Err(error) = store_outcome(&*host, &claim, ended).await {
        // The lease expires, and another worker runs the job again.
        tracing::warn!(%error, job = %claim.id, "failed to store job outcome");
    }
    drop(place);
    // Another job may be waiting for this slot or for this concurrency key.
    wake.notify_one();
}

/// Returns the number of attempts that have not ended the job, including this one.
fn failures(claim: &job::Model) -> u32 {
    claim.attempt.saturating_sub(claim.attempts_before).unsigned_abs()
}

/// Runs a future and converts a panic to an error.
pub async fn catch_panic<T>(work: impl Future<Output = Result<T, AppError>>) -> Result<T, AppError> {
    // The future is dropped after a panic, together with all state that the panic may have left
    // inconsistent.
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|cause| Err(panic_error(&*cause)))
}

fn panic_error(cause: &(dyn Any + Send)) -> AppError {
    let said = cause.downcast_ref::<&str>().copied().or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    AppError::internal(anyhow!("panicked: {}", said.unwrap_or("no message")))
}

const fn outcome_label(ended: &Result<JobOutcome, AppError>) -> &'static str {
    match ended {
        Ok(JobOutcome::Done) => "done",
        Ok(JobOutcome::Lost) => "lost",
        Ok(JobOutcome::Suspended) => "aside",
        Ok(JobOutcome::DeadLettered(_)) => "hopeless",
        Ok(JobOutcome::Requeued) => "handed_on",
        Err(_) => "failed",
    }
}

async fn store_outcome(
    host: &impl Host,
    claim: &job::Model,
    ended: Result<JobOutcome, AppError>,
) -> Result<(), AppError> {
    let db = host.db();
    let (id, attempt) = (claim.id, claim.attempt);
    match ended {
        Ok(JobOutcome::Lost) => tracing::info!(job = %id, "job taken over by another worker"),
        Ok(JobOutcome::Suspended) => tracing::debug!(job = %id, "job suspended"),
        Ok(JobOutcome::Done) => _ = query::jobs::finish(db, id, attempt).await?,
        Ok(JobOutcome::DeadLettered(reason)) => {
            tracing::error!(reason, job = %id, kind = claim.kind, "job dead-lettered");
            query::jobs::dead_letter(db, id, attempt, &reason).await?;
        }
        Ok(JobOutcome::Requeued) => {
            query::jobs::release(db, id, attempt).await?;
            wake_workers(host.bus());
            tracing::info!(job = %id, "job returned to queue");
        }
        Err(error) => {
            let failures = failures(claim);
            tracing::error!(%error, job = %id, kind = claim.kind, failures, "job failed");
            match host.config().jobs.backoff_after(failures) {
                Some(wait) => query::jobs::postpone(db, id, attempt, wait, &error.to_string()).await?,
                None => query::jobs::dead_letter(db, id, attempt, &error.to_string()).await?,
            };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use appcore::{
        InstanceId, Timestamp, UserId, WorkspaceId,
        config::load_core,
        event::{EventBus, MemoryBus},
        view::JobStatus,
    };
    use dbcontext::Database;
    use migration::{Migrator, MigratorTrait as _};
    use serde::{Deserialize, Serialize};
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;
    use crate::{Job, JobPayload, enqueue};

    #[tokio::test]
    async fn panics_become_errors() {
        async fn work(is_broken: bool) -> Result<(), AppError> {
            assert!(!is_broken, "a bug");
            Ok(())
        }
        assert!(catch_panic(work(false)).await.is_ok());
        let error = catch_panic(work(true)).await.unwrap_err();
        assert!(error.to_string().contains("a bug"), "{error}");
    }

    /// Host with two kinds of jobs.
    struct Program {
        db: Database,
        bus: MemoryBus,
        config: Config,
        id: InstanceId,
        _folder: TempDir,
    }

    impl Host for Program {
        fn db(&self) -> &Database {
            &self.db
        }

        fn bus(&self) -> &dyn EventBus {
            &self.bus
        }

        fn config(&self) -> &Config {
            &self.config
        }

        fn instance_id(&self) -> InstanceId {
            self.id
        }

        fn on_signal(&self, _: Signal) {}
    }

    #[derive(Serialize, Deserialize)]
    struct Easy {
        id: Uuid,
    }

    impl JobPayload for Easy {
        const KIND: &'static str = "easy";

        fn concurrency_key(&self) -> String {
            self.id.to_string()
        }

        fn subject(&self) -> Uuid {
            self.id
        }
    }

    impl AsRef<Self> for Program {
        fn as_ref(&self) -> &Self {
            self
        }
    }

    impl Job<Program> for Easy {
        async fn run(self, _: JobContext<'_, Program>) -> Result<JobOutcome, AppError> {
            Ok(JobOutcome::Done)
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Broken {
        id: Uuid,
    }

    impl JobPayload for Broken {
        const KIND: &'static str = "broken";

        fn concurrency_key(&self) -> String {
            self.id.to_string()
        }

        fn subject(&self) -> Uuid {
            self.id
        }
    }

    impl Job<Program> for Broken {
        async fn run(self, work: JobContext<'_, Program>) -> Result<JobOutcome, AppError> {
            assert_eq!(work.claim.kind, Easy::KIND, "not an easy job");
            Ok(JobOutcome::Done)
        }
    }

    const KINDS: &[JobRegistration<Program>] =
        &[JobRegistration::of::<Easy, Program>(), JobRegistration::of::<Broken, Program>()];

    async fn program() -> Arc<Program> {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/natter.db", folder.path().display());
        let db = Database::connect(&url, 2).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        let data = folder.path().display().to_string();
        let settings = [("NATTER__DATABASE__URL", url), ("NATTER__SERVER__DATA_DIR", data)];
        let environment = settings.map(|(key, value)| (OsString::from(key), OsString::from(value)));
        let config = load_core(None, environment).unwrap().config;
        Arc::new(Program { db, bus: MemoryBus::new(), config, id: InstanceId::new(), _folder: folder })
    }

    async fn ask_for(program: &Program, job: impl JobPayload) {
        enqueue(program.db.writer(), Timestamp(0), &job).await.unwrap();
    }

    #[tokio::test]
    async fn panicking_job_is_retried_on_schedule() {
        let (program, draining, wake) = (program().await, CancellationToken::new(), Arc::new(Notify::new()));
        ask_for(&program, Broken { id: Uuid::now_v7() }).await;
        let mut places = JobSlots::new(KINDS, &program.config);
        let taken = claim_next(&*program, &mut places).await.unwrap().unwrap();
        let id = taken.claim.id;
        run_job(Arc::clone(&program), taken, draining, wake).await;
        assert!(claim_next(&*program, &mut places).await.unwrap().is_none(), "the job is retried later");
        let job = query::job_list::find(program.db.reader(), id).await.unwrap().unwrap();
        assert!(job.error.is_some_and(|error| error.contains("not an easy job")));
    }

    #[tokio::test]
    async fn job_is_dead_lettered_after_too_many_crashes() {
        let (program, draining, wake) = (program().await, CancellationToken::new(), Arc::new(Notify::new()));
        ask_for(&program, Easy { id: Uuid::now_v7() }).await;
        let mut places = JobSlots::new(KINDS, &program.config);
        // The claims end without an outcome, as if the workers had crashed.
        for _ in 0..program.config.jobs.max_attempts + MAX_CRASHES {
            assert!(claim_next(&*program, &mut places).await.unwrap().is_some());
            assert!(query::jobs::release_all(program.db.writer()).await.unwrap());
        }
        let last = claim_next(&*program, &mut places).await.unwrap().unwrap();
        let id = last.claim.id;
        run_job(Arc::clone(&program), last, draining, wake).await;
        let job = query::job_list::find(program.db.reader(), id).await.unwrap().unwrap();
        assert_eq!(job.status, JobStatus::Dead);
    }

    #[tokio::test]
    async fn jobs_of_one_user_leave_slots_to_others() {
        let program = program().await;
        let (greedy, other, workspace) = (UserId::new(), UserId::new(), WorkspaceId::new());
        for owner in [[greedy; 10].as_slice(), &[other]].concat() {
            let job = Easy { id: Uuid::now_v7() };
            crate::enqueue_for(program.db.writer(), Timestamp(0), &job, (owner, workspace)).await.unwrap();
        }
        let mut places = JobSlots::new(KINDS, &program.config);
        let mut running = Vec::new();
        while let Some(taken) = claim_next(&*program, &mut places).await.unwrap() {
            running.push(taken);
        }
        let of = |running: &[ClaimedJob<Program>], owner| {
            running.iter().filter(|taken| taken.claim.owner == Some(owner)).count()
        };
        assert_eq!((of(&running, greedy), of(&running, other)), (4, 1), "one user gets half of the 8 slots");
        let at = running.iter().position(|taken| taken.claim.owner == Some(greedy)).unwrap();
        drop(running.remove(at));
        running.push(claim_next(&*program, &mut places).await.unwrap().unwrap());
        assert!(of(&running, greedy) == 4 && claim_next(&*program, &mut places).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn claims_only_the_chosen_kinds() {
        let program = program().await;
        ask_for(&program, Easy { id: Uuid::now_v7() }).await;
        ask_for(&program, Broken { id: Uuid::now_v7() }).await;
        let mut config = program.config.clone();
        config.jobs.kinds = vec!["*".to_owned(), "!easy".to_owned()];
        let mut places = JobSlots::new(KINDS, &config);
        let taken = claim_next(&*program, &mut places).await.unwrap().unwrap();
        assert_eq!(taken.kind.name, Broken::KIND);
        assert!(
            claim_next(&*program, &mut places).await.unwrap().is_none(),
            "the other one is left to other instances"
        );
    }

    #[tokio::test]
    async fn fast_kind_does_not_block_others() {
        let program = program().await;
        for _ in 0..3 {
            ask_for(&program, Easy { id: Uuid::now_v7() }).await;
        }
        ask_for(&program, Broken { id: Uuid::now_v7() }).await;
        let mut places = JobSlots::new(KINDS, &program.config);
        let mut claimed = Vec::new();
        while let Some(taken) = claim_next(&*program, &mut places).await.unwrap() {
            claimed.push(taken.kind.name);
        }
        assert_eq!(claimed, [Easy::KIND, Broken::KIND, Easy::KIND, Easy::KIND]);
    }
}
