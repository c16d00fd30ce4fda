//! Event log of conversations, and the outbox of events that may not be published yet.

use appcore::{AppError, ConversationId, MessageId, Timestamp, UserId};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};
use uuid::Uuid;

use super::{
    access,
    pieces::{Change, Piece},
    raw,
    rows::{Column, Rows},
};
use crate::entity::conversation_event;

/// Maximum size of a page of the log, in bytes. Bytes rather than characters, because they can be
/// counted without reading the payloads.
const PAGE_BYTES: usize = 2_000_000;

/// Returns the events of a conversation after `after_seq`, oldest first: at most `limit` events and
/// about [`PAGE_BYTES`].
pub async fn list_after<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    after_seq: i64,
    limit: u64,
) -> Result<Vec<conversation_event::Model>, AppError> {
    let sql = format!(
        "SELECT * FROM (SELECT e.*, SUM(OCTET_LENGTH(e.payload)) OVER (ORDER BY e.seq) - OCTET_LENGTH(e.payload) AS bulk FROM \
           (SELECT * FROM conversation_events WHERE conversation_id = $1 AND seq > $2 ORDER BY seq LIMIT $3) AS e) AS p \
         WHERE bulk < {PAGE_BYTES} ORDER BY seq"
    );
    raw::find::<_, conversation_event::Model>(db, sql, [id.into(), after_seq.into(), raw::limit(limit)]).await
}

/// Returns the first events after the given sequence number of each conversation: at most `limit`
/// per conversation and about [`PAGE_BYTES`] in total. May leave out a conversation whose log was
/// trimmed.
pub async fn after_each<C: ConnectionTrait>(
    db: &C,
    positions: &[(ConversationId, i64)],
    limit: u32,
) -> Result<Vec<conversation_event::Model>, AppError> {
    let asked = position_rows(db.get_database_backend(), positions);
    // Sequence numbers have no gaps, so their difference bounds the number of events. The page is
    // shared fairly: it takes the first event of each conversation, then the second of each, and so
    // on. Payloads are read last, because selecting the events needs only the payloads' lengths.
    let sql = format!(
        "SELECT e.* FROM (SELECT e.conversation_id, e.seq, \
             SUM(OCTET_LENGTH(e.payload)) OVER (ORDER BY e.seq - w.seen, e.conversation_id) - OCTET_LENGTH(e.payload) AS bulk FROM {} \
             JOIN conversation_events e ON e.conversation_id = w.id AND e.seq > w.seen AND e.seq <= w.seen + {limit}) AS p \
           JOIN conversation_events e ON e.conversation_id = p.conversation_id AND e.seq = p.seq WHERE p.bulk < {PAGE_BYTES}",
        asked.table()
    );
    let mut events = asked.find::<_, conversation_event::Model>(db, sql).await?;
    events.sort_unstable_by_key(|event| (event.conversation_id, event.seq));
    Ok(events)
}

/// Table of conversations (`id`) with the last sequence number known of each (`seen`).
fn position_rows(backend: DatabaseBackend, positions: &[(ConversationId, i64)]) -> Rows<2> {
    let columns = [Column::Uuid("id"), Column::Int("seen")];
    Rows::new(backend, columns, positions.iter().map(|(id, seq)| [id.0.into(), (*seq).into()]))
}

/// [`after_each`] for log consumers, which must not be blocked by an unreadable event. If the
/// events of a single conversation are requested and one is unreadable, it returns the events
/// before that one; the next call returns a substitute for it.
pub async fn next_readable_of_each<C: ConnectionTrait>(
    db: &C,
    positions: &[(ConversationId, i64)],
    limit: u32,
) -> Result<Vec<conversation_event::Model>, AppError> {
    let mut limit = limit;
    loop {
        match (after_each(db, positions, limit).await, positions) {
            (Err(AppError::Internal(_)), [_]) if limit > 1 => limit /= 2,
            (Err(error @ AppError::Internal(_)), [(id, seen)]) => {
                // Fails if the whole log is unreadable; in that case this event is not the cause.
                let event = substitute_for(db, *id, seen + 1).await?;
                tracing::warn!(%error, conversation = %id, seq = event.seq, "unreadable log event skipped");
                return Ok(vec![event]);
            }
            (found, _) => return found,
        }
    }
}

/// Returns a substitute for an unreadable event: a change of its message, if the event was about
/// the text of a message.
async fn substitute_for<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    seq: i64,
) -> Result<conversation_event::Model, AppError> {
    #[derive(FromQueryResult)]
    struct About {
        message_id: Option<MessageId>,
    }
    let sql = "SELECT COALESCE(e.message_id, m.id) AS message_id FROM conversation_events e \
               LEFT JOIN messages m ON m.conversation_id = e.conversation_id AND m.seq = e.seq \
               WHERE e.conversation_id = $1 AND e.seq = $2";
    let about: Option<About> = raw::find_one(db, sql, [id.into(), seq.into()]).await?;
    let message_id = about.and_then(|about| about.message_id);
    Ok(conversation_event::Model {
        conversation_id: id,
        seq,
        kind: "message.updated".to_owned(),
        payload: serde_json::json!({ "message_id": message_id }).to_string(),
        created_at: Timestamp(0),
        outbox_id: None,
        message_id,
    })
}

/// Event of the log without its payload.
#[derive(Clone, Debug, FromQueryResult)]
pub struct EventSubject {
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub kind: String,
    /// Message that the event is about, if known without the payload.
    pub message_id: Option<MessageId>,
    /// Payload, if it is needed to determine the message: JSON, or invalid bytes.
    pub payload: Option<Vec<u8>>,
}

/// Subjects of the events that [`after_each`] returns: at most `limit` in total.
pub async fn subjects_by_conversation<C: ConnectionTrait>(
    db: &C,
    positions: &[(ConversationId, i64)],
    limit: u32,
) -> Result<Vec<EventSubject>, AppError> {
    let backend = db.get_database_backend();
    let asked = position_rows(backend, positions);
    let bytes =
        if backend == DatabaseBackend::Postgres { "CONVERT_TO(e.payload, 'UTF8')" } else { "CAST(e.payload AS BLOB)" };
    let sql = format!(
        "SELECT e.conversation_id, e.seq, e.kind, COALESCE(e.message_id, m.id) AS message_id, \
           CASE WHEN e.message_id IS NULL AND m.id IS NULL AND e.kind LIKE 'message.%' THEN {bytes} END AS payload \
         FROM (SELECT e.conversation_id, e.seq FROM {} \
             JOIN conversation_events e ON e.conversation_id = w.id AND e.seq > w.seen AND e.seq <= w.seen + {limit} \
             ORDER BY e.seq - w.seen, e.conversation_id LIMIT {limit}) AS p \
           JOIN conversation_events e ON e.conversation_id = p.conversation_id AND e.seq = p.seq \
           LEFT JOIN messages m ON m.conversation_id = e.conversation_id AND m.seq = e.seq",
        asked.table()
    );
    let mut events = asked.find::<_, EventSubject>(db, sql).await?;
    events.sort_unstable_by_key(|event| (event.conversation_id, event.seq));
    Ok(events)
}

/// Event whose payload is rewritten.
#[derive(Clone, Debug, FromQueryResult)]
pub struct StoredEvent {
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub payload: String,
}

/// Returns the events that contain a message's text: the event that created it, and later ones.
pub async fn text_events<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    created_seq: i64,
    message_id: MessageId,
) -> Result<Vec<StoredEvent>, AppError> {
    let sql = "SELECT conversation_id, seq, payload FROM conversation_events WHERE conversation_id = $1 AND seq = $2 \
               UNION ALL SELECT conversation_id, seq, payload FROM conversation_events WHERE message_id = $3";
    let values = [id.into(), created_seq.into(), message_id.into()];
    raw::find::<_, StoredEvent>(db, sql, values).await
}

/// [`text_events`] for several messages, each given by its conversation, the sequence number of the
/// event that created it, and its id.
pub async fn text_events_of_all<C: ConnectionTrait>(
    db: &C,
    messages: &[(ConversationId, i64, MessageId)],
) -> Result<Vec<StoredText>, AppError> {
    let columns = [Column::Uuid("conversation_id"), Column::Int("seq"), Column::Uuid("id")];
    let rows = messages.iter().map(|(conversation, seq, id)| [conversation.0.into(), (*seq).into(), id.0.into()]);
    let asked = Rows::new(db.get_database_backend(), columns, rows);
    let sql = format!(
        "WITH asked AS (SELECT w.* FROM {}) \
         SELECT a.id AS message_id, e.conversation_id, e.seq, e.payload FROM asked a \
           JOIN conversation_events e ON e.conversation_id = a.conversation_id AND e.seq = a.seq \
         UNION ALL SELECT e.message_id, e.conversation_id, e.seq, e.payload FROM asked a \
           JOIN conversation_events e ON e.message_id = a.id",
        asked.table()
    );
    asked.find::<_, StoredText>(db, sql).await
}

/// Event that contains a message's text.
#[derive(Clone, Debug, FromQueryResult)]
pub struct StoredText {
    pub message_id: MessageId,
    #[sea_orm(nested)]
    pub event: StoredEvent,
}

/// Replaces the payloads of events by payloads without the text of later versions of the message.
pub fn rewrite_texts(events: Vec<StoredEvent>) -> Piece {
    static UPDATE: Change<3> = Change::new(
        [Column::Text("payload"), Column::Uuid("conversation_id"), Column::Int("seq")],
        "UPDATE conversation_events SET payload = w.payload, message_id = NULL FROM {} \
         WHERE conversation_events.conversation_id = w.conversation_id AND conversation_events.seq = w.seq",
        "UPDATE conversation_events SET payload = ?, message_id = NULL WHERE conversation_id = ? AND seq = ?",
    );
    let rows = events.into_iter().map(|event| [event.payload.into(), event.conversation_id.0.into(), event.seq.into()]);
    UPDATE.piece(rows)
}

/// True if the log contains an event of this batch.
pub async fn is_committed<C: ConnectionTrait>(db: &C, batch: Uuid) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM conversation_events WHERE outbox_id = $1 LIMIT 1";
    raw::exists(db, sql, [batch.into()]).await
}

/// Replaces payloads. With `without_text`, it also records that none of these events contains a
/// later text of the message any more.
pub async fn rewrite<C: ConnectionTrait>(db: &C, events: Vec<StoredEvent>, without_text: bool) -> Result<(), AppError> {
    if events.is_empty() {
        return Ok(());
    }
    let columns = [Column::Uuid("conversation_id"), Column::Int("seq"), Column::Text("payload")];
    let rows = events.into_iter().map(|event| [event.conversation_id.0.into(), event.seq.into(), event.payload.into()]);
    let rows = Rows::new(db.get_database_backend(), columns, rows);
    let text = if without_text { ", message_id = NULL" } else { "" };
    let sql = format!(
        "UPDATE conversation_events SET payload = w.payload{text} FROM {} \
         WHERE conversation_events.conversation_id = w.conversation_id AND conversation_events.seq = w.seq",
        rows.table()
    );
    rows.execute(db, sql).await.map(drop)
}

/// For each of the user's conversations with events after `moment`, returns the sequence number
/// that precedes the first of these events.
pub async fn positions_at<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    moment: Timestamp,
) -> Result<Vec<(ConversationId, i64)>, AppError> {
    #[derive(FromQueryResult)]
    struct Position {
        id: ConversationId,
        last_seq: i64,
        reads_after: i64,
        /// Sequence number; `None` if the log is empty.
        seq: Option<i64>,
    }
    // Scans backwards from the newest event, so only the recent part of a long log is read.
    let sql = format!(
        "SELECT c.id, c.last_seq, {} AS reads_after, COALESCE( \
           (SELECT e.seq FROM conversation_events e WHERE e.conversation_id = c.id AND e.created_at <= $2 ORDER BY e.seq DESC LIMIT 1), \
           (SELECT MIN(f.seq) - 1 FROM conversation_events f WHERE f.conversation_id = c.id)) AS seq \
         FROM conversation_members m JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted AND c.last_activity_at > $2 \
         WHERE m.user_id = $1 AND NOT m.is_deleted",
        access::member_history_start("c", "m")
    );
    let values = [user.into(), moment.into()];
    let found = raw::find::<_, Position>(db, sql, values).await?;
    let position = |row: Position| {
        let seq = row.seq?.max(row.reads_after);
        (seq < row.last_seq).then_some((row.id, seq))
    };
    Ok(found.into_iter().filter_map(position).collect())
}

#[derive(FromQueryResult)]
struct Head {
    id: ConversationId,
    last_seq: i64,
}

/// Returns the last sequence numbers of these conversations. Includes deleted conversations, whose
/// last event may not be published yet.
pub async fn heads<C: ConnectionTrait>(
    db: &C,
    ids: impl IntoIterator<Item = ConversationId>,
) -> Result<Vec<(ConversationId, i64)>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.into_iter().map(|id| id.0));
    let sql = format!("SELECT c.id, c.last_seq FROM {} JOIN conversations c ON c.id = w.id", asked.table());
    let heads = asked.find::<_, Head>(db, sql).await?;
    Ok(heads.into_iter().map(|head| (head.id, head.last_seq)).collect())
}

/// Returns the last sequence numbers of the conversations that have events since `since` in the
/// log.
pub async fn heads_since<C: ConnectionTrait>(db: &C, since: Timestamp) -> Result<Vec<(ConversationId, i64)>, AppError> {
    let sql = "SELECT c.id, c.last_seq FROM conversations c \
               WHERE c.id IN (SELECT e.conversation_id FROM conversation_events e WHERE e.created_at >= $1) AND c.last_seq > 0";
    let heads = raw::find::<_, Head>(db, sql, [since.into()]).await?;
    Ok(heads.into_iter().map(|head| (head.id, head.last_seq)).collect())
}

/// Claims outbox entries older than `before`. It sets their time to `now`, so that other instances
/// skip them until they are overdue again.
pub async fn claim_unpublished<C: ConnectionTrait>(
    db: &C,
    before: Timestamp,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Uuid>, AppError> {
    #[derive(FromQueryResult)]
    struct Entry {
        id: Uuid,
    }
    let backend = db.get_database_backend();
    let suffix = if backend == DatabaseBackend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let claimed = raw::find::<_, Entry>(
        db,
        format!(
            "UPDATE event_outbox SET created_at = $1 WHERE id IN \
             (SELECT id FROM event_outbox WHERE created_at < $2 ORDER BY id LIMIT $3{suffix}) RETURNING id"
        ),
        [now.into(), before.into(), i64::from(limit).into()],
    )
    .await?;
    Ok(claimed.into_iter().map(|entry| entry.id).collect())
}

/// Returns the events of these outbox entries, in order.
pub async fn of_outbox_entries<C: ConnectionTrait>(
    db: &C,
    entries: &[Uuid],
) -> Result<Vec<conversation_event::Model>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), entries.iter().copied());
    let sql = format!(
        "SELECT e.* FROM {} JOIN conversation_events e ON e.outbox_id = w.id ORDER BY e.conversation_id, e.seq",
        asked.table()
    );
    asked.find::<_, conversation_event::Model>(db, sql).await
}

/// True if any outbox entry is overdue. This read is cheap and precedes the claim, so that an idle
/// publisher writes nothing.
pub async fn any_unpublished<C: ConnectionTrait>(db: &C, before: Timestamp) -> Result<bool, AppError> {
    raw::exists(db, "SELECT 1 AS one FROM event_outbox WHERE created_at < $1 LIMIT 1", [before.into()]).await
}

/// Deletes at most `limit` events older than `before`, except those that created a conversation;
/// returns the number of deleted rows. `table` is the log, or one of its partitions.
pub async fn trim<C: ConnectionTrait>(db: &C, table: &str, before: Timestamp, limit: u32) -> Result<u64, AppError> {
    let sql = format!(
        "DELETE FROM {table} WHERE (conversation_id, seq) IN \
         (SELECT conversation_id, seq FROM {table} WHERE created_at < $1 AND seq > 0 ORDER BY created_at, seq LIMIT $2)"
    );
    raw::execute(db, sql, [before.into(), i64::from(limit).into()]).await
}
