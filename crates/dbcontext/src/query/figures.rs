//! Data of the admin console: metrics per minute and day, instances and incidents.

use appcore::{AppError, InstanceId, Timestamp};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, Set, Value,
};

use super::{ledger::id_range, raw, single};
pub use crate::entity::{incident::Model as IncidentRow, instance::Model as InstanceRow};
use crate::{
    constraint::app_error,
    entity::{figure, incident, instance},
};

const MINUTE: i64 = 60_000;
/// Maximum difference between the time in a message's id and its stored time, in milliseconds. The
/// same machine creates both; the id comes shortly before.
const ID_TIME_TOLERANCE: i64 = 10 * MINUTE;

/// Period of a metric.
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

/// Aggregation function for the values of several instances or minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    Sum,
    Most,
}

/// Value of a metric for one minute or day.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct MetricValue {
    pub at: Timestamp,
    pub name: String,
    pub value: i64,
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

/// Merges values into the stored ones by the metric's aggregation.
pub async fn merge<C: ConnectionTrait>(
    db: &C,
    step: Step,
    union: Aggregation,
    figures: &[MetricValue],
) -> Result<(), AppError> {
    if figures.is_empty() {
        return Ok(());
    }
    let value = match (union, db.get_database_backend()) {
        (Aggregation::Sum, _) => "figures.value + excluded.value",
        (Aggregation::Most, DatabaseBackend::Sqlite) => "MAX(figures.value, excluded.value)",
        (Aggregation::Most, _) => "GREATEST(figures.value, excluded.value)",
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

/// Values since `from`, earliest first.
pub async fn values_since<C: ConnectionTrait>(
    db: &C,
    step: Step,
    from: Timestamp,
) -> Result<Vec<MetricValue>, AppError> {
    let sql = "SELECT at, name, value FROM figures WHERE step = $1 AND at >= $2 ORDER BY at";
    raw::find(db, sql, vec![step.as_str().into(), from.0.into()]).await
}

/// Deletes values from before the given time.
pub async fn delete_before<C: ConnectionTrait>(db: &C, step: Step, before: Timestamp) -> Result<u64, AppError> {
    let old = figure::Entity::delete_many()
        .filter(figure::Column::Step.eq(step.as_str()))
        .filter(figure::Column::At.lt(before));
    Ok(old.exec(db).await.map_err(app_error)?.rows_affected)
}

/// Returns the number of messages per minute. Message ids start with the time, so only the messages
/// of the period are read.
pub async fn messages<C: ConnectionTrait>(db: &C, from: Timestamp, to: Timestamp) -> Result<Vec<(i64, i64)>, AppError> {
    let (after, before) = id_range(Timestamp(from.0 - ID_TIME_TOLERANCE), Timestamp(to.0 + ID_TIME_TOLERANCE));
    let made_then = ("id > $3 AND id < $4", vec![after.into(), before.into()]);
    counted(db, "messages", "COUNT(*)", made_then, from, to).await
}

/// Returns the number of tokens per minute, input and output together.
pub async fn tokens<C: ConnectionTrait>(db: &C, from: Timestamp, to: Timestamp) -> Result<Vec<(i64, i64)>, AppError> {
    let tokens = "CAST(SUM(input_tokens + output_tokens) AS BIGINT)";
    counted(db, "usage_requests", tokens, ("TRUE", Vec::new()), from, to).await
}

/// Returns the cost of model calls per minute, in micro-credits.
pub async fn costs<C: ConnectionTrait>(db: &C, from: Timestamp, to: Timestamp) -> Result<Vec<(i64, i64)>, AppError> {
    counted(db, "usage_requests", "CAST(SUM(cost) AS BIGINT)", ("TRUE", Vec::new()), from, to).await
}

/// Number of audit log entries with an action, per minute.
pub async fn audit_entries<C: ConnectionTrait>(
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

/// Returns the number of users with a device that was active since the given time.
pub async fn count_active_users_since<C: ConnectionTrait>(db: &C, from: Timestamp) -> Result<i64, AppError> {
    let sql = "SELECT COUNT(DISTINCT user_id) AS value FROM user_sessions WHERE last_used_at >= $1";
    number(db, sql, vec![from.0.into()]).await
}

/// Number of accounts.
pub async fn count_users<C: ConnectionTrait>(db: &C) -> Result<i64, AppError> {
    number(db, "SELECT COUNT(*) AS value FROM users WHERE is_deleted = FALSE", Vec::new()).await
}

/// Number of guests.
pub async fn count_guests<C: ConnectionTrait>(db: &C) -> Result<i64, AppError> {
    let sql = "SELECT COUNT(DISTINCT m.user_id) AS value FROM workspace_members m JOIN users u ON u.id = m.user_id \
               WHERE m.role = 'guest' AND NOT m.is_deleted AND NOT u.is_deleted";
    number(db, sql, Vec::new()).await
}

/// Total size of uploads, in bytes.
pub async fn stored_bytes<C: ConnectionTrait>(db: &C) -> Result<i64, AppError> {
    let sql = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS value FROM uploads WHERE removed_at IS NULL";
    number(db, sql, Vec::new()).await
}

/// Maximum of a metric over these minutes; `None` if nothing was recorded.
pub async fn maximum<C: ConnectionTrait>(
    db: &C,
    name: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Option<i64>, AppError> {
    let most = figure::Entity::find()
        .filter(figure::Column::Step.eq(Step::Minute.as_str()))
        .filter(figure::Column::At.between(from, to))
        .filter(figure::Column::Name.eq(name))
        .select_only()
        .column_as(figure::Column::Value.max(), "most")
        .into_tuple::<Option<i64>>();
    Ok(most.one(db).await.map_err(app_error)?.flatten())
}

/// Number of users whose AI requests failed.
pub async fn count_users_with_failures<C: ConnectionTrait>(
    db: &C,
    from: Timestamp,
    to: Timestamp,
) -> Result<i64, AppError> {
    let sql = "SELECT COUNT(DISTINCT user_id) AS value FROM usage_requests \
               WHERE created_at >= $1 AND created_at <= $2 AND status >= 500";
    number(db, sql, vec![from.0.into(), to.0.into()]).await
}

async fn number<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<i64, AppError> {
    let row: Option<Number> = raw::find_one(db, sql, values).await?;
    Ok(row.map_or(0, |row| row.value))
}

/// Upserts the state of an instance.
pub async fn upsert_instance<C: ConnectionTrait>(db: &C, row: InstanceRow) -> Result<(), AppError> {
    let changed = [instance::Column::SeenAt, instance::Column::State];
    single::upsert(db, row.into_active_model(), [instance::Column::Id], changed).await
}

/// Deletes an instance that has shut down.
pub async fn delete_instance<C: ConnectionTrait>(db: &C, id: InstanceId) -> Result<(), AppError> {
    instance::Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes and returns the instances that were not seen since `before`.
pub async fn delete_stale_instances<C: ConnectionTrait>(
    db: &C,
    before: Timestamp,
) -> Result<Vec<InstanceRow>, AppError> {
    let gone = instance::Entity::delete_many().filter(instance::Column::SeenAt.lt(before));
    gone.exec_with_returning(db).await.map_err(app_error)
}

/// Returns the newest minute that has figures.
pub async fn newest_minute<C: ConnectionTrait>(db: &C) -> Result<Option<Timestamp>, AppError> {
    #[derive(FromQueryResult)]
    struct Newest {
        at: Option<Timestamp>,
    }
    let sql = "SELECT MAX(at) AS at FROM figures WHERE step = $1";
    let found: Vec<Newest> = raw::find(db, sql, vec![Step::Minute.as_str().into()]).await?;
    Ok(found.into_iter().next().and_then(|newest| newest.at))
}

/// Lists instances, oldest first.
pub async fn instances<C: ConnectionTrait>(db: &C) -> Result<Vec<InstanceRow>, AppError> {
    let instances = instance::Entity::find().order_by_asc(instance::Column::StartedAt);
    instances.order_by_asc(instance::Column::Id).all(db).await.map_err(app_error)
}

/// Upserts an incident, when it is detected and when it ends.
pub async fn upsert_incident<C: ConnectionTrait>(db: &C, row: IncidentRow) -> Result<(), AppError> {
    let changed = [incident::Column::EndedAt, incident::Column::Impact, incident::Column::AffectedUsers];
    single::upsert(db, row.into_active_model(), [incident::Column::Id], changed).await
}

/// Ends the open incidents of an instance that is gone.
pub async fn end_incidents_of<C: ConnectionTrait>(db: &C, instance: InstanceId, at: Timestamp) -> Result<(), AppError> {
    incident::Entity::update_many()
        .set(incident::ActiveModel { ended_at: Set(Some(at)), ..Default::default() })
        .filter(incident::Column::InstanceId.eq(instance))
        .filter(incident::Column::EndedAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Incidents since `from`, earliest first.
pub async fn incidents<C: ConnectionTrait>(db: &C, from: Timestamp, most: u64) -> Result<Vec<IncidentRow>, AppError> {
    let is_recent = Condition::any()
        .add(incident::Column::BeganAt.gte(from))
        .add(incident::Column::EndedAt.gte(from))
        .add(incident::Column::EndedAt.is_null());
    let newest = incident::Entity::find().filter(is_recent).order_by_desc(incident::Column::BeganAt).limit(most);
    let mut rows = newest.all(db).await.map_err(app_error)?;
    rows.reverse();
    Ok(rows)
}

/// Deletes incidents that began before the given time.
pub async fn delete_incidents_before<C: ConnectionTrait>(db: &C, before: Timestamp) -> Result<u64, AppError> {
    let old = incident::Entity::delete_many()
        .filter(incident::Column::BeganAt.lt(before))
        .filter(incident::Column::EndedAt.is_not_null());
    Ok(old.exec(db).await.map_err(app_error)?.rows_affected)
}
