//! Jobs as administrators see them, and actions on dead letters.

use std::collections::BTreeMap;

use appcore::{
    AppError, JobId, Timestamp,
    page::PageRequest,
    view::{self, JobStatus},
};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{jobs::now, raw};

#[derive(FromQueryResult)]
struct JobRow {
    id: JobId,
    kind: String,
    status: String,
    attempt: i32,
    attempts_before: i32,
    error: Option<String>,
    due_at: Option<Timestamp>,
    created_at: Timestamp,
    payload: String,
}

const COLUMNS: &str =
    "j.id, j.kind, j.status, j.attempt, j.attempts_before, j.error, j.due_at, j.created_at, j.payload";

impl From<JobRow> for view::Job {
    fn from(row: JobRow) -> Self {
        let status = match row.status.as_str() {
            "running" => JobStatus::Running,
            "dead" => JobStatus::Dead,
            _ => JobStatus::Queued,
        };
        Self {
            id: row.id,
            kind: row.kind,
            status,
            attempts: row.attempt.saturating_sub(row.attempts_before).unsigned_abs(),
            error: row.error,
            run_at: row.due_at.filter(|_| status == JobStatus::Queued),
            created_at: row.created_at,
            about: visible_ids(&row.payload),
        }
    }
}

/// Extracts the parts of a job's payload that operators may see: ids, by name, and the kind of
/// email. Texts, addresses and tokens are left out.
fn visible_ids(payload: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Ok(payload) = serde_json::from_str::<Json>(payload) else { return found };
    collect_ids("", &payload, &mut found);
    let letter = match payload.get("letter") {
        Some(Json::String(name)) => Some(name),
        Some(Json::Object(fields)) => fields.keys().next(),
        _ => None,
    };
    found.extend(letter.map(|name| ("letter".to_owned(), name.clone())));
    found
}

fn collect_ids(path: &str, value: &Json, found: &mut BTreeMap<String, String>) {
    match value {
        Json::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect_ids(&path, value, found);
            }
        }
        Json::String(text) => {
            let name = path.rsplit('.').next().unwrap_or(path);
            if (name.ends_with("_id") || name == "user") && Uuid::parse_str(text).is_ok() {
                found.insert(path.to_owned(), text.clone());
            }
        }
        _ => {}
    }
}

/// Value of the column `status`.
const fn status_name(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Queued => "waiting",
        JobStatus::Running => "running",
        JobStatus::Dead => "dead",
    }
}

/// Lists jobs, newest first, with the total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    status: Option<JobStatus>,
    kind: Option<&str>,
    page: PageRequest,
) -> Result<(Vec<view::Job>, u64), AppError> {
    let (mut of, mut values) = ("FROM jobs j WHERE TRUE".to_owned(), Vec::<Value>::new());
    if let Some(status) = status {
        // The status is a literal so that a partial index can be used.
        of.push_str(&format!(" AND j.status = '{}'", status_name(status)));
    }
    if let Some(kind) = kind {
        values.push(kind.into());
        of.push_str(" AND j.kind = $1");
    }
    let sql = format!("SELECT {COLUMNS} {of} ORDER BY j.id DESC LIMIT {} OFFSET {}", page.page_size, page.offset());
    let rows = raw::find::<_, JobRow>(db, sql, values.clone()).await?;
    Ok((rows.into_iter().map(view::Job::from).collect(), super::page::count(db, &of, values).await?))
}

/// Statistics of the jobs of a kind.
#[derive(Clone, Debug, FromQueryResult)]
pub struct KindStats {
    pub kind: String,
    /// Number of jobs that can be claimed now.
    pub due: i64,
    pub running: i64,
    pub dead: i64,
    /// Longest time for which a job has been due, in milliseconds.
    pub longest_wait: i64,
}

/// Returns the statistics of each kind of job.
pub async fn stats_by_kind<C: ConnectionTrait>(db: &C) -> Result<Vec<KindStats>, AppError> {
    let now = now(db.get_database_backend());
    let is_due = format!("status = 'waiting' AND due_at <= {now}");
    let count = |what: &str| format!("COUNT(CASE WHEN {what} THEN 1 END)");
    let sql = format!(
        "SELECT kind, {} AS due, {} AS running, {} AS dead, \
           CAST(COALESCE(MAX(CASE WHEN {is_due} THEN {now} - due_at END), 0) AS BIGINT) AS longest_wait FROM jobs GROUP BY kind",
        count(&is_due),
        count("status = 'running'"),
        count("status = 'dead'"),
    );
    raw::find::<_, KindStats>(db, sql, []).await
}

pub async fn find<C: ConnectionTrait>(db: &C, id: JobId) -> Result<Option<view::Job>, AppError> {
    let sql = format!("SELECT {COLUMNS} FROM jobs j WHERE j.id = $1");
    Ok(raw::find_one::<_, JobRow>(db, sql, [id.into()]).await?.map(view::Job::from))
}

/// Requeues dead letters: the one with `id`, those of a kind, or all. Returns their number.
pub async fn requeue<C: ConnectionTrait>(db: &C, id: Option<JobId>, kind: Option<&str>) -> Result<u64, AppError> {
    let now = now(db.get_database_backend());
    let set = format!(
        "UPDATE jobs SET status = 'waiting', due_at = {now}, updated_at = {now}, attempts_before = attempt, stop_requested = FALSE, \
           is_blocked = FALSE, turn = NULL WHERE"
    );
    dead_letters(db, &set, id, kind).await
}

/// Deletes a dead letter; returns `false` if there is none.
pub async fn delete<C: ConnectionTrait>(db: &C, id: JobId) -> Result<bool, AppError> {
    Ok(dead_letters(db, "DELETE FROM jobs WHERE", Some(id), None).await? > 0)
}

/// Deletes the dead letters of a kind, or all. Returns their number.
pub async fn delete_all<C: ConnectionTrait>(db: &C, kind: Option<&str>) -> Result<u64, AppError> {
    dead_letters(db, "DELETE FROM jobs WHERE", None, kind).await
}

async fn dead_letters<C: ConnectionTrait>(
    db: &C,
    change: &str,
    id: Option<JobId>,
    kind: Option<&str>,
) -> Result<u64, AppError> {
    let mut sql = format!("{change} status = 'dead'");
    let mut values: Vec<Value> = Vec::new();
    for (column, value) in [("id", id.map(Value::from)), ("kind", kind.map(Value::from))] {
        if let Some(value) = value {
            values.push(value);
            sql.push_str(&format!(" AND {column} = ${}", values.len()));
        }
    }
    raw::execute(db, sql, values).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_ids_but_no_content_of_payloads() {
        let id = Uuid::now_v7().to_string();
        let payload = serde_json::json!({
            "to": { "user": id, "account": "anna@example.test" },
            "letter": { "invitation": { "invitation_id": id, "workspace": "Secret plans", "token": Uuid::now_v7() } },
            "content": "Hello", "conversation_id": id, "message_id": "not an id", "upload_id": null,
        });
        let expected = [
            ("conversation_id", id.as_str()),
            ("letter", "invitation"),
            ("letter.invitation.invitation_id", id.as_str()),
            ("to.user", id.as_str()),
        ];
        let found = visible_ids(&payload.to_string());
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
        assert_eq!(visible_ids(r#"{"letter":"verification"}"#)["letter"], "verification");
        assert!(visible_ids("of a newer release").is_empty());
    }
}
