//! Queries of the message, conversation and user search. They check the current read access,
//! whatever the index contains.

use appcore::{
    AppError, ConversationId, MessageId, Timestamp, UploadId, UserId, WorkspaceId,
    view::{ConversationKind, MessageStatus, SenderKind},
};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, QuerySelect, Set};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::{
    access,
    messages::{NAMED, NamedMessage},
    raw::{self, JsonRows},
    rows::{Column, Rows, unnest_json},
    single,
};
use crate::{
    constraint::app_error,
    entity::{search_request, upload_text},
};

/// Message to be indexed.
#[derive(Clone, Debug, FromQueryResult)]
pub struct IndexedMessage {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub sender_kind: SenderKind,
    pub sender_id: Option<Uuid>,
    pub content: String,
    /// Attachments as JSON.
    pub attachments: Option<String>,
    pub status: MessageStatus,
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

const INDEXED: &str = "SELECT m.id, m.conversation_id, m.sender_kind, m.sender_id, m.content, m.attachments, m.status, m.deleted_at, \
                       m.created_at FROM messages m";

/// Reads the current state of messages by their ids.
pub async fn messages_to_index<C: ConnectionTrait>(db: &C, ids: &[Uuid]) -> Result<Vec<IndexedMessage>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().copied());
    let sql = format!("{INDEXED} JOIN {} ON m.id = w.id", asked.table());
    asked.find::<_, IndexedMessage>(db, sql).await
}

/// Returns the ids of the newest messages with ids below the given one. Works even if the content
/// of a message is unreadable.
pub async fn ids_below<C: ConnectionTrait>(db: &C, below: Uuid, limit: u32) -> Result<Vec<Uuid>, AppError> {
    #[derive(FromQueryResult)]
    struct Found {
        id: MessageId,
    }
    let sql = format!("SELECT m.id FROM messages m WHERE m.id < $1 ORDER BY m.id DESC LIMIT {limit}");
    let found = raw::find::<_, Found>(db, sql, [below.into()]).await?;
    Ok(found.into_iter().map(|row| row.id.0).collect())
}

/// Text of a message's file.
#[derive(Clone, Debug, FromQueryResult)]
pub struct FileText {
    pub message_id: MessageId,
    pub upload_id: UploadId,
    pub text: String,
}

/// Returns the texts extracted from the files of these messages, in no particular order.
pub async fn file_texts<C: ConnectionTrait>(db: &C, messages: &[Uuid]) -> Result<Vec<FileText>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), messages.iter().copied());
    let sql = format!(
        "SELECT f.message_id, f.upload_id, t.text FROM {} JOIN message_uploads f ON f.message_id = w.id \
         JOIN upload_texts t ON t.upload_id = f.upload_id AND t.length > 0",
        asked.table()
    );
    asked.find::<_, FileText>(db, sql).await
}

/// Returns the texts extracted from the files of those of these messages that are shown and that
/// the user may read, in no particular order.
pub async fn shown_file_texts<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    messages: &[Uuid],
) -> Result<Vec<FileText>, AppError> {
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, messages.iter().copied());
    let (from, condition) = shown_parts(&unnest_json(backend, &[Column::Uuid("id")]));
    let sql = format!(
        "SELECT f.message_id, f.upload_id, t.text {from} JOIN message_uploads f ON f.message_id = m.id \
         JOIN upload_texts t ON t.upload_id = f.upload_id AND t.length > 0 WHERE {condition}"
    );
    raw::find::<_, FileText>(db, sql, [asked.parameter()?.into(), user.into()]).await
}

/// File of a message from which no text was extracted yet.
#[derive(Clone, Debug, FromQueryResult)]
pub struct UnextractedFile {
    pub id: UploadId,
    pub name: String,
    pub media_type: String,
    pub owner_id: Option<UserId>,
    /// Workspace of a conversation in which the file was sent.
    pub workspace_id: WorkspaceId,
}

/// Returns the files of these messages from which no text was extracted yet. Images and voice notes
/// are left out.
pub async fn unextracted_files<C: ConnectionTrait>(
    db: &C,
    messages: &[Uuid],
) -> Result<Vec<UnextractedFile>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), messages.iter().copied());
    let sql = format!(
        "SELECT DISTINCT u.id, u.name, u.media_type, u.owner_id, c.workspace_id FROM {} JOIN message_uploads f ON f.message_id = w.id \
         JOIN messages m ON m.id = w.id JOIN conversations c ON c.id = m.conversation_id \
         JOIN uploads u ON u.id = f.upload_id WHERE u.kind = 'file' AND u.removed_at IS NULL AND u.media_type NOT LIKE 'image/%' \
           AND NOT EXISTS (SELECT 1 FROM upload_texts t WHERE t.upload_id = u.id)",
        asked.table()
    );
    asked.find::<_, UnextractedFile>(db, sql).await
}

/// True if the text of a file was extracted.
pub async fn is_file_extracted<C: ConnectionTrait>(db: &C, id: UploadId) -> Result<bool, AppError> {
    let found = upload_text::Entity::find_by_id(id).select_only().column(upload_text::Column::UploadId);
    Ok(found.into_tuple::<UploadId>().one(db).await.map_err(app_error)?.is_some())
}

/// Stores the extracted text of a file, which may be empty. The transaction must hold a lock that
/// prevents the removal of the file.
pub async fn set_file_text<C: ConnectionTrait>(
    tx: &C,
    id: UploadId,
    text: &str,
    now: Timestamp,
) -> Result<(), AppError> {
    let length = i32::try_from(text.len()).unwrap_or(i32::MAX);
    let row = upload_text::ActiveModel {
        upload_id: Set(id),
        text: Set(text.to_owned()),
        length: Set(length),
        read_at: Set(now),
    };
    single::insert_if_absent(tx, row).await?;
    Ok(())
}

/// Queues all messages to which a file is attached for indexing.
pub async fn queue_messages_of<C: ConnectionTrait>(tx: &C, id: UploadId) -> Result<(), AppError> {
    let sql = "INSERT INTO search_reindex_queue (message_id, revision) SELECT message_id, $2 FROM message_uploads WHERE upload_id = $1 \
               ON CONFLICT (message_id) DO UPDATE SET revision = excluded.revision";
    raw::run(tx, sql, vec![id.into(), Uuid::now_v7().into()]).await
}

/// Message in the reindex queue.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct QueuedMessage {
    pub message_id: MessageId,
    pub revision: Uuid,
}

/// Returns the messages that were queued from this time on, or after this revision.
pub async fn reindex_queue<C: ConnectionTrait>(
    db: &C,
    after: Uuid,
    limit: u32,
) -> Result<Vec<QueuedMessage>, AppError> {
    let sql = format!(
        "SELECT message_id, revision FROM search_reindex_queue WHERE revision > $1 ORDER BY revision LIMIT {limit}"
    );
    raw::find::<_, QueuedMessage>(db, sql, [after.into()]).await
}

/// Returns the lowest revision of messages that are queued from this time on.
#[must_use]
pub fn first_revision(time: Timestamp) -> Uuid {
    let millis = u64::try_from(time.millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

/// Removes messages that were queued before this time.
pub async fn trim_reindex_queue<C: ConnectionTrait>(db: &C, before: Timestamp) -> Result<(), AppError> {
    raw::run(db, "DELETE FROM search_reindex_queue WHERE revision < $1", [first_revision(before).into()]).await
}

/// Maintenance of the search indexes of all instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexRequest {
    /// Builds the index again.
    Rebuild,
    /// Removes the words of removed messages from the files.
    Purge,
}

impl IndexRequest {
    const fn kind(self) -> &'static str {
        match self {
            Self::Rebuild => "rebuild",
            Self::Purge => "purge",
        }
    }
}

/// Requests maintenance of the indexes; returns the id of the request.
pub async fn request_maintenance<C: ConnectionTrait>(db: &C, request: IndexRequest) -> Result<Uuid, AppError> {
    let id = Uuid::now_v7();
    let row = search_request::ActiveModel { kind: Set(request.kind().to_owned()), request: Set(id) };
    single::upsert(db, row, [search_request::Column::Kind], [search_request::Column::Request]).await?;
    Ok(id)
}

/// Latest requests to maintain the indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexRequests {
    pub rebuild: Option<Uuid>,
    pub purge: Option<Uuid>,
}

pub async fn maintenance_requests<C: ConnectionTrait>(db: &C) -> Result<IndexRequests, AppError> {
    let rows = search_request::Entity::find().all(db).await.map_err(app_error)?;
    let find = |request: IndexRequest| rows.iter().find(|row| row.kind == request.kind()).map(|row| row.request);
    Ok(IndexRequests { rebuild: find(IndexRequest::Rebuild), purge: find(IndexRequest::Purge) })
}

/// Returns for each of these conversations the sequence number of the last event that was recorded
/// before this time, or that is no longer in the log.
pub async fn positions_before<C: ConnectionTrait>(
    db: &C,
    ids: &[Uuid],
    time: Timestamp,
) -> Result<Vec<(Uuid, i64)>, AppError> {
    #[derive(FromQueryResult)]
    struct Position {
        id: Uuid,
        last: Option<i64>,
        first: Option<i64>,
    }
    let asked = Rows::ids(db.get_database_backend(), ids.iter().copied());
    let time = time.millis();
    let sql = format!(
        "SELECT w.id, \
           (SELECT e.seq FROM conversation_events e WHERE e.conversation_id = w.id AND e.created_at < {time} \
             ORDER BY e.seq DESC LIMIT 1) AS last, \
           (SELECT e.seq FROM conversation_events e WHERE e.conversation_id = w.id AND e.seq > 0 \
             ORDER BY e.seq LIMIT 1) AS first \
         FROM {}",
        asked.table()
    );
    let found = asked.find::<_, Position>(db, sql).await?;
    let position = |row: Position| {
        let trimmed = row.first.map_or(0, |first| first - 1);
        (row.id, row.last.unwrap_or(0).max(trimmed))
    };
    Ok(found.into_iter().map(position).collect())
}

/// Key of the advisory lock under which instances agree on the writer of a shared index.
const WRITER_LOCK: i64 = 0x6e61_7474_6572_0001;

/// Waits for the lock of a shared index, on PostgreSQL. It is held until the transaction ends.
pub async fn lock_shared_index<C: ConnectionTrait>(tx: &C) -> Result<(), AppError> {
    raw::run(tx, format!("SELECT pg_advisory_xact_lock({WRITER_LOCK})"), []).await
}

/// Returns the approximate number of messages, including deleted ones.
pub async fn approximate_count<C: ConnectionTrait>(db: &C) -> Result<u64, AppError> {
    let sql = "SELECT CAST(COALESCE(SUM(last_no), 0) AS BIGINT) AS count FROM conversations WHERE NOT is_deleted";
    let count: Option<i64> = raw::find_value(db, sql, []).await?;
    Ok(count.unwrap_or(0).unsigned_abs())
}

/// Conversation that a user may read.
#[derive(Clone, Debug, Deserialize)]
pub struct Readable {
    pub id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub is_member: bool,
    pub is_archived: bool,
    /// Sequence number of the last event before the history that the user may read.
    pub history_start: i64,
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub last_activity_at: Timestamp,
}

/// Deserialises a timestamp in its stored form.
fn deserialize_timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(deserializer).map(Timestamp)
}

/// Returns the conversations that a user may read: those of which the user is a member, and those
/// that are open to the user.
pub async fn readable_conversations<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<Readable>, AppError> {
    let sql = format!(
        "SELECT c.id, c.workspace_id, c.kind, c.title, c.archived_at IS NOT NULL AS is_archived, m.user_id IS NOT NULL AS is_member, \
           COALESCE({}, 0) AS history_start, c.last_activity_at FROM conversations c \
         LEFT JOIN conversation_members m ON m.conversation_id = c.id AND m.user_id = $1 AND NOT m.is_deleted \
         WHERE NOT c.is_deleted AND c.id IN ({})",
        access::member_history_start("c", "m"),
        access::readable_conversations("$1")
    );
    let columns = [
        Column::Uuid("id"),
        Column::Uuid("workspace_id"),
        Column::Text("kind"),
        Column::Text("title"),
        Column::Bool("is_member"),
        Column::Bool("is_archived"),
        Column::Int("history_start"),
        Column::Int("last_activity_at"),
    ];
    raw::find_as_json(db, &columns, &sql, [user.into()]).await?.rows()
}

/// Id and name of a user, assistant or conversation.
#[derive(Clone, Debug, FromQueryResult)]
pub struct NamedId {
    pub id: Uuid,
    pub name: String,
}

/// Returns the user and all users who share a workspace or a conversation with the user. Members of
/// a channel are also members of its workspace, so conversations are searched only for guests, who
/// don't see the members of the workspace.
pub async fn acquaintances<C: ConnectionTrait>(db: &C, user: UserId, limit: u32) -> Result<Vec<NamedId>, AppError> {
    let sql = format!(
        "SELECT u.id, u.display_name AS name FROM users u WHERE NOT u.is_deleted AND u.id IN (\
           SELECT ow.user_id FROM workspace_members aw JOIN workspace_members ow ON ow.workspace_id = aw.workspace_id AND NOT ow.is_deleted \
             WHERE aw.user_id = $1 AND NOT aw.is_deleted AND aw.role <> 'guest' \
           UNION SELECT om.user_id FROM conversation_members am \
             JOIN conversations c ON c.id = am.conversation_id AND NOT c.is_deleted \
             JOIN conversation_members om ON om.conversation_id = c.id AND NOT om.is_deleted \
             WHERE am.user_id = $1 AND NOT am.is_deleted AND (c.kind NOT IN ({}) OR NOT EXISTS (SELECT 1 FROM workspace_members gw \
               WHERE gw.workspace_id = c.workspace_id AND gw.user_id = $1 AND NOT gw.is_deleted AND gw.role <> 'guest'))) LIMIT {limit}",
        access::kinds(|kind| kind.capabilities().is_channel)
    );
    raw::find::<_, NamedId>(db, sql, [user.into()]).await
}

/// Returns the assistants in the user's conversations.
pub async fn known_assistants<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<NamedId>, AppError> {
    let sql = "SELECT a.id, a.name FROM assistants a WHERE a.id IN (SELECT ca.assistant_id FROM conversation_assistants ca \
               JOIN conversation_members am ON am.conversation_id = ca.conversation_id AND am.user_id = $1 AND NOT am.is_deleted) LIMIT 1000";
    raw::find::<_, NamedId>(db, sql, [user.into()]).await
}

/// Returns the names of these users and assistants.
pub async fn names<C: ConnectionTrait>(db: &C, ids: &[Uuid]) -> Result<Vec<NamedId>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().copied());
    let sql = format!(
        "WITH asked AS (SELECT w.id FROM {}) SELECT u.id, u.display_name AS name FROM users u JOIN asked a ON a.id = u.id WHERE NOT u.is_deleted \
         UNION ALL SELECT s.id, s.name FROM assistants s JOIN asked a ON a.id = s.id",
        asked.table()
    );
    asked.find::<_, NamedId>(db, sql).await
}

/// Returns those of the user's conversations that have no title, with the names of their other
/// members.
pub async fn partners<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<NamedId>, AppError> {
    let sql = "SELECT c.id, u.display_name AS name FROM conversation_members am \
               JOIN conversations c ON c.id = am.conversation_id AND NOT c.is_deleted AND c.title IS NULL \
               JOIN conversation_members om ON om.conversation_id = c.id AND om.user_id <> $1 AND NOT om.is_deleted \
               JOIN users u ON u.id = om.user_id WHERE am.user_id = $1 AND NOT am.is_deleted LIMIT 20000";
    raw::find::<_, NamedId>(db, sql, [user.into()]).await
}

/// Message content that is matched against a query.
#[derive(Clone, Debug, Deserialize)]
pub struct MatchCandidate {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub sender_kind: SenderKind,
    pub sender_id: Option<Uuid>,
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub created_at: Timestamp,
    /// Start of the message text.
    pub content: String,
    pub is_cut: bool,
    /// Attachments as JSON.
    pub attachments: Option<String>,
    /// True if text was extracted from the attached files.
    pub has_file_text: bool,
    pub is_in_thread: bool,
    pub is_pinned: bool,
    pub is_saved: bool,
}

/// Returns those of these messages that are shown and that come after the given event of their
/// conversation. They are in no particular order; texts are truncated to `chars` characters. The
/// caller checks that the user may read them. If `saved_by` is given, `is_saved` tells whether this
/// user has saved the message.
pub async fn match_candidates<C: ConnectionTrait>(
    db: &C,
    ids: &[Uuid],
    (after_seq, chars): (i64, u32),
    saved_by: Option<UserId>,
) -> Result<JsonRows<MatchCandidate>, AppError> {
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, ids.iter().copied());
    let is_saved = match saved_by {
        Some(_) => "EXISTS (SELECT 1 FROM saved_messages s WHERE s.user_id = $3 AND s.message_id = m.id)",
        None => "FALSE",
    };
    let sql = format!(
        "SELECT m.id, m.conversation_id, m.seq, m.sender_kind, m.sender_id, m.created_at, SUBSTR(m.content, 1, {chars}) AS content, \
           LENGTH(m.content) > {chars} AS is_cut, m.attachments, \
           (m.attachments IS NOT NULL AND EXISTS (SELECT 1 FROM message_uploads f JOIN upload_texts t ON t.upload_id = f.upload_id \
             AND t.length > 0 WHERE f.message_id = m.id)) AS has_file_text, \
           (m.thread_id IS NOT NULL OR m.thread IS NOT NULL) AS is_in_thread, m.pinned_at IS NOT NULL AS is_pinned, \
           {is_saved} AS is_saved FROM {} JOIN messages m ON m.id = w.id \
         WHERE m.deleted_at IS NULL AND m.hidden_by IS NULL AND m.seq > $2",
        unnest_json(backend, &[Column::Uuid("id")])
    );
    let columns = [
        Column::Uuid("id"),
        Column::Uuid("conversation_id"),
        Column::Int("seq"),
        Column::Text("sender_kind"),
        Column::Uuid("sender_id"),
        Column::Int("created_at"),
        Column::Text("content"),
        Column::Bool("is_cut"),
        Column::Text("attachments"),
        Column::Bool("has_file_text"),
        Column::Bool("is_in_thread"),
        Column::Bool("is_pinned"),
        Column::Bool("is_saved"),
    ];
    let mut values = vec![asked.parameter()?.into(), after_seq.into()];
    values.extend(saved_by.map(sea_orm::Value::from));
    raw::find_as_json(db, &columns, &sql, values).await
}

/// Returns those of these messages that are shown and that the user may read, in no particular
/// order.
pub async fn readable_messages<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    ids: &[Uuid],
) -> Result<Vec<NamedMessage>, AppError> {
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, ids.iter().copied());
    let (select, joins) = NAMED.split_once("FROM messages m").unwrap_or((NAMED, ""));
    let (from, condition) = shown_parts(&unnest_json(backend, &[Column::Uuid("id")]));
    let sql = format!("{select} {from} {joins} WHERE {condition}");
    raw::find::<_, NamedMessage>(db, sql, [asked.parameter()?.into(), user.into()]).await
}

/// SQL join and condition for the requested messages `m` that are shown and that the user bound to
/// `$2` may read.
fn shown_parts(asked: &str) -> (String, String) {
    (
        format!(
            "FROM {asked} JOIN messages m ON m.id = w.id JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted"
        ),
        format!(
            "m.deleted_at IS NULL AND m.hidden_by IS NULL AND {} AND m.seq > {}",
            access::may_read("c", "$2"),
            access::history_start("c", "$2")
        ),
    )
}
