//! Tool calls of answers. Each change states the status that it expects, so that only one of two
//! concurrent changes succeeds.

use appcore::{
    AppError, McpServerId, MessageId, Timestamp, ToolCallId, UserId,
    view::{self, ToolCallStatus},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Set, Value};

use super::raw;
use super::rows::{Column, Rows};
use crate::{
    constraint::app_error,
    entity::{message, tool_call},
};

/// Row of a tool call without the images of its result.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ToolCallRow {
    pub id: ToolCallId,
    pub message_id: MessageId,
    pub version: i64,
    pub round: i32,
    pub place: i32,
    pub call_id: String,
    pub function: String,
    pub signature: Option<String>,
    pub server_id: McpServerId,
    pub server: String,
    pub tool: String,
    pub title: Option<String>,
    pub arguments: String,
    /// Arguments written by the model, if the user has edited them.
    pub model_arguments: Option<String>,
    pub status: ToolCallStatus,
    pub result: Option<String>,
    /// Number of images in the result.
    pub picture_count: i32,
    pub is_repeatable: bool,
    pub requested_by: UserId,
    pub text_offset: i64,
    pub attempt: i32,
    pub asked_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

/// SQL select list of tool calls. Leaves out the images of the results, which are large.
const COLUMNS: &str = "t.id, t.message_id, t.version, t.round, t.place, t.call_id, t.function, t.signature, t.server_id, t.server, t.tool, \
    t.title, t.arguments, t.model_arguments, t.status, t.result, t.picture_count, t.is_repeatable, t.requested_by, t.text_offset, t.attempt, t.asked_at, t.expires_at, \
    t.started_at, t.ended_at";

/// Images of a tool call's result, as JSON.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Pictures {
    pub id: ToolCallId,
    pub pictures: String,
}

impl From<ToolCallRow> for view::ToolCall {
    fn from(row: ToolCallRow) -> Self {
        let status = row.status;
        let duration = |(from, to): (Timestamp, Timestamp)| u64::try_from(to.0 - from.0).unwrap_or(0);
        Self {
            id: row.id,
            server_id: Some(row.server_id),
            server: row.server,
            tool: row.tool,
            title: row.title,
            status,
            is_edited: row.model_arguments.is_some(),
            may_remember: status == ToolCallStatus::Waiting,
            arguments: row.arguments,
            result: row.result,
            pictures: row.picture_count.unsigned_abs(),
            at: row.text_offset.unsigned_abs(),
            asker_id: row.requested_by,
            expires_at: row.expires_at.filter(|_| status == ToolCallStatus::Waiting),
            duration_ms: row.started_at.zip(row.ended_at).map(duration),
        }
    }
}

/// Inserts the tool calls of a round, unless they already exist.
pub async fn insert<C: ConnectionTrait>(db: &C, rows: Vec<ToolCallRow>) -> Result<(), AppError> {
    let columns = [
        Column::Uuid("id"),
        Column::Uuid("message_id"),
        Column::Int("version"),
        Column::Int("round"),
        Column::Int("place"),
        Column::Text("call_id"),
        Column::Text("function"),
        Column::Text("signature"),
        Column::Uuid("server_id"),
        Column::Text("server"),
        Column::Text("tool"),
        Column::Text("title"),
        Column::Text("arguments"),
        Column::Text("status"),
        Column::Text("result"),
        Column::Int("is_repeatable"),
        Column::Uuid("requested_by"),
        Column::Int("text_offset"),
        Column::Int("asked_at"),
        Column::Int("expires_at"),
        Column::Int("ended_at"),
    ];
    let rows = rows.into_iter().map(|row| {
        [
            row.id.0.into(),
            row.message_id.0.into(),
            row.version.into(),
            i64::from(row.round).into(),
            i64::from(row.place).into(),
            row.call_id.into(),
            row.function.into(),
            row.signature.into(),
            row.server_id.0.into(),
            row.server.into(),
            row.tool.into(),
            row.title.into(),
            row.arguments.into(),
            row.status.as_str().into(),
            row.result.into(),
            i64::from(row.is_repeatable).into(),
            row.requested_by.0.into(),
            row.text_offset.into(),
            row.asked_at.0.into(),
            row.expires_at.map(|at| at.0).into(),
            row.ended_at.map(|at| at.0).into(),
        ]
    });
    let rows = Rows::new(db.get_database_backend(), columns, rows);
    let sql = format!(
        "INSERT INTO tool_calls (id, message_id, version, round, place, call_id, function, signature, server_id, server, tool, title, \
           arguments, status, result, is_repeatable, requested_by, text_offset, attempt, asked_at, expires_at, ended_at) \
         SELECT w.id, w.message_id, w.version, w.round, w.place, w.call_id, w.function, w.signature, w.server_id, w.server, w.tool, \
           w.title, w.arguments, w.status, w.result, w.is_repeatable = 1, w.requested_by, w.text_offset, 0, w.asked_at, w.expires_at, w.ended_at \
         FROM {}",
        rows.table()
    );
    rows.execute(db, sql).await.map(drop)
}

/// Lists the tool calls of a version of an answer, in order.
pub async fn of_version<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    version: i64,
) -> Result<Vec<ToolCallRow>, AppError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tool_calls t WHERE t.message_id = $1 AND t.version = $2 ORDER BY t.round, t.place"
    );
    all(db, &sql, vec![message.into(), version.into()]).await
}

/// Returns the images in the tool results of a version, those of the last call first.
pub async fn pictures<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    version: i64,
    limit: u64,
) -> Result<Vec<Pictures>, AppError> {
    let sql = format!(
        "SELECT t.id, t.pictures FROM tool_calls t WHERE t.message_id = $1 AND t.version = $2 AND t.pictures IS NOT NULL \
         ORDER BY t.round DESC, t.place DESC LIMIT {limit}"
    );
    raw::find::<_, Pictures>(db, &sql, [message.into(), version.into()]).await
}

/// Returns the images of one tool result, as JSON.
pub async fn pictures_of<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    id: ToolCallId,
) -> Result<Option<String>, AppError> {
    let sql =
        "SELECT t.id, t.pictures FROM tool_calls t WHERE t.message_id = $1 AND t.id = $2 AND t.pictures IS NOT NULL";
    let found = raw::find_one::<_, Pictures>(db, sql, [message.into(), id.into()]).await?;
    Ok(found.map(|found| found.pictures))
}

/// Lists the tool calls of the current version of an answer, in order.
pub async fn of_current_version<C: ConnectionTrait>(db: &C, message: MessageId) -> Result<Vec<ToolCallRow>, AppError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tool_calls t JOIN messages m ON m.id = t.message_id AND m.version = t.version \
         WHERE t.message_id = $1 ORDER BY t.round, t.place"
    );
    all(db, &sql, vec![message.into()]).await
}

/// Finds a tool call of the current version of an answer.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    id: ToolCallId,
) -> Result<Option<ToolCallRow>, AppError> {
    Ok(of_current_version(db, message).await?.into_iter().find(|call| call.id == id))
}

/// Records the user's decision about a call that waits for permission, and the arguments if the
/// user has edited them. Returns `false` if the call no longer waits.
pub async fn decide<C: ConnectionTrait>(
    db: &C,
    id: ToolCallId,
    status: ToolCallStatus,
    (result, arguments): (Option<&str>, Option<&str>),
    now: Timestamp,
) -> Result<bool, AppError> {
    if let Some(arguments) = arguments {
        let sql =
            "UPDATE tool_calls SET model_arguments = arguments, arguments = $2 WHERE id = $1 AND status = 'waiting'";
        change(db, sql, vec![id.into(), arguments.into()]).await?;
    }
    let sql = "UPDATE tool_calls SET status = $2, result = $3, ended_at = CASE WHEN $2 = 'queued' THEN NULL ELSE CAST($4 AS bigint) END \
               WHERE id = $1 AND status = 'waiting'";
    change(db, sql, vec![id.into(), status.as_str().into(), result.into(), now.into()]).await
}

/// Starts a call under the claim `attempt` of the job; returns `false` if it was already started.
pub async fn start<C: ConnectionTrait>(db: &C, id: ToolCallId, attempt: i32, now: Timestamp) -> Result<bool, AppError> {
    let started = tool_call::ActiveModel {
        status: Set(ToolCallStatus::Running),
        attempt: Set(attempt),
        started_at: Set(Some(now)),
        ..Default::default()
    };
    let done = tool_call::Entity::update_many()
        .set(started)
        .filter(tool_call::Column::Id.eq(id))
        .filter(tool_call::Column::Status.eq(ToolCallStatus::Queued))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Finishes a call and stores the images of its result; returns `false` if another claim has taken
/// over the call.
pub async fn finish<C: ConnectionTrait>(
    db: &C,
    id: ToolCallId,
    attempt: i32,
    status: ToolCallStatus,
    (result, pictures): (&str, Option<(String, i32)>),
    now: Timestamp,
) -> Result<bool, AppError> {
    let (pictures, count) = pictures.map_or((None, 0), |(pictures, count)| (Some(pictures), count));
    let ended = tool_call::ActiveModel {
        status: Set(status),
        result: Set(Some(result.to_owned())),
        ended_at: Set(Some(now)),
        pictures: Set(pictures),
        picture_count: Set(count),
        ..Default::default()
    };
    let done = tool_call::Entity::update_many()
        .set(ended)
        .filter(tool_call::Column::Id.eq(id))
        .filter(tool_call::Column::Attempt.eq(attempt))
        .filter(tool_call::Column::Status.eq(ToolCallStatus::Running))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Takes over the calls that earlier claims of the job have left running. Idempotent calls are
/// queued again, the others are marked as interrupted.
pub async fn take_over<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    version: i64,
    attempt: i32,
    told: &str,
    now: Timestamp,
) -> Result<bool, AppError> {
    let sql = "UPDATE tool_calls SET status = CASE WHEN is_repeatable THEN 'queued' ELSE 'interrupted' END, \
                 result = CASE WHEN is_repeatable THEN NULL ELSE $4 END, ended_at = CASE WHEN is_repeatable THEN NULL ELSE CAST($5 AS bigint) END \
               WHERE message_id = $1 AND version = $2 AND status = 'running' AND attempt < $3";
    change(db, sql, vec![message.into(), version.into(), attempt.into(), told.into(), now.into()]).await
}

/// Expires calls for which the user has made no decision in time.
pub async fn expire<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    told: &str,
    now: Timestamp,
) -> Result<bool, AppError> {
    let sql = "UPDATE tool_calls SET status = 'expired', result = $2, ended_at = $3 \
               WHERE message_id = $1 AND status = 'waiting' AND expires_at <= $3";
    change(db, sql, vec![message.into(), told.into(), now.into()]).await
}

/// Ends the open calls of an answer that has finished. A call that is running may still take
/// effect.
pub async fn stop<C: ConnectionTrait>(db: &C, message: MessageId, now: Timestamp) -> Result<bool, AppError> {
    let sql = "UPDATE tool_calls SET ended_at = $2, \
                 status = CASE WHEN status = 'running' AND NOT is_repeatable THEN 'interrupted' ELSE 'stopped' END \
               WHERE message_id = $1 AND status IN ('waiting', 'queued', 'running')";
    change(db, sql, vec![message.into(), now.into()]).await
}

/// Deletes the calls of the current version, because the answer is generated again.
pub async fn remove_of_current_version<C: ConnectionTrait>(db: &C, message: MessageId) -> Result<(), AppError> {
    let sql = "DELETE FROM tool_calls WHERE message_id = $1 AND version = (SELECT version FROM messages WHERE id = $1)";
    change(db, sql, vec![message.into()]).await?;
    set_summary(db, message, None).await
}

/// Stores the public view of the calls with the message, as JSON.
pub async fn set_summary<C: ConnectionTrait>(db: &C, message: MessageId, calls: Option<&str>) -> Result<(), AppError> {
    message::Entity::update_many()
        .set(message::ActiveModel { tool_calls: Set(calls.map(str::to_owned)), ..Default::default() })
        .filter(message::Column::Id.eq(message))
        .filter(message::Column::DeletedAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

async fn all<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<Vec<ToolCallRow>, AppError> {
    raw::find::<_, ToolCallRow>(db, sql, values).await
}

async fn change<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<bool, AppError> {
    Ok(raw::execute(db, sql, values).await? > 0)
}
