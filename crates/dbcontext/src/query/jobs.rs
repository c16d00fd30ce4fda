//! Durable jobs: claimed with a lease by one worker, and by another one after the lease has
//! expired.
//!
//! A claim is identified by the job's id and the attempt number. Every change states both, so a
//! worker that was presumed dead can no longer change the job. All times come from the database's
//! clock, because the clocks of two instances differ.
//!
//! Jobs that were requested by users are claimed *in turn* (fair queueing): in round 1 the first
//! job of each user, in round 2 the second job of each user, and so on. Within a round, the first
//! job of each workspace precedes the second job of any workspace. A job's position is fixed when
//! it is inserted (`turn`, `scope_turn`): after the last job of its owner, and not before the round
//! that is being claimed. So a user with thousands of queued jobs delays only their own jobs. A job
//! with a later start time gets its position when it is due ([`assign_turns`]). Jobs without an
//! owner, and retried jobs, have no `turn` and are claimed when they are due.
//!
//! A claim skips the jobs of users who have reached their limit of running jobs on the claiming
//! instance: otherwise the jobs of one user could occupy all workers, and everyone else would wait
//! despite the fair order.
//!
//! At most one job per concurrency key runs at a time, enforced by a unique index. A claim that
//! meets a job whose key is taken blocks the job (`is_blocked`) so that the next claim skips it.
//! When the running job ends, one blocked job with its key is unblocked. So a claim reads a few
//! rows of an index, however long the queue is.

use std::time::Duration;

use appcore::{AppError, InstanceId, JobId, Timestamp, UserId, WorkspaceId};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Value};
use uuid::Uuid;

use super::{
    pieces::Piece,
    raw,
    rows::{Column, Rows},
};
use crate::{
    Database,
    constraint::{app_error, unique_violation},
    entity::job::Model,
};

/// Maximum number of jobs to which one statement assigns positions.
const MAX_TURNS_PER_STATEMENT: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    pub kind: &'static str,
    /// Concurrency key: jobs with the same key run one at a time.
    pub concurrency_key: String,
    /// Id of the entity the job is about; indexed for look-ups.
    pub subject: Uuid,
    /// Parameters of the job as JSON.
    pub payload: String,
    /// User who requested the job; owners are served in turn.
    pub owner: Option<JobOwner>,
}

/// User who requested a job, and the workspace that it belongs to, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobOwner {
    pub user: UserId,
    pub workspace: Option<WorkspaceId>,
}

impl From<UserId> for JobOwner {
    fn from(user: UserId) -> Self {
        Self { user, workspace: None }
    }
}

impl From<(UserId, WorkspaceId)> for JobOwner {
    fn from((user, workspace): (UserId, WorkspaceId)) -> Self {
        Self { user, workspace: Some(workspace) }
    }
}

/// State that a worker reads when it renews its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseState {
    pub stop_requested: bool,
}

/// Number of waiting or running jobs with this concurrency key.
pub async fn count_unfinished<C: ConnectionTrait>(db: &C, concurrency_key: &str) -> Result<u64, AppError> {
    let rows = "FROM jobs WHERE concurrency_key = $1 AND due_at IS NOT NULL AND status IN ('waiting', 'running')";
    super::page::count(db, rows, [concurrency_key.to_owned().into()]).await
}

/// Enqueues jobs that are due at once.
pub fn insert(backend: DatabaseBackend, jobs: Vec<NewJob>, asked_at: Timestamp) -> Result<Piece, AppError> {
    insert_after(backend, jobs, asked_at, Duration::ZERO)
}

/// Enqueues jobs that are due after `wait`.
pub fn insert_after(
    backend: DatabaseBackend,
    jobs: Vec<NewJob>,
    asked_at: Timestamp,
    wait: Duration,
) -> Result<Piece, AppError> {
    let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    let columns = [
        Column::Uuid("id"),
        Column::Text("kind"),
        Column::Text("concurrency_key"),
        Column::Uuid("subject"),
        Column::Text("payload"),
        Column::Uuid("owner"),
        Column::Uuid("scope"),
        Column::Int("at"),
        Column::Int("wait"),
    ];
    let rows = jobs.into_iter().map(|NewJob { kind, concurrency_key, subject, payload, owner }| {
        let at = asked_at.millis();
        [
            JobId::new().0.into(),
            kind.into(),
            concurrency_key.into(),
            subject.into(),
            payload.into(),
            owner.map(|owner| owner.user.0).into(),
            owner.and_then(|owner| Some(owner.workspace?.0)).into(),
            at.into(),
            wait.into(),
        ]
    });
    let rows = Rows::new(backend, columns, rows);
    let sql = format!(
        "INSERT INTO jobs (id, kind, concurrency_key, subject, payload, status, due_at, created_at, updated_at, owner, scope, turn, scope_turn) \
         SELECT r.id, r.kind, r.concurrency_key, r.subject, r.payload, 'waiting', {} + r.wait, r.at, r.at, r.owner, r.scope, r.turn, r.scope_turn \
         FROM ({}) AS r",
        now(backend),
        with_turns(backend, &rows.table(), "w.owner IS NOT NULL AND w.wait = 0", "w.id")
    );
    Piece::new(sql, &rows)
}

/// SQL for the rows of `jobs`, a table expression with the alias `w`, extended by the queue
/// positions `turn` and `scope_turn`. Only rows that match the condition `claimed_in_turn` get
/// positions. Jobs of the same owner are numbered in this `order`.
fn with_turns(backend: DatabaseBackend, jobs: &str, claimed_in_turn: &str, order: &str) -> String {
    let (greatest, least) = if backend == DatabaseBackend::Postgres { ("GREATEST", "LEAST") } else { ("MAX", "MIN") };
    let round = |is_blocked| {
        format!(
            "(SELECT MIN(v.turn) FROM jobs v WHERE v.kind = w.kind AND v.is_blocked = {is_blocked} AND v.turn IS NOT NULL)"
        )
    };
    // Round that is being claimed; 1 if the queue is empty.
    let rounds = format!("COALESCE({0}, {1}, 1), COALESCE({1}, {0}, 1)", round("FALSE"), round("TRUE"));
    format!(
        "SELECT t.*, \
           CASE WHEN t.turn IS NOT NULL THEN \
             COALESCE((SELECT MAX(s.scope_turn) FROM jobs s WHERE s.scope = t.scope AND s.kind = t.kind AND s.turn = t.turn), 0) \
             + ROW_NUMBER() OVER (PARTITION BY t.scope, t.kind, t.turn ORDER BY t.id) END AS scope_turn \
         FROM (SELECT w.*, \
           CASE WHEN {claimed_in_turn} THEN \
             {greatest}(COALESCE((SELECT MAX(o.turn) FROM jobs o WHERE o.owner = w.owner AND o.kind = w.kind AND o.due_at IS NOT NULL), 0), \
               {least}({rounds}) - 1) \
             + ROW_NUMBER() OVER (PARTITION BY w.owner, w.kind ORDER BY {order}) END AS turn \
           FROM {jobs}) AS t"
    )
}

/// Assigns queue positions to users' jobs that have become due, at most [`MAX_TURNS_PER_STATEMENT`]
/// of a kind at a time.
pub async fn assign_turns<C: ConnectionTrait>(db: &C, kind: &str) -> Result<(), AppError> {
    let backend = db.get_database_backend();
    let due = format!(
        "(SELECT j.id, j.kind, j.owner, j.scope, j.due_at FROM jobs j WHERE j.kind = $1 AND {} ORDER BY j.due_at LIMIT {MAX_TURNS_PER_STATEMENT}) AS w",
        awaits_turn_condition(backend)
    );
    let sql = format!(
        "UPDATE jobs SET turn = r.turn, scope_turn = r.scope_turn FROM ({}) AS r WHERE jobs.id = r.id AND jobs.turn IS NULL AND jobs.attempt = 0",
        with_turns(backend, &due, "w.owner IS NOT NULL", "w.due_at, w.id")
    );
    raw::run(db, sql, [kind.into()]).await
}

/// Condition that a user's job `j` is due and has no queue position yet; covered by an index.
fn awaits_turn_condition(backend: DatabaseBackend) -> String {
    format!(
        "j.owner IS NOT NULL AND j.turn IS NULL AND j.attempt = 0 AND j.is_blocked = FALSE AND j.due_at IS NOT NULL AND j.due_at <= {}",
        now(backend)
    )
}

/// Returns the number of unfinished jobs of a kind per user. Users without any are left out.
pub async fn count_open<C: ConnectionTrait>(
    db: &C,
    kind: &str,
    owners: &[UserId],
) -> Result<Vec<(UserId, u64)>, AppError> {
    #[derive(FromQueryResult)]
    struct OpenJobs {
        owner: UserId,
        open: i64,
    }
    let columns = [Column::Uuid("id"), Column::Text("kind")];
    let asked = owners.iter().map(|owner| [owner.0.into(), kind.to_owned().into()]);
    let asked = Rows::new(db.get_database_backend(), columns, asked);
    let sql = format!(
        "SELECT j.owner, COUNT(*) AS open FROM {} JOIN jobs j ON j.owner = w.id AND j.kind = w.kind AND j.due_at IS NOT NULL GROUP BY j.owner",
        asked.table()
    );
    let found = asked.find::<_, OpenJobs>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.owner, row.open.unsigned_abs())).collect())
}

/// Order in which jobs of a kind are claimed.
#[derive(Clone, Copy)]
enum ClaimOrder {
    /// Order by due time, for jobs whose start time has come or whose lease has expired.
    Due,
    /// Order by queue position, for jobs of users.
    InTurn,
}

impl ClaimOrder {
    const ALL: [Self; 2] = [Self::Due, Self::InTurn];

    /// Condition that the job `j` can be claimed in this order; a prefix of the order's index.
    fn waiting(self, backend: DatabaseBackend) -> String {
        match self {
            Self::Due => {
                format!(
                    "j.is_blocked = FALSE AND j.turn IS NULL AND j.due_at IS NOT NULL AND j.due_at <= {}",
                    now(backend)
                )
            }
            Self::InTurn => "j.is_blocked = FALSE AND j.turn IS NOT NULL".to_owned(),
        }
    }

    const fn order(self) -> &'static str {
        match self {
            Self::Due => "j.due_at, j.id",
            Self::InTurn => "j.turn, j.scope_turn, j.id",
        }
    }
}

/// Kind of job with at least one claimable job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueKind<'k> {
    pub kind: &'k str,
    /// True if jobs of users have become due, so that [`assign_turns`] must be called before the
    /// claim.
    pub awaits_turns: bool,
}

/// Returns the kinds with claimable jobs, in the order of `kinds`. This read is cheap and precedes
/// the claim, so that an idle worker takes no lock.
pub async fn due_kinds<'k, C: ConnectionTrait>(db: &C, kinds: &[&'k str]) -> Result<Vec<DueKind<'k>>, AppError> {
    #[derive(FromQueryResult)]
    struct DuePlace {
        place: i64,
        awaits_turns: bool,
    }
    let backend = db.get_database_backend();
    let exists = |place: usize, which: String| {
        format!("EXISTS (SELECT 1 FROM jobs j WHERE j.kind = ${} AND {which})", place + 1)
    };
    let of_kind = |place: usize| {
        let [due, in_turn] = ClaimOrder::ALL.map(|way| exists(place, way.waiting(backend)));
        let awaits_turns = exists(place, awaits_turn_condition(backend));
        format!("SELECT CAST({place} AS bigint) AS place, {awaits_turns} AS awaits_turns WHERE {due} OR {in_turn}")
    };
    let sql = (0..kinds.len()).map(of_kind).collect::<Vec<_>>().join(" UNION ALL ") + " ORDER BY place";
    let found = raw::find::<_, DuePlace>(db, sql, kinds.iter().map(|kind| Value::from(*kind))).await?;
    let due = |DuePlace { place, awaits_turns }| {
        Some(DueKind { kind: kinds.get(usize::try_from(place).ok()?)?, awaits_turns })
    };
    Ok(found.into_iter().filter_map(due).collect())
}

/// Claims the next job of this kind, if any, for the duration of `lease`. Skips the jobs of `busy` users.
pub async fn claim<C: ConnectionTrait>(
    db: &C,
    (kind, busy): (&str, &[UserId]),
    worker: InstanceId,
    lease: Duration,
) -> Result<Option<Model>, AppError> {
    for way in ClaimOrder::ALL {
        loop {
            match claim_first(db, way, (kind, busy), worker, lease).await? {
                Attempt::Claimed(job) => return Ok(Some(*job)),
                Attempt::None => break,
                Attempt::KeyTaken => {}
            }
        }
    }
    Ok(None)
}

enum Attempt {
    Claimed(Box<Model>),
    None,
    /// The concurrency key of the first job is taken, so the job is now blocked; or another
    /// instance has claimed the job first.
    KeyTaken,
}

async fn claim_first<C: ConnectionTrait>(
    db: &C,
    way: ClaimOrder,
    (kind, busy): (&str, &[UserId]),
    worker: InstanceId,
    lease: Duration,
) -> Result<Attempt, AppError> {
    let backend = db.get_database_backend();
    // On SQLite, the transaction holds the only write lock. On PostgreSQL, the job that holds the
    // key is locked while another job is blocked: either it ends later and unblocks that job, or it
    // has already ended and is not found here.
    let (skip_locked, share) =
        if backend == DatabaseBackend::Postgres { ("FOR UPDATE SKIP LOCKED", "FOR SHARE") } else { ("", "") };
    let (now, waiting, order) = (now(backend), way.waiting(backend), way.order());
    let unless_busy = |claimed: &str, column: &str| {
        format!("{column} = CASE WHEN EXISTS (SELECT 1 FROM busy) THEN {column} ELSE {claimed} END")
    };
    let set = [
        unless_busy("'running'", "status"),
        unless_busy("attempt + 1", "attempt"),
        unless_busy("$1", "leased_by"),
        unless_busy(&format!("{now} + $2"), "due_at"),
        unless_busy("NULL", "turn"),
        unless_busy(now, "updated_at"),
    ]
    .join(", ");
    let mut values: Vec<Value> = vec![worker.into(), millis(lease), kind.into()];
    let mut idle = String::new();
    if !busy.is_empty() {
        let numbers: Vec<String> = (values.len() + 1..).take(busy.len()).map(|number| format!("${number}")).collect();
        idle = format!(" AND (j.owner IS NULL OR j.owner NOT IN ({}))", numbers.join(", "));
        values.extend(busy.iter().map(|owner| Value::from(*owner)));
    }
    let sql = format!(
        "WITH head AS MATERIALIZED (SELECT j.id, j.concurrency_key FROM jobs j WHERE j.kind = $3 AND {waiting}{idle} ORDER BY {order} LIMIT 1 {skip_locked}), \
         busy AS MATERIALIZED (SELECT r.id FROM jobs r WHERE r.concurrency_key = (SELECT concurrency_key FROM head) AND r.id <> (SELECT id FROM head) \
           AND r.status = 'running' {share}) \
         UPDATE jobs SET is_blocked = EXISTS (SELECT 1 FROM busy), {set} WHERE id = (SELECT id FROM head) RETURNING *"
    );
    match raw::try_find_one::<_, Model>(db, sql, values).await {
        Ok(None) => Ok(Attempt::None),
        Ok(Some(job)) if job.is_blocked => Ok(Attempt::KeyTaken),
        Ok(Some(job)) => Ok(Attempt::Claimed(Box::new(job))),
        Err(error) if unique_violation(&error) => Ok(Attempt::KeyTaken),
        Err(error) => Err(app_error(error)),
    }
}

/// Extends a lease; returns `None` if another worker has taken over the job.
pub async fn renew<C: ConnectionTrait>(
    db: &C,
    id: JobId,
    attempt: i32,
    lease: Duration,
) -> Result<Option<LeaseState>, AppError> {
    #[derive(FromQueryResult)]
    struct RenewedLease {
        stop_requested: bool,
    }
    let backend = db.get_database_backend();
    let now = now(backend);
    let sql = format!(
        "UPDATE jobs SET due_at = {now} + $3, updated_at = {now} WHERE id = $1 AND attempt = $2 AND status = 'running' RETURNING stop_requested"
    );
    let row = raw::find_one::<_, RenewedLease>(db, sql, [id.into(), attempt.into(), millis(lease)]).await?;
    Ok(row.map(|row| LeaseState { stop_requested: row.stop_requested }))
}

/// Deletes a finished job; returns `false` if another worker has taken over the job.
pub async fn finish(db: &Database, id: JobId, attempt: i32) -> Result<bool, AppError> {
    end_claim(db, "DELETE FROM jobs WHERE {claim} RETURNING concurrency_key", id, attempt, vec![]).await
}

/// Requeues a job so that it can be claimed at once. The current claim doesn't count as a failure.
pub async fn release(db: &Database, id: JobId, attempt: i32) -> Result<bool, AppError> {
    let change = "UPDATE jobs SET status = 'waiting', due_at = {now}, leased_by = NULL, attempts_before = attempts_before + 1, \
                  updated_at = {now} WHERE {claim} RETURNING concurrency_key";
    end_claim(db, change, id, attempt, vec![]).await
}

/// Requeues a job for a retry after `wait`.
pub async fn postpone(db: &Database, id: JobId, attempt: i32, wait: Duration, error: &str) -> Result<bool, AppError> {
    let change = "UPDATE jobs SET status = 'waiting', due_at = {now} + $3, leased_by = NULL, error = $4, updated_at = {now} \
                  WHERE {claim} RETURNING concurrency_key";
    end_claim(db, change, id, attempt, vec![millis(wait), error.into()]).await
}

/// Suspends a job until `wait` has passed or [`make_due`] is called. The claims so far don't count
/// as failures.
pub async fn suspend(db: &Database, id: JobId, attempt: i32, wait: Duration) -> Result<bool, AppError> {
    let change = "UPDATE jobs SET status = 'waiting', due_at = CASE WHEN stop_requested THEN {now} ELSE {now} + $3 END, leased_by = NULL, \
                  attempts_before = attempt, updated_at = {now} \
                  WHERE {claim} RETURNING concurrency_key";
    end_claim(db, change, id, attempt, vec![millis(wait)]).await
}

/// Moves a job to the dead letters.
pub async fn dead_letter(db: &Database, id: JobId, attempt: i32, error: &str) -> Result<bool, AppError> {
    let change = "UPDATE jobs SET status = 'dead', due_at = NULL, leased_by = NULL, error = $3, updated_at = {now} \
                  WHERE {claim} RETURNING concurrency_key";
    end_claim(db, change, id, attempt, vec![error.into()]).await
}

/// Ends a claim and unblocks the next job with the same concurrency key. Returns `false` if another
/// worker has taken over the job.
async fn end_claim(db: &Database, change: &str, id: JobId, attempt: i32, values: Vec<Value>) -> Result<bool, AppError> {
    let tx = db.begin().await.map_err(app_error)?;
    let backend = tx.get_database_backend();
    let sql =
        change.replace("{now}", now(backend)).replace("{claim}", "id = $1 AND attempt = $2 AND status = 'running'");
    let values = [Value::from(id), attempt.into()].into_iter().chain(values);
    let ended = raw::find_one::<_, FreedKey>(&tx, sql, values).await?;
    if let Some(FreedKey { concurrency_key }) = &ended {
        // A separate statement, so that it also sees jobs that were blocked while the first
        // statement waited for its lock.
        let next = "UPDATE jobs SET is_blocked = FALSE \
                    WHERE id = (SELECT b.id FROM jobs b WHERE b.concurrency_key = $1 AND b.is_blocked = TRUE ORDER BY b.id LIMIT 1)";
        raw::run(&tx, next, [concurrency_key.as_str().into()]).await?;
    }
    tx.commit().await.map_err(app_error)?;
    Ok(ended.is_some())
}

#[derive(FromQueryResult)]
struct FreedKey {
    concurrency_key: String,
}

/// Unblocks all jobs, to clean up after a crash. Called at start-up. Claims block jobs again if
/// their key is taken.
pub async fn unblock_all<C: ConnectionTrait>(db: &C) -> Result<bool, AppError> {
    change(db, "is_blocked = FALSE WHERE is_blocked = TRUE", vec![]).await
}

/// Makes a waiting job due now; returns `false` if there is none.
pub async fn make_due<C: ConnectionTrait>(db: &C, kind: &str, subject: Uuid) -> Result<bool, AppError> {
    let set = "due_at = {now} WHERE kind = $1 AND subject = $2 AND due_at IS NOT NULL AND status = 'waiting'";
    change(db, set, vec![kind.into(), subject.into()]).await
}

/// Deletes the waiting jobs of a kind with this `subject`. Doesn't affect a running job.
pub async fn remove_waiting<C: ConnectionTrait>(db: &C, kind: &str, subject: Uuid) -> Result<(), AppError> {
    let sql = "DELETE FROM jobs WHERE kind = $1 AND subject = $2 AND due_at IS NOT NULL AND status = 'waiting'";
    raw::run(db, sql, [kind.into(), subject.into()]).await
}

/// Deletes all jobs with this `subject` in any state; returns `false` if there was none.
pub async fn remove_all<C: ConnectionTrait>(db: &C, kind: &str, subject: Uuid) -> Result<bool, AppError> {
    let mut removed = Vec::new();
    // Unfinished jobs and dead letters are in separate partial indexes.
    for which in ["due_at IS NOT NULL", "status = 'dead'"] {
        let sql = format!("DELETE FROM jobs WHERE kind = $1 AND subject = $2 AND {which} RETURNING concurrency_key");
        removed.extend(raw::find::<_, FreedKey>(db, sql, [kind.into(), subject.into()]).await?);
    }
    for FreedKey { concurrency_key } in &removed {
        change(
            db,
            "is_blocked = FALSE WHERE concurrency_key = $1 AND is_blocked = TRUE",
            vec![concurrency_key.as_str().into()],
        )
        .await?;
    }
    Ok(!removed.is_empty())
}

/// Requeues all running jobs. Called at start-up if no other process is alive.
pub async fn release_all<C: ConnectionTrait>(db: &C) -> Result<bool, AppError> {
    change(
        db,
        "status = 'waiting', due_at = {now}, leased_by = NULL, updated_at = {now} WHERE status = 'running'",
        vec![],
    )
    .await
}

/// Returns the instances other than `own` that run jobs but don't hold their liveness lock
/// ([`LivenessLock`](crate::LivenessLock)). PostgreSQL only.
pub async fn workers_without_liveness_lock<C: ConnectionTrait>(
    db: &C,
    own: InstanceId,
) -> Result<Vec<InstanceId>, AppError> {
    #[derive(FromQueryResult)]
    struct Worker {
        leased_by: InstanceId,
        is_gone: bool,
    }
    // The key of the lock is the lower half of the instance's id.
    let sql = "SELECT r.leased_by, pg_try_advisory_xact_lock_shared( \
               ('x' || right(replace(r.leased_by::text, '-', ''), 16))::bit(64)::bigint) AS is_gone \
               FROM (SELECT DISTINCT leased_by FROM jobs WHERE status = 'running' AND leased_by <> $1) AS r";
    let found = raw::find::<_, Worker>(db, sql, [own.into()]).await?;
    Ok(found.into_iter().filter(|row| row.is_gone).map(|row| row.leased_by).collect())
}

/// Expires the leases of an instance that is gone; returns `false` if it had no leases.
pub async fn expire_leases<C: ConnectionTrait>(db: &C, worker: InstanceId) -> Result<bool, AppError> {
    change(db, "due_at = {now} WHERE status = 'running' AND leased_by = $1 AND due_at > {now}", vec![worker.into()])
        .await
}

/// Requests that the job with this `subject` stops: at once if it is running, otherwise when it is
/// claimed. Returns `false` if there is no such job.
pub async fn request_stop<C: ConnectionTrait>(db: &C, subject: Uuid) -> Result<bool, AppError> {
    change(db, "stop_requested = TRUE WHERE subject = $1 AND due_at IS NOT NULL", vec![subject.into()]).await
}

/// Executes `UPDATE jobs SET {set}`; returns `false` if no job matched. In `set`, `{now}` stands
/// for the database's time.
async fn change<C: ConnectionTrait>(db: &C, set: &str, values: Vec<Value>) -> Result<bool, AppError> {
    let sql = format!("UPDATE jobs SET {}", set.replace("{now}", now(db.get_database_backend())));
    Ok(raw::execute(db, sql, values).await? > 0)
}

/// Returns the time of the database's clock, in milliseconds.
pub async fn database_time<C: ConnectionTrait>(db: &C) -> Result<i64, AppError> {
    let sql = format!("SELECT {} AS now", now(db.get_database_backend()));
    let time = raw::find_value(db, sql, []).await?;
    time.ok_or_else(|| AppError::internal(anyhow::anyhow!("database returned no time")))
}

/// SQL expression for the time of the database's clock, in milliseconds.
pub(super) const fn now(backend: DatabaseBackend) -> &'static str {
    match backend {
        DatabaseBackend::Postgres => "(EXTRACT(EPOCH FROM statement_timestamp()) * 1000)::bigint",
        _ => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    }
}

fn millis(duration: Duration) -> Value {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).into()
}
