//! Uploads: ownership, metadata, attachment to messages and removal.

mod parts;

use appcore::{
    AppError, ConversationId, MessageId, Timestamp, UploadId, UserId, WorkspaceId,
    view::{FileKind, TranscriptState, Upload, UploadKind, UploadStatus},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Set, Value,
};
use uuid::Uuid;

pub use self::parts::{UploadPart, add_part, claim_assembly, delete_parts, extend_assembly, parts};
use super::{
    access,
    pieces::{Change, Piece},
    raw,
    rows::{Column, Rows},
    single,
};
use crate::{
    constraint::app_error,
    entity::{knowledge_file, message, message_upload, upload, workspace_emoji},
};

/// Upload with its metadata.
#[derive(Clone, Debug, FromQueryResult)]
pub struct StoredUpload {
    pub id: UploadId,
    pub owner_id: Option<UserId>,
    pub name: String,
    pub kind: UploadKind,
    pub media_type: String,
    pub size: Option<i64>,
    pub sha256: Option<String>,
    pub width: Option<i32>,
    pub height: Option<i32>,
    pub duration_ms: Option<i64>,
    pub peaks: Option<String>,
    pub thumbhash: Option<String>,
    pub thumbnail_type: Option<String>,
    pub transcript: Option<String>,
    pub transcript_state: Option<TranscriptState>,
    pub status: UploadStatus,
    pub created_at: Timestamp,
}

impl TryFrom<StoredUpload> for Upload {
    type Error = AppError;

    fn try_from(row: StoredUpload) -> Result<Self, AppError> {
        Ok(Self {
            id: row.id,
            name: row.name,
            kind: row.kind,
            media_type: row.media_type,
            size: row.size.unwrap_or_default(),
            sha256: row.sha256,
            width: row.width,
            height: row.height,
            duration_ms: row.duration_ms,
            peaks: row.peaks.map(|peaks| serde_json::from_str(&peaks).map_err(AppError::internal)).transpose()?,
            thumbhash: row.thumbhash,
            status: row.status,
            transcript: row.transcript,
            transcript_state: row.transcript_state,
            created_at: row.created_at,
        })
    }
}

impl StoredUpload {
    /// True if the user may send the file: the upload is complete, and the user owns it.
    #[must_use]
    pub fn is_usable_by(&self, user: UserId) -> bool {
        self.owner_id == Some(user) && self.status == UploadStatus::Ready
    }
}

/// Upload that is created before its content arrives.
#[derive(Clone, Debug)]
pub struct NewUpload {
    pub id: UploadId,
    /// Owner; `None` for an upload without an owner.
    pub owner: Option<UserId>,
    pub name: String,
    pub kind: UploadKind,
    pub media_type: String,
    pub size: Option<i64>,
    /// Bytes of the storage quota that are reserved while the size is unknown.
    pub reserved_bytes: Option<i64>,
    /// Waveform as JSON.
    pub peaks: Option<String>,
    pub duration_ms: Option<i64>,
    pub transcript_state: Option<TranscriptState>,
    pub created_at: Timestamp,
}

pub async fn insert<C: ConnectionTrait>(db: &C, new: &NewUpload) -> Result<(), AppError> {
    let row = upload::ActiveModel {
        id: Set(new.id),
        owner_id: Set(new.owner),
        name: Set(new.name.clone()),
        kind: Set(new.kind),
        media_type: Set(new.media_type.clone()),
        size: Set(new.size),
        duration_ms: Set(new.duration_ms),
        peaks: Set(new.peaks.clone()),
        status: Set(UploadStatus::Pending),
        transcript_state: Set(new.transcript_state),
        reserved_bytes: Set(new.reserved_bytes),
        search_name: Set(::search::fold_name(&new.name)),
        created_at: Set(new.created_at),
        ..Default::default()
    };
    single::insert(db, row).await
}

/// Stores the metadata sent by a tus client.
pub async fn set_metadata<C: ConnectionTrait>(db: &C, id: UploadId, metadata: &str) -> Result<(), AppError> {
    change(db, id, upload::ActiveModel { tus_metadata: Set(Some(metadata.to_owned())), ..Default::default() }).await
}

async fn change<C: ConnectionTrait>(db: &C, id: UploadId, changed: upload::ActiveModel) -> Result<(), AppError> {
    upload::Entity::update_many().set(changed).filter(upload::Column::Id.eq(id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Metadata stored by [`set_metadata`].
pub async fn metadata<C: ConnectionTrait>(db: &C, id: UploadId) -> Result<Option<String>, AppError> {
    let metadata = upload::Entity::find_by_id(id).select_only().column(upload::Column::TusMetadata);
    Ok(metadata.into_tuple::<Option<String>>().one(db).await.map_err(app_error)?.flatten())
}

/// Sets the number of bytes reserved for an incomplete upload; returns `false` if the upload is
/// complete or being removed.
pub async fn reserve<C: ConnectionTrait>(db: &C, id: UploadId, bytes: i64) -> Result<bool, AppError> {
    let sql = format!(
        "UPDATE uploads SET reserved_bytes = $2 WHERE id = $1 AND status = '{}' AND removed_at IS NULL",
        UploadStatus::Pending
    );
    Ok(raw::execute(db, &sql, vec![id.into(), bytes.into()]).await? > 0)
}

/// Attributes that are known once an upload is complete.
#[derive(Clone, Debug, Default)]
pub struct FinishedUpload {
    pub media_type: String,
    pub size: i64,
    pub sha256: String,
    pub dimensions: Option<(i32, i32)>,
    pub thumbhash: Option<String>,
    pub thumbnail_type: Option<&'static str>,
}

/// Completes an upload; returns `false` if it is already complete or being removed.
pub async fn finish<C: ConnectionTrait>(db: &C, id: UploadId, done: &FinishedUpload) -> Result<bool, AppError> {
    let sql = format!(
        "UPDATE uploads SET media_type = $2, size = $3, sha256 = $4, width = $5, height = $6, thumbhash = $7, \
         thumbnail_type = $8, status = '{}' WHERE id = $1 AND status = '{}' AND removed_at IS NULL",
        UploadStatus::Ready,
        UploadStatus::Pending
    );
    let (width, height) = done.dimensions.unzip();
    let values = vec![
        id.into(),
        done.media_type.clone().into(),
        done.size.into(),
        done.sha256.clone().into(),
        width.into(),
        height.into(),
        done.thumbhash.clone().into(),
        done.thumbnail_type.into(),
    ];
    Ok(raw::execute(db, &sql, values).await? > 0)
}

/// Returns the number of bytes of a user's uploads that no message, knowledge file, emoji or
/// profile picture uses. Counts uploads created since the given time or attached to scheduled
/// messages; leaves out one upload. An incomplete upload counts with its announced size.
pub async fn unsent_bytes<C: ConnectionTrait>(
    db: &C,
    owner: UserId,
    since: Timestamp,
    but: Option<UploadId>,
) -> Result<i64, AppError> {
    let sql = "SELECT CAST(COALESCE(SUM(COALESCE(u.size, u.reserved_bytes)), 0) AS BIGINT) AS bytes FROM uploads u \
               WHERE u.id IN (SELECT id FROM uploads WHERE owner_id = $1 AND created_at > $2 UNION SELECT s.upload_id \
                 FROM scheduled_uploads s JOIN scheduled_messages m ON m.id = s.scheduled_id WHERE m.user_id = $1) \
               AND u.owner_id = $1 AND u.id <> $3 AND u.removed_at IS NULL AND NOT EXISTS (SELECT 1 FROM message_uploads f WHERE f.upload_id = u.id) \
               AND NOT EXISTS (SELECT 1 FROM knowledge_files k WHERE k.upload_id = u.id) \
               AND NOT EXISTS (SELECT 1 FROM workspace_emoji e WHERE e.upload_id = u.id) \
               AND NOT EXISTS (SELECT 1 FROM user_pictures p WHERE p.upload_id = u.id)";
    bytes(db, sql, vec![owner.into(), since.into(), but.map_or(Uuid::nil(), |id| id.0).into()]).await
}

/// Returns the number of bytes of all uploads of a user, leaving out one. An incomplete upload
/// counts with its announced size.
pub async fn bytes_of<C: ConnectionTrait>(db: &C, owner: UserId, but: Option<UploadId>) -> Result<i64, AppError> {
    let sql = "SELECT CAST(COALESCE(SUM(COALESCE(size, reserved_bytes)), 0) AS BIGINT) AS bytes FROM uploads \
               WHERE owner_id = $1 AND removed_at IS NULL AND id <> $2";
    bytes(db, sql, vec![owner.into(), but.map_or(Uuid::nil(), |id| id.0).into()]).await
}

/// Returns the number of bytes of the files in a workspace's messages and knowledge.
pub async fn bytes_in_workspace<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<i64, AppError> {
    let sql = "SELECT CAST(COALESCE((SELECT SUM(size) FROM message_uploads WHERE workspace_id = $1), 0) \
                 + COALESCE((SELECT SUM(size) FROM knowledge_files WHERE workspace_id = $1), 0) AS BIGINT) AS bytes";
    bytes(db, sql, vec![id.into()]).await
}

/// Locks a workspace's storage quota until the transaction ends.
pub async fn lock_workspace_quota<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<(), AppError> {
    // On SQLite no lock is needed: there is only one writer.
    if db.get_database_backend() == DatabaseBackend::Postgres {
        let (_, low) = id.0.as_u64_pair();
        raw::execute(db, "SELECT pg_advisory_xact_lock($1)", vec![low.cast_signed().into()]).await?;
    }
    Ok(())
}

async fn bytes<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<i64, AppError> {
    Ok(raw::find_value(db, sql, values).await?.unwrap_or(0))
}

/// Finds an upload that `reader` may see. Before a file is sent, only its owner may; afterwards,
/// everyone who may read one of its messages. A hidden message's file is visible to its owner, and
/// a reported message's file to administrators. An emoji's image is visible to all members of its
/// workspace.
pub async fn find_readable<C: ConnectionTrait>(
    db: &C,
    reader: UserId,
    id: UploadId,
) -> Result<Option<StoredUpload>, AppError> {
    let (may_read, begins) = (access::may_read("c", "$1"), access::history_start("c", "$1"));
    let sql = format!(
        "SELECT u.* FROM uploads u WHERE u.id = $2 AND ( \
           u.owner_id = $1 AND u.removed_at IS NULL AND NOT EXISTS (SELECT 1 FROM message_uploads f WHERE f.upload_id = u.id) \
           OR EXISTS (SELECT 1 FROM message_uploads f JOIN messages m ON m.id = f.message_id AND m.deleted_at IS NULL \
             JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
             WHERE f.upload_id = u.id AND {may_read} AND m.seq > {begins} AND (m.hidden_at IS NULL OR u.owner_id = $1)) \
           OR EXISTS (SELECT 1 FROM workspace_emoji e JOIN workspace_members em ON em.workspace_id = e.workspace_id \
             AND em.user_id = $1 AND NOT em.is_deleted WHERE e.upload_id = u.id) \
           OR EXISTS (SELECT 1 FROM users a JOIN message_uploads f ON f.upload_id = u.id \
             JOIN messages m ON m.id = f.message_id AND m.deleted_at IS NULL JOIN message_reports r ON r.message_id = m.id \
             WHERE a.id = $1 AND a.role = 'admin' AND NOT a.is_deleted))"
    );
    raw::find_one::<_, StoredUpload>(db, sql, [reader.into(), id.into()]).await
}

/// Finds a user's own upload, provided that it is not attached to a message.
pub async fn find_own_unsent<C: ConnectionTrait>(
    db: &C,
    owner: UserId,
    id: UploadId,
) -> Result<Option<StoredUpload>, AppError> {
    let sql = "SELECT u.* FROM uploads u WHERE u.id = $2 AND u.owner_id = $1 AND u.removed_at IS NULL \
               AND NOT EXISTS (SELECT 1 FROM message_uploads f WHERE f.upload_id = u.id)";
    raw::find_one::<_, StoredUpload>(db, sql, [owner.into(), id.into()]).await
}

/// Finds uploads by their ids, without an access check.
pub async fn get_all<C: ConnectionTrait>(
    db: &C,
    ids: impl IntoIterator<Item = UploadId>,
) -> Result<Vec<StoredUpload>, AppError> {
    by_ids(db, ids, "").await
}

/// Finds uploads that are about to be attached to a message, and locks them against removal until
/// the transaction ends. Removed uploads are left out.
pub async fn lock_to_send<C: ConnectionTrait>(
    db: &C,
    ids: impl IntoIterator<Item = UploadId>,
) -> Result<Vec<StoredUpload>, AppError> {
    // On SQLite no lock is needed: there is only one writer.
    let is_postgres = db.get_database_backend() == DatabaseBackend::Postgres;
    let lock = if is_postgres { "ORDER BY u.id FOR SHARE OF u" } else { "" };
    by_ids(db, ids, &format!("WHERE u.removed_at IS NULL {lock}")).await
}

async fn by_ids<C: ConnectionTrait>(
    db: &C,
    ids: impl IntoIterator<Item = UploadId>,
    rest: &str,
) -> Result<Vec<StoredUpload>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.into_iter().map(|id| id.0));
    let sql = format!("SELECT u.* FROM {} JOIN uploads u ON u.id = w.id {rest}", asked.table());
    asked.find::<_, StoredUpload>(db, sql).await
}

const DOCUMENT: &str = "(u.media_type LIKE 'text/%' OR u.media_type LIKE 'application/vnd.openxmlformats-%' \
    OR u.media_type LIKE 'application/vnd.oasis.%' OR u.media_type IN ('application/pdf', 'application/rtf', \
      'application/msword', 'application/vnd.ms-excel', 'application/vnd.ms-powerpoint', 'application/epub+zip'))";
const AUDIO: &str = "u.media_type LIKE 'audio/%'";
const VIDEO: &str = "u.media_type LIKE 'video/%'";

/// Filter of a conversation's files.
#[derive(Clone, Debug)]
pub struct FileFilter {
    /// Sequence number of the last event before the history that the reader may see.
    pub begins_after: i64,
    pub before_seq: Option<i64>,
    pub kind: Option<FileKind>,
    pub author: Option<UserId>,
    /// Part of the file name, ignoring case and diacritics.
    pub text: String,
    /// Maximum number of messages whose files are listed.
    pub limit: u64,
}

/// Upload with the id of its message.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SentUpload {
    #[sea_orm(nested)]
    pub upload: StoredUpload,
    pub message_id: MessageId,
}

/// Lists the files of a conversation, newest message first, of a limited number of messages that
/// have files.
pub async fn of_conversation<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    filter: FileFilter,
) -> Result<Vec<SentUpload>, AppError> {
    let mut is_meant = " AND u.kind <> 'preview'".to_owned();
    if let Some(kind) = filter.kind {
        is_meant.push_str(if kind == FileKind::Picture {
            " AND u.thumbhash IS NOT NULL"
        } else {
            " AND u.thumbhash IS NULL"
        });
        let among = match kind {
            FileKind::Picture | FileKind::File => String::new(),
            FileKind::Document => format!(" AND {DOCUMENT}"),
            FileKind::Audio => format!(" AND {AUDIO}"),
            FileKind::Video => format!(" AND {VIDEO}"),
            FileKind::Other => format!(" AND NOT ({DOCUMENT} OR {AUDIO} OR {VIDEO})"),
        };
        is_meant.push_str(&among);
    }
    let mut values: Vec<Value> = vec![id.into(), filter.begins_after.into()];
    let mut within = String::new();
    if let Some(before) = filter.before_seq {
        values.push(before.into());
        within.push_str(&format!(" AND m.seq < ${}", values.len()));
    }
    if let Some(author) = filter.author {
        values.push(author.into());
        within.push_str(&format!(" AND m.sender_kind = 'user' AND m.sender_id = ${}", values.len()));
    }
    let text = ::search::fold_name(&filter.text);
    if !text.is_empty() {
        values.push(super::like_containing(&text).into());
        is_meant.push_str(&format!(" AND u.search_name LIKE ${} ESCAPE '\\'", values.len()));
    }
    // Scans backwards from the newest message until the limit is reached, because a conversation
    // may have ten thousand files.
    let sql = format!(
        "SELECT u.*, p.id AS message_id FROM ( \
           SELECT m.id, m.seq FROM messages m WHERE m.conversation_id = $1 AND m.attachments IS NOT NULL AND m.seq > $2 \
             AND m.deleted_at IS NULL AND m.hidden_at IS NULL AND m.hidden_by IS NULL{within} \
             AND EXISTS (SELECT 1 FROM message_uploads f JOIN uploads u ON u.id = f.upload_id WHERE f.message_id = m.id{is_meant}) \
           ORDER BY m.seq DESC LIMIT {}) p \
         JOIN message_uploads f ON f.message_id = p.id JOIN uploads u ON u.id = f.upload_id{is_meant} ORDER BY p.seq DESC, u.id DESC",
        filter.limit
    );
    raw::find::<_, SentUpload>(db, sql, values).await
}

/// Attachment of an upload to a message.
#[derive(Clone, Copy, Debug)]
pub struct Attachment {
    pub message_id: MessageId,
    pub upload_id: UploadId,
    pub conversation_id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub size: i64,
}

/// Attaches uploads to messages.
pub fn attach(attachments: Vec<Attachment>) -> Piece {
    static INSERT: Change<5> = Change::insert(
        "message_uploads",
        [
            Column::Uuid("message_id"),
            Column::Uuid("upload_id"),
            Column::Uuid("conversation_id"),
            Column::Uuid("workspace_id"),
            Column::Int("size"),
        ],
    );
    let rows = attachments.into_iter().map(|file| {
        [
            file.message_id.0.into(),
            file.upload_id.0.into(),
            file.conversation_id.0.into(),
            file.workspace_id.0.into(),
            file.size.into(),
        ]
    });
    INSERT.piece(rows)
}

#[derive(FromQueryResult)]
struct UploadOf {
    upload_id: UploadId,
}

/// Detaches all uploads from a message and returns their ids.
pub async fn detach<C: ConnectionTrait>(db: &C, message: MessageId) -> Result<Vec<UploadId>, AppError> {
    let attached = message_upload::Entity::delete_many().filter(message_upload::Column::MessageId.eq(message));
    let rows = attached.exec_with_returning(db).await.map_err(app_error)?;
    Ok(rows.into_iter().map(|row| row.upload_id).collect())
}

/// Returns some of the uploads that are attached to a conversation's messages.
pub async fn sample_of_conversation<C: ConnectionTrait>(
    db: &C,
    conversation: ConversationId,
    limit: u32,
) -> Result<Vec<UploadId>, AppError> {
    let sql = format!("SELECT DISTINCT upload_id FROM message_uploads WHERE conversation_id = $1 LIMIT {limit}");
    let rows = raw::find::<_, UploadOf>(db, sql, [conversation.into()]).await?;
    Ok(rows.into_iter().map(|row| row.upload_id).collect())
}

/// Detaches an upload from all messages of a conversation.
pub async fn detach_from<C: ConnectionTrait>(
    db: &C,
    conversation: ConversationId,
    id: UploadId,
) -> Result<(), AppError> {
    message_upload::Entity::delete_many()
        .filter(message_upload::Column::ConversationId.eq(conversation))
        .filter(message_upload::Column::UploadId.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Marks those of these uploads as removed that no message, knowledge file, emoji or profile
/// picture uses. They can then no longer be read or sent. Must run in a transaction.
pub async fn mark_removed<C: ConnectionTrait>(db: &C, ids: &[UploadId], now: Timestamp) -> Result<(), AppError> {
    let mut ids = ids.to_vec();
    // A fixed lock order prevents deadlocks.
    ids.sort_unstable();
    for id in ids {
        if db.get_database_backend() == DatabaseBackend::Postgres {
            // Waits for concurrent transactions that send the upload; the next statement then sees
            // their messages.
            raw::exists(db, "SELECT id FROM uploads WHERE id = $1 FOR UPDATE", [id.into()]).await?;
        }
        let sql = "UPDATE uploads SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL \
                   AND NOT EXISTS (SELECT 1 FROM message_uploads f WHERE f.upload_id = uploads.id) \
                   AND NOT EXISTS (SELECT 1 FROM scheduled_uploads s WHERE s.upload_id = uploads.id) \
                   AND NOT EXISTS (SELECT 1 FROM knowledge_files k WHERE k.upload_id = uploads.id) \
                   AND NOT EXISTS (SELECT 1 FROM workspace_emoji e WHERE e.upload_id = uploads.id) \
                   AND NOT EXISTS (SELECT 1 FROM user_pictures p WHERE p.upload_id = uploads.id)";
        raw::execute(db, sql, vec![id.into(), now.into()]).await?;
    }
    Ok(())
}

/// True if the upload is used by a message, scheduled message, knowledge file, emoji or profile picture.
pub async fn is_referenced<C: ConnectionTrait>(db: &C, id: UploadId) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM message_uploads WHERE upload_id = $1 \
               UNION ALL SELECT 1 AS one FROM scheduled_uploads WHERE upload_id = $1 UNION ALL SELECT 1 AS one FROM knowledge_files WHERE upload_id = $1 \
               UNION ALL SELECT 1 AS one FROM workspace_emoji WHERE upload_id = $1 \
               UNION ALL SELECT 1 AS one FROM user_pictures WHERE upload_id = $1 LIMIT 1";
    raw::exists(db, sql, [id.into()]).await
}

/// True if the upload is used by a knowledge file.
pub async fn is_knowledge_file<C: ConnectionTrait>(db: &C, id: UploadId) -> Result<bool, AppError> {
    let known = knowledge_file::Entity::find().filter(knowledge_file::Column::UploadId.eq(id));
    Ok(known.one(db).await.map_err(app_error)?.is_some())
}

/// True if the upload is used by an emoji.
pub async fn is_emoji<C: ConnectionTrait>(db: &C, id: UploadId) -> Result<bool, AppError> {
    let emoji = workspace_emoji::Entity::find().filter(workspace_emoji::Column::UploadId.eq(id));
    Ok(emoji.one(db).await.map_err(app_error)?.is_some())
}

/// Deletes an upload unless a message, scheduled message, knowledge file, emoji or profile picture
/// uses it; returns `false` if it is used.
pub async fn delete_unreferenced<C: ConnectionTrait>(db: &C, id: UploadId) -> Result<bool, AppError> {
    let sql = "DELETE FROM uploads WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM message_uploads f WHERE f.upload_id = uploads.id) \
               AND NOT EXISTS (SELECT 1 FROM scheduled_uploads s WHERE s.upload_id = uploads.id) \
               AND NOT EXISTS (SELECT 1 FROM knowledge_files k WHERE k.upload_id = uploads.id) \
               AND NOT EXISTS (SELECT 1 FROM workspace_emoji e WHERE e.upload_id = uploads.id) \
               AND NOT EXISTS (SELECT 1 FROM user_pictures p WHERE p.upload_id = uploads.id)";
    let is_forgotten = raw::execute(db, sql, vec![id.into()]).await? > 0;
    // Deletes the extracted text as well. If the process is interrupted before this, the caller
    // repeats the whole deletion.
    let sql = "DELETE FROM upload_texts WHERE upload_id = $1 AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.id = $1)";
    raw::execute(db, sql, vec![id.into()]).await?;
    Ok(is_forgotten)
}

/// Returns the workspace of a message to which the upload is attached.
pub async fn workspace_of<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    id: UploadId,
) -> Result<Option<WorkspaceId>, AppError> {
    let found = message_upload::Entity::find_by_id((message, id)).one(db).await.map_err(app_error)?;
    Ok(found.map(|attached| attached.workspace_id))
}

/// Stores the transcript of a voice note, or that transcription failed. Updates the attachments of
/// the message accordingly.
pub async fn set_transcript<C: ConnectionTrait>(
    db: &C,
    (message, attachments): (MessageId, Option<String>),
    id: UploadId,
    transcript: Option<&str>,
    state: TranscriptState,
) -> Result<(), AppError> {
    message::Entity::update_many()
        .set(message::ActiveModel { attachments: Set(attachments), ..Default::default() })
        .filter(message::Column::Id.eq(message))
        .exec(db)
        .await
        .map_err(app_error)?;
    let changed = upload::ActiveModel {
        transcript: Set(transcript.map(str::to_owned)),
        transcript_state: Set(Some(state)),
        ..Default::default()
    };
    change(db, id, changed).await
}
