//! Knowledge files of assistants, sections and workspaces, with their chunks and embeddings.
//!
//! A transaction that adds chunks or embeddings to a file first updates the file's row, and one
//! that removes the file first deletes that row. So nothing remains of a file that is removed
//! concurrently, and if two workers process the same file, only one result is stored.

use appcore::{
    AppError, AssistantId, ConversationId, KnowledgeFileId, SectionId, Timestamp, UploadId, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{ConversationKind, KnowledgeContributor, KnowledgeFile, KnowledgeState, WorkspaceRole},
};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set, Value,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    raw,
    rows::{Column, Rows},
    single,
};
pub use crate::entity::{
    knowledge_chunk::Model as PieceRow, knowledge_file::Model as FileRow, knowledge_vectors::Model as VectorsRow,
    knowledge_words::Model as WordsRow,
};
use crate::{
    constraint::app_error,
    entity::{knowledge_chunk, knowledge_file, knowledge_vectors, knowledge_words},
};

/// Maximum number of chunks per insert statement.
const CHUNKS_PER_INSERT: usize = 200;

impl FileRow {
    /// True if all assistants of the workspace use the file.
    #[must_use]
    pub fn is_of_workspace(&self) -> bool {
        self.assistant_id.0 == self.workspace_id.0
    }
}

/// File with the name of the user who added it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ShownFile {
    #[sea_orm(nested)]
    pub file: FileRow,
    pub giver_name: Option<String>,
}

impl TryFrom<ShownFile> for KnowledgeFile {
    type Error = AppError;

    fn try_from(ShownFile { file, giver_name }: ShownFile) -> Result<Self, AppError> {
        Ok(Self {
            id: file.id,
            assistant_id: Some(file.assistant_id).filter(|_| file.section_id.is_none() && !file.is_of_workspace()),
            section_id: file.section_id,
            workspace_id: Some(file.workspace_id).filter(|_| file.is_of_workspace()),
            upload_id: file.upload_id,
            name: file.name,
            media_type: file.media_type,
            size: file.size,
            state: file.state,
            error: file.error,
            pieces: file.pieces.unsigned_abs(),
            embedded: file.embedded.unsigned_abs(),
            model: file.model,
            cost: file.cost,
            added_by: file.added_by.zip(giver_name).map(|(id, name)| KnowledgeContributor { id, name }),
            created_at: file.created_at,
            updated_at: file.updated_at,
        })
    }
}

const SHOWN: &str = "SELECT f.*, u.display_name AS giver_name FROM knowledge_files f \
    LEFT JOIN users u ON u.id = f.added_by AND NOT u.is_deleted";

/// Locks an assistant until the transaction ends, so that no files are added concurrently; returns
/// `false` if it doesn't exist.
pub async fn lock_assistant<C: ConnectionTrait>(db: &C, id: AssistantId) -> Result<bool, AppError> {
    let sql = "UPDATE assistants SET is_deleted = is_deleted WHERE id = $1 AND NOT is_deleted";
    Ok(raw::execute(db, sql, vec![id.into()]).await? > 0)
}

/// [`lock_assistant`] for a section of the user.
pub async fn lock_section<C: ConnectionTrait>(db: &C, id: SectionId, user: UserId) -> Result<bool, AppError> {
    let sql = "UPDATE sections SET name = name WHERE id = $1 AND user_id = $2";
    Ok(raw::execute(db, sql, vec![id.into(), user.into()]).await? > 0)
}

/// [`lock_assistant`] for a workspace.
pub async fn lock_workspace<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<bool, AppError> {
    let sql = "UPDATE workspaces SET is_deleted = is_deleted WHERE id = $1 AND NOT is_deleted";
    Ok(raw::execute(db, sql, vec![id.into()]).await? > 0)
}

/// Returns the owner of a workspace; `None` if the workspace doesn't exist or has no owner.
pub async fn workspace_owner<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<Option<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Owner {
        user_id: UserId,
    }
    let sql = format!(
        "SELECT m.user_id FROM workspaces w JOIN workspace_members m ON m.workspace_id = w.id AND m.role = '{}' AND NOT m.is_deleted \
         WHERE w.id = $1 AND NOT w.is_deleted ORDER BY m.user_id LIMIT 1",
        WorkspaceRole::Owner
    );
    let owner: Option<Owner> = raw::find_one(db, &sql, vec![id.into()]).await?;
    Ok(owner.map(|owner| owner.user_id))
}

/// Inserts a file; returns `false` if the assistant, section or workspace already has it.
pub async fn insert<C: ConnectionTrait>(db: &C, row: &FileRow) -> Result<bool, AppError> {
    let absent = OnConflict::columns([knowledge_file::Column::AssistantId, knowledge_file::Column::UploadId])
        .do_nothing()
        .to_owned();
    let new = knowledge_file::ActiveModel {
        error: NotSet,
        pieces: Set(0),
        embedded: Set(0),
        model: NotSet,
        space: NotSet,
        cost: NotSet,
        updated_at: Set(row.created_at),
        ..row.clone().into_active_model()
    };
    let inserted = knowledge_file::Entity::insert(new).on_conflict(absent);
    Ok(inserted.exec_without_returning(db).await.map_err(app_error)? > 0)
}

/// Lists the files of an assistant or section in a workspace, newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    id: AssistantId,
    workspace: WorkspaceId,
) -> Result<Vec<ShownFile>, AppError> {
    let sql = format!("{SHOWN} WHERE f.assistant_id = $1 AND f.workspace_id = $2 ORDER BY f.id DESC");
    raw::find(db, &sql, vec![id.into(), workspace.into()]).await
}

pub async fn find<C: ConnectionTrait>(
    db: &C,
    assistant: AssistantId,
    id: KnowledgeFileId,
) -> Result<Option<ShownFile>, AppError> {
    let sql = format!("{SHOWN} WHERE f.id = $1 AND f.assistant_id = $2");
    raw::find_one(db, &sql, vec![id.into(), assistant.into()]).await
}

/// Finds the file created from this upload.
pub async fn of_upload<C: ConnectionTrait>(
    db: &C,
    assistant: AssistantId,
    upload: UploadId,
) -> Result<Option<ShownFile>, AppError> {
    let sql = format!("{SHOWN} WHERE f.assistant_id = $1 AND f.upload_id = $2");
    raw::find_one(db, &sql, vec![assistant.into(), upload.into()]).await
}

/// Finds a file by its id, without an access check.
pub async fn get<C: ConnectionTrait>(db: &C, id: KnowledgeFileId) -> Result<Option<FileRow>, AppError> {
    knowledge_file::Entity::find_by_id(id).one(db).await.map_err(app_error)
}

/// Total number of files of an assistant or section.
pub async fn count<C: ConnectionTrait>(db: &C, id: AssistantId) -> Result<u64, AppError> {
    let files = knowledge_file::Entity::find().filter(knowledge_file::Column::AssistantId.eq(id));
    files.count(db).await.map_err(app_error)
}

/// Returns the files from which an answer may retrieve:
///
/// - the files of the assistant;
/// - in a private chat with the assistant, those of the section into which the user has put the
///   chat, if the section belongs to the same workspace;
/// - those of the conversation's workspace, unless a guest reads the answer.
pub async fn of_answer<C: ConnectionTrait>(
    db: &C,
    assistant: AssistantId,
    conversation: ConversationId,
    asker: Option<UserId>,
) -> Result<Vec<FileRow>, AppError> {
    let sql = format!(
        "SELECT f.* FROM knowledge_files f WHERE f.assistant_id = $1 OR (f.section_id, f.workspace_id) IN \
           (SELECT s.id, c.workspace_id FROM conversation_members m \
            JOIN conversations c ON c.id = m.conversation_id AND c.kind = '{}' \
            JOIN sections s ON s.id = m.section_id AND s.user_id = m.user_id \
            WHERE m.conversation_id = $2 AND m.user_id = $3 AND NOT m.is_deleted) \
           OR f.assistant_id IN (SELECT c.workspace_id FROM conversations c WHERE c.id = $2 AND NOT EXISTS ( \
             SELECT 1 FROM workspace_members r CROSS JOIN conversation_members g WHERE r.workspace_id = c.workspace_id AND r.role = '{}' \
               AND NOT r.is_deleted AND g.conversation_id = c.id AND g.user_id = r.user_id AND NOT g.is_deleted)) \
         ORDER BY f.id",
        ConversationKind::Assistant,
        WorkspaceRole::Guest
    );
    raw::find(db, &sql, vec![assistant.into(), conversation.into(), asker.into()]).await
}

/// Sets the processing state of a file; returns `false` if the file doesn't exist.
pub async fn set_state<C: ConnectionTrait>(
    db: &C,
    id: KnowledgeFileId,
    state: KnowledgeState,
    error: Option<&str>,
    now: Timestamp,
) -> Result<bool, AppError> {
    let changed = knowledge_file::ActiveModel {
        state: Set(state),
        error: Set(error.map(str::to_owned)),
        updated_at: Set(now),
        ..Default::default()
    };
    let done = knowledge_file::Entity::update_many().set(changed).filter(knowledge_file::Column::Id.eq(id)).exec(db);
    Ok(done.await.map_err(app_error)?.rows_affected > 0)
}

/// Sets the embedding model of a file and deletes its vectors; returns `false` if the file doesn't exist.
pub async fn set_embedding_model<C: ConnectionTrait>(
    db: &C,
    id: KnowledgeFileId,
    (model, space): (&str, &str),
    now: Timestamp,
) -> Result<bool, AppError> {
    let changed = knowledge_file::ActiveModel {
        model: Set(Some(model.to_owned())),
        space: Set(Some(space.to_owned())),
        embedded: Set(0),
        updated_at: Set(now),
        ..Default::default()
    };
    let done = knowledge_file::Entity::update_many().set(changed).filter(knowledge_file::Column::Id.eq(id)).exec(db);
    if done.await.map_err(app_error)?.rows_affected == 0 {
        return Ok(false);
    }
    remove_vectors(db, id).await?;
    Ok(true)
}

async fn remove_vectors<C: ConnectionTrait>(db: &C, id: KnowledgeFileId) -> Result<(), AppError> {
    let vectors = knowledge_vectors::Entity::delete_many().filter(knowledge_vectors::Column::FileId.eq(id));
    vectors.exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Inserts the chunks and word hashes of a file. Returns `false` if it already has chunks or doesn't exist.
pub async fn insert_chunks<C: ConnectionTrait>(
    db: &C,
    id: KnowledgeFileId,
    (pieces, words): (Vec<PieceRow>, Vec<WordsRow>),
    now: Timestamp,
) -> Result<bool, AppError> {
    let count = i64::try_from(pieces.len()).unwrap_or(i64::MAX);
    let done = knowledge_file::Entity::update_many()
        .set(knowledge_file::ActiveModel { pieces: Set(count), updated_at: Set(now), ..Default::default() })
        .filter(knowledge_file::Column::Id.eq(id))
        .filter(knowledge_file::Column::Pieces.eq(0))
        .exec(db)
        .await
        .map_err(app_error)?;
    if done.rows_affected == 0 {
        return Ok(false);
    }
    let mut pieces = pieces.into_iter().peekable();
    while pieces.peek().is_some() {
        let columns = [
            Column::Uuid("file_id"),
            Column::Int("number"),
            Column::Text("text"),
            Column::Int("page"),
            Column::Text("heading"),
            Column::Int("line"),
        ];
        let part = pieces.by_ref().take(CHUNKS_PER_INSERT).map(|piece| {
            [
                piece.file_id.0.into(),
                i64::from(piece.number).into(),
                piece.text.into(),
                piece.page.map(i64::from).into(),
                piece.heading.into(),
                piece.line.map(i64::from).into(),
            ]
        });
        let rows = Rows::new(db.get_database_backend(), columns, part);
        let sql = format!(
            "INSERT INTO knowledge_chunks (file_id, number, text, page, heading, line) \
             SELECT w.file_id, w.number, w.text, w.page, w.heading, w.line FROM {}",
            rows.table()
        );
        rows.execute(db, sql).await?;
    }
    insert_words(db, words).await?;
    Ok(true)
}

/// Inserts the word hashes of a file that has chunks but no word hashes yet.
pub async fn add_words<C: ConnectionTrait>(db: &C, id: KnowledgeFileId, words: Vec<WordsRow>) -> Result<(), AppError> {
    let sql = "UPDATE knowledge_files SET pieces = pieces WHERE id = $1";
    if raw::execute(db, sql, vec![id.into()]).await? == 0 {
        return Ok(());
    }
    insert_words(db, words).await
}

async fn insert_words<C: ConnectionTrait>(db: &C, words: Vec<WordsRow>) -> Result<(), AppError> {
    for row in words {
        single::insert_if_absent(db, row.into_active_model()).await?;
    }
    Ok(())
}

/// Returns the number of chunks in all other files of the assistant or section.
pub async fn count_chunks_beside<C: ConnectionTrait>(
    db: &C,
    assistant: AssistantId,
    id: KnowledgeFileId,
) -> Result<u64, AppError> {
    let sql = "SELECT CAST(COALESCE(SUM(pieces), 0) AS BIGINT) AS n FROM knowledge_files WHERE assistant_id = $1 AND id <> $2";
    number(db, sql, vec![assistant.into(), id.into()]).await
}

/// Returns the next chunks of a file that have no embedding yet.
pub async fn not_embedded<C: ConnectionTrait>(
    db: &C,
    id: KnowledgeFileId,
    limit: usize,
) -> Result<Vec<PieceRow>, AppError> {
    let sql = format!(
        "SELECT p.* FROM knowledge_chunks p WHERE p.file_id = $1 AND p.number >= \
           COALESCE((SELECT MAX(v.first + v.count) FROM knowledge_vectors v WHERE v.file_id = $1), 0) \
         ORDER BY p.number LIMIT {limit}"
    );
    raw::find(db, &sql, vec![id.into()]).await
}

/// Inserts the embeddings of the next chunks, computed by the embedding model with this `space`.
/// Returns `false` if the file doesn't exist or has another model by now.
pub async fn add_vectors<C: ConnectionTrait>(
    db: &C,
    row: VectorsRow,
    space: &str,
    now: Timestamp,
) -> Result<bool, AppError> {
    let changed = knowledge_file::ActiveModel {
        embedded: Set(i64::from(row.first) + i64::from(row.count)),
        error: Set(None),
        updated_at: Set(now),
        ..Default::default()
    };
    let done = knowledge_file::Entity::update_many()
        .set(changed)
        .filter(knowledge_file::Column::Id.eq(row.file_id))
        .filter(knowledge_file::Column::Space.eq(space))
        .exec(db)
        .await
        .map_err(app_error)?;
    if done.rows_affected == 0 {
        return Ok(false);
    }
    single::insert_if_absent(db, row.into_active_model()).await?;
    Ok(true)
}

/// Adds to the embedding cost of a file.
pub async fn add_cost<C: ConnectionTrait>(db: &C, id: KnowledgeFileId, cost: MicroCredits) -> Result<(), AppError> {
    knowledge_file::Entity::update_many()
        .col_expr(knowledge_file::Column::Cost, Expr::col(knowledge_file::Column::Cost).add(cost.0))
        .filter(knowledge_file::Column::Id.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Id of a chunk: its file and its index in the file.
pub type ChunkId = (KnowledgeFileId, i32);

/// Returns all embeddings of these files that were computed by the embedding model with this
/// `space`.
pub async fn vectors<C: ConnectionTrait>(
    db: &C,
    files: &[KnowledgeFileId],
    space: &str,
) -> Result<Vec<VectorsRow>, AppError> {
    let columns = [Column::Uuid("id"), Column::Text("space")];
    let rows = files.iter().map(|file| [file.0.into(), space.to_owned().into()]);
    let rows = Rows::new(db.get_database_backend(), columns, rows);
    let sql = format!(
        "SELECT v.* FROM {} JOIN knowledge_files f ON f.id = w.id AND f.space = w.space JOIN knowledge_vectors v ON v.file_id = f.id",
        rows.table()
    );
    rows.find::<_, VectorsRow>(db, sql).await
}

/// Returns a page of a file's embeddings, starting at the given chunk.
pub async fn vectors_from<C: ConnectionTrait>(
    db: &C,
    (file, first): ChunkId,
    space: &str,
    limit: usize,
) -> Result<Vec<VectorsRow>, AppError> {
    let sql = format!(
        "SELECT v.* FROM knowledge_vectors v WHERE v.file_id = $1 AND v.first >= $2 \
           AND EXISTS (SELECT 1 FROM knowledge_files f WHERE f.id = $1 AND f.space = $3) ORDER BY v.first LIMIT {limit}"
    );
    raw::find(db, &sql, vec![file.into(), first.into(), space.into()]).await
}

/// Returns the word hashes of all chunks of these files.
pub async fn words<C: ConnectionTrait>(db: &C, files: &[KnowledgeFileId]) -> Result<Vec<WordsRow>, AppError> {
    let rows = Rows::ids(db.get_database_backend(), files.iter().map(|file| file.0));
    let sql = format!("SELECT k.* FROM {} JOIN knowledge_words k ON k.file_id = w.id", rows.table());
    rows.find::<_, WordsRow>(db, sql).await
}

/// Returns a page of a file's word hashes, starting at the given chunk.
pub async fn words_from<C: ConnectionTrait>(
    db: &C,
    (file, first): ChunkId,
    limit: usize,
) -> Result<Vec<WordsRow>, AppError> {
    knowledge_words::Entity::find()
        .filter(knowledge_words::Column::FileId.eq(file))
        .filter(knowledge_words::Column::First.gte(first))
        .order_by_asc(knowledge_words::Column::First)
        .limit(u64::try_from(limit).ok())
        .all(db)
        .await
        .map_err(app_error)
}

/// Lists files with ids greater than the given one that have chunks but no word hashes.
pub async fn without_words<C: ConnectionTrait>(
    db: &C,
    after: Option<KnowledgeFileId>,
    limit: usize,
) -> Result<Vec<FileRow>, AppError> {
    let sql = format!(
        "SELECT f.* FROM knowledge_files f WHERE f.id > $1 AND f.pieces > 0 \
           AND NOT EXISTS (SELECT 1 FROM knowledge_words k WHERE k.file_id = f.id) ORDER BY f.id LIMIT {limit}"
    );
    raw::find(db, &sql, vec![after.map_or(Uuid::nil(), |id| id.0).into()]).await
}

/// Returns a page of a file's chunks, starting at the given chunk.
pub async fn chunks_from<C: ConnectionTrait>(
    db: &C,
    (file, first): ChunkId,
    limit: usize,
) -> Result<Vec<PieceRow>, AppError> {
    knowledge_chunk::Entity::find()
        .filter(knowledge_chunk::Column::FileId.eq(file))
        .filter(knowledge_chunk::Column::Number.gte(first))
        .order_by_asc(knowledge_chunk::Column::Number)
        .limit(u64::try_from(limit).ok())
        .all(db)
        .await
        .map_err(app_error)
}

/// Returns chunks by their ids, in no particular order.
pub async fn chunks<C: ConnectionTrait>(db: &C, wanted: &[ChunkId]) -> Result<Vec<PieceRow>, AppError> {
    let columns = [Column::Uuid("id"), Column::Int("number")];
    let rows = wanted.iter().map(|(file, number)| [file.0.into(), i64::from(*number).into()]);
    let rows = Rows::new(db.get_database_backend(), columns, rows);
    let sql =
        format!("SELECT p.* FROM {} JOIN knowledge_chunks p ON p.file_id = w.id AND p.number = w.number", rows.table());
    rows.find::<_, PieceRow>(db, sql).await
}

/// Deletes a file with its chunks, embeddings and word hashes.
pub async fn remove<C: ConnectionTrait>(db: &C, id: KnowledgeFileId) -> Result<Option<FileRow>, AppError> {
    let removed = knowledge_file::Entity::delete_by_id(id).exec_with_returning(db).await.map_err(app_error)?;
    remove_vectors(db, id).await?;
    let words = knowledge_words::Entity::delete_many().filter(knowledge_words::Column::FileId.eq(id));
    words.exec(db).await.map_err(app_error)?;
    let chunks = knowledge_chunk::Entity::delete_many().filter(knowledge_chunk::Column::FileId.eq(id));
    chunks.exec(db).await.map_err(app_error)?;
    Ok(removed)
}

/// Lists files with ids greater than the given one whose assistant, section or workspace was
/// deleted.
pub async fn orphaned<C: ConnectionTrait>(
    db: &C,
    after: Option<KnowledgeFileId>,
    limit: usize,
) -> Result<Vec<FileRow>, AppError> {
    let sql = format!(
        "SELECT f.* FROM knowledge_files f LEFT JOIN assistants a ON a.id = f.assistant_id AND NOT a.is_deleted \
         LEFT JOIN sections s ON s.id = f.section_id \
         LEFT JOIN workspaces w ON w.id = f.workspace_id AND NOT w.is_deleted \
         WHERE f.id > $1 AND ((a.id IS NULL AND s.id IS NULL AND f.assistant_id <> f.workspace_id) OR w.id IS NULL) \
         ORDER BY f.id LIMIT {limit}"
    );
    raw::find(db, &sql, vec![after.map_or(Uuid::nil(), |id| id.0).into()]).await
}

/// Lists files with ids greater than the given one whose embeddings were computed by another model.
pub async fn of_other_space<C: ConnectionTrait>(
    db: &C,
    space: &str,
    after: Option<KnowledgeFileId>,
    limit: usize,
) -> Result<Vec<FileRow>, AppError> {
    let sql = format!(
        "SELECT f.* FROM knowledge_files f WHERE f.state = '{}' AND f.space <> $1 AND f.id > $2 ORDER BY f.id LIMIT {limit}",
        KnowledgeState::Ready
    );
    raw::find(db, &sql, vec![space.into(), after.map_or(Uuid::nil(), |id| id.0).into()]).await
}

/// Resets a file so that it is embedded again; returns `false` if another worker has already reset
/// it.
pub async fn reset_embedding<C: ConnectionTrait>(
    db: &C,
    id: KnowledgeFileId,
    space: &str,
    now: Timestamp,
) -> Result<bool, AppError> {
    let changed = knowledge_file::ActiveModel {
        state: Set(KnowledgeState::Waiting),
        error: Set(None),
        embedded: Set(0),
        updated_at: Set(now),
        ..Default::default()
    };
    let done = knowledge_file::Entity::update_many()
        .set(changed)
        .filter(knowledge_file::Column::Id.eq(id))
        .filter(knowledge_file::Column::State.eq(KnowledgeState::Ready))
        .filter(knowledge_file::Column::Space.ne(space))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Executes a statement that selects a count.
async fn number<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<u64, AppError> {
    let number: Option<i64> = raw::find_value(db, sql, values).await?;
    Ok(number.unwrap_or(0).unsigned_abs())
}
