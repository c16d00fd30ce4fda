//! Replies in threads, and thread followers. The summary of a thread is stored with its root message.

use appcore::{
    AppError, ConversationId, MessageId, Timestamp, UserId,
    page::PageRequest,
    view::{self, SenderKind},
};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult, QueryFilter, Set, Value};
use uuid::Uuid;

use super::{
    access,
    messages::{IN_MAIN_CONVERSATION, NAMED, NamedMessage},
    page,
    pieces::{Change, Piece},
    raw,
    rows::Column,
    single,
};
use crate::{constraint::app_error, entity::thread_follower};

/// Range of a thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadRange {
    pub after_no: Option<i64>,
    pub before_no: Option<i64>,
    pub limit: u64,
}

/// Returns replies of a thread, oldest first, and a flag that is true if more follow in the reading
/// direction. If the range has no bound, returns the newest replies.
pub async fn replies<C: ConnectionTrait>(
    db: &C,
    root: MessageId,
    part: ThreadRange,
) -> Result<(Vec<NamedMessage>, bool), AppError> {
    let mut sql = format!("{NAMED} WHERE m.thread_id = $1");
    let mut values: Vec<Value> = vec![root.into()];
    for (condition, no) in [("m.thread_no > ", part.after_no), ("m.thread_no < ", part.before_no)] {
        if let Some(no) = no {
            values.push(no.into());
            sql.push_str(&format!(" AND {condition}${}", values.len()));
        }
    }
    let forwards = part.after_no.is_some();
    let order = if forwards { "ASC" } else { "DESC" };
    sql.push_str(&format!(" ORDER BY m.thread_no {order} LIMIT {}", part.limit.saturating_add(1)));
    let mut found = raw::find::<_, NamedMessage>(db, sql, values).await?;
    let limit = usize::try_from(part.limit).unwrap_or(usize::MAX);
    let has_more = found.len() > limit;
    found.truncate(limit);
    if !forwards {
        found.reverse();
    }
    Ok((found, has_more))
}

/// Returns the root message of a thread and its newest replies up to and including `up_to_seq`,
/// oldest first. Used as an assistant's context.
pub async fn context<C: ConnectionTrait>(
    db: &C,
    root: MessageId,
    (begins_after, up_to_seq): (i64, i64),
    limit: u64,
) -> Result<Vec<NamedMessage>, AppError> {
    let sql = format!(
        "{NAMED} WHERE (m.id = $1 OR m.thread_id = $1) AND m.seq > $2 AND m.seq <= $3 \
         ORDER BY CASE WHEN m.id = $1 THEN 0 ELSE 1 END, m.seq DESC LIMIT {limit}"
    );
    let values = [root.into(), begins_after.into(), up_to_seq.into()];
    let mut found = raw::find::<_, NamedMessage>(db, sql, values).await?;
    found.sort_by_key(|message| message.seq);
    Ok(found)
}

/// Maximum number of replies that are read from each end of a thread when a reply is deleted.
const WINDOW: u64 = 1_000;

/// Sender of at least one reply that still exists.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Replier {
    pub sender_kind: SenderKind,
    pub sender_id: Option<Uuid>,
}

/// Returns the senders of a thread's first replies, in the order of their first replies, ignoring
/// the reply that is being deleted. Reads at most [`WINDOW`] replies, so that a deletion in a long
/// thread doesn't block the writer.
pub async fn first_repliers<C: ConnectionTrait>(
    db: &C,
    root: MessageId,
    but: MessageId,
) -> Result<Vec<Replier>, AppError> {
    let sql = format!(
        "SELECT sender_kind, sender_id FROM (SELECT sender_kind, sender_id, thread_no, deleted_at FROM messages \
           WHERE thread_id = $1 AND id <> $2 ORDER BY thread_no LIMIT {WINDOW}) AS replies \
         WHERE deleted_at IS NULL GROUP BY sender_kind, sender_id ORDER BY MIN(thread_no)"
    );
    raw::find(db, &sql, [root.into(), but.into()]).await
}

/// Returns the time of the newest reply that still exists, ignoring the reply that is being
/// deleted. Reads at most [`WINDOW`] replies.
pub async fn last_reply_at<C: ConnectionTrait>(
    db: &C,
    root: MessageId,
    but: MessageId,
) -> Result<Option<Timestamp>, AppError> {
    #[derive(FromQueryResult)]
    struct LastReply {
        at: Option<Timestamp>,
    }
    let sql = format!(
        "SELECT MAX(created_at) AS at FROM (SELECT created_at, deleted_at FROM messages \
           WHERE thread_id = $1 AND id <> $2 ORDER BY thread_no DESC LIMIT {WINDOW}) AS replies WHERE deleted_at IS NULL"
    );
    let row: Option<LastReply> = raw::find_one(db, &sql, [root.into(), but.into()]).await?;
    Ok(row.and_then(|row| row.at))
}

/// New follower of a thread. If the user already follows the thread, nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFollower {
    pub root_id: MessageId,
    pub user_id: UserId,
    pub read_no: i64,
}

pub fn follow(new: &[NewFollower]) -> Piece {
    static INSERT: Change<3> = Change::new(
        [Column::Uuid("user_id"), Column::Uuid("root_id"), Column::Int("read_no")],
        "INSERT INTO thread_followers (user_id, root_id, read_no) SELECT w.user_id, w.root_id, w.read_no FROM {} WHERE TRUE \
         ON CONFLICT (user_id, root_id) DO NOTHING",
        "INSERT INTO thread_followers (user_id, root_id, read_no) VALUES (?, ?, ?) ON CONFLICT (user_id, root_id) DO NOTHING",
    );
    INSERT.piece(new.iter().map(|one| [one.user_id.0.into(), one.root_id.0.into(), one.read_no.into()]))
}

/// Advances the thread read position of each user who has replied to that user's own reply.
pub fn advance_replier_positions(backend: DatabaseBackend, read: &[NewFollower]) -> Piece {
    static POSTGRES: Change<3> = Change::new(
        [Column::Int("no"), Column::Uuid("user_id"), Column::Uuid("root_id")],
        "UPDATE thread_followers SET read_no = GREATEST(read_no, w.no) FROM {} \
         WHERE thread_followers.user_id = w.user_id AND thread_followers.root_id = w.root_id",
        "",
    );
    static SQLITE: Change<3> = Change::new(
        [Column::Int("no"), Column::Uuid("user_id"), Column::Uuid("root_id")],
        "UPDATE thread_followers SET read_no = MAX(read_no, w.no) FROM {} \
         WHERE thread_followers.user_id = w.user_id AND thread_followers.root_id = w.root_id",
        "UPDATE thread_followers SET read_no = MAX(read_no, ?) WHERE user_id = ? AND root_id = ?",
    );
    let update = if backend == DatabaseBackend::Postgres { &POSTGRES } else { &SQLITE };
    update.piece(read.iter().map(|one| [one.read_no.into(), one.user_id.0.into(), one.root_id.0.into()]))
}

/// Condition that the thread of the root message `m` has an unread reply of the follower `f` that still exists.
const HAS_UNREAD: &str = "m.thread_last_no > f.read_no AND EXISTS (SELECT 1 FROM messages r \
     WHERE r.thread_id = f.root_id AND r.thread_no > f.read_no AND r.deleted_at IS NULL)";

/// Number of unread replies of the follower `f` that still exist, in the thread of the root message `m`. Above [`WINDOW`]
/// replies, deleted ones count too, so that they needn't be read.
fn unread() -> String {
    format!(
        "CASE WHEN m.thread_last_no - f.read_no > {WINDOW} THEN m.thread_last_no - f.read_no \
           ELSE (SELECT COUNT(*) FROM messages r WHERE r.thread_id = f.root_id AND r.thread_no > f.read_no \
             AND r.deleted_at IS NULL) END AS unread"
    )
}

/// Read position of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct FollowerPosition {
    pub read_no: i64,
    /// Number of unread replies that still exist.
    pub unread: i64,
}

/// Returns `None` for a user who doesn't follow the thread.
pub async fn position<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    root: MessageId,
) -> Result<Option<FollowerPosition>, AppError> {
    let sql = format!(
        "SELECT f.read_no, {} FROM thread_followers f LEFT JOIN messages m ON m.id = f.root_id \
         WHERE f.user_id = $1 AND f.root_id = $2",
        unread()
    );
    raw::find_one(db, sql, [user.into(), root.into()]).await
}

/// Adds a follower. Their read position is the end of the thread.
pub async fn follow_from_end<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    root: MessageId,
    read_no: i64,
) -> Result<(), AppError> {
    let row = thread_follower::ActiveModel { user_id: Set(user), root_id: Set(root), read_no: Set(read_no) };
    single::insert_if_absent(db, row).await?;
    Ok(())
}

pub async fn unfollow<C: ConnectionTrait>(db: &C, user: UserId, root: MessageId) -> Result<(), AppError> {
    thread_follower::Entity::delete_by_id((user, root)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Advances a follower's read position, never backwards.
pub async fn advance_position<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    root: MessageId,
    no: i64,
) -> Result<(), AppError> {
    thread_follower::Entity::update_many()
        .set(thread_follower::ActiveModel { read_no: Set(no), ..Default::default() })
        .filter(thread_follower::Column::UserId.eq(user))
        .filter(thread_follower::Column::RootId.eq(root))
        .filter(thread_follower::Column::ReadNo.lt(no))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Followers of a thread, at most `most`.
pub async fn followers<C: ConnectionTrait>(db: &C, root: MessageId, most: u64) -> Result<Vec<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Follower {
        user_id: UserId,
    }
    let sql = format!("SELECT user_id FROM thread_followers WHERE root_id = $1 LIMIT {most}");
    Ok(raw::find::<_, Follower>(db, sql, [root.into()]).await?.into_iter().map(|row| row.user_id).collect())
}

/// Filter of a user's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowedThreadFilter {
    All,
    Unread,
    Solved,
}

#[derive(FromQueryResult)]
struct Followed {
    #[sea_orm(nested)]
    message: NamedMessage,
    unread: i64,
}

/// Lists the threads that a user follows in conversations of which the user is a member, newest
/// reply first, with the total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    which: FollowedThreadFilter,
    page: PageRequest,
) -> Result<(Vec<view::FollowedThread>, u64), AppError> {
    let condition = match which {
        FollowedThreadFilter::All => String::new(),
        FollowedThreadFilter::Unread => format!(" AND {HAS_UNREAD}"),
        FollowedThreadFilter::Solved => " AND m.solved_at IS NOT NULL".to_owned(),
    };
    let rows = format!(
        "JOIN thread_followers f ON f.root_id = m.id AND f.user_id = $1 \
         JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
         JOIN conversation_members cm ON cm.conversation_id = c.id AND cm.user_id = $1 AND NOT cm.is_deleted \
         WHERE m.thread IS NOT NULL AND m.seq > {}{condition}",
        access::member_history_start("c", "cm")
    );
    let named = NAMED.replacen("SELECT m.*", &format!("SELECT {}, m.*", unread()), 1);
    let sql = format!(
        "{named} {rows} ORDER BY m.thread_at DESC, m.id DESC LIMIT {} OFFSET {}",
        page.page_size,
        page.offset()
    );
    let found = raw::find::<_, Followed>(db, sql, [user.into()]).await?;
    let total = page::count(db, &format!("FROM messages m {rows}"), [user.into()]).await?;
    let mut threads = Vec::with_capacity(found.len());
    for Followed { message, unread } in found {
        let root = view::Message::try_from(message)?;
        let Some(summary) = root.thread.clone() else { continue };
        threads.push(view::FollowedThread {
            conversation_id: root.conversation_id,
            unread,
            last_reply_at: summary.last_reply_at,
            solved: summary.solved_at.is_some(),
            root,
        });
    }
    Ok((threads, total))
}

/// Lists the pinned messages of the main conversation, most recently pinned first, with the total
/// count.
pub async fn pinned<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    begins_after: i64,
    page: PageRequest,
) -> Result<(Vec<NamedMessage>, u64), AppError> {
    let condition = "WHERE m.conversation_id = $1 AND m.pinned_at IS NOT NULL AND m.deleted_at IS NULL AND m.seq > $2";
    let values: [Value; 2] = [id.into(), begins_after.into()];
    let sql = format!(
        "{NAMED} {condition} ORDER BY m.pinned_at DESC, m.id DESC LIMIT {} OFFSET {}",
        page.page_size,
        page.offset()
    );
    let found = raw::find::<_, NamedMessage>(db, sql, values.clone()).await?;
    Ok((found, page::count(db, &format!("FROM messages m {condition}"), values).await?))
}

/// Number of pinned messages per conversation.
pub async fn pin_counts<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, i64)>, AppError> {
    #[derive(FromQueryResult)]
    struct PinCount {
        conversation_id: ConversationId,
        pins: i64,
    }
    let asked = super::rows::Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT m.conversation_id, COUNT(*) AS pins FROM {} JOIN messages m ON m.conversation_id = w.id AND m.pinned_at IS NOT NULL \
         GROUP BY m.conversation_id",
        asked.table()
    );
    let found = asked.find::<_, PinCount>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.conversation_id, row.pins)).collect())
}

/// Returns at most `limit` messages of the main conversation before or after a sequence number,
/// nearest first.
pub async fn neighbours<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    (begins_after, seq): (i64, i64),
    is_before: bool,
    limit: u64,
) -> Result<Vec<NamedMessage>, AppError> {
    let (sign, order) = if is_before { ("<", "DESC") } else { (">", "ASC") };
    let sql = format!(
        "{NAMED} WHERE m.conversation_id = $1 AND m.hidden_by IS NULL AND {IN_MAIN_CONVERSATION} AND m.seq > $2 AND m.seq {sign} $3 \
         ORDER BY m.seq {order} LIMIT {limit}"
    );
    let values = [id.into(), begins_after.into(), seq.into()];
    raw::find::<_, NamedMessage>(db, sql, values).await
}
