//! Durable jobs: claimed with a lease by one worker, and by another one when the lease has run out.
//!
//! A claim is known by the job's id and the number of the attempt; whoever acts for a claim names both, so a worker that was
//! taken for dead changes nothing any more. Times are the database's, because the clocks of two instances differ.

use std::time::Duration;

use appcore::{AppError, InstanceId, JobId, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::{
    pieces::Piece,
    rows::{Column, Rows},
};
use crate::{constraint::app_error, entity::job::Model};

/// A job that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    pub kind: &'static str,
    /// Of the jobs with the same key one runs at a time.
    pub concurrency_key: String,
    /// What it works on: by this it is found again.
    pub subject: Uuid,
    /// What its kind needs, as JSON.
    pub payload: String,
}

/// What a worker hears when it renews its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewed {
    pub stop_requested: bool,
}

/// Asks for jobs, to be done at once.
pub fn insert(backend: DatabaseBackend, jobs: Vec<NewJob>, asked_at: Timestamp) -> Result<Piece, AppError> {
    insert_after(backend, jobs, asked_at, Duration::ZERO)
}

/// Asks for jobs, to be done when `wait` has passed.
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
        Column::Text("lane"),
        Column::Uuid("subject"),
        Column::Text("payload"),
        Column::Int("at"),
        Column::Int("wait"),
    ];
    let rows = jobs.into_iter().map(|NewJob { kind, concurrency_key, subject, payload }| {
        let at = asked_at.millis();
        [
            JobId::new().0.into(),
            kind.into(),
            concurrency_key.into(),
            subject.into(),
            payload.into(),
            at.into(),
            wait.into(),
        ]
    });
    let rows = Rows::new(backend, columns, rows);
    let sql = format!(
        "INSERT INTO jobs (id, kind, lane, subject, payload, status, due_at, created_at, updated_at) \
         SELECT w.id, w.kind, w.lane, w.subject, w.payload, 'waiting', {} + w.wait, w.at, w.at FROM {}",
        now(backend),
        rows.table()
    );
    Piece::new(sql, &rows)
}

/// Whether a job of one of these kinds can be claimed; cheap, so that an idle worker takes no lock.
pub async fn any_due<C: ConnectionTrait>(db: &C, kinds: &[&str]) -> Result<bool, AppError> {
    let backend = db.get_database_backend();
    let sql = format!(
        "SELECT 1 AS one FROM jobs WHERE kind IN ({}) AND due_at <= {} LIMIT 1",
        places(kinds.len(), 1),
        now(backend)
    );
    let statement = Statement::from_sql_and_values(backend, sql, kinds.iter().map(|kind| Value::from(*kind)));
    Ok(db.query_one_raw(statement).await.map_err(app_error)?.is_some())
}

/// Claims the job of one of these kinds that has waited longest, if there is one, until `lease` has passed.
pub async fn claim<C: ConnectionTrait>(
    db: &C,
    kinds: &[&str],
    worker: InstanceId,
    lease: Duration,
) -> Result<Option<Model>, AppError> {
    let backend = db.get_database_backend();
    let of_kind = places(kinds.len(), 3);
    let now = now(backend);
    // SQLite's statement holds the only write lock there is.
    let skip_locked = if backend == DatabaseBackend::Postgres { "FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!(
        "UPDATE jobs SET status = 'running', attempt = attempt + 1, leased_by = $1, due_at = {now} + $2, updated_at = {now} \
         WHERE id = (SELECT j.id FROM jobs j WHERE j.kind IN ({of_kind}) AND j.due_at <= {now} \
           AND NOT EXISTS (SELECT 1 FROM jobs r WHERE r.lane = j.lane AND r.id <> j.id AND r.status = 'running' AND r.due_at > {now}) \
           ORDER BY j.due_at, j.id LIMIT 1 {skip_locked}) \
         RETURNING *"
    );
    let values = [worker.into(), millis(lease)].into_iter().chain(kinds.iter().map(|kind| Value::from(*kind)));
    Model::find_by_statement(Statement::from_sql_and_values(backend, sql, values)).one(db).await.map_err(app_error)
}

/// Extends a claim; `None` when it is lost.
pub async fn renew<C: ConnectionTrait>(
    db: &C,
    id: JobId,
    attempt: i32,
    lease: Duration,
) -> Result<Option<Renewed>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        stop_requested: bool,
    }
    let backend = db.get_database_backend();
    let now = now(backend);
    let sql = format!(
        "UPDATE jobs SET due_at = {now} + $3, updated_at = {now} WHERE id = $1 AND attempt = $2 AND status = 'running' RETURNING stop_requested"
    );
    let statement = Statement::from_sql_and_values(backend, sql, [id.into(), attempt.into(), millis(lease)]);
    let row = Row::find_by_statement(statement).one(db).await.map_err(app_error)?;
    Ok(row.map(|row| Renewed { stop_requested: row.stop_requested }))
}

/// Ends a job; `false` when the claim is lost.
pub async fn finish<C: ConnectionTrait>(db: &C, id: JobId, attempt: i32) -> Result<bool, AppError> {
    let set = "status = 'done', due_at = NULL, leased_by = NULL, updated_at = {now} WHERE id = $1 AND attempt = $2 AND status = 'running'";
    change(db, set, vec![id.into(), attempt.into()]).await
}

/// Ends a job and leaves nothing of it; `false` when the claim is lost.
pub async fn remove<C: ConnectionTrait>(db: &C, id: JobId, attempt: i32) -> Result<bool, AppError> {
    let sql = "DELETE FROM jobs WHERE id = $1 AND attempt = $2 AND status = 'running'";
    execute(db, sql.to_owned(), vec![id.into(), attempt.into()]).await
}

/// Lets a job begin that was to wait; `false` where there is none.
pub async fn hasten<C: ConnectionTrait>(db: &C, kind: &str, subject: Uuid) -> Result<bool, AppError> {
    let set = "due_at = {now} WHERE kind = $1 AND subject = $2 AND status = 'waiting'";
    change(db, set, vec![kind.into(), subject.into()]).await
}

/// Removes all jobs that work on `subject`, whatever has become of them; `false` where there was none.
pub async fn remove_all<C: ConnectionTrait>(db: &C, kind: &str, subject: Uuid) -> Result<bool, AppError> {
    let sql = "DELETE FROM jobs WHERE kind = $1 AND subject = $2";
    execute(db, sql.to_owned(), vec![kind.into(), subject.into()]).await
}

/// Gives a job back so that another worker takes it at once.
pub async fn release<C: ConnectionTrait>(db: &C, id: JobId, attempt: i32) -> Result<bool, AppError> {
    let set = "status = 'waiting', due_at = {now}, leased_by = NULL, updated_at = {now} WHERE id = $1 AND attempt = $2 AND status = 'running'";
    change(db, set, vec![id.into(), attempt.into()]).await
}

/// Gives back every job that is being worked on: for a start that finds no other process alive.
pub async fn release_all<C: ConnectionTrait>(db: &C) -> Result<bool, AppError> {
    change(
        db,
        "status = 'waiting', due_at = {now}, leased_by = NULL, updated_at = {now} WHERE status = 'running'",
        vec![],
    )
    .await
}

/// Gives a job back to be tried again after `wait`.
pub async fn postpone<C: ConnectionTrait>(
    db: &C,
    id: JobId,
    attempt: i32,
    wait: Duration,
    error: &str,
) -> Result<bool, AppError> {
    let set = "status = 'waiting', due_at = {now} + $3, leased_by = NULL, error = $4, updated_at = {now} \
               WHERE id = $1 AND attempt = $2 AND status = 'running'";
    change(db, set, vec![id.into(), attempt.into(), millis(wait), error.into()]).await
}

/// Puts a job among the dead letters.
pub async fn dead_letter<C: ConnectionTrait>(db: &C, id: JobId, attempt: i32, error: &str) -> Result<bool, AppError> {
    let set = "status = 'dead', due_at = NULL, leased_by = NULL, error = $3, updated_at = {now} WHERE id = $1 AND attempt = $2 AND status = 'running'";
    change(db, set, vec![id.into(), attempt.into(), error.into()]).await
}

/// Asks whoever works on `subject`, now or later, to stop; `false` when nobody will.
pub async fn request_stop<C: ConnectionTrait>(db: &C, subject: Uuid) -> Result<bool, AppError> {
    change(db, "stop_requested = TRUE WHERE subject = $1 AND due_at IS NOT NULL", vec![subject.into()]).await
}

/// The statement `UPDATE jobs SET …`, and whether it found a job. `{now}` stands for the database's time.
async fn change<C: ConnectionTrait>(db: &C, set: &str, values: Vec<Value>) -> Result<bool, AppError> {
    let sql = format!("UPDATE jobs SET {}", set.replace("{now}", now(db.get_database_backend())));
    execute(db, sql, values).await
}

async fn execute<C: ConnectionTrait>(db: &C, sql: String, values: Vec<Value>) -> Result<bool, AppError> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let done = db.execute_raw(statement).await.map_err(app_error)?;
    Ok(done.rows_affected() > 0)
}

/// The database's time in milliseconds.
const fn now(backend: DatabaseBackend) -> &'static str {
    match backend {
        DatabaseBackend::Postgres => "(EXTRACT(EPOCH FROM statement_timestamp()) * 1000)::bigint",
        _ => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    }
}

/// `$3, $4`: so many parameters from the `first`.
fn places(count: usize, first: usize) -> String {
    (first..first + count).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ")
}

fn millis(duration: Duration) -> Value {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).into()
}
