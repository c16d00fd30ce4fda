//! The event log, and the statements by which the writer commits a group: one of each per group, however many messages it holds.

use appcore::{AppError, ConversationId, MessageId, Timestamp, UserId, WorkspaceId};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseTransaction, FromQueryResult, Statement};
use serde::Serialize;
use uuid::Uuid;

use super::{
    messages::NamedMessage,
    rows::{self, Column, Piece},
};
use crate::{constraint::app_error, entity::conversation_event};

/// A conversation under the group's lock.
#[derive(Clone, Debug, FromQueryResult)]
pub struct LockedConversation {
    pub id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: String,
    pub title: Option<String>,
    pub topic: Option<String>,
    pub last_seq: i64,
}

/// A person whose right to act in a conversation was looked up.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Standing {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub role: String,
    pub display_name: String,
}

#[derive(Debug)]
pub struct NewMessage {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub sender_kind: &'static str,
    pub sender_id: Option<Uuid>,
    pub client_id: Option<String>,
    pub content: String,
    pub status: &'static str,
    pub reply_to: Option<MessageId>,
    pub model: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Debug)]
pub struct NewEvent {
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub kind: String,
    pub payload: String,
    pub created_at: Timestamp,
    pub group_id: Option<Uuid>,
}

/// Locks conversations in the order of their ids, so that the writers of two instances can't deadlock. Deleted ones are left out.
pub async fn lock(
    txn: &DatabaseTransaction,
    ids: impl IntoIterator<Item = ConversationId>,
) -> Result<Vec<LockedConversation>, AppError> {
    let backend = txn.get_database_backend();
    // SQLite's transaction holds the only write lock there is.
    let suffix = if backend == DatabaseBackend::Postgres { " FOR UPDATE OF c" } else { "" };
    let sql = format!(
        "SELECT c.id, c.workspace_id, c.kind, c.title, c.topic, c.last_seq FROM conversations c \
         WHERE c.id IN (SELECT w.id FROM {}) AND NOT c.is_deleted ORDER BY c.id{suffix}",
        rows::unfold(backend, &[Column::Uuid("id")])
    );
    let statement = rows::statement(txn, sql, &rows::ids(ids.into_iter().map(|id| id.0)))?;
    LockedConversation::find_by_statement(statement).all(txn).await.map_err(app_error)
}

/// Who of these people is a member of which of these conversations.
pub async fn standings<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, UserId)],
) -> Result<Vec<Standing>, AppError> {
    #[derive(Serialize)]
    struct Row {
        conversation_id: String,
        user_id: String,
    }
    let sql = format!(
        "SELECT m.conversation_id, m.user_id, m.role, u.display_name FROM {} \
         JOIN conversation_members m ON m.conversation_id = w.conversation_id AND m.user_id = w.user_id AND NOT m.is_deleted \
         JOIN users u ON u.id = m.user_id AND NOT u.is_deleted",
        rows::unfold(db.get_database_backend(), &[Column::Uuid("conversation_id"), Column::Uuid("user_id")])
    );
    let asked: Vec<Row> = asked
        .iter()
        .map(|(conversation, user)| Row { conversation_id: rows::hex(conversation.0), user_id: rows::hex(user.0) })
        .collect();
    Standing::find_by_statement(rows::statement(db, sql, &asked)?).all(db).await.map_err(app_error)
}

/// Messages that were sent before with the same `client_id`.
pub async fn repeated<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, UserId, &str)],
) -> Result<Vec<NamedMessage>, AppError> {
    #[derive(Serialize)]
    struct Row<'a> {
        conversation_id: String,
        sender_id: String,
        client_id: &'a str,
    }
    let sql = format!(
        "SELECT m.*, u.display_name AS sender_name FROM {} \
         JOIN messages m ON m.conversation_id = w.conversation_id AND m.sender_id = w.sender_id AND m.client_id = w.client_id \
         JOIN users u ON u.id = m.sender_id",
        rows::unfold(
            db.get_database_backend(),
            &[Column::Uuid("conversation_id"), Column::Uuid("sender_id"), Column::Text("client_id")]
        )
    );
    let asked: Vec<Row> = asked
        .iter()
        .map(|(conversation, sender, client_id)| Row {
            conversation_id: rows::hex(conversation.0),
            sender_id: rows::hex(sender.0),
            client_id,
        })
        .collect();
    NamedMessage::find_by_statement(rows::statement(db, sql, &asked)?).all(db).await.map_err(app_error)
}

/// Which of these messages are in which of these conversations (what a reply may point to).
pub async fn existing<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, MessageId)],
) -> Result<Vec<(ConversationId, MessageId)>, AppError> {
    #[derive(Serialize)]
    struct Row {
        conversation_id: String,
        id: String,
    }
    #[derive(FromQueryResult)]
    struct Found {
        conversation_id: ConversationId,
        id: MessageId,
    }
    let sql = format!(
        "SELECT m.conversation_id, m.id FROM {} JOIN messages m ON m.id = w.id AND m.conversation_id = w.conversation_id",
        rows::unfold(db.get_database_backend(), &[Column::Uuid("conversation_id"), Column::Uuid("id")])
    );
    let asked: Vec<Row> = asked
        .iter()
        .map(|(conversation, id)| Row { conversation_id: rows::hex(conversation.0), id: rows::hex(id.0) })
        .collect();
    let found = Found::find_by_statement(rows::statement(db, sql, &asked)?).all(db).await.map_err(app_error)?;
    Ok(found.into_iter().map(|row| (row.conversation_id, row.id)).collect())
}

/// Stores messages.
pub fn insert_messages(backend: DatabaseBackend, messages: &[NewMessage]) -> Result<Piece, AppError> {
    #[derive(Serialize)]
    struct Row<'a> {
        id: String,
        conversation_id: String,
        seq: i64,
        sender_kind: &'a str,
        sender_id: Option<String>,
        client_id: Option<&'a str>,
        content: &'a str,
        status: &'a str,
        reply_to: Option<String>,
        model: Option<&'a str>,
        created_at: i64,
    }
    let columns = [
        Column::Uuid("id"),
        Column::Uuid("conversation_id"),
        Column::Int("seq"),
        Column::Text("sender_kind"),
        Column::Uuid("sender_id"),
        Column::Text("client_id"),
        Column::Text("content"),
        Column::Text("status"),
        Column::Uuid("reply_to"),
        Column::Text("model"),
        Column::Int("created_at"),
    ];
    let names =
        "id, conversation_id, seq, sender_kind, sender_id, client_id, content, status, reply_to, model, created_at";
    let sql = format!("INSERT INTO messages ({names}) SELECT {names} FROM {}", rows::unfold(backend, &columns));
    let rows: Vec<Row> = messages
        .iter()
        .map(|message| Row {
            id: rows::hex(message.id.0),
            conversation_id: rows::hex(message.conversation_id.0),
            seq: message.seq,
            sender_kind: message.sender_kind,
            sender_id: message.sender_id.map(rows::hex),
            client_id: message.client_id.as_deref(),
            content: &message.content,
            status: message.status,
            reply_to: message.reply_to.map(|id| rows::hex(id.0)),
            model: message.model.as_deref(),
            created_at: message.created_at.0,
        })
        .collect();
    Piece::new(sql, &rows)
}

/// Appends to the log.
pub fn insert(backend: DatabaseBackend, events: &[NewEvent]) -> Result<Piece, AppError> {
    #[derive(Serialize)]
    struct Row<'a> {
        conversation_id: String,
        seq: i64,
        kind: &'a str,
        payload: &'a str,
        created_at: i64,
        group_id: Option<String>,
    }
    let columns = [
        Column::Uuid("conversation_id"),
        Column::Int("seq"),
        Column::Text("kind"),
        Column::Text("payload"),
        Column::Int("created_at"),
        Column::Uuid("group_id"),
    ];
    let names = "conversation_id, seq, kind, payload, created_at, group_id";
    let sql =
        format!("INSERT INTO conversation_events ({names}) SELECT {names} FROM {}", rows::unfold(backend, &columns));
    let rows: Vec<Row> = events
        .iter()
        .map(|event| Row {
            conversation_id: rows::hex(event.conversation_id.0),
            seq: event.seq,
            kind: &event.kind,
            payload: &event.payload,
            created_at: event.created_at.0,
            group_id: event.group_id.map(rows::hex),
        })
        .collect();
    Piece::new(sql, &rows)
}

/// Writes back how far each conversation's numbers have come.
pub fn advance(backend: DatabaseBackend, heads: &[(ConversationId, i64)], now: Timestamp) -> Result<Piece, AppError> {
    #[derive(Serialize)]
    struct Row {
        id: String,
        last_seq: i64,
        at: i64,
    }
    let sql = format!(
        "UPDATE conversations SET last_seq = w.last_seq, last_activity_at = w.at FROM {} WHERE conversations.id = w.id",
        rows::unfold(backend, &[Column::Uuid("id"), Column::Int("last_seq"), Column::Int("at")])
    );
    let rows: Vec<Row> =
        heads.iter().map(|(id, last_seq)| Row { id: rows::hex(id.0), last_seq: *last_seq, at: now.0 }).collect();
    Piece::new(sql, &rows)
}

/// The log of a conversation after `after_seq`, oldest first.
pub async fn after<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    after_seq: i64,
    limit: u64,
) -> Result<Vec<conversation_event::Model>, AppError> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT * FROM conversation_events WHERE conversation_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        [id.into(), after_seq.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
    );
    conversation_event::Model::find_by_statement(statement).all(db).await.map_err(app_error)
}

/// For each of a person's conversations with events after `moment`: the number before the first of them.
pub async fn positions_at<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    moment: Timestamp,
) -> Result<Vec<(ConversationId, i64)>, AppError> {
    #[derive(FromQueryResult)]
    struct Place {
        conversation_id: ConversationId,
        first_seq: i64,
    }
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT e.conversation_id, MIN(e.seq) AS first_seq FROM conversation_members m \
         JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted AND c.last_activity_at > $2 \
         JOIN conversation_events e ON e.conversation_id = m.conversation_id AND e.seq > 0 AND e.created_at > $2 \
         WHERE m.user_id = $1 AND NOT m.is_deleted GROUP BY e.conversation_id",
        [user.into(), moment.into()],
    );
    let places = Place::find_by_statement(statement).all(db).await.map_err(app_error)?;
    Ok(places.into_iter().map(|place| (place.conversation_id, place.first_seq - 1)).collect())
}

/// How far these conversations have come. Deleted ones are in it too: their last event may still have to be told.
pub async fn heads<C: ConnectionTrait>(
    db: &C,
    ids: impl IntoIterator<Item = ConversationId>,
) -> Result<Vec<(ConversationId, i64)>, AppError> {
    #[derive(FromQueryResult)]
    struct Head {
        id: ConversationId,
        last_seq: i64,
    }
    let sql = format!(
        "SELECT c.id, c.last_seq FROM {} JOIN conversations c ON c.id = w.id",
        rows::unfold(db.get_database_backend(), &[Column::Uuid("id")])
    );
    let statement = rows::statement(db, sql, &rows::ids(ids.into_iter().map(|id| id.0)))?;
    let heads = Head::find_by_statement(statement).all(db).await.map_err(app_error)?;
    Ok(heads.into_iter().map(|head| (head.id, head.last_seq)).collect())
}

/// Notes that the news of a group has to go out.
pub fn insert_group(backend: DatabaseBackend, id: Uuid, now: Timestamp) -> Result<Piece, AppError> {
    #[derive(Serialize)]
    struct Row {
        id: String,
        created_at: i64,
    }
    let columns = [Column::Uuid("id"), Column::Int("created_at")];
    let sql = format!(
        "INSERT INTO event_groups (id, created_at) SELECT id, created_at FROM {}",
        rows::unfold(backend, &columns)
    );
    Piece::new(sql, &[Row { id: rows::hex(id), created_at: now.0 }])
}

/// The news of these groups has gone out.
pub fn remove_groups(backend: DatabaseBackend, ids: &[Uuid]) -> Result<Piece, AppError> {
    let sql = format!(
        "DELETE FROM event_groups WHERE id IN (SELECT w.id FROM {})",
        rows::unfold(backend, &[Column::Uuid("id")])
    );
    Piece::new(sql, &rows::ids(ids.iter().copied()))
}

/// Events that were committed before `before` and may not have been told, with their groups. The groups stay locked until `txn` ends, so
/// that two instances don't repeat the same ones.
pub async fn untold(
    txn: &DatabaseTransaction,
    before: Timestamp,
    groups: u32,
) -> Result<(Vec<Uuid>, Vec<conversation_event::Model>), AppError> {
    #[derive(FromQueryResult)]
    struct Group {
        id: Uuid,
    }
    let backend = txn.get_database_backend();
    let suffix = if backend == DatabaseBackend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let statement = Statement::from_sql_and_values(
        backend,
        format!("SELECT id FROM event_groups WHERE created_at < $1 ORDER BY id LIMIT $2{suffix}"),
        [before.into(), i64::from(groups).into()],
    );
    let groups: Vec<Uuid> = Group::find_by_statement(statement)
        .all(txn)
        .await
        .map_err(app_error)?
        .into_iter()
        .map(|group| group.id)
        .collect();
    if groups.is_empty() {
        return Ok((groups, Vec::new()));
    }
    let sql = format!(
        "SELECT e.* FROM {} JOIN conversation_events e ON e.group_id = w.id ORDER BY e.conversation_id, e.seq",
        rows::unfold(backend, &[Column::Uuid("id")])
    );
    let events =
        conversation_event::Model::find_by_statement(rows::statement(txn, sql, &rows::ids(groups.iter().copied()))?)
            .all(txn)
            .await
            .map_err(app_error)?;
    Ok((groups, events))
}

/// Whether any group waits for the relay; cheap, so that a quiet relay opens no transaction.
pub async fn any_untold<C: ConnectionTrait>(db: &C, before: Timestamp) -> Result<bool, AppError> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT 1 AS one FROM event_groups WHERE created_at < $1 LIMIT 1",
        [before.into()],
    );
    Ok(db.query_one_raw(statement).await.map_err(app_error)?.is_some())
}

/// Removes events from before `before`, at most `limit`, but never a conversation's creation. Answers how many.
pub async fn trim<C: ConnectionTrait>(db: &C, before: Timestamp, limit: u32) -> Result<u64, AppError> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "DELETE FROM conversation_events WHERE (conversation_id, seq) IN \
         (SELECT conversation_id, seq FROM conversation_events WHERE created_at < $1 AND seq > 0 ORDER BY created_at, seq LIMIT $2)",
        [before.into(), i64::from(limit).into()],
    );
    Ok(db.execute_raw(statement).await.map_err(app_error)?.rows_affected())
}
