//! The statements by which the writer commits a group: one of each per group, however many messages it holds.

use std::collections::HashSet;

use appcore::{AppError, ConversationId, MessageId, Timestamp, UserId, WorkspaceId};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseTransaction, FromQueryResult, Statement};
use serde::Serialize;
use uuid::Uuid;

use super::{
    messages::NamedMessage,
    rows::{self, Column, Piece, Text},
};
use crate::{
    Database,
    constraint::{app_error, unique_violation},
};

/// What a group has to know of a conversation.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ConversationState {
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
) -> Result<Vec<ConversationState>, AppError> {
    let backend = txn.get_database_backend();
    // SQLite's transaction holds the only write lock there is.
    let suffix = if backend == DatabaseBackend::Postgres { " FOR UPDATE OF c" } else { "" };
    let sql = format!(
        "SELECT c.id, c.workspace_id, c.kind, c.title, c.topic, c.last_seq FROM conversations c \
         WHERE c.id IN (SELECT w.id FROM {}) AND NOT c.is_deleted ORDER BY c.id{suffix}",
        rows::unfold(backend, &[Column::Uuid("id")])
    );
    let statement = rows::statement(txn, sql, &rows::ids(ids.into_iter().map(|id| id.0)))?;
    ConversationState::find_by_statement(statement).all(txn).await.map_err(app_error)
}

/// A conversation and a person as they are, without a lock. `role` is `None` for somebody who is no member.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Seen {
    #[sea_orm(nested)]
    pub conversation: ConversationState,
    pub user_id: UserId,
    pub role: Option<String>,
    pub display_name: Option<String>,
}

/// What a group of messages has to know of its conversations and senders, in one statement. Deleted conversations are left out.
pub async fn seen<C: ConnectionTrait>(db: &C, asked: &[(ConversationId, UserId)]) -> Result<Vec<Seen>, AppError> {
    let sql = format!(
        "SELECT c.id, c.workspace_id, c.kind, c.title, c.topic, c.last_seq, w.user_id, m.role, u.display_name FROM {} \
         JOIN conversations c ON c.id = w.conversation_id AND NOT c.is_deleted \
         LEFT JOIN conversation_members m ON m.conversation_id = w.conversation_id AND m.user_id = w.user_id AND NOT m.is_deleted \
         LEFT JOIN users u ON u.id = m.user_id AND NOT u.is_deleted",
        unfold_people(db.get_database_backend())
    );
    Seen::find_by_statement(rows::statement(db, sql, &people(asked))?).all(db).await.map_err(app_error)
}

/// What became of pieces that were executed on a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    Executed,
    /// Somebody else wrote to these conversations first; nothing was changed.
    Moved(Vec<ConversationId>),
    /// Something that must be unique is there already; nothing was changed.
    Repeated,
}

/// Executes `pieces` in a transaction of their own, if nothing was written to these conversations since they were seen at these numbers.
/// Everything that can be changed in a conversation takes a number, so what was seen of its members holds as long as the number does. On
/// SQLite nobody else writes.
pub async fn execute_unless_moved(
    db: &Database,
    seen: &[(ConversationId, i64)],
    pieces: Vec<Piece>,
) -> Result<Claim, AppError> {
    if pieces.is_empty() {
        return Ok(Claim::Executed);
    }
    let moved = match db.sqlite() {
        Some(sqlite) => rows::transact(sqlite, pieces).await.map(|()| Vec::new()),
        None => {
            let held = Held::find_by_statement(execute_where_seen(seen, pieces)?).all(db.log()).await;
            held.map(|held| {
                let held: HashSet<ConversationId> = held.into_iter().map(|row| row.id).collect();
                seen.iter().map(|(id, _)| *id).filter(|id| !held.contains(id)).collect()
            })
        }
    };
    match moved {
        Ok(moved) if moved.is_empty() => Ok(Claim::Executed),
        Ok(moved) => Ok(Claim::Moved(moved)),
        Err(error) if unique_violation(&error) => Ok(Claim::Repeated),
        Err(error) => Err(app_error(error)),
    }
}

/// A conversation that is still as it was seen.
#[derive(FromQueryResult)]
struct Held {
    id: ConversationId,
}

/// One statement, and so one transaction, of PostgreSQL; it answers what is [`Held`], and does nothing unless that is everything.
fn execute_where_seen(seen: &[(ConversationId, i64)], pieces: Vec<Piece>) -> Result<Statement, AppError> {
    #[derive(Serialize)]
    struct Row {
        id: String,
        seen: i64,
    }
    // A row that somebody else changed meanwhile is looked at again once its lock is had, so that a number that moved does not match.
    // In the order of the ids, as `lock` does.
    let claim = format!(
        "SELECT c.id FROM {} JOIN conversations c ON c.id = w.id AND c.last_seq = w.seen AND NOT c.is_deleted \
         ORDER BY c.id FOR UPDATE OF c",
        rows::unfold(DatabaseBackend::Postgres, &[Column::Uuid("id"), Column::Int("seen")])
    );
    let claimed: Vec<Row> = seen.iter().map(|(id, seq)| Row { id: rows::hex(id.0), seen: *seq }).collect();
    Ok(rows::execute_if(Piece::new(claim, &claimed)?, seen.len(), pieces))
}

/// Who of these people is a member of which of these conversations.
pub async fn standings<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, UserId)],
) -> Result<Vec<Standing>, AppError> {
    let sql = format!(
        "SELECT m.conversation_id, m.user_id, m.role, u.display_name FROM {} \
         JOIN conversation_members m ON m.conversation_id = w.conversation_id AND m.user_id = w.user_id AND NOT m.is_deleted \
         JOIN users u ON u.id = m.user_id AND NOT u.is_deleted",
        unfold_people(db.get_database_backend())
    );
    Standing::find_by_statement(rows::statement(db, sql, &people(asked))?).all(db).await.map_err(app_error)
}

#[derive(Serialize)]
struct Person {
    conversation_id: String,
    user_id: String,
}

fn people(asked: &[(ConversationId, UserId)]) -> Vec<Person> {
    asked
        .iter()
        .map(|(conversation, user)| Person { conversation_id: rows::hex(conversation.0), user_id: rows::hex(user.0) })
        .collect()
}

fn unfold_people(backend: DatabaseBackend) -> String {
    rows::unfold(backend, &[Column::Uuid("conversation_id"), Column::Uuid("user_id")])
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
    static SQL: Text = Text::new();
    let sql = SQL.get(backend, || {
        format!("INSERT INTO messages ({names}) SELECT {names} FROM {}", rows::unfold(backend, &columns))
    });
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
    static SQL: Text = Text::new();
    let sql = SQL.get(backend, || {
        format!("INSERT INTO conversation_events ({names}) SELECT {names} FROM {}", rows::unfold(backend, &columns))
    });
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
    static SQL: Text = Text::new();
    let sql = SQL.get(backend, || {
        format!(
            "UPDATE conversations SET last_seq = w.last_seq, last_activity_at = w.at FROM {} WHERE conversations.id = w.id",
            rows::unfold(backend, &[Column::Uuid("id"), Column::Int("last_seq"), Column::Int("at")])
        )
    });
    let rows: Vec<Row> =
        heads.iter().map(|(id, last_seq)| Row { id: rows::hex(id.0), last_seq: *last_seq, at: now.0 }).collect();
    Piece::new(sql, &rows)
}

/// Notes that the news of a group has to go out.
pub fn insert_group(backend: DatabaseBackend, id: Uuid, now: Timestamp) -> Result<Piece, AppError> {
    #[derive(Serialize)]
    struct Row {
        id: String,
        created_at: i64,
    }
    static SQL: Text = Text::new();
    let sql = SQL.get(backend, || {
        format!(
            "INSERT INTO event_groups (id, created_at) SELECT id, created_at FROM {}",
            rows::unfold(backend, &[Column::Uuid("id"), Column::Int("created_at")])
        )
    });
    Piece::new(sql, &[Row { id: rows::hex(id), created_at: now.0 }])
}

/// The news of these groups has gone out.
pub fn remove_groups(backend: DatabaseBackend, ids: &[Uuid]) -> Result<Piece, AppError> {
    static SQL: Text = Text::new();
    let sql = SQL.get(backend, || {
        format!(
            "DELETE FROM event_groups WHERE id IN (SELECT w.id FROM {})",
            rows::unfold(backend, &[Column::Uuid("id")])
        )
    });
    Piece::new(sql, &rows::ids(ids.iter().copied()))
}
