//! Moderation: reports, hidden messages, warnings, and the times of posts in conversations with
//! slow mode.

use std::collections::BTreeMap;

use appcore::{
    AppError, ConversationId, MessageId, ReportId, Timestamp, UserId, WarningId, WorkspaceId,
    page::PageRequest,
    view::{self, ReportAction, ReportReason, ReportStatus, SenderKind},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Set, Value};
use uuid::Uuid;

use super::{
    access, page,
    pieces::{Change, Piece},
    raw,
    rows::{Column, Rows},
    single,
};
use crate::{
    constraint::app_error,
    entity::{hidden_message, message_report},
};

#[derive(Clone, Debug)]
pub struct NewReport {
    pub id: ReportId,
    pub message_id: MessageId,
    pub conversation_id: ConversationId,
    pub reporter_id: UserId,
    pub author_kind: SenderKind,
    pub author_id: Option<Uuid>,
    pub reason: ReportReason,
    pub words: Option<String>,
    pub excerpt: String,
    pub created_at: Timestamp,
}

/// Inserts a report; returns `false` if the user already has an open report of the message.
pub async fn insert<C: ConnectionTrait>(db: &C, new: NewReport) -> Result<bool, AppError> {
    let row = message_report::ActiveModel {
        id: Set(new.id),
        message_id: Set(new.message_id),
        conversation_id: Set(new.conversation_id),
        reporter_id: Set(new.reporter_id),
        author_kind: Set(new.author_kind),
        author_id: Set(new.author_id),
        reason: Set(new.reason),
        comment: Set(new.words),
        excerpt: Set(Some(new.excerpt)),
        status: Set(ReportStatus::Open),
        actions: Set(String::new()),
        created_at: Set(new.created_at),
        ..Default::default()
    };
    single::insert_if_absent(db, row).await
}

/// Finds a user's open report of a message.
pub async fn open_report<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    reporter: UserId,
) -> Result<Option<view::ReportReceipt>, AppError> {
    #[derive(FromQueryResult)]
    struct OpenReport {
        id: ReportId,
        created_at: Timestamp,
    }
    let sql =
        "SELECT id, created_at FROM message_reports WHERE message_id = $1 AND reporter_id = $2 AND status <> 'closed'";
    let found: Option<OpenReport> = raw::find_one(db, sql, vec![message.into(), reporter.into()]).await?;
    Ok(found.map(|row| view::ReportReceipt { id: row.id, created_at: row.created_at }))
}

/// Number of a user's open reports.
pub async fn count_open<C: ConnectionTrait>(db: &C, reporter: UserId) -> Result<u64, AppError> {
    page::count(db, "FROM message_reports WHERE reporter_id = $1 AND status <> 'closed'", [reporter.into()]).await
}

/// True if the message was ever reported.
pub async fn is_reported<C: ConnectionTrait>(db: &C, message: MessageId) -> Result<bool, AppError> {
    let reports = message_report::Entity::find().filter(message_report::Column::MessageId.eq(message));
    Ok(reports.one(db).await.map_err(app_error)?.is_some())
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    pub status: Option<ReportStatus>,
    pub reason: Option<ReportReason>,
    pub author: Option<Uuid>,
    /// Message whose reports are left out.
    pub except: Option<MessageId>,
}

#[derive(FromQueryResult)]
struct ReportRow {
    id: ReportId,
    message_id: MessageId,
    conversation_id: ConversationId,
    reporter_id: UserId,
    reporter_name: Option<String>,
    author_kind: SenderKind,
    author_id: Option<Uuid>,
    author_name: Option<String>,
    reason: ReportReason,
    comment: Option<String>,
    excerpt: Option<String>,
    status: ReportStatus,
    assigned_to: Option<UserId>,
    taker_name: Option<String>,
    assigned_at: Option<Timestamp>,
    closed_by: Option<UserId>,
    closer_name: Option<String>,
    closed_at: Option<Timestamp>,
    actions: String,
    created_at: Timestamp,
    workspace_id: Option<WorkspaceId>,
    conversation_kind: Option<view::ConversationKind>,
    conversation_title: Option<String>,
    may_read: bool,
    hidden_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
    edited_at: Option<Timestamp>,
    sent_at: Option<Timestamp>,
    reports: i64,
    earlier: i64,
}

impl TryFrom<ReportRow> for view::Report {
    type Error = AppError;

    fn try_from(row: ReportRow) -> Result<Self, AppError> {
        let person = |id: Option<UserId>, name| id.map(|id| view::ReportPerson { id, name });
        let kind = row.author_kind;
        let author = match row.author_name {
            Some(name) => view::Sender { kind, id: row.author_id, name, picture: None },
            None => view::Sender {
                kind: SenderKind::Deleted,
                id: None,
                name: if kind == SenderKind::Assistant { "Deleted assistant" } else { "Deleted user" }.to_owned(),
                picture: None,
            },
        };
        let place = match (row.workspace_id, row.conversation_kind) {
            (Some(workspace_id), Some(kind)) => Some(view::ReportConversation {
                conversation_id: row.conversation_id,
                workspace_id,
                kind,
                title: row.conversation_title,
                may_read: row.may_read,
            }),
            _ => None,
        };
        let deeds = row.actions.split(',').filter(|deed| !deed.is_empty());
        Ok(Self {
            id: row.id,
            status: row.status,
            reason: row.reason,
            words: row.comment,
            reporter: view::ReportPerson { id: row.reporter_id, name: row.reporter_name },
            message_id: row.message_id,
            author,
            place,
            content: row.excerpt,
            hidden_at: row.hidden_at,
            deleted_at: row.deleted_at,
            edited_at: row.edited_at,
            sent_at: row.sent_at,
            reports: row.reports.unsigned_abs(),
            earlier: row.earlier.unsigned_abs(),
            assigned_to: person(row.assigned_to, row.taker_name),
            taken_at: row.assigned_at,
            closed_by: person(row.closed_by, row.closer_name),
            closed_at: row.closed_at,
            actions: deeds.map(|deed| deed.parse().map_err(AppError::internal)).collect::<Result<_, _>>()?,
            created_at: row.created_at,
        })
    }
}

/// SQL select list of reports `r` as seen by the user bound to `$1`.
fn columns() -> String {
    let may_read = access::may_read("c", "$1");
    format!(
        "SELECT r.*, reporter.display_name AS reporter_name, COALESCE(author.display_name, assistant.name) AS author_name, \
           taker.display_name AS taker_name, closer.display_name AS closer_name, c.workspace_id, c.kind AS conversation_kind, \
           c.title AS conversation_title, (c.id IS NOT NULL AND {may_read}) AS may_read, \
           m.hidden_at, m.deleted_at, m.edited_at, m.created_at AS sent_at, \
           (SELECT COUNT(*) FROM message_reports s WHERE s.message_id = r.message_id) AS reports, \
           (SELECT COUNT(DISTINCT e.message_id) FROM message_reports e WHERE e.author_id = r.author_id AND e.message_id <> r.message_id \
             AND e.created_at <= r.created_at) AS earlier \
         FROM message_reports r LEFT JOIN messages m ON m.id = r.message_id \
         LEFT JOIN conversations c ON c.id = r.conversation_id AND NOT c.is_deleted \
         LEFT JOIN users reporter ON reporter.id = r.reporter_id AND NOT reporter.is_deleted \
         LEFT JOIN users author ON r.author_kind = 'user' AND author.id = r.author_id AND NOT author.is_deleted \
         LEFT JOIN assistants assistant ON r.author_kind = 'assistant' AND assistant.id = r.author_id \
         LEFT JOIN users taker ON taker.id = r.assigned_to AND NOT taker.is_deleted \
         LEFT JOIN users closer ON closer.id = r.closed_by AND NOT closer.is_deleted"
    )
}

/// Lists reports, newest first, with the total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    reader: UserId,
    filter: Filter,
    page: PageRequest,
) -> Result<(Vec<view::Report>, u64), AppError> {
    let conditions = |first: usize| {
        let (mut sql, mut values) = (" WHERE TRUE".to_owned(), Vec::<Value>::new());
        let mut condition = |text: &str, value: Value| {
            values.push(value);
            sql.push_str(&format!(" AND r.{text} ${}", first + values.len()));
        };
        if let Some(status) = filter.status {
            condition("status =", status.as_str().into());
        }
        if let Some(reason) = filter.reason {
            condition("reason =", reason.as_str().into());
        }
        if let Some(author) = filter.author {
            condition("author_id =", author.into());
        }
        if let Some(message) = filter.except {
            condition("message_id <>", message.into());
        }
        (sql, values)
    };
    let (counted, values) = conditions(0);
    let total = page::count(db, &format!("FROM message_reports r{counted}"), values).await?;
    let (wanted, values) = conditions(1);
    let sql = format!(
        "{}{wanted} ORDER BY r.created_at DESC, r.id DESC LIMIT {} OFFSET {}",
        columns(),
        page.page_size,
        page.offset()
    );
    let values = std::iter::once(reader.into()).chain(values);
    let found = raw::find::<_, ReportRow>(db, &sql, values).await?;
    Ok((found.into_iter().map(TryInto::try_into).collect::<Result<_, AppError>>()?, total))
}

pub async fn find<C: ConnectionTrait>(db: &C, reader: UserId, id: ReportId) -> Result<Option<view::Report>, AppError> {
    let sql = format!("{} WHERE r.id = $2", columns());
    let found: Option<ReportRow> = raw::find_one(db, &sql, vec![reader.into(), id.into()]).await?;
    found.map(TryInto::try_into).transpose()
}

/// Assigns an open report to a moderator, or clears the assignment; returns `false` if the report
/// is closed.
pub async fn assign<C: ConnectionTrait>(
    db: &C,
    id: ReportId,
    by: Option<UserId>,
    now: Timestamp,
) -> Result<bool, AppError> {
    let sql = "UPDATE message_reports SET status = $2, assigned_to = $3, assigned_at = $4 WHERE id = $1 AND status <> 'closed'";
    let status = if by.is_some() { ReportStatus::Taken } else { ReportStatus::Open };
    let values = vec![id.into(), status.as_str().into(), by.into(), by.map(|_| now).into()];
    Ok(raw::execute(db, sql, values).await? > 0)
}

/// Closes all reports of a message and clears their excerpts; returns their number.
pub async fn close<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    by: UserId,
    deeds: &[ReportAction],
    now: Timestamp,
) -> Result<u64, AppError> {
    let sql = "UPDATE message_reports SET status = 'closed', excerpt = NULL, closed_by = $2, closed_at = $3, actions = $4 \
               WHERE message_id = $1 AND status <> 'closed'";
    let deeds = deeds.iter().map(|deed| deed.as_str()).collect::<Vec<_>>().join(",");
    raw::execute(db, sql, vec![message.into(), by.into(), now.into(), deeds.into()]).await
}

/// Moves the content of a message to `hidden_messages`.
pub async fn hide<C: ConnectionTrait>(db: &C, id: MessageId, by: UserId, now: Timestamp) -> Result<(), AppError> {
    let sql = "INSERT INTO hidden_messages (message_id, hidden_by, content, attachments, forwarded, tool_calls, answer) \
               SELECT id, $2, content, attachments, forwarded, tool_calls, answer FROM messages WHERE id = $1";
    raw::execute(db, sql, vec![id.into(), by.into()]).await?;
    let sql = "UPDATE messages SET content = '', attachments = NULL, previews = NULL, forwarded = NULL, tool_calls = NULL, answer = NULL, hidden_at = $2 \
               WHERE id = $1";
    raw::run(db, sql, vec![id.into(), now.into()]).await
}

/// Restores the content of a hidden message.
pub async fn restore<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<(), AppError> {
    let sql = "UPDATE messages SET hidden_at = NULL, content = h.content, attachments = h.attachments, forwarded = h.forwarded, \
                 tool_calls = h.tool_calls, answer = h.answer FROM hidden_messages h WHERE messages.id = $1 AND h.message_id = $1";
    raw::execute(db, sql, vec![id.into()]).await?;
    hidden_message::Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Content of a hidden message.
#[derive(Clone, Debug, FromQueryResult)]
pub struct HiddenContent {
    pub sender_kind: SenderKind,
    pub sender_id: Option<Uuid>,
    pub hidden_at: Timestamp,
    pub content: String,
    /// Attachments as JSON.
    pub attachments: Option<String>,
}

pub async fn hidden_content<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<Option<HiddenContent>, AppError> {
    let sql = "SELECT m.sender_kind, m.sender_id, m.hidden_at, h.content, h.attachments FROM hidden_messages h \
               JOIN messages m ON m.id = h.message_id AND m.hidden_at IS NOT NULL WHERE h.message_id = $1";
    raw::find_one(db, sql, vec![id.into()]).await
}

/// Warning of a moderator to a user.
#[derive(Clone, Debug)]
pub struct NewWarning {
    pub user_id: UserId,
    pub issued_by: UserId,
    pub warning: view::Warning,
}

pub async fn warn<C: ConnectionTrait>(db: &C, new: &NewWarning) -> Result<(), AppError> {
    let sql = "INSERT INTO user_warnings (id, user_id, issued_by, message_id, conversation_id, reason, comment, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let warning = &new.warning;
    let values = vec![
        warning.id.into(),
        new.user_id.into(),
        new.issued_by.into(),
        warning.message_id.into(),
        warning.conversation_id.into(),
        warning.reason.as_str().into(),
        warning.words.clone().into(),
        warning.created_at.into(),
    ];
    raw::run(db, sql, values).await
}

#[derive(FromQueryResult)]
struct WarningRow {
    id: WarningId,
    reason: ReportReason,
    comment: Option<String>,
    message_id: Option<MessageId>,
    conversation_id: Option<ConversationId>,
    seen_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl From<WarningRow> for view::Warning {
    fn from(row: WarningRow) -> Self {
        let WarningRow { id, reason, comment, message_id, conversation_id, seen_at, created_at } = row;
        Self { id, reason, words: comment, message_id, conversation_id, seen_at, created_at }
    }
}

/// Lists a user's warnings, newest first, with the total count.
pub async fn warnings<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    only_unseen: bool,
    page: PageRequest,
) -> Result<(Vec<view::Warning>, u64), AppError> {
    let unseen = if only_unseen { " AND seen_at IS NULL" } else { "" };
    let rows = format!("FROM user_warnings WHERE user_id = $1{unseen}");
    let sql = format!(
        "SELECT id, reason, comment, message_id, conversation_id, seen_at, created_at {rows} ORDER BY created_at DESC, id DESC \
         LIMIT {} OFFSET {}",
        page.page_size,
        page.offset()
    );
    let found = raw::find::<_, WarningRow>(db, &sql, vec![user.into()]).await?;
    let total = page::count(db, &rows, [user.into()]).await?;
    Ok((found.into_iter().map(Into::into).collect(), total))
}

pub async fn count_warnings<C: ConnectionTrait>(db: &C, user: UserId) -> Result<u64, AppError> {
    page::count(db, "FROM user_warnings WHERE user_id = $1", [user.into()]).await
}

/// Marks a warning as seen by the user; returns `None` if there is no such warning.
pub async fn mark_seen<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: WarningId,
    now: Timestamp,
) -> Result<Option<view::Warning>, AppError> {
    let sql = "UPDATE user_warnings SET seen_at = COALESCE(seen_at, $3) WHERE id = $1 AND user_id = $2 \
               RETURNING id, reason, comment, message_id, conversation_id, seen_at, created_at";
    let found: Option<WarningRow> = raw::find_one(db, sql, vec![id.into(), user.into(), now.into()]).await?;
    Ok(found.map(Into::into))
}

/// Returns the times of the users' last posts in conversations with slow mode.
pub async fn last_posts<C: ConnectionTrait>(
    db: &C,
    asked: &[(ConversationId, UserId)],
) -> Result<Vec<((ConversationId, UserId), Timestamp)>, AppError> {
    #[derive(FromQueryResult)]
    struct LastPost {
        conversation_id: ConversationId,
        user_id: UserId,
        at: Timestamp,
    }
    let asked = Rows::new(
        db.get_database_backend(),
        [Column::Uuid("conversation_id"), Column::Uuid("user_id")],
        asked.iter().map(|(conversation, user)| [conversation.0.into(), user.0.into()]),
    );
    let sql = format!(
        "SELECT t.conversation_id, t.user_id, t.posted_at AS at FROM {} JOIN slow_mode_posts t ON t.conversation_id = w.conversation_id AND t.user_id = w.user_id",
        asked.table()
    );
    let found = asked.find::<_, LastPost>(db, sql).await?;
    Ok(found.into_iter().map(|row| ((row.conversation_id, row.user_id), row.at)).collect())
}

/// Records the times of posts in conversations with slow mode.
pub fn record_posts(turns: &BTreeMap<(ConversationId, UserId), Timestamp>) -> Piece {
    static UPSERT: Change<3> = Change::new(
        [Column::Uuid("conversation_id"), Column::Uuid("user_id"), Column::Int("posted_at")],
        "INSERT INTO slow_mode_posts (conversation_id, user_id, posted_at) SELECT w.conversation_id, w.user_id, w.posted_at FROM {} WHERE TRUE \
         ON CONFLICT (conversation_id, user_id) DO UPDATE SET posted_at = excluded.posted_at",
        "INSERT INTO slow_mode_posts (conversation_id, user_id, posted_at) VALUES (?, ?, ?) \
         ON CONFLICT (conversation_id, user_id) DO UPDATE SET posted_at = excluded.posted_at",
    );
    UPSERT.piece(turns.iter().map(|((conversation, user), at)| [conversation.0.into(), user.0.into(), at.0.into()]))
}
