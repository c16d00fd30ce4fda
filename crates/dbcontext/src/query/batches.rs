//! Statements with which the writer commits a batch of changes: one statement of each kind per
//! batch, regardless of the number of messages.

use std::collections::{BTreeMap, HashSet};

use appcore::{
    AppError, ConversationId, MessageId, Timestamp, UserId, WorkspaceId,
    view::{ConversationKind, HistoryScope, MemberRole, MentionAll, MessageStatus, Posting, SenderKind},
};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseTransaction, DbErr, FromQueryResult, RuntimeErr};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, postgres::PgArguments};
use uuid::Uuid;

use super::{
    access,
    messages::NamedMessage,
    pieces::{self, Change, Piece},
    rows::{Column, Field, Rows},
};
use crate::{
    Database,
    constraint::{app_error, unique_violation},
    sqlite::CommitOutcome,
};

/// State of a conversation that a batch depends on.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ConversationState {
    pub id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub topic: Option<String>,
    pub posting: Posting,
    pub mention_all: MentionAll,
    pub history: HistoryScope,
    pub slow_mode_seconds: i64,
    /// Word filter as JSON.
    pub word_filter: Option<String>,
    pub archived_at: Option<Timestamp>,
    pub is_default: bool,
    /// Model chosen for an assistant chat.
    pub model: Option<String>,
    pub last_seq: i64,
    /// Number of the newest message.
    pub last_no: i64,
}

const STATE: &str = "c.id, c.workspace_id, c.kind, c.title, c.topic, c.posting, c.mention_all, c.history, c.slow_mode_seconds, c.word_filter, c.archived_at, \
    c.is_default, c.model,     c.last_seq, c.last_no";

/// User whose permissions in a conversation were looked up.
#[derive(Clone, Debug, FromQueryResult)]
pub struct MemberState {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub role: MemberRole,
    pub display_name: String,
}

#[derive(Debug)]
pub struct NewMessage {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub no: i64,
    pub sender_kind: SenderKind,
    pub sender_id: Option<Uuid>,
    pub client_id: Option<String>,
    pub content: String,
    /// Mentions as JSON.
    pub mentions: Option<String>,
    /// Attachments as JSON.
    pub attachments: Option<String>,
    pub status: MessageStatus,
    pub reply_to: Option<MessageId>,
    pub model: Option<String>,
    /// Position in the thread; `None` if the message is not a reply in a thread.
    pub thread: Option<ReplyPosition>,
    /// Forwarded message as JSON.
    pub forwarded: Option<String>,
    /// Poll as JSON.
    pub poll: Option<String>,
    pub created_at: Timestamp,
}

impl NewMessage {
    /// True if the message is shown in the conversation itself and not only in a thread.
    #[must_use]
    pub fn is_in_main_conversation(&self) -> bool {
        self.thread.is_none_or(|thread| thread.also_to_conversation)
    }
}

/// Position of a reply in its thread.
#[derive(Clone, Copy, Debug)]
pub struct ReplyPosition {
    pub root_id: MessageId,
    pub no: i64,
    pub also_to_conversation: bool,
}

#[derive(Debug)]
pub struct NewEvent {
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub kind: String,
    pub payload: String,
    pub created_at: Timestamp,
    pub outbox_id: Option<Uuid>,
    /// Message whose text the payload contains; `None` for the event that created the message.
    pub message_id: Option<MessageId>,
}

/// Locks conversations in the order of their ids, so that the writers of two instances can't deadlock. Deleted
/// conversations are left out.
pub async fn lock(
    txn: &DatabaseTransaction,
    ids: impl IntoIterator<Item = ConversationId>,
) -> Result<Vec<ConversationState>, AppError> {
    let backend = txn.get_database_backend();
    let asked = Rows::ids(backend, ids.into_iter().map(|id| id.0));
    // On SQLite no row locks are needed: the transaction holds the only write lock.
    let suffix = if backend == DatabaseBackend::Postgres { " FOR UPDATE OF c" } else { "" };
    let sql = format!(
        "SELECT {STATE} FROM conversations c \
         WHERE c.id IN (SELECT w.id FROM {}) AND NOT c.is_deleted ORDER BY c.id{suffix}",
        asked.table()
    );
    asked.find::<_, ConversationState>(txn, sql).await
}

/// State of a conversation and of a user in it, read without locks. `role` is `None` if the user is
/// not a member.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ConversationSnapshot {
    #[sea_orm(nested)]
    pub conversation: ConversationState,
    pub user_id: UserId,
    pub role: Option<MemberRole>,
    pub display_name: Option<String>,
}

/// Reads the state of a batch's conversations and senders in one statement. Deleted conversations are left out.
pub async fn snapshots<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, UserId)],
) -> Result<Vec<ConversationSnapshot>, AppError> {
    let asked = people(db.get_database_backend(), asked);
    let sql = format!(
        "SELECT {STATE}, w.user_id, m.role, u.display_name FROM {} \
         JOIN conversations c ON c.id = w.conversation_id AND NOT c.is_deleted \
         LEFT JOIN conversation_members m ON m.conversation_id = w.conversation_id AND m.user_id = w.user_id AND NOT m.is_deleted \
         LEFT JOIN users u ON u.id = m.user_id AND NOT u.is_deleted",
        asked.table()
    );
    asked.find::<_, ConversationSnapshot>(db, sql).await
}

/// Result of an optimistic commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptimisticCommit {
    Executed,
    /// Write conflict: these conversations have changed since they were read. Nothing was written.
    WriteConflict(Vec<ConversationId>),
    /// A unique constraint was violated. Nothing was written.
    Duplicate,
}

/// Version of a conversation that a batch was computed from.
#[derive(Clone, Debug)]
pub struct ExpectedState {
    pub id: ConversationId,
    pub last_seq: i64,
    /// Members, with their roles, that must still be present. Set only for conversations in which
    /// membership changes don't increment the sequence number.
    pub members: Vec<(UserId, MemberRole)>,
    /// Senders and their `client_id`s that no message may have yet. Set only if the messages are
    /// partitioned: a unique index finds only those in the same partition.
    pub client_ids: Vec<(Uuid, String)>,
}

/// Executes the statements `pieces` in a transaction, provided that the conversations still have
/// these sequence numbers and the required members are still present (optimistic concurrency).
/// SQLite has no concurrent writers, so nothing can have changed there.
pub async fn execute_if_unchanged(
    db: &Database,
    seen: &[ExpectedState],
    pieces: Vec<Piece>,
) -> Result<OptimisticCommit, AppError> {
    if pieces.is_empty() {
        return Ok(OptimisticCommit::Executed);
    }
    if let Some(sqlite) = db.sqlite() {
        return Ok(match sqlite.commit(pieces).await? {
            CommitOutcome::Executed => OptimisticCommit::Executed,
            CommitOutcome::Duplicate => OptimisticCommit::Duplicate,
        });
    }
    let (sql, arguments) = conditional_statement(seen, pieces)?;
    // Uses sqlx directly because sea-orm's arrays cannot contain NULL.
    let cause = |error: sqlx::Error| RuntimeErr::SqlxError(error.into());
    let acquired = db.log().get_postgres_connection_pool().acquire().await;
    let mut connection = acquired.map_err(|error| app_error(DbErr::Conn(cause(error))))?;
    let executed: Result<Vec<Uuid>, _> = sqlx::query_scalar_with(sql, arguments).fetch_all(&mut *connection).await;
    match executed.map_err(|error| DbErr::Query(cause(error))) {
        Ok(held) => {
            let held: HashSet<ConversationId> = held.into_iter().map(ConversationId).collect();
            let moved: Vec<_> = seen.iter().map(|seen| seen.id).filter(|id| !held.contains(id)).collect();
            Ok(if moved.is_empty() { OptimisticCommit::Executed } else { OptimisticCommit::WriteConflict(moved) })
        }
        Err(error) if unique_violation(&error) => Ok(OptimisticCommit::Duplicate),
        Err(error) => Err(app_error(error)),
    }
}

/// Builds one statement, and thus one transaction, for PostgreSQL. The statement returns the
/// conversations that are unchanged, and writes nothing unless all of them are.
fn conditional_statement(
    seen: &[ExpectedState],
    pieces: Vec<Piece>,
) -> Result<(AssertSqlSafe<String>, PgArguments), AppError> {
    // An empty list is passed as NULL.
    let list = |items: Vec<Value>| (!items.is_empty()).then(|| Value::from(items).to_string());
    let rows = seen.iter().map(|seen| {
        let members = seen.members.iter().map(|(user, role)| json!({ "user_id": user, "role": role.as_str() }));
        let client_ids = seen.client_ids.iter().map(|(sender, id)| json!({ "sender_id": sender, "client_id": id }));
        [seen.id.0.into(), seen.last_seq.into(), list(members.collect()).into(), list(client_ids.collect()).into()]
    });
    let columns = [Column::Uuid("id"), Column::Int("seen"), Column::Text("members"), Column::Text("client_ids")];
    let rows = Rows::new(DatabaseBackend::Postgres, columns, rows);
    // The sequence number is unchanged, so no message was added after this statement's snapshot.
    // OFFSET keeps PostgreSQL from reading all messages of the conversation for a join.
    let unsent = if seen.iter().all(|seen| seen.client_ids.is_empty()) {
        ""
    } else {
        " AND (w.client_ids IS NULL OR NOT EXISTS (SELECT 1 FROM json_to_recordset(w.client_ids::json) AS k(sender_id uuid, client_id text) \
           WHERE EXISTS (SELECT 1 FROM messages x WHERE x.conversation_id = w.id AND x.sender_id = k.sender_id AND x.client_id = k.client_id OFFSET 0)))"
    };
    // After it has waited for a row lock, PostgreSQL evaluates the conditions again on the new
    // version of the row, so a changed sequence number no longer matches. Locks are taken in the
    // order of the ids, as in `lock`.
    let claim = format!(
        "SELECT c.id FROM {} JOIN conversations c ON c.id = w.id AND c.last_seq = w.seen AND NOT c.is_deleted \
         WHERE (w.members IS NULL OR NOT EXISTS (SELECT 1 FROM json_to_recordset(w.members::json) AS s(user_id uuid, role text) \
           WHERE NOT EXISTS (SELECT 1 FROM conversation_members m WHERE m.conversation_id = w.id AND m.user_id = s.user_id \
             AND m.role = s.role AND NOT m.is_deleted))){unsent} \
         ORDER BY c.id FOR UPDATE OF c",
        rows.table()
    );
    pieces::execute_if(Piece::new(claim, &rows)?, seen.len(), pieces)
}

/// Returns the memberships of these users in these conversations.
pub async fn memberships<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, UserId)],
) -> Result<Vec<MemberState>, AppError> {
    let asked = people(db.get_database_backend(), asked);
    let sql = format!(
        "SELECT m.conversation_id, m.user_id, m.role, u.display_name FROM {} \
         JOIN conversation_members m ON m.conversation_id = w.conversation_id AND m.user_id = w.user_id AND NOT m.is_deleted \
         JOIN users u ON u.id = m.user_id AND NOT u.is_deleted",
        asked.table()
    );
    asked.find::<_, MemberState>(db, sql).await
}

fn people(backend: DatabaseBackend, people: &[(ConversationId, UserId)]) -> Rows<2> {
    let people = people.iter().map(|(conversation, user)| [conversation.0.into(), user.0.into()]);
    Rows::new(backend, [Column::Uuid("conversation_id"), Column::Uuid("user_id")], people)
}

/// Returns the messages that were already sent with the same `client_id`.
pub async fn duplicates<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, UserId, &str)],
) -> Result<Vec<NamedMessage>, AppError> {
    let columns = [Column::Uuid("conversation_id"), Column::Uuid("sender_id"), Column::Text("client_id")];
    let asked = asked.iter().map(|(conversation, sender, client_id)| {
        [conversation.0.into(), sender.0.into(), (*client_id).to_owned().into()]
    });
    let asked = Rows::new(db.get_database_backend(), columns, asked);
    let sql = format!(
        "SELECT m.*, u.display_name AS sender_name, NULL AS sender_glyph, NULL AS sender_hue FROM {} \
         JOIN messages m ON m.conversation_id = w.conversation_id AND m.sender_id = w.sender_id AND m.client_id = w.client_id \
         JOIN users u ON u.id = m.sender_id",
        asked.table()
    );
    asked.find::<_, NamedMessage>(db, sql).await
}

/// Returns which of these messages exist and are visible to the given users; replies may refer to
/// them.
pub async fn existing_messages<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, MessageId, UserId)],
) -> Result<Vec<(ConversationId, MessageId, UserId)>, AppError> {
    #[derive(FromQueryResult)]
    struct Found {
        conversation_id: ConversationId,
        id: MessageId,
        user_id: UserId,
    }
    let asked = Rows::new(
        db.get_database_backend(),
        [Column::Uuid("conversation_id"), Column::Uuid("id"), Column::Uuid("user_id")],
        asked.iter().map(|(conversation, id, user)| [conversation.0.into(), id.0.into(), user.0.into()]),
    );
    let sql = format!(
        "SELECT m.conversation_id, m.id, w.user_id FROM {} JOIN messages m ON m.id = w.id AND m.conversation_id = w.conversation_id \
         JOIN conversations c ON c.id = m.conversation_id WHERE m.seq > {}",
        asked.table(),
        access::history_start("c", "w.user_id")
    );
    let found = asked.find::<_, Found>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.conversation_id, row.id, row.user_id)).collect())
}

/// Inserts messages. Plain messages use a statement without the columns for threads, forwards and polls.
pub fn insert_messages(messages: Vec<NewMessage>) -> Vec<Piece> {
    static PLAIN: Change<14> = Change::insert("messages", PLAIN_COLUMNS);
    static PLACED: Change<19> = Change::insert("messages", {
        let mut columns = [Column::Uuid("thread_id"); 19];
        let mut at = 0;
        while at < PLAIN_COLUMNS.len() {
            columns[at] = PLAIN_COLUMNS[at];
            at += 1;
        }
        columns[15] = Column::Int("thread_no");
        columns[16] = Column::Bool("also_to_conversation");
        columns[17] = Column::Text("forwarded");
        columns[18] = Column::Text("poll");
        columns
    });
    let (placed, plain): (Vec<_>, Vec<_>) = messages
        .into_iter()
        .partition(|message| message.thread.is_some() || message.forwarded.is_some() || message.poll.is_some());
    let mut pieces = Vec::with_capacity(1);
    if !plain.is_empty() {
        pieces.push(PLAIN.piece(plain.into_iter().map(plain_fields)));
    }
    if !placed.is_empty() {
        let rows = placed.into_iter().map(|mut message| {
            let (thread, forwarded, poll) = (message.thread, message.forwarded.take(), message.poll.take());
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = plain_fields(message);
            let root = thread.map(|thread| thread.root_id.0).into();
            let no = thread.map(|thread| thread.no).into();
            let also = thread.is_some_and(|thread| thread.also_to_conversation).into();
            [a, b, c, d, e, f, g, h, i, j, k, l, m, n, root, no, also, forwarded.into(), poll.into()]
        });
        pieces.push(PLACED.piece(rows));
    }
    pieces
}

const PLAIN_COLUMNS: [Column; 14] = [
    Column::Uuid("id"),
    Column::Uuid("conversation_id"),
    Column::Int("seq"),
    Column::Int("no"),
    Column::Text("sender_kind"),
    Column::Uuid("sender_id"),
    Column::Text("client_id"),
    Column::Text("content"),
    Column::Text("mentions"),
    Column::Text("attachments"),
    Column::Text("status"),
    Column::Uuid("reply_to"),
    Column::Text("model"),
    Column::Int("created_at"),
];

fn plain_fields(message: NewMessage) -> [Field; 14] {
    [
        message.id.0.into(),
        message.conversation_id.0.into(),
        message.seq.into(),
        message.no.into(),
        message.sender_kind.as_str().into(),
        message.sender_id.into(),
        message.client_id.into(),
        message.content.into(),
        message.mentions.into(),
        message.attachments.into(),
        message.status.as_str().into(),
        message.reply_to.map(|id| id.0).into(),
        message.model.into(),
        message.created_at.0.into(),
    ]
}

/// Appends events to the log.
pub fn insert(events: Vec<NewEvent>) -> Piece {
    static INSERT: Change<7> = Change::insert(
        "conversation_events",
        [
            Column::Uuid("conversation_id"),
            Column::Int("seq"),
            Column::Text("kind"),
            Column::Text("payload"),
            Column::Int("created_at"),
            Column::Uuid("outbox_id"),
            Column::Uuid("message_id"),
        ],
    );
    let rows = events.into_iter().map(|event| {
        [
            event.conversation_id.0.into(),
            event.seq.into(),
            event.kind.into(),
            event.payload.into(),
            event.created_at.0.into(),
            event.outbox_id.into(),
            event.message_id.map(|id| id.0).into(),
        ]
    });
    INSERT.piece(rows)
}

/// Last numbers of a conversation: event and message.
#[derive(Clone, Copy, Debug)]
pub struct LogHead {
    pub id: ConversationId,
    pub last_seq: i64,
    pub last_no: i64,
    /// True if messages were added.
    pub has_new_messages: bool,
}

/// Updates the last numbers of conversations.
pub fn advance_heads(backend: DatabaseBackend, heads: &[LogHead], now: Timestamp) -> Piece {
    const COLUMNS: [Column; 5] =
        [Column::Int("last_seq"), Column::Int("last_no"), Column::Int("at"), Column::Int("talked"), Column::Uuid("id")];
    static POSTGRES: Change<5> = Change::new(
        COLUMNS,
        "UPDATE conversations SET last_seq = w.last_seq, last_no = w.last_no, last_activity_at = w.at, \
           last_message_at = GREATEST(last_message_at, w.talked) FROM {} WHERE conversations.id = w.id",
        "",
    );
    static SQLITE: Change<5> = Change::new(
        COLUMNS,
        "UPDATE conversations SET last_seq = w.last_seq, last_no = w.last_no, last_activity_at = w.at, \
           last_message_at = MAX(last_message_at, w.talked) FROM {} WHERE conversations.id = w.id",
        "UPDATE conversations SET last_seq = ?, last_no = ?, last_activity_at = ?, last_message_at = MAX(last_message_at, ?) WHERE id = ?",
    );
    let rows = heads.iter().map(|head| {
        let talked = if head.has_new_messages { now.0 } else { 0 };
        [head.last_seq.into(), head.last_no.into(), now.0.into(), talked.into(), head.id.0.into()]
    });
    let update = if backend == DatabaseBackend::Postgres { &POSTGRES } else { &SQLITE };
    update.piece(rows)
}

/// Last message of a sender in a conversation.
#[derive(Clone, Copy, Debug)]
pub struct LastMessage {
    pub seq: i64,
    pub no: i64,
}

/// Advances each sender's read position to their own message. Rows are locked in the same order as
/// when readers advance their positions.
pub fn advance_sender_positions(
    backend: DatabaseBackend,
    written: &BTreeMap<(ConversationId, UserId), LastMessage>,
) -> Piece {
    // The sequence number is passed twice because SQLite's numbered parameters would count across
    // statements.
    const COLUMNS: [Column; 5] = [
        Column::Int("no"),
        Column::Int("read"),
        Column::Int("delivered"),
        Column::Uuid("conversation_id"),
        Column::Uuid("user_id"),
    ];
    static POSTGRES: Change<5> = Change::new(
        COLUMNS,
        "UPDATE conversation_members SET read_no = GREATEST(read_no, w.no), read_seq = GREATEST(read_seq, w.read), \
           delivered_seq = GREATEST(delivered_seq, w.delivered) FROM {} \
         WHERE conversation_members.conversation_id = w.conversation_id AND conversation_members.user_id = w.user_id",
        "",
    );
    static SQLITE: Change<5> = Change::new(
        COLUMNS,
        "UPDATE conversation_members SET read_no = MAX(read_no, w.no), read_seq = MAX(read_seq, w.read), \
           delivered_seq = MAX(delivered_seq, w.delivered) FROM {} \
         WHERE conversation_members.conversation_id = w.conversation_id AND conversation_members.user_id = w.user_id",
        "UPDATE conversation_members SET read_no = MAX(read_no, ?), read_seq = MAX(read_seq, ?), \
           delivered_seq = MAX(delivered_seq, ?) WHERE conversation_id = ? AND user_id = ?",
    );
    let update = if backend == DatabaseBackend::Postgres { &POSTGRES } else { &SQLITE };
    let rows =
        written.iter().map(|((id, user), at)| [at.no.into(), at.seq.into(), at.seq.into(), id.0.into(), user.0.into()]);
    update.piece(rows)
}

/// Inserts the outbox entry of a batch whose events must be published.
pub fn insert_outbox_entry(id: Uuid, now: Timestamp) -> Piece {
    static INSERT: Change<2> = Change::insert("event_outbox", [Column::Uuid("id"), Column::Int("created_at")]);
    INSERT.piece([[id.into(), now.0.into()]])
}

/// Inserts the entry of a batch whose events other programs receive through the broker.
pub fn insert_stream_entry(id: Uuid, now: Timestamp) -> Piece {
    static INSERT: Change<2> = Change::insert("event_stream_outbox", [Column::Uuid("id"), Column::Int("created_at")]);
    INSERT.piece([[id.into(), now.0.into()]])
}

/// Removes the outbox entries of batches that the bus has accepted.
pub fn remove_outbox_entries(ids: &[Uuid]) -> Piece {
    static DELETE: Change<1> = Change::new(
        [Column::Uuid("id")],
        "DELETE FROM event_outbox WHERE id IN (SELECT w.id FROM {})",
        "DELETE FROM event_outbox WHERE id = ?",
    );
    DELETE.piece(ids.iter().map(|id| [(*id).into()]))
}
