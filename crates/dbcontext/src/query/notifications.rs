//! Notifications of users: inserted, listed, marked as read and withdrawn.

use appcore::{
    AppError, ConversationId, MessageId, NotificationId, Timestamp, UploadId, UserId,
    page::PageRequest,
    view::{NotificationKind, NotificationSettings, Notify},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Set, Value};
use uuid::Uuid;

use super::{
    access, page, raw,
    rows::{Column, Rows},
    single,
};
use crate::{
    constraint::app_error,
    entity::{notification_keyword, notification_settings},
};

/// Row of the table `notifications`.
#[derive(Clone, Debug, FromQueryResult)]
pub struct NotificationRow {
    pub user_id: UserId,
    pub id: NotificationId,
    pub kind: NotificationKind,
    pub conversation_id: Option<ConversationId>,
    pub message_id: Option<MessageId>,
    pub root_id: Option<MessageId>,
    pub actor_id: Option<Uuid>,
    pub detail: Option<String>,
    pub upload_id: Option<UploadId>,
    pub title: Option<String>,
    pub text: Option<String>,
    pub seq: i64,
    pub count: i64,
    pub silent: bool,
    pub group_id: Option<Uuid>,
    pub created_at: Timestamp,
    pub read_at: Option<Timestamp>,
}

impl NotificationRow {
    /// Creates an unread notification that has only a kind.
    #[must_use]
    pub fn new(
        user_id: UserId,
        id: NotificationId,
        kind: NotificationKind,
        silent: bool,
        created_at: Timestamp,
    ) -> Self {
        Self {
            user_id,
            id,
            kind,
            conversation_id: None,
            message_id: None,
            root_id: None,
            actor_id: None,
            detail: None,
            upload_id: None,
            title: None,
            text: None,
            seq: 0,
            count: 1,
            silent,
            group_id: None,
            created_at,
            read_at: None,
        }
    }
}

/// Withdrawn notification, with a flag that is true if it was pushed to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Withdrawn {
    pub user_id: UserId,
    pub id: NotificationId,
    pub conversation_id: Option<ConversationId>,
    pub pushed: bool,
}

impl From<&Withdrawn> for NotificationKey {
    fn from(gone: &Withdrawn) -> Self {
        Self { user_id: gone.user_id, id: gone.id }
    }
}

const WITHDRAWN: &str = "RETURNING user_id, id, conversation_id, pushed";

/// Key of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromQueryResult)]
pub struct NotificationKey {
    pub user_id: UserId,
    pub id: NotificationId,
}

const COLUMNS: [Column; 17] = [
    Column::Uuid("user_id"),
    Column::Uuid("id"),
    Column::Text("kind"),
    Column::Uuid("conversation_id"),
    Column::Uuid("message_id"),
    Column::Uuid("root_id"),
    Column::Uuid("actor_id"),
    Column::Text("detail"),
    Column::Uuid("upload_id"),
    Column::Text("title"),
    Column::Text("text"),
    Column::Int("seq"),
    Column::Int("count"),
    Column::Bool("silent"),
    Column::Uuid("group_id"),
    Column::Int("created_at"),
    Column::Int("read_at"),
];

/// Inserts notifications. Existing ones are not changed. If the user has an unread notification of
/// the same group, that one is updated and returned instead.
pub async fn insert<C: ConnectionTrait>(db: &C, rows: Vec<NotificationRow>) -> Result<Vec<NotificationRow>, AppError> {
    let (grouped, single): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.group_id.is_some());
    let mut stored = Vec::new();
    for (rows, conflict) in [
        (single, "(user_id, id) DO NOTHING"),
        (
            grouped,
            "(user_id, kind, group_id) WHERE read_at IS NULL AND group_id IS NOT NULL DO UPDATE SET \
             message_id = excluded.message_id, actor_id = excluded.actor_id, detail = excluded.detail, seq = excluded.seq, \
             count = notifications.count + excluded.count, silent = excluded.silent, created_at = excluded.created_at",
        ),
    ] {
        if rows.is_empty() {
            continue;
        }
        let rows = rows.into_iter().map(|row| {
            [
                row.user_id.0.into(),
                row.id.0.into(),
                row.kind.as_str().into(),
                row.conversation_id.map(|id| id.0).into(),
                row.message_id.map(|id| id.0).into(),
                row.root_id.map(|id| id.0).into(),
                row.actor_id.into(),
                row.detail.into(),
                row.upload_id.map(|id| id.0).into(),
                row.title.into(),
                row.text.into(),
                row.seq.into(),
                row.count.into(),
                row.silent.into(),
                row.group_id.into(),
                row.created_at.0.into(),
                row.read_at.map(|at| at.0).into(),
            ]
        });
        let rows = Rows::new(db.get_database_backend(), COLUMNS, rows);
        let names = COLUMNS.map(Column::name);
        let sql = format!(
            "INSERT INTO notifications ({}) SELECT {} FROM {} WHERE TRUE ON CONFLICT {conflict} RETURNING *",
            names.join(", "),
            names.map(|name| format!("w.{name}")).join(", "),
            rows.table()
        );
        let found = rows.find::<_, NotificationRow>(db, sql).await?;
        stored.extend(found);
    }
    Ok(stored)
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    pub is_unread: bool,
    pub kind: Option<NotificationKind>,
}

/// Condition that the message `s` of a notification `n` is still shown. Needed because the message
/// may be deleted before its notification is withdrawn.
const IS_SHOWN: &str = "(n.message_id IS NULL OR n.text IS NOT NULL OR (s.deleted_at IS NULL AND s.hidden_by IS NULL AND s.id IS NOT NULL))";

/// Lists a user's notifications about conversations that the user may still read, newest first,
/// with the total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    filter: Filter,
    page: PageRequest,
) -> Result<(Vec<NotificationRow>, u64), AppError> {
    let mut which = format!(
        "FROM notifications n LEFT JOIN conversations c ON c.id = n.conversation_id AND NOT c.is_deleted \
         LEFT JOIN messages s ON s.id = n.message_id WHERE n.user_id = $1 \
         AND (n.conversation_id IS NULL OR (c.id IS NOT NULL AND {})) AND {IS_SHOWN}",
        access::may_read("c", "$1")
    );
    if filter.is_unread {
        which.push_str(" AND n.read_at IS NULL");
    }
    if let Some(kind) = filter.kind {
        which.push_str(&format!(" AND n.kind = '{kind}'"));
    }
    // Unread notifications are few and have an index, but it isn't in this order. The `+` keeps
    // SQLite from scanning the index of all notifications, which is in this order.
    let at = if filter.is_unread { "+n.created_at" } else { "n.created_at" };
    let sql =
        format!("SELECT n.* {which} ORDER BY {at} DESC, n.id DESC LIMIT {} OFFSET {}", page.page_size, page.offset());
    let found = raw::find::<_, NotificationRow>(db, sql, [user.into()]).await?;
    let total = page::count(db, &which, [user.into()]).await?;
    Ok((found, total))
}

/// Finds an unread notification of a user.
pub async fn unread<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: NotificationId,
) -> Result<Option<NotificationRow>, AppError> {
    let sql = "SELECT n.* FROM notifications n WHERE n.user_id = $1 AND n.id = $2 AND n.read_at IS NULL";
    raw::find_one::<_, NotificationRow>(db, sql, [user.into(), id.into()]).await
}

/// Marks the given notifications of a user as read, or all of them; returns those that were unread.
pub async fn mark_read<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    ids: Option<&[NotificationId]>,
    at: Timestamp,
) -> Result<Vec<NotificationId>, AppError> {
    let found: Vec<NotificationKey> = match ids {
        None => {
            let sql =
                "UPDATE notifications SET read_at = $2 WHERE user_id = $1 AND read_at IS NULL RETURNING user_id, id";
            raw::find(db, sql, [user.into(), at.into()]).await?
        }
        Some(ids) => {
            let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
            let sql = format!(
                "UPDATE notifications SET read_at = $3 WHERE user_id = $2 AND read_at IS NULL AND id IN (SELECT w.id FROM {}) RETURNING user_id, id",
                asked.table()
            );
            raw::find(db, sql, [asked.parameter()?.into(), user.into(), at.into()]).await?
        }
    };
    Ok(found.into_iter().map(|told| told.id).collect())
}

/// Read position of a user in a conversation, or in a thread, which is given by its root message.
#[derive(Clone, Copy, Debug)]
pub struct NotificationReadPosition {
    pub user_id: UserId,
    pub scope: ReadScope,
    pub seq: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadScope {
    MainLine(ConversationId),
    Thread(MessageId),
}

/// Returns the unread notifications at or before these read positions.
pub async fn unread_before_positions<C: ConnectionTrait>(
    db: &C,
    reads: &[NotificationReadPosition],
) -> Result<Vec<NotificationKey>, AppError> {
    let backend = db.get_database_backend();
    let mut found = Vec::new();
    for is_thread in [false, true] {
        let of = reads.iter().filter_map(|read| match (read.scope, is_thread) {
            (ReadScope::MainLine(id), false) => Some([read.user_id.0.into(), id.0.into(), read.seq.into()]),
            (ReadScope::Thread(id), true) => Some([read.user_id.0.into(), id.0.into(), read.seq.into()]),
            _ => None,
        });
        let rows: Vec<_> = of.collect();
        if rows.is_empty() {
            continue;
        }
        let rows = Rows::new(backend, [Column::Uuid("user_id"), Column::Uuid("place"), Column::Int("seq")], rows);
        let at = if is_thread { "n.root_id = w.place" } else { "n.conversation_id = w.place AND n.root_id IS NULL" };
        let sql = format!(
            "SELECT n.user_id, n.id FROM {} JOIN notifications n ON n.user_id = w.user_id AND n.read_at IS NULL AND n.seq <= w.seq AND {at} \
             WHERE n.kind IN ('mention', 'keyword', 'thread', 'message', 'reaction')",
            rows.table()
        );
        found.extend(rows.find::<_, NotificationKey>(db, sql).await?);
    }
    Ok(found)
}

/// Table `w` of notification keys, for statements on several notifications.
fn key_rows<C: ConnectionTrait>(db: &C, told: &[NotificationKey]) -> Rows<2> {
    let columns = [Column::Uuid("user_id"), Column::Uuid("id")];
    Rows::new(db.get_database_backend(), columns, told.iter().map(|one| [one.user_id.0.into(), one.id.0.into()]))
}

/// Marks notifications as read; returns those that were unread.
pub async fn mark_keys_read<C: ConnectionTrait>(
    db: &C,
    told: &[NotificationKey],
    at: Timestamp,
) -> Result<Vec<NotificationKey>, AppError> {
    let rows = key_rows(db, told);
    let sql = format!(
        "UPDATE notifications SET read_at = $2 FROM {} WHERE notifications.user_id = w.user_id AND notifications.id = w.id \
         AND notifications.read_at IS NULL RETURNING notifications.user_id, notifications.id",
        rows.table()
    );
    let values: [Value; 2] = [rows.parameter()?.into(), at.into()];
    raw::find::<_, NotificationKey>(db, sql, values).await
}

/// Withdraws the notifications about deleted messages. A grouped notification is updated to
/// describe its remaining messages.
pub async fn withdraw_messages<C: ConnectionTrait>(db: &C, messages: &[MessageId]) -> Result<Vec<Withdrawn>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), messages.iter().map(|id| id.0));
    let those = format!("message_id IN (SELECT w.id FROM {})", asked.table());
    let sql = format!(
        "DELETE FROM notifications WHERE {those} AND (kind IN ('mention', 'keyword', 'reaction') \
           OR (kind = 'reminder' AND detail IS NULL) OR (kind IN ('message', 'thread') AND count <= 1)) {WITHDRAWN}"
    );
    let mut gone = asked.find::<_, Withdrawn>(db, sql).await?;
    // Two subqueries, each of which reads backwards in its own index: in a long conversation, the
    // last reply of a thread may be far from the end.
    let earlier = "SELECT m.id FROM messages m WHERE m.deleted_at IS NULL AND m.hidden_by IS NULL";
    let sql = format!(
        "UPDATE notifications SET count = count - 1, message_id = CASE WHEN kind = 'thread' \
           THEN ({earlier} AND m.thread_id = notifications.group_id ORDER BY m.thread_no DESC LIMIT 1) \
           ELSE ({earlier} AND m.conversation_id = notifications.conversation_id AND m.thread_id IS NULL ORDER BY m.seq DESC LIMIT 1) END \
         WHERE {those} AND kind IN ('message', 'thread') AND count > 1 RETURNING *"
    );
    let left = asked.find::<_, NotificationRow>(db, sql).await?;
    let empty = left.iter().filter(|row| row.message_id.is_none());
    let empty: Vec<NotificationKey> = empty.map(|row| NotificationKey { user_id: row.user_id, id: row.id }).collect();
    gone.extend(withdraw(db, &empty).await?);
    Ok(gone)
}

/// Withdraws all notifications about deleted conversations.
pub async fn withdraw_conversations<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
) -> Result<Vec<Withdrawn>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql =
        format!("DELETE FROM notifications WHERE conversation_id IN (SELECT w.id FROM {}) {WITHDRAWN}", asked.table());
    asked.find::<_, Withdrawn>(db, sql).await
}

/// Withdraws these notifications.
pub async fn withdraw<C: ConnectionTrait>(db: &C, told: &[NotificationKey]) -> Result<Vec<Withdrawn>, AppError> {
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let rows = key_rows(db, told);
    let sql = format!(
        "DELETE FROM notifications WHERE (user_id, id) IN (SELECT w.user_id, w.id FROM {}) {WITHDRAWN}",
        rows.table()
    );
    rows.find::<_, Withdrawn>(db, sql).await
}

/// Withdraws those of these notifications that are about a single answer in a chat with an assistant
/// and were created after `since`.
pub async fn withdraw_new_answers<C: ConnectionTrait>(
    db: &C,
    told: &[NotificationKey],
    since: Timestamp,
) -> Result<Vec<Withdrawn>, AppError> {
    let rows = key_rows(db, told);
    let sql = format!(
        "DELETE FROM notifications WHERE (user_id, id) IN (SELECT w.user_id, w.id FROM {}) AND kind = 'message' AND count = 1 \
           AND read_at IS NULL AND created_at > $2 \
           AND conversation_id IN (SELECT c.id FROM conversations c WHERE c.kind = 'assistant') {WITHDRAWN}",
        rows.table()
    );
    let values: [Value; 2] = [rows.parameter()?.into(), since.into()];
    raw::find::<_, Withdrawn>(db, sql, values).await
}

/// Withdraws the notifications about removed reactions: a grouped notification then describes one
/// reaction less.
pub async fn withdraw_reactions<C: ConnectionTrait>(
    db: &C,
    reactions: &[(MessageId, i64)],
) -> Result<Vec<Withdrawn>, AppError> {
    if reactions.is_empty() {
        return Ok(Vec::new());
    }
    let backend = db.get_database_backend();
    let columns = [Column::Uuid("id"), Column::Int("fewer")];
    let rows = Rows::new(backend, columns, reactions.iter().map(|(id, fewer)| [id.0.into(), (*fewer).into()]));
    let those = "notifications.message_id = w.id AND notifications.kind = 'reaction' AND notifications.read_at IS NULL";
    let sql = format!("UPDATE notifications SET count = count - w.fewer FROM {} WHERE {those}", rows.table());
    rows.execute(db, sql).await?;
    let asked = Rows::ids(backend, reactions.iter().map(|(id, _)| id.0));
    let sql = format!(
        "DELETE FROM notifications WHERE message_id IN (SELECT w.id FROM {}) AND kind = 'reaction' AND count <= 0 {WITHDRAWN}",
        asked.table()
    );
    asked.find::<_, Withdrawn>(db, sql).await
}

/// Returns the notifications about mentions and keywords in these messages.
pub async fn about_mentions<C: ConnectionTrait>(
    db: &C,
    messages: &[MessageId],
) -> Result<Vec<NotificationRow>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), messages.iter().map(|id| id.0));
    let sql = format!(
        "SELECT n.* FROM {} JOIN notifications n ON n.message_id = w.id AND n.kind IN ('mention', 'keyword')",
        asked.table()
    );
    asked.find::<_, NotificationRow>(db, sql).await
}

/// Returns those of these users who want digest emails and have none scheduled, each with the delay
/// in minutes.
pub async fn digest_delays<C: ConnectionTrait>(
    db: &C,
    people: &[UserId],
    job: &str,
) -> Result<Vec<(UserId, i64)>, AppError> {
    #[derive(FromQueryResult)]
    struct MailDelay {
        user_id: UserId,
        minutes: i64,
    }
    let asked = Rows::ids(db.get_database_backend(), people.iter().map(|id| id.0));
    let sql = format!(
        "SELECT DISTINCT s.user_id, s.mail_after_minutes AS minutes FROM {} JOIN notification_settings s ON s.user_id = w.id \
           AND s.mail_after_minutes IS NOT NULL \
         WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.subject = s.user_id AND j.kind = '{job}' AND j.due_at IS NOT NULL)",
        asked.table()
    );
    let found = asked.find::<_, MailDelay>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.user_id, row.minutes)).collect())
}

/// Lists a user's unread notifications that were not emailed yet, from conversations that are
/// readable and not muted, newest first.
pub async fn unmailed_of_user<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    now: Timestamp,
    most: u64,
) -> Result<Vec<NotificationRow>, AppError> {
    let sql = format!(
        "SELECT n.* FROM notifications n LEFT JOIN conversations c ON c.id = n.conversation_id AND NOT c.is_deleted \
         LEFT JOIN conversation_members m ON m.conversation_id = n.conversation_id AND m.user_id = n.user_id AND NOT m.is_deleted \
         LEFT JOIN messages s ON s.id = n.message_id \
         WHERE n.user_id = $1 AND n.read_at IS NULL AND NOT n.mailed AND n.kind <> 'reaction' \
           AND (n.conversation_id IS NULL OR (c.id IS NOT NULL AND {})) AND (m.muted_until IS NULL OR m.muted_until <= $2) AND {IS_SHOWN} \
         ORDER BY n.created_at DESC, n.id DESC LIMIT {most}",
        access::may_read("c", "$1")
    );
    raw::find::<_, NotificationRow>(db, sql, [user.into(), now.into()]).await
}

/// Marks notifications as emailed.
pub async fn record_mailed<C: ConnectionTrait>(db: &C, told: &[NotificationKey]) -> Result<(), AppError> {
    let rows = key_rows(db, told);
    let sql = format!(
        "UPDATE notifications SET mailed = TRUE WHERE (user_id, id) IN (SELECT w.user_id, w.id FROM {})",
        rows.table()
    );
    rows.execute(db, sql).await.map(drop)
}

/// Returns the token of a user's unsubscribe link. If there is none, stores `fresh` as token.
pub async fn mail_token<C: ConnectionTrait>(db: &C, user: UserId, fresh: &str) -> Result<String, AppError> {
    #[derive(FromQueryResult)]
    struct MailToken {
        mail_token: String,
    }
    let sql = "UPDATE notification_settings SET mail_token = COALESCE(mail_token, $2) WHERE user_id = $1 RETURNING mail_token";
    let row = raw::find_one::<_, MailToken>(db, sql, [user.into(), fresh.into()]).await?;
    Ok(row.map_or_else(|| fresh.to_owned(), |row| row.mail_token))
}

/// Disables digest emails for the user with this token.
pub async fn unsubscribe<C: ConnectionTrait>(db: &C, token: &str) -> Result<(), AppError> {
    notification_settings::Entity::update_many()
        .set(notification_settings::ActiveModel { mail_after_minutes: Set(None), ..Default::default() })
        .filter(notification_settings::Column::MailToken.eq(token))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Lists some of the notifications older than `before`, oldest first.
pub async fn older_than<C: ConnectionTrait>(
    db: &C,
    before: Timestamp,
    most: u64,
) -> Result<Vec<NotificationKey>, AppError> {
    let sql = format!(
        "SELECT n.user_id, n.id FROM notifications n WHERE n.created_at < $1 ORDER BY n.created_at LIMIT {most}"
    );
    raw::find::<_, NotificationKey>(db, sql, [before.into()]).await
}

/// Notification settings of a user.
pub async fn settings<C: ConnectionTrait>(db: &C, user: UserId) -> Result<NotificationSettings, AppError> {
    let row = notification_settings::Entity::find_by_id(user).one(db).await.map_err(app_error)?;
    let keywords = notification_keyword::Entity::find()
        .filter(notification_keyword::Column::UserId.eq(user))
        .order_by_asc(notification_keyword::Column::Place)
        .all(db)
        .await
        .map_err(app_error)?;
    let keywords = keywords.into_iter().map(|row| row.keyword).collect();
    let Some(row) = row else { return Ok(NotificationSettings { keywords, ..NotificationSettings::default() }) };
    Ok(NotificationSettings {
        level: row.level,
        keywords,
        quiet: row.quiet.as_deref().map(serde_json::from_str).transpose().map_err(AppError::internal)?,
        dnd_until: row.dnd_until,
        mail_after_minutes: row.mail_after_minutes,
        push: row.push,
        show_text: row.show_text,
    })
}

/// Stores the notification settings of a user, and each keyword with its first word in folded form.
pub async fn set_settings<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    settings: &NotificationSettings,
    keywords: Option<Vec<(String, String)>>,
) -> Result<(), AppError> {
    let quiet = settings.quiet.as_ref().map(serde_json::to_string).transpose().map_err(AppError::internal)?;
    let row = notification_settings::ActiveModel {
        user_id: Set(user),
        level: Set(settings.level),
        quiet: Set(quiet),
        dnd_until: Set(settings.dnd_until),
        mail_after_minutes: Set(settings.mail_after_minutes),
        push: Set(settings.push),
        show_text: Set(settings.show_text),
        ..Default::default()
    };
    let changed = [
        notification_settings::Column::Level,
        notification_settings::Column::Quiet,
        notification_settings::Column::DndUntil,
        notification_settings::Column::MailAfterMinutes,
        notification_settings::Column::Push,
        notification_settings::Column::ShowText,
    ];
    single::upsert(db, row, [notification_settings::Column::UserId], changed).await?;
    let Some(keywords) = keywords else { return Ok(()) };
    let known = notification_keyword::Entity::delete_many().filter(notification_keyword::Column::UserId.eq(user));
    known.exec(db).await.map_err(app_error)?;
    if keywords.is_empty() {
        return Ok(());
    }
    let columns = [Column::Uuid("user_id"), Column::Int("place"), Column::Text("keyword"), Column::Text("word")];
    let rows = keywords
        .into_iter()
        .zip(0_i64..)
        .map(|((keyword, word), place)| [user.0.into(), place.into(), keyword.into(), word.into()]);
    let rows = Rows::new(db.get_database_backend(), columns, rows);
    let sql = format!(
        "INSERT INTO notification_keywords (user_id, place, keyword, word) SELECT w.user_id, w.place, w.keyword, w.word FROM {}",
        rows.table()
    );
    rows.execute(db, sql).await.map(drop)
}

/// SQL expression for the notification level of a member `m` (null if not a member) of the
/// conversation `c` with the counts `n`. It is the level chosen for the conversation, otherwise the
/// member's general level. If the general level is `mentions` or not set, the level is `all` in
/// direct conversations with at most `small` members.
pub(super) fn level_expression(small: u32) -> String {
    let usual = format!(
        "CASE WHEN c.kind IN ({}) AND COALESCE(n.members, 0) <= {small} THEN '{}' ELSE '{}' END",
        access::kinds(|kind| !kind.capabilities().is_channel),
        Notify::All,
        Notify::Mentions
    );
    format!(
        "CASE WHEN m.notify_chosen OR m.user_id IS NULL THEN m.notify ELSE \
         COALESCE((SELECT CASE WHEN ns.level = '{mentions}' THEN {usual} ELSE ns.level END FROM notification_settings ns \
           WHERE ns.user_id = m.user_id), {usual}) END",
        mentions = Notify::Mentions,
    )
}
