//! What searching reads of messages, conversations and people. What somebody may not read now is not in it, whatever the index says.

use appcore::{AppError, ConversationId, MessageId, Timestamp, UploadId, UserId, WorkspaceId};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, QuerySelect, Set, Statement};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::{
    access,
    messages::{NAMED, NamedMessage},
    raw::{self, Gathered},
    rows::{Column, Rows, unfold},
    single,
};
use crate::{constraint::app_error, entity::upload_text};

/// A message, to be indexed.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Indexed {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub sender_kind: String,
    pub sender_id: Option<Uuid>,
    pub content: String,
    /// As JSON.
    pub attachments: Option<String>,
    pub status: String,
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

const INDEXED: &str = "SELECT m.id, m.conversation_id, m.sender_kind, m.sender_id, m.content, m.attachments, m.status, m.deleted_at, \
                       m.created_at FROM messages m";

/// Messages by their ids, as they are now.
pub async fn indexed<C: ConnectionTrait>(db: &C, ids: &[Uuid]) -> Result<Vec<Indexed>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().copied());
    let sql = format!("{INDEXED} JOIN {} ON m.id = w.id", asked.table());
    Indexed::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)
}

/// The newest messages with ids below this one: their ids alone, which can be read whatever they say.
pub async fn ids_below<C: ConnectionTrait>(db: &C, below: Uuid, limit: u32) -> Result<Vec<Uuid>, AppError> {
    #[derive(FromQueryResult)]
    struct Found {
        id: MessageId,
    }
    let sql = format!("SELECT m.id FROM messages m WHERE m.id < $1 ORDER BY m.id DESC LIMIT {limit}");
    let found = raw::find::<_, Found>(db, sql, [below.into()]).await?;
    Ok(found.into_iter().map(|row| row.id.0).collect())
}

/// What a file of a message says.
#[derive(Clone, Debug, FromQueryResult)]
pub struct FileText {
    pub message_id: MessageId,
    pub upload_id: UploadId,
    pub text: String,
}

/// What the files of these messages say, in any order.
pub async fn file_texts<C: ConnectionTrait>(db: &C, messages: &[Uuid]) -> Result<Vec<FileText>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), messages.iter().copied());
    let sql = format!(
        "SELECT f.message_id, f.upload_id, t.text FROM {} JOIN message_uploads f ON f.message_id = w.id \
         JOIN upload_texts t ON t.upload_id = f.upload_id AND t.length > 0",
        asked.table()
    );
    FileText::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)
}

/// What the files of those of these messages say that somebody may read now and that are shown, in any order.
pub async fn shown_file_texts<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    messages: &[Uuid],
) -> Result<Vec<FileText>, AppError> {
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, messages.iter().copied());
    let (from, condition) = shown_parts(&unfold(backend, &[Column::Uuid("id")]));
    let sql = format!(
        "SELECT f.message_id, f.upload_id, t.text {from} JOIN message_uploads f ON f.message_id = m.id \
         JOIN upload_texts t ON t.upload_id = f.upload_id AND t.length > 0 WHERE {condition}"
    );
    raw::find::<_, FileText>(db, sql, [asked.parameter()?.into(), user.into()]).await
}

/// A file of a message that nobody has read.
#[derive(Clone, Debug, FromQueryResult)]
pub struct UnreadFile {
    pub id: UploadId,
    pub name: String,
    pub media_type: String,
    pub owner_id: Option<UserId>,
    /// Of the conversation in which it was sent; one of them where there are several.
    pub workspace_id: WorkspaceId,
}

/// The files of these messages that nobody has read, pictures and voice notes aside.
pub async fn unread_files<C: ConnectionTrait>(db: &C, messages: &[Uuid]) -> Result<Vec<UnreadFile>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), messages.iter().copied());
    let sql = format!(
        "SELECT DISTINCT u.id, u.name, u.media_type, u.owner_id, c.workspace_id FROM {} JOIN message_uploads f ON f.message_id = w.id \
         JOIN messages m ON m.id = w.id JOIN conversations c ON c.id = m.conversation_id \
         JOIN uploads u ON u.id = f.upload_id WHERE u.kind = 'file' AND u.removed_at IS NULL AND u.media_type NOT LIKE 'image/%' \
           AND NOT EXISTS (SELECT 1 FROM upload_texts t WHERE t.upload_id = u.id)",
        asked.table()
    );
    UnreadFile::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)
}

/// Whether a file was read.
pub async fn is_file_read<C: ConnectionTrait>(db: &C, id: UploadId) -> Result<bool, AppError> {
    let found = upload_text::Entity::find_by_id(id).select_only().column(upload_text::Column::UploadId);
    Ok(found.into_tuple::<UploadId>().one(db).await.map_err(app_error)?.is_some())
}

/// Stores what a file says; nothing where it has no text. Asked within a transaction that keeps the file from being removed.
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

/// Has the index read the messages again that carry a file.
pub async fn touch_messages_of<C: ConnectionTrait>(tx: &C, id: UploadId) -> Result<(), AppError> {
    let sql = "INSERT INTO search_reindex_queue (message_id, revision) SELECT message_id, $2 FROM message_uploads WHERE upload_id = $1 \
               ON CONFLICT (message_id) DO UPDATE SET revision = excluded.revision";
    raw::run(tx, sql, vec![id.into(), Uuid::now_v7().into()]).await
}

/// A message that the index is to read again.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct Touched {
    pub message_id: MessageId,
    pub revision: Uuid,
}

/// Some of the messages that the index is to read again.
pub async fn touched<C: ConnectionTrait>(db: &C, limit: u32) -> Result<Vec<Touched>, AppError> {
    let sql = format!("SELECT message_id, revision FROM search_reindex_queue LIMIT {limit}");
    raw::find::<_, Touched>(db, sql, []).await
}

/// The index has read them; those that were touched again meanwhile stay.
pub async fn forget_touched<C: ConnectionTrait>(db: &C, touched: &[Touched]) -> Result<(), AppError> {
    let backend = db.get_database_backend();
    let columns = [Column::Uuid("id"), Column::Uuid("revision")];
    let rows = Rows::new(backend, columns, touched.iter().map(|one| [one.message_id.0.into(), one.revision.into()]));
    let sql = format!(
        "DELETE FROM search_reindex_queue WHERE (message_id, revision) IN (SELECT w.id, w.revision FROM {})",
        rows.table()
    );
    db.execute_raw(rows.statement(sql)?).await.map_err(app_error)?;
    Ok(())
}

/// How far all conversations have come.
pub async fn all_heads<C: ConnectionTrait>(db: &C) -> Result<Vec<(Uuid, i64)>, AppError> {
    #[derive(FromQueryResult)]
    struct Head {
        id: Uuid,
        last_seq: i64,
    }
    let found =
        raw::find::<_, Head>(db, "SELECT id, last_seq FROM conversations WHERE last_seq > 0".to_owned(), []).await?;
    Ok(found.into_iter().map(|head| (head.id, head.last_seq)).collect())
}

/// About how many messages there are: what was deleted counts as well.
pub async fn about_all<C: ConnectionTrait>(db: &C) -> Result<u64, AppError> {
    let sql = "SELECT CAST(COALESCE(SUM(last_no), 0) AS BIGINT) AS count FROM conversations WHERE NOT is_deleted";
    let statement = Statement::from_string(db.get_database_backend(), sql.to_owned());
    let row = db.query_one_raw(statement).await.map_err(app_error)?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get("", "count")).map_err(app_error)?;
    Ok(count.unsigned_abs())
}

/// A conversation that somebody may read.
#[derive(Clone, Debug, Deserialize)]
pub struct Readable {
    pub id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: String,
    pub title: Option<String>,
    pub is_member: bool,
    pub is_archived: bool,
    #[serde(deserialize_with = "stored")]
    pub last_activity_at: Timestamp,
}

/// A moment as it is stored.
fn stored<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(deserializer).map(Timestamp)
}

/// What somebody may read now: their own conversations and those that are open to them.
pub async fn readable<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<Readable>, AppError> {
    let sql = format!(
        "SELECT c.id, c.workspace_id, c.kind, c.title, c.archived_at IS NOT NULL AS is_archived, c.last_activity_at, \
           EXISTS (SELECT 1 FROM conversation_members m WHERE m.conversation_id = c.id AND m.user_id = $1 AND NOT m.is_deleted) AS is_member \
         FROM conversations c WHERE NOT c.is_deleted AND c.id IN ({})",
        access::readable("$1")
    );
    let columns = [
        Column::Uuid("id"),
        Column::Uuid("workspace_id"),
        Column::Text("kind"),
        Column::Text("title"),
        Column::Bool("is_member"),
        Column::Bool("is_archived"),
        Column::Int("last_activity_at"),
    ];
    raw::gather(db, &columns, &sql, [user.into()]).await?.rows()
}

/// Somebody by name.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Named {
    pub id: Uuid,
    pub name: String,
}

/// The people with whom somebody shares a workspace or a conversation, and oneself. Whoever is in a channel is in its workspace, so its members are
/// looked at only for guests, who don't see the workspace's.
pub async fn acquaintances<C: ConnectionTrait>(db: &C, user: UserId, limit: u32) -> Result<Vec<Named>, AppError> {
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
    raw::find::<_, Named>(db, sql, [user.into()]).await
}

/// The assistants in somebody's conversations.
pub async fn known_assistants<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<Named>, AppError> {
    let sql = "SELECT a.id, a.name FROM assistants a WHERE a.id IN (SELECT ca.assistant_id FROM conversation_assistants ca \
               JOIN conversation_members am ON am.conversation_id = ca.conversation_id AND am.user_id = $1 AND NOT am.is_deleted) LIMIT 1000";
    raw::find::<_, Named>(db, sql, [user.into()]).await
}

/// The names of these people and assistants.
pub async fn names<C: ConnectionTrait>(db: &C, ids: &[Uuid]) -> Result<Vec<Named>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().copied());
    let sql = format!(
        "WITH asked AS (SELECT w.id FROM {}) SELECT u.id, u.display_name AS name FROM users u JOIN asked a ON a.id = u.id WHERE NOT u.is_deleted \
         UNION ALL SELECT s.id, s.name FROM assistants s JOIN asked a ON a.id = s.id",
        asked.table()
    );
    Named::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)
}

/// The conversations without a title that somebody is in, with the names of the others there.
pub async fn partners<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<Named>, AppError> {
    let sql = "SELECT c.id, u.display_name AS name FROM conversation_members am \
               JOIN conversations c ON c.id = am.conversation_id AND NOT c.is_deleted AND c.title IS NULL \
               JOIN conversation_members om ON om.conversation_id = c.id AND om.user_id <> $1 AND NOT om.is_deleted \
               JOIN users u ON u.id = om.user_id WHERE am.user_id = $1 AND NOT am.is_deleted LIMIT 20000";
    raw::find::<_, Named>(db, sql, [user.into()]).await
}

/// What is compared with a query.
#[derive(Clone, Debug, Deserialize)]
pub struct Compared {
    pub id: MessageId,
    /// Its beginning.
    pub content: String,
    pub is_cut: bool,
    /// As JSON.
    pub attachments: Option<String>,
    /// Its files say something.
    pub has_file_text: bool,
    pub is_in_thread: bool,
    pub is_pinned: bool,
    pub is_saved: bool,
}

/// Those of these messages that somebody may read now, that are shown and that were said after this event of their conversation, in any order, with at
/// most `chars` of their texts.
pub async fn compared<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    ids: &[Uuid],
    (after_seq, chars): (i64, u32),
) -> Result<Gathered<Compared>, AppError> {
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, ids.iter().copied());
    let sql = format!(
        "SELECT m.id, SUBSTR(m.content, 1, {chars}) AS content, LENGTH(m.content) > {chars} AS is_cut, m.attachments, \
           (m.attachments IS NOT NULL AND EXISTS (SELECT 1 FROM message_uploads f JOIN upload_texts t ON t.upload_id = f.upload_id \
             AND t.length > 0 WHERE f.message_id = m.id)) AS has_file_text, \
           (m.thread_id IS NOT NULL OR m.thread IS NOT NULL) AS is_in_thread, m.pinned_at IS NOT NULL AS is_pinned, \
           EXISTS (SELECT 1 FROM saved_messages s WHERE s.user_id = $2 AND s.message_id = m.id) AS is_saved {} AND m.seq > $3",
        shown(&unfold(backend, &[Column::Uuid("id")]))
    );
    let columns = [
        Column::Uuid("id"),
        Column::Text("content"),
        Column::Bool("is_cut"),
        Column::Text("attachments"),
        Column::Bool("has_file_text"),
        Column::Bool("is_in_thread"),
        Column::Bool("is_pinned"),
        Column::Bool("is_saved"),
    ];
    raw::gather(db, &columns, &sql, [asked.parameter()?.into(), user.into(), after_seq.into()]).await
}

/// Those of these messages that somebody may read now and that are shown, in any order.
pub async fn found<C: ConnectionTrait>(db: &C, user: UserId, ids: &[Uuid]) -> Result<Vec<NamedMessage>, AppError> {
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, ids.iter().copied());
    let (select, joins) = NAMED.split_once("FROM messages m").unwrap_or((NAMED, ""));
    let (from, condition) = shown_parts(&unfold(backend, &[Column::Uuid("id")]));
    let sql = format!("{select} {from} {joins} WHERE {condition}");
    raw::find::<_, NamedMessage>(db, sql, [asked.parameter()?.into(), user.into()]).await
}

fn shown(asked: &str) -> String {
    let (from, condition) = shown_parts(asked);
    format!("{from} WHERE {condition}")
}

/// Messages `m` of what is asked for, as far as the person behind `$2` may read them and they are shown.
fn shown_parts(asked: &str) -> (String, String) {
    (
        format!(
            "FROM {asked} JOIN messages m ON m.id = w.id JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted"
        ),
        format!(
            "m.deleted_at IS NULL AND m.hidden_by IS NULL AND {} AND m.seq > {}",
            access::may_read("c", "$2"),
            access::reads_after("c", "$2")
        ),
    )
}
