//! What the console shows: figures by minute and by day, the instances, and what was wrong.

use appcore::{AppError, InstanceId, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Value};
use uuid::Uuid;

use super::{ledger::ids_between, raw};

const MINUTE: i64 = 60_000;
/// The id of a message is made shortly before the time is taken that is stored with it: by the same machine.
const SLACK: i64 = 10 * MINUTE;

/// How long a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Minute,
    Day,
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
        }
    }
}

/// How the values of several instances, or of several minutes, become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Union {
    Sum,
    Most,
}

/// One figure of one minute or day.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Figure {
    pub at: Timestamp,
    pub name: String,
    pub value: i64,
}

/// What one instance noticed.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct IncidentRow {
    pub id: Uuid,
    pub kind: String,
    /// Of what, where there are several of its kind.
    pub detail: Option<String>,
    pub instance_id: InstanceId,
    pub began_at: Timestamp,
    /// None: it goes on, or its instance has ended before it.
    pub ended_at: Option<Timestamp>,
    pub impact: Option<i64>,
    pub affected_users: Option<i64>,
}

/// What an instance said of itself.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct InstanceRow {
    pub id: InstanceId,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
    pub state: String,
}

#[derive(FromQueryResult)]
struct Counted {
    minute: i64,
    value: i64,
}

#[derive(FromQueryResult)]
struct Number {
    value: i64,
}

/// Puts figures to those that are there.
pub async fn put<C: ConnectionTrait>(db: &C, step: Step, union: Union, figures: &[Figure]) -> Result<(), AppError> {
    if figures.is_empty() {
        return Ok(());
    }
    let value = match (union, db.get_database_backend()) {
        (Union::Sum, _) => "figures.value + excluded.value",
        (Union::Most, DatabaseBackend::Sqlite) => "MAX(figures.value, excluded.value)",
        (Union::Most, _) => "GREATEST(figures.value, excluded.value)",
    };
    let mut values: Vec<Value> = vec![step.as_str().into()];
    let rows: Vec<String> = figures
        .iter()
        .map(|figure| {
            values.extend([figure.at.0.into(), figure.name.clone().into(), figure.value.into()]);
            let last = values.len();
            format!("($1, ${}, ${}, ${last})", last - 2, last - 1)
        })
        .collect();
    let sql = format!(
        "INSERT INTO figures (step, at, name, value) VALUES {} ON CONFLICT (step, at, name) DO UPDATE SET value = {value}",
        rows.join(", ")
    );
    raw::run(db, &sql, values).await
}

/// The figures from then on, the earliest first.
pub async fn since<C: ConnectionTrait>(db: &C, step: Step, from: Timestamp) -> Result<Vec<Figure>, AppError> {
    let sql = "SELECT at, name, value FROM figures WHERE step = $1 AND at >= $2 ORDER BY at";
    raw::find(db, sql, vec![step.as_str().into(), from.0.into()]).await
}

/// Forgets what is older.
pub async fn forget<C: ConnectionTrait>(db: &C, step: Step, before: Timestamp) -> Result<u64, AppError> {
    raw::execute(db, "DELETE FROM figures WHERE step = $1 AND at < $2", vec![step.as_str().into(), before.0.into()])
        .await
}

/// Messages that were written, by minute. Their ids begin with their time, so only those of that time are read.
pub async fn messages<C: ConnectionTrait>(db: &C, from: Timestamp, to: Timestamp) -> Result<Vec<(i64, i64)>, AppError> {
    let (after, before) = ids_between(Timestamp(from.0 - SLACK), Timestamp(to.0 + SLACK));
    let made_then = ("id > $3 AND id < $4", vec![after.into(), before.into()]);
    counted(db, "messages", "COUNT(*)", made_then, from, to).await
}

/// Tokens of questions and answers, by minute.
pub async fn tokens<C: ConnectionTrait>(db: &C, from: Timestamp, to: Timestamp) -> Result<Vec<(i64, i64)>, AppError> {
    let tokens = "CAST(SUM(input_tokens + output_tokens) AS BIGINT)";
    counted(db, "usage_requests", tokens, ("TRUE", Vec::new()), from, to).await
}

/// What models cost, in micro-credits, by minute.
pub async fn costs<C: ConnectionTrait>(db: &C, from: Timestamp, to: Timestamp) -> Result<Vec<(i64, i64)>, AppError> {
    counted(db, "usage_requests", "CAST(SUM(cost) AS BIGINT)", ("TRUE", Vec::new()), from, to).await
}

/// Lines of the audit log of one action, by minute.
pub async fn audited<C: ConnectionTrait>(
    db: &C,
    action: &'static str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(i64, i64)>, AppError> {
    counted(db, "audit_log", "COUNT(*)", ("action = $3", vec![action.into()]), from, to).await
}

async fn counted<C: ConnectionTrait>(
    db: &C,
    table: &str,
    what: &str,
    (condition, values): (&str, Vec<Value>),
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(i64, i64)>, AppError> {
    let sql = format!(
        "SELECT created_at / {MINUTE} * {MINUTE} AS minute, {what} AS value FROM {table} \
         WHERE created_at >= $1 AND created_at < $2 AND {condition} GROUP BY 1"
    );
    let times: [Value; 2] = [from.0.into(), to.0.into()];
    let values = times.into_iter().chain(values);
    let rows: Vec<Counted> = raw::find(db, &sql, values).await?;
    Ok(rows.into_iter().map(|row| (row.minute, row.value)).collect())
}

/// How many people's devices were there since then.
pub async fn people_since<C: ConnectionTrait>(db: &C, from: Timestamp) -> Result<i64, AppError> {
    let sql = "SELECT COUNT(DISTINCT user_id) AS value FROM user_sessions WHERE last_used_at >= $1";
    number(db, sql, vec![from.0.into()]).await
}

/// How many people have an account.
pub async fn people<C: ConnectionTrait>(db: &C) -> Result<i64, AppError> {
    number(db, "SELECT COUNT(*) AS value FROM users WHERE is_deleted = FALSE", Vec::new()).await
}

/// How many people are guests in a workspace.
pub async fn guests<C: ConnectionTrait>(db: &C) -> Result<i64, AppError> {
    let sql = "SELECT COUNT(DISTINCT m.user_id) AS value FROM workspace_members m JOIN users u ON u.id = m.user_id \
               WHERE m.role = 'guest' AND NOT m.is_deleted AND NOT u.is_deleted";
    number(db, sql, Vec::new()).await
}

/// How many bytes people's files have.
pub async fn stored<C: ConnectionTrait>(db: &C) -> Result<i64, AppError> {
    let sql = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS value FROM uploads WHERE removed_at IS NULL";
    number(db, sql, Vec::new()).await
}

/// The most that a figure was in one of these minutes. None: nothing was written down then.
pub async fn most<C: ConnectionTrait>(
    db: &C,
    name: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Option<i64>, AppError> {
    #[derive(FromQueryResult)]
    struct Most {
        value: Option<i64>,
    }
    let sql = "SELECT MAX(value) AS value FROM figures WHERE step = $1 AND at >= $2 AND at <= $3 AND name = $4";
    let values = vec![Step::Minute.as_str().into(), from.0.into(), to.0.into(), name.to_owned().into()];
    let row: Option<Most> = raw::find_one(db, sql, values).await?;
    Ok(row.and_then(|row| row.value))
}

/// How many people's questions to models failed.
pub async fn people_failed<C: ConnectionTrait>(db: &C, from: Timestamp, to: Timestamp) -> Result<i64, AppError> {
    let sql = "SELECT COUNT(DISTINCT user_id) AS value FROM usage_requests \
               WHERE created_at >= $1 AND created_at <= $2 AND status >= 500";
    number(db, sql, vec![from.0.into(), to.0.into()]).await
}

async fn number<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<i64, AppError> {
    let row: Option<Number> = raw::find_one(db, sql, values).await?;
    Ok(row.map_or(0, |row| row.value))
}

/// Says that an instance is there.
pub async fn see<C: ConnectionTrait>(db: &C, row: InstanceRow) -> Result<(), AppError> {
    let sql = "INSERT INTO instances (id, started_at, seen_at, state) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, state = excluded.state";
    raw::run(db, sql, vec![row.id.into(), row.started_at.0.into(), row.seen_at.0.into(), row.state.into()]).await
}

/// Says that an instance has ended as it should.
pub async fn leave<C: ConnectionTrait>(db: &C, id: InstanceId) -> Result<(), AppError> {
    raw::run(db, "DELETE FROM instances WHERE id = $1", vec![id.into()]).await
}

/// Takes those away that were not seen since then, and answers which.
pub async fn take_gone<C: ConnectionTrait>(db: &C, before: Timestamp) -> Result<Vec<InstanceRow>, AppError> {
    let sql = "DELETE FROM instances WHERE seen_at < $1 RETURNING id, started_at, seen_at, state";
    raw::find(db, sql, vec![before.0.into()]).await
}

/// The eldest first.
pub async fn instances<C: ConnectionTrait>(db: &C) -> Result<Vec<InstanceRow>, AppError> {
    raw::find(db, "SELECT id, started_at, seen_at, state FROM instances ORDER BY started_at, id", Vec::new()).await
}

/// Writes down what was noticed, or that it is over.
pub async fn notice<C: ConnectionTrait>(db: &C, row: IncidentRow) -> Result<(), AppError> {
    let sql = "INSERT INTO incidents (id, kind, instance_id, began_at, ended_at, impact, affected_users, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
               ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, impact = excluded.impact, affected_users = excluded.affected_users";
    let IncidentRow { id, kind, detail, instance_id, began_at, ended_at, impact, affected_users } = row;
    let (began_at, ended_at) = (began_at.0, ended_at.map(|at| at.0));
    let values = vec![
        id.into(),
        kind.into(),
        instance_id.into(),
        began_at.into(),
        ended_at.into(),
        impact.into(),
        affected_users.into(),
        detail.into(),
    ];
    raw::run(db, sql, values).await
}

/// What this instance can't end any more.
pub async fn end_of<C: ConnectionTrait>(db: &C, instance: InstanceId, at: Timestamp) -> Result<(), AppError> {
    let sql = "UPDATE incidents SET ended_at = $2 WHERE instance_id = $1 AND ended_at IS NULL";
    raw::run(db, sql, vec![instance.into(), at.0.into()]).await
}

/// What was wrong since then, the earliest first.
pub async fn incidents<C: ConnectionTrait>(db: &C, from: Timestamp, most: u64) -> Result<Vec<IncidentRow>, AppError> {
    let sql = "SELECT id, kind, detail, instance_id, began_at, ended_at, impact, affected_users FROM incidents \
               WHERE began_at >= $1 OR ended_at >= $1 OR ended_at IS NULL ORDER BY began_at DESC LIMIT $2";
    let mut rows: Vec<IncidentRow> = raw::find(db, sql, vec![from.0.into(), raw::limit(most)]).await?;
    rows.reverse();
    Ok(rows)
}

/// Forgets what began before.
pub async fn forget_incidents<C: ConnectionTrait>(db: &C, before: Timestamp) -> Result<u64, AppError> {
    raw::execute(db, "DELETE FROM incidents WHERE began_at < $1 AND ended_at IS NOT NULL", vec![before.0.into()]).await
}
