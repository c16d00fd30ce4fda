//! Queries of the notifier, which resolves the recipients of log events. They work in batches over
//! all new events, and read all members of a channel only if a message mentions everyone.

use std::collections::HashMap;

use appcore::{
    AppError, ConversationId, MessageId, Timestamp, UserId,
    view::{ConversationKind, Notify, SenderKind},
};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult};
use uuid::Uuid;

use super::{
    access, mentions,
    messages::{NAMED, NamedMessage},
    notifications, raw,
    rows::{Column, Rows},
};
use crate::{constraint::app_error, entity::notification_settings};

/// Key of the advisory lock that the notifier holds until its transaction ends.
const NOTIFIER_LOCK: i64 = 0x6e61_7474_6572_0002;
/// Number of members up to which a conversation that is not a channel counts as direct.
pub const MAX_DIRECT_CONVERSATION_MEMBERS: u32 = 20;
/// Number of members up to which the members are examined one by one.
const MAX_SCANNED_MEMBERS: u32 = 200;

/// Acquires the notifier's lock for this transaction; returns `false` if another instance holds it. PostgreSQL only.
pub async fn try_lock<C: ConnectionTrait>(tx: &C) -> Result<bool, AppError> {
    #[derive(FromQueryResult)]
    struct Locked {
        is_locked: bool,
    }
    let sql = format!("SELECT pg_try_advisory_xact_lock({NOTIFIER_LOCK}) AS is_locked");
    let found = raw::find_one::<_, Locked>(tx, sql, []).await?;
    Ok(found.is_some_and(|found| found.is_locked))
}

#[derive(FromQueryResult)]
struct Position {
    id: ConversationId,
    seq: i64,
}

/// Returns the notifier's positions in the logs of these conversations. Conversations without a
/// position are left out.
pub async fn positions<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, i64)>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT p.conversation_id AS id, p.seq FROM {} JOIN notification_positions p ON p.conversation_id = w.id",
        asked.table()
    );
    let found = asked.find::<_, Position>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.id, row.seq)).collect())
}

/// Returns the conversations with events since `since` that the notifier has not processed yet.
/// Reads all conversations.
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
    rows.execute(db, sql).await.map(drop)
}

/// Attributes of a conversation that affect its notifications.
#[derive(Clone, Debug, FromQueryResult)]
pub struct NotifiedConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    pub title: Option<String>,
}

pub async fn conversations<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
) -> Result<Vec<NotifiedConversation>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT c.id, c.kind, c.title FROM {} JOIN conversations c ON c.id = w.id AND NOT c.is_deleted",
        asked.table()
    );
    asked.find::<_, NotifiedConversation>(db, sql).await
}

#[derive(FromQueryResult)]
struct Member {
    conversation_id: ConversationId,
    user_id: UserId,
}

/// Returns the members of these conversations who are notified of every message.
pub async fn notified_of_everything<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, UserId)>, AppError> {
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, ids.iter().map(|id| id.0));
    // Each part uses an index. Of a channel's members, only those with the level "all" are read.
    // Users may have that level as their general setting: in a conversation with few members, each
    // member's general setting is read; in a larger one, each of these users is looked up among the
    // members. SQLite joins the tables of a `CROSS JOIN` in this order; otherwise it starts with
    // all members.
    let sql = format!(
        "WITH asked AS (SELECT w.id FROM {}), everywhere AS MATERIALIZED (SELECT s.user_id FROM notification_settings s WHERE s.level = 'all') \
         SELECT m.conversation_id, m.user_id FROM asked a JOIN conversation_members m ON m.conversation_id = a.id \
           AND m.notify_chosen AND m.notify = 'all' AND NOT m.is_deleted \
         UNION SELECT m.conversation_id, m.user_id FROM asked a JOIN conversations c ON c.id = a.id AND c.kind IN ({}) \
           JOIN conversation_counts n ON n.conversation_id = a.id AND n.members <= {MAX_DIRECT_CONVERSATION_MEMBERS} \
           JOIN conversation_members m ON m.conversation_id = a.id AND NOT m.notify_chosen AND NOT m.is_deleted \
         UNION SELECT m.conversation_id, m.user_id FROM asked a CROSS JOIN conversation_counts n CROSS JOIN conversation_members m \
           CROSS JOIN notification_settings s WHERE n.conversation_id = a.id AND n.members <= {MAX_SCANNED_MEMBERS} \
           AND m.conversation_id = a.id AND NOT m.notify_chosen AND NOT m.is_deleted AND s.user_id = m.user_id AND s.level = 'all' \
         UNION SELECT m.conversation_id, m.user_id FROM asked a CROSS JOIN conversation_counts n CROSS JOIN everywhere e \
           CROSS JOIN conversation_members m WHERE n.conversation_id = a.id AND n.members > {MAX_SCANNED_MEMBERS} \
           AND m.conversation_id = a.id AND m.user_id = e.user_id AND NOT m.notify_chosen AND NOT m.is_deleted",
        asked.table(),
        access::kinds(|kind| !kind.capabilities().is_channel)
    );
    Ok(asked.find::<_, Member>(db, sql).await?.into_iter().map(|row| (row.conversation_id, row.user_id)).collect())
}

/// Returns all members of the conversations in which a message mentions everyone.
pub async fn all_members<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, UserId)>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT m.conversation_id, m.user_id FROM {} JOIN conversation_members m ON m.conversation_id = w.id AND NOT m.is_deleted",
        asked.table()
    );
    Ok(asked.find::<_, Member>(db, sql).await?.into_iter().map(|row| (row.conversation_id, row.user_id)).collect())
}

/// Returns the users mentioned by messages, which are given by their sequence numbers. For `@here`,
/// includes the users who were online.
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
        mentions::everyone_literal(backend)
    );
    let found = rows.find::<_, MentionRow>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.conversation_id, row.no, row.user_id)).collect())
}

/// Returns the followers of these threads with their read positions.
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
    let found = asked.find::<_, FollowerRow>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.root_id, row.user_id, row.read_no)).collect())
}

/// Keyword of a member whose first word occurs in a message, so that the message may contain the
/// keyword.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Keyword {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub keyword: String,
    pub word: String,
}

/// True if any user has a keyword.
pub async fn any_keywords<C: ConnectionTrait>(db: &C) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM notification_keywords LIMIT 1";
    raw::exists(db, sql, []).await
}

/// Returns the members' keywords that start with one of these words, by conversation.
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
    rows.find::<_, Keyword>(db, sql).await
}

/// Member who may be notified, with their settings.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Candidate {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub level: Notify,
    pub muted_until: Option<Timestamp>,
    pub read_seq: i64,
    pub from_seq: i64,
    pub quiet: Option<String>,
    pub dnd_until: Option<Timestamp>,
}

/// Returns the memberships of these users, with their notification settings.
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
        notifications::level_expression(MAX_DIRECT_CONVERSATION_MEMBERS),
        access::member_history_start("c", "m"),
        rows.table()
    );
    rows.find::<_, Candidate>(db, sql).await
}

/// Author of a message that received a reaction.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Author {
    pub id: MessageId,
    pub sender_kind: SenderKind,
    pub sender_id: Option<Uuid>,
    pub thread_id: Option<MessageId>,
    pub thread_no: Option<i64>,
    pub also_to_conversation: bool,
    pub content: String,
}

/// Returns the authors of those of these messages that are shown.
pub async fn authors<C: ConnectionTrait>(db: &C, ids: &[MessageId]) -> Result<Vec<Author>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT m.id, m.sender_kind, m.sender_id, m.thread_id, m.thread_no, m.also_to_conversation, SUBSTR(m.content, 1, 1000) AS content \
         FROM {} JOIN messages m ON m.id = w.id WHERE m.deleted_at IS NULL AND m.hidden_by IS NULL",
        asked.table()
    );
    asked.find::<_, Author>(db, sql).await
}

/// Returns these messages with their senders, without an access check.
pub async fn messages<C: ConnectionTrait>(db: &C, ids: &[MessageId]) -> Result<Vec<NamedMessage>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!("{NAMED} JOIN {} ON w.id = m.id", asked.table());
    asked.find::<_, NamedMessage>(db, sql).await
}

/// Do-not-disturb state of a user.
#[derive(Clone, Debug)]
pub struct DoNotDisturb {
    pub quiet: Option<String>,
    pub dnd_until: Option<Timestamp>,
}

/// Returns the do-not-disturb state of a user, which applies to all conversations; `None` if
/// nothing is set.
pub async fn do_not_disturb<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Option<DoNotDisturb>, AppError> {
    let found = notification_settings::Entity::find_by_id(user).one(db).await.map_err(app_error)?;
    Ok(found.map(|settings| DoNotDisturb { quiet: settings.quiet, dnd_until: settings.dnd_until }))
}

/// Returns the do-not-disturb states of those of these users who have set one.
pub async fn do_not_disturb_of<C: ConnectionTrait>(
    db: &C,
    people: &[UserId],
) -> Result<HashMap<UserId, DoNotDisturb>, AppError> {
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
    let rows = asked.find::<_, DisturbanceRow>(db, sql).await?;
    let of_each = |row: DisturbanceRow| (row.user_id, DoNotDisturb { quiet: row.quiet, dnd_until: row.dnd_until });
    Ok(rows.into_iter().map(of_each).collect())
}
