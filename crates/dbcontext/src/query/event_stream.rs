//! Outbox and state of the event stream, through which other programs receive events.

use appcore::{AppError, ConversationId, EventId, InstanceId, Timestamp, WorkspaceId};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};
use uuid::Uuid;

use super::{
    raw,
    rows::{Column, Rows},
};
pub use crate::entity::{event_stream::Model as StreamState, user_event::Model as UserEvent};

/// Inserts the row with the state of the stream if there is none.
const INSERT_STATE: &str =
    "INSERT INTO event_stream (id, lease_until, published) VALUES (1, 0, 0) ON CONFLICT (id) DO NOTHING";

/// Number of events before a waiting one among which earlier waiting events of its conversation are looked for.
const MAX_INVERSION: i64 = 1_000;

#[derive(FromQueryResult)]
struct Entry {
    id: Uuid,
}

/// Acquires or renews the lease of the only publisher; returns `false` if another instance has it.
pub async fn acquire_lease<C: ConnectionTrait>(
    db: &C,
    instance: InstanceId,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, AppError> {
    let renew = "UPDATE event_stream SET holder = $1, lease_until = $2 \
                 WHERE id = 1 AND (holder IS NULL OR holder = $1 OR lease_until <= $3)";
    let values = || [instance.0.into(), until.into(), now.into()];
    if raw::execute(db, renew, values()).await? > 0 {
        return Ok(true);
    }
    raw::run(db, INSERT_STATE, []).await?;
    Ok(raw::execute(db, renew, values()).await? > 0)
}

/// Releases the lease, so that another instance can acquire it at once.
pub async fn release_lease<C: ConnectionTrait>(db: &C, instance: InstanceId) -> Result<(), AppError> {
    raw::run(db, "UPDATE event_stream SET lease_until = 0 WHERE id = 1 AND holder = $1", [instance.0.into()]).await
}

/// Progress of the publisher.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    None,
    /// Position of the last event in the broker's stream.
    Position(i64),
    /// Number of events that were added to the broker's partitions, which have positions of their own.
    Added(i64),
}

/// Records the progress of the publisher, or the reason of a failure.
pub async fn record<C: ConnectionTrait>(
    db: &C,
    instance: InstanceId,
    progress: Progress,
    error: Option<&str>,
) -> Result<(), AppError> {
    let (position, added) = match progress {
        Progress::None => (None, 0),
        Progress::Position(position) => (Some(position), 0),
        Progress::Added(added) => (None, added),
    };
    let sql = "UPDATE event_stream SET published = COALESCE($2, published) + $3, last_error = $4 \
               WHERE id = 1 AND holder = $1";
    let values = [instance.0.into(), position.into(), added.into(), error.map(str::to_owned).into()];
    raw::run(db, sql, values).await
}

/// State of the publisher; `None` before its first start.
pub async fn state<C: ConnectionTrait>(db: &C) -> Result<Option<StreamState>, AppError> {
    raw::find_one(
        db,
        "SELECT id, holder, lease_until, published, last_error, user_events FROM event_stream WHERE id = 1",
        [],
    )
    .await
}

/// Number of events that the broker has not confirmed.
pub async fn count_waiting<C: ConnectionTrait>(db: &C) -> Result<i64, AppError> {
    let sql = "SELECT (SELECT COUNT(*) FROM event_stream_outbox o JOIN conversation_events e ON e.outbox_id = o.id) \
               + (SELECT COUNT(*) FROM user_event_outbox)";
    Ok(raw::find_value(db, sql, []).await?.unwrap_or_default())
}

/// Returns the oldest `limit` waiting batches.
pub async fn oldest<C: ConnectionTrait>(db: &C, limit: u32) -> Result<Vec<Uuid>, AppError> {
    let sql = "SELECT id FROM event_stream_outbox ORDER BY id LIMIT $1";
    let found = raw::find::<_, Entry>(db, sql, [i64::from(limit).into()]).await?;
    Ok(found.into_iter().map(|entry| entry.id).collect())
}

/// Returns the waiting batches that have events before these positions. The ids of batches of two instances may be in
/// another order than their events.
pub async fn before<C: ConnectionTrait>(db: &C, first: &[(ConversationId, i64)]) -> Result<Vec<Uuid>, AppError> {
    let columns = [Column::Uuid("conversation_id"), Column::Int("seq")];
    let rows =
        Rows::new(db.get_database_backend(), columns, first.iter().map(|(id, seq)| [id.0.into(), (*seq).into()]));
    let sql = format!(
        "SELECT DISTINCT o.id FROM {} JOIN conversation_events e ON e.conversation_id = w.conversation_id \
         AND e.seq < w.seq AND e.seq >= w.seq - {MAX_INVERSION} JOIN event_stream_outbox o ON o.id = e.outbox_id",
        rows.table()
    );
    let found = rows.find::<_, Entry>(db, sql).await?;
    Ok(found.into_iter().map(|entry| entry.id).collect())
}

/// Removes batches that the broker has confirmed.
pub async fn remove<C: ConnectionTrait>(db: &C, entries: &[Uuid]) -> Result<(), AppError> {
    let rows = Rows::ids(db.get_database_backend(), entries.iter().copied());
    let sql = format!("DELETE FROM event_stream_outbox WHERE id IN (SELECT w.id FROM {})", rows.table());
    rows.execute(db, sql).await.map(drop)
}

/// Returns the workspaces of these conversations.
pub async fn workspaces<C: ConnectionTrait>(
    db: &C,
    ids: impl IntoIterator<Item = ConversationId>,
) -> Result<Vec<(ConversationId, WorkspaceId)>, AppError> {
    #[derive(FromQueryResult)]
    struct Place {
        id: ConversationId,
        workspace_id: WorkspaceId,
    }
    let rows = Rows::ids(db.get_database_backend(), ids.into_iter().map(|id| id.0));
    let sql = format!("SELECT c.id, c.workspace_id FROM {} JOIN conversations c ON c.id = w.id", rows.table());
    let found = rows.find::<_, Place>(db, sql).await?;
    Ok(found.into_iter().map(|place| (place.id, place.workspace_id)).collect())
}

/// Sets whether changes of accounts are recorded for the stream. Writes only if that changes.
pub async fn set_recording<C: ConnectionTrait>(db: &C, is_on: bool) -> Result<(), AppError> {
    if state(db).await?.is_some_and(|state| state.user_events) != is_on {
        raw::run(db, INSERT_STATE, []).await?;
        raw::run(db, "UPDATE event_stream SET user_events = $1 WHERE id = 1", [is_on.into()]).await?;
    }
    if is_on && db.get_database_backend() == DatabaseBackend::Postgres {
        // Events that were copied from another database have its positions.
        let sql = "SELECT setval('user_event_positions', w.position) FROM \
                   (SELECT MAX(position) AS position FROM user_event_outbox) w, user_event_positions p \
                   WHERE w.position > p.last_value";
        raw::run(db, sql, []).await?;
    }
    Ok(())
}

/// Returns the oldest `limit` waiting events of accounts.
pub async fn oldest_user_events<C: ConnectionTrait>(db: &C, limit: usize) -> Result<Vec<UserEvent>, AppError> {
    let sql = "SELECT id, position, kind, user_id, workspace_id, data, created_at FROM user_event_outbox \
               ORDER BY position, id LIMIT $1";
    raw::find(db, sql, [raw::limit(limit as u64)]).await
}

/// Removes events of accounts that the broker has confirmed.
pub async fn remove_user_events<C: ConnectionTrait>(
    db: &C,
    ids: impl IntoIterator<Item = EventId>,
) -> Result<(), AppError> {
    let rows = Rows::ids(db.get_database_backend(), ids.into_iter().map(|id| id.0));
    let sql = format!("DELETE FROM user_event_outbox WHERE id IN (SELECT w.id FROM {})", rows.table());
    rows.execute(db, sql).await.map(drop)
}
