//! What whoever looks through the log asks, to find those who are to be told: about all that is new at once, and never of all members of a
//! channel but where a message mentions everybody.

use std::collections::HashMap;

use appcore::{AppError, ConversationId, MessageId, Timestamp, UserId};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, Statement};
use uuid::Uuid;

use super::{
    access, mentions,
    messages::{NAMED, NamedMessage},
    notifications, raw,
    rows::{Column, Rows},
};
use crate::{constraint::app_error, entity::notification_settings};

/// The key of the lock that whoever looks through the log holds to the end of the transaction.
const NOTIFYING: i64 = 0x6e61_7474_6572_0002;
/// Up to so many members a conversation that is no channel counts as a direct one.
pub const SMALL: u32 = 20;
/// Up to so many members are looked at one by one.
const FEW: u32 = 200;

/// Takes the task for this transaction: one instance has it at a time. `false`: another one. PostgreSQL only.
pub async fn try_lock<C: ConnectionTrait>(tx: &C) -> Result<bool, AppError> {
    #[derive(FromQueryResult)]
    struct Locked {
        is_locked: bool,
    }
    let sql = format!("SELECT pg_try_advisory_xact_lock({NOTIFYING}) AS is_locked");
    let found = raw::find_one::<_, Locked>(tx, sql, []).await?;
    Ok(found.is_some_and(|found| found.is_locked))
}

#[derive(FromQueryResult)]
struct Position {
    id: ConversationId,
    seq: i64,
}

/// How far these conversations were looked through; those that never were are left out.
pub async fn positions<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, i64)>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT p.conversation_id AS id, p.seq FROM {} JOIN notification_positions p ON p.conversation_id = w.id",
        asked.table()
    );
    let found = Position::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)?;
    Ok(found.into_iter().map(|row| (row.id, row.seq)).collect())
}

/// Conversations that have come farther than they were looked through, among those in which something has happened since. All conversations are read
/// for it.
pub async fn waiting<C: ConnectionTrait>(db: &C, since: Timestamp) -> Result<Vec<(ConversationId, i64)>, AppError> {
    let sql = "SELECT c.id, c.last_seq AS seq FROM conversations c LEFT JOIN notification_positions p ON p.conversation_id = c.id \
               WHERE c.last_activity_at >= $1 AND c.last_seq > COALESCE(p.seq, 0)";
    let found = raw::find::<_, Position>(db, sql, [since.into()]).await?;
    Ok(found.into_iter().map(|row| (row.id, row.seq)).collect())
}

pub async fn set_positions<C: ConnectionTrait>(db: &C, positions: &[(ConversationId, i64)]) -> Result<(), AppError> {
    if positions.is_empty() {
        return Ok(());
    }
    let columns = [Column::Uuid("id"), Column::Int("seq")];
    let rows =
        Rows::new(db.get_database_backend(), columns, positions.iter().map(|(id, seq)| [id.0.into(), (*seq).into()]));
    let sql = format!(
        "INSERT INTO notification_positions (conversation_id, seq) SELECT w.id, w.seq FROM {} WHERE TRUE \
         ON CONFLICT (conversation_id) DO UPDATE SET seq = excluded.seq",
        rows.table()
    );
    db.execute_raw(rows.statement(sql)?).await.map_err(app_error)?;
    Ok(())
}

/// A conversation, as far as it matters to those who are told of something in it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Where {
    pub id: ConversationId,
    pub kind: String,
    pub title: Option<String>,
}

pub async fn conversations<C: ConnectionTrait>(db: &C, ids: &[ConversationId]) -> Result<Vec<Where>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT c.id, c.kind, c.title FROM {} JOIN conversations c ON c.id = w.id AND NOT c.is_deleted",
        asked.table()
    );
    Where::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)
}

#[derive(FromQueryResult)]
struct Member {
    conversation_id: ConversationId,
    user_id: UserId,
}

/// The members of these conversations who want to be told of everything in them.
pub async fn told_of_everything<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, UserId)>, AppError> {
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, ids.iter().map(|id| id.0));
    // Each part is found by an index: of a channel's members only those who asked for it are looked at. Whoever wants everything everywhere is looked
    // for among few members, and few members among those. SQLite reads the tables of a `CROSS JOIN` in their order; of its own it begins with all members.
    let sql = format!(
        "WITH asked AS (SELECT w.id FROM {}), everywhere AS MATERIALIZED (SELECT s.user_id FROM notification_settings s WHERE s.level = 'all') \
         SELECT m.conversation_id, m.user_id FROM asked a JOIN conversation_members m ON m.conversation_id = a.id \
           AND m.notify_chosen AND m.notify = 'all' AND NOT m.is_deleted \
         UNION SELECT m.conversation_id, m.user_id FROM asked a JOIN conversations c ON c.id = a.id AND c.kind IN ({}) \
           JOIN conversation_counts n ON n.conversation_id = a.id AND n.members <= {SMALL} \
           JOIN conversation_members m ON m.conversation_id = a.id AND NOT m.notify_chosen AND NOT m.is_deleted \
         UNION SELECT m.conversation_id, m.user_id FROM asked a CROSS JOIN conversation_counts n CROSS JOIN conversation_members m \
           CROSS JOIN notification_settings s WHERE n.conversation_id = a.id AND n.members <= {FEW} \
           AND m.conversation_id = a.id AND NOT m.notify_chosen AND NOT m.is_deleted AND s.user_id = m.user_id AND s.level = 'all' \
         UNION SELECT m.conversation_id, m.user_id FROM asked a CROSS JOIN conversation_counts n CROSS JOIN everywhere e \
           CROSS JOIN conversation_members m WHERE n.conversation_id = a.id AND n.members > {FEW} \
           AND m.conversation_id = a.id AND m.user_id = e.user_id AND NOT m.notify_chosen AND NOT m.is_deleted",
        asked.table(),
        access::kinds(|kind| !kind.capabilities().is_channel)
    );
    members(db, asked.statement(sql)?).await
}

/// All members of conversations in which a message mentions everybody.
pub async fn everybody<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, UserId)>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT m.conversation_id, m.user_id FROM {} JOIN conversation_members m ON m.conversation_id = w.id AND NOT m.is_deleted",
        asked.table()
    );
    members(db, asked.statement(sql)?).await
}

async fn members<C: ConnectionTrait>(db: &C, sql: Statement) -> Result<Vec<(ConversationId, UserId)>, AppError> {
    let found = Member::find_by_statement(sql).all(db).await.map_err(app_error)?;
    Ok(found.into_iter().map(|row| (row.conversation_id, row.user_id)).collect())
}

/// The people whom messages mention, by the messages' numbers in their conversations: those, too, who were online for `@here`.
pub async fn mentioned<C: ConnectionTrait>(
    db: &C,
    messages: &[(ConversationId, i64)],
) -> Result<Vec<(ConversationId, i64, UserId)>, AppError> {
    #[derive(FromQueryResult)]
    struct MentionRow {
        conversation_id: ConversationId,
        no: i64,
        user_id: UserId,
    }
    let backend = db.get_database_backend();
    let columns = [Column::Uuid("conversation_id"), Column::Int("no")];
    let rows = Rows::new(backend, columns, messages.iter().map(|(id, no)| [id.0.into(), (*no).into()]));
    let sql = format!(
        "SELECT x.conversation_id, x.no, x.user_id FROM {} JOIN conversation_members m ON m.conversation_id = w.conversation_id \
           AND NOT m.is_deleted \
         JOIN mentions x ON x.user_id = m.user_id AND x.conversation_id = w.conversation_id AND x.no = w.no WHERE x.user_id <> {}",
        rows.table(),
        mentions::everybody(backend)
    );
    let found = MentionRow::find_by_statement(rows.statement(sql)?).all(db).await.map_err(app_error)?;
    Ok(found.into_iter().map(|row| (row.conversation_id, row.no, row.user_id)).collect())
}

/// Who follows these threads, and how far each has read.
pub async fn followers<C: ConnectionTrait>(
    db: &C,
    roots: &[MessageId],
) -> Result<Vec<(MessageId, UserId, i64)>, AppError> {
    #[derive(FromQueryResult)]
    struct FollowerRow {
        root_id: MessageId,
        user_id: UserId,
        read_no: i64,
    }
    let asked = Rows::ids(db.get_database_backend(), roots.iter().map(|id| id.0));
    let sql = format!(
        "SELECT f.root_id, f.user_id, f.read_no FROM {} JOIN thread_followers f ON f.root_id = w.id",
        asked.table()
    );
    let found = FollowerRow::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)?;
    Ok(found.into_iter().map(|row| (row.root_id, row.user_id, row.read_no)).collect())
}

/// A keyword of a member, of which a message may have the first word.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Keyword {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub keyword: String,
    pub word: String,
}

/// Whether anybody has a keyword.
pub async fn any_keywords<C: ConnectionTrait>(db: &C) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM notification_keywords LIMIT 1";
    let found = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.map_err(app_error)?;
    Ok(found.is_some())
}

/// The keywords of members that begin with one of these words, by conversation.
pub async fn keywords<C: ConnectionTrait>(
    db: &C,
    words: &[(ConversationId, String)],
) -> Result<Vec<Keyword>, AppError> {
    let columns = [Column::Uuid("conversation_id"), Column::Text("word")];
    let rows = Rows::new(
        db.get_database_backend(),
        columns,
        words.iter().map(|(id, word)| [id.0.into(), word.clone().into()]),
    );
    let sql = format!(
        "SELECT w.conversation_id, k.user_id, k.keyword, k.word FROM {} JOIN notification_keywords k ON k.word = w.word \
         JOIN conversation_members m ON m.conversation_id = w.conversation_id AND m.user_id = k.user_id AND NOT m.is_deleted",
        rows.table()
    );
    Keyword::find_by_statement(rows.statement(sql)?).all(db).await.map_err(app_error)
}

/// A member who may be told, and what they have chosen.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Candidate {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    /// `all`, `mentions` or `none`.
    pub level: String,
    pub muted_until: Option<Timestamp>,
    pub read_seq: i64,
    pub from_seq: i64,
    pub quiet: Option<String>,
    pub dnd_until: Option<Timestamp>,
}

/// Those of these people who are members, and what they have chosen.
pub async fn candidates<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, UserId)],
) -> Result<Vec<Candidate>, AppError> {
    let columns = [Column::Uuid("conversation_id"), Column::Uuid("user_id")];
    let rows =
        Rows::new(db.get_database_backend(), columns, asked.iter().map(|(id, user)| [id.0.into(), user.0.into()]));
    let sql = format!(
        "SELECT m.conversation_id, m.user_id, {} AS level, m.muted_until, m.read_seq, {} AS from_seq, s.quiet, s.dnd_until FROM {} \
         JOIN conversation_members m ON m.conversation_id = w.conversation_id AND m.user_id = w.user_id AND NOT m.is_deleted \
         JOIN conversations c ON c.id = m.conversation_id LEFT JOIN conversation_counts n ON n.conversation_id = c.id \
         LEFT JOIN notification_settings s ON s.user_id = m.user_id",
        notifications::level(SMALL),
        access::member_reads_after("c", "m"),
        rows.table()
    );
    Candidate::find_by_statement(rows.statement(sql)?).all(db).await.map_err(app_error)
}

/// Who wrote a message that somebody reacts to.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Author {
    pub id: MessageId,
    pub sender_kind: String,
    pub sender_id: Option<Uuid>,
    pub thread_id: Option<MessageId>,
    pub thread_no: Option<i64>,
    pub also_to_conversation: bool,
    pub content: String,
}

/// Who wrote these messages that are shown.
pub async fn authors<C: ConnectionTrait>(db: &C, ids: &[MessageId]) -> Result<Vec<Author>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT m.id, m.sender_kind, m.sender_id, m.thread_id, m.thread_no, m.also_to_conversation, SUBSTR(m.content, 1, 1000) AS content \
         FROM {} JOIN messages m ON m.id = w.id WHERE m.deleted_at IS NULL AND m.hidden_by IS NULL",
        asked.table()
    );
    Author::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)
}

/// Messages with their senders, for those who were checked already.
pub async fn messages<C: ConnectionTrait>(db: &C, ids: &[MessageId]) -> Result<Vec<NamedMessage>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!("{NAMED} JOIN {} ON w.id = m.id", asked.table());
    NamedMessage::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)
}

/// When somebody is not to be disturbed.
#[derive(Clone, Debug)]
pub struct Disturbance {
    pub quiet: Option<String>,
    pub dnd_until: Option<Timestamp>,
}

/// When one person is not to be disturbed, outside of any conversation; none where they have said nothing.
pub async fn disturbance<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Option<Disturbance>, AppError> {
    let found = notification_settings::Entity::find_by_id(user).one(db).await.map_err(app_error)?;
    Ok(found.map(|settings| Disturbance { quiet: settings.quiet, dnd_until: settings.dnd_until }))
}

/// When several people are not to be disturbed, of those who have said something.
pub async fn disturbances<C: ConnectionTrait>(
    db: &C,
    people: &[UserId],
) -> Result<HashMap<UserId, Disturbance>, AppError> {
    #[derive(FromQueryResult)]
    struct DisturbanceRow {
        user_id: UserId,
        quiet: Option<String>,
        dnd_until: Option<Timestamp>,
    }
    let asked = Rows::ids(db.get_database_backend(), people.iter().map(|id| id.0));
    let sql = format!(
        "SELECT s.user_id, s.quiet, s.dnd_until FROM {} JOIN notification_settings s ON s.user_id = w.id",
        asked.table()
    );
    let rows = DisturbanceRow::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)?;
    let of_each = |row: DisturbanceRow| (row.user_id, Disturbance { quiet: row.quiet, dnd_until: row.dnd_until });
    Ok(rows.into_iter().map(of_each).collect())
}
