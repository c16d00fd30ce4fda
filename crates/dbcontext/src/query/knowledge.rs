//! Files that assistants know, and sections and workspaces have, their pieces and vectors.
//!
//! Whoever adds to a file changes its row first, in the same transaction, and whoever removes a file removes that row first: so nothing is left of a
//! file that was removed meanwhile, and what two workers do at the same time is there once.

use appcore::{
    AppError, AssistantId, ConversationId, KnowledgeFileId, SectionId, Timestamp, UploadId, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{ConversationKind, KnowledgeFile, KnowledgeGiver, KnowledgeState, WorkspaceRole},
};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::{
    raw,
    rows::{Column, Rows},
};
use crate::constraint::app_error;

/// Pieces that are written in one statement.
const WRITTEN_AT_ONCE: usize = 200;

/// A file, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct FileRow {
    pub id: KnowledgeFileId,
    /// Whose it is; of a section's file the section's id, of a workspace's file the workspace's.
    pub assistant_id: AssistantId,
    /// The section whose it is, where it is no assistant's.
    pub section_id: Option<SectionId>,
    pub workspace_id: WorkspaceId,
    pub upload_id: UploadId,
    pub added_by: Option<UserId>,
    pub name: String,
    pub media_type: String,
    pub size: i64,
    pub state: String,
    pub error: Option<String>,
    pub pieces: i64,
    pub embedded: i64,
    pub model: Option<String>,
    pub space: Option<String>,
    pub cost: MicroCredits,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl FileRow {
    /// All assistants answer from it in this workspace.
    #[must_use]
    pub fn is_of_workspace(&self) -> bool {
        self.assistant_id.0 == self.workspace_id.0
    }
}

/// A file with the name of who gave it.
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
            state: file.state.parse().map_err(AppError::internal)?,
            error: file.error,
            pieces: file.pieces.unsigned_abs(),
            embedded: file.embedded.unsigned_abs(),
            model: file.model,
            cost: file.cost,
            added_by: file.added_by.zip(giver_name).map(|(id, name)| KnowledgeGiver { id, name }),
            created_at: file.created_at,
            updated_at: file.updated_at,
        })
    }
}

/// A piece of a file, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct PieceRow {
    pub file_id: KnowledgeFileId,
    pub number: i32,
    pub text: String,
    pub page: Option<i32>,
    pub heading: Option<String>,
    pub line: Option<i32>,
}

/// The vectors of some pieces that follow each other.
#[derive(Clone, Debug, FromQueryResult)]
pub struct VectorsRow {
    pub file_id: KnowledgeFileId,
    pub first: i32,
    pub count: i32,
    pub vectors: Vec<u8>,
}

/// The words of some pieces that follow each other.
#[derive(Clone, Debug, FromQueryResult)]
pub struct WordsRow {
    pub file_id: KnowledgeFileId,
    pub first: i32,
    pub count: i32,
    pub words: Vec<u8>,
}

const SHOWN: &str = "SELECT f.*, u.display_name AS giver_name FROM knowledge_files f \
    LEFT JOIN users u ON u.id = f.added_by AND NOT u.is_deleted";

/// Keeps others from giving files to an assistant until the transaction ends; `false` where it is gone.
pub async fn lock_assistant<C: ConnectionTrait>(db: &C, id: AssistantId) -> Result<bool, AppError> {
    let sql = "UPDATE assistants SET is_deleted = is_deleted WHERE id = $1 AND NOT is_deleted";
    Ok(raw::execute(db, sql, vec![id.into()]).await? > 0)
}

/// [`lock_assistant`] for a section of one's own.
pub async fn lock_section<C: ConnectionTrait>(db: &C, id: SectionId, user: UserId) -> Result<bool, AppError> {
    let sql = "UPDATE sections SET name = name WHERE id = $1 AND user_id = $2";
    Ok(raw::execute(db, sql, vec![id.into(), user.into()]).await? > 0)
}

/// [`lock_assistant`] for a workspace.
pub async fn lock_workspace<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<bool, AppError> {
    let sql = "UPDATE workspaces SET is_deleted = is_deleted WHERE id = $1 AND NOT is_deleted";
    Ok(raw::execute(db, sql, vec![id.into()]).await? > 0)
}

/// Who owns a workspace; none where it is gone, or nobody's.
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

/// Stores a new file; `false` where the assistant, or the section, has it already.
pub async fn insert<C: ConnectionTrait>(db: &C, row: &FileRow) -> Result<bool, AppError> {
    let sql = "INSERT INTO knowledge_files (id, assistant_id, workspace_id, upload_id, added_by, name, media_type, size, state, pieces, \
                 embedded, created_at, updated_at, section_id) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, $10, $11) ON CONFLICT (assistant_id, upload_id) DO NOTHING";
    let values = vec![
        row.id.into(),
        row.assistant_id.into(),
        row.workspace_id.into(),
        row.upload_id.into(),
        row.added_by.into(),
        row.name.clone().into(),
        row.media_type.clone().into(),
        row.size.into(),
        row.state.clone().into(),
        row.created_at.into(),
        row.section_id.into(),
    ];
    Ok(raw::execute(db, sql, values).await? > 0)
}

/// The files of an assistant, or of a section, in a workspace, the newest first.
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

/// The file that was made of this upload.
pub async fn of_upload<C: ConnectionTrait>(
    db: &C,
    assistant: AssistantId,
    upload: UploadId,
) -> Result<Option<ShownFile>, AppError> {
    let sql = format!("{SHOWN} WHERE f.assistant_id = $1 AND f.upload_id = $2");
    raw::find_one(db, &sql, vec![assistant.into(), upload.into()]).await
}

/// A file by its id, for workers.
pub async fn get<C: ConnectionTrait>(db: &C, id: KnowledgeFileId) -> Result<Option<FileRow>, AppError> {
    raw::find_one(db, "SELECT f.* FROM knowledge_files f WHERE f.id = $1", vec![id.into()]).await
}

/// How many files an assistant, or a section, has in all.
pub async fn count<C: ConnectionTrait>(db: &C, id: AssistantId) -> Result<u64, AppError> {
    number(db, "SELECT COUNT(*) AS n FROM knowledge_files WHERE assistant_id = $1", vec![id.into()]).await
}

/// The files that an answer is given from: the assistant's, and, where somebody talks with it alone, those of the section in which they have the chat.
/// A section's files stay in their workspace. To these come those of the conversation's workspace, where no guest reads the answer.
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

/// How a file stands. `false` where it is gone.
pub async fn set_state<C: ConnectionTrait>(
    db: &C,
    id: KnowledgeFileId,
    state: KnowledgeState,
    error: Option<&str>,
    now: Timestamp,
) -> Result<bool, AppError> {
    let sql = "UPDATE knowledge_files SET state = $2, error = $3, updated_at = $4 WHERE id = $1";
    let values = vec![id.into(), state.as_str().into(), error.into(), now.into()];
    Ok(raw::execute(db, sql, values).await? > 0)
}

/// Tells by which model a file is embedded from now on, and forgets the vectors of another one. `false` where it is gone.
pub async fn begin_space<C: ConnectionTrait>(
    db: &C,
    id: KnowledgeFileId,
    (model, space): (&str, &str),
    now: Timestamp,
) -> Result<bool, AppError> {
    let sql = "UPDATE knowledge_files SET model = $2, space = $3, embedded = 0, updated_at = $4 WHERE id = $1";
    if raw::execute(db, sql, vec![id.into(), model.into(), space.into(), now.into()]).await? == 0 {
        return Ok(false);
    }
    raw::execute(db, "DELETE FROM knowledge_vectors WHERE file_id = $1", vec![id.into()]).await?;
    Ok(true)
}

/// Stores the pieces of a file that is not cut yet, with their words. `false` where it is, or where it is gone.
pub async fn cut<C: ConnectionTrait>(
    db: &C,
    id: KnowledgeFileId,
    (pieces, words): (Vec<PieceRow>, Vec<WordsRow>),
    now: Timestamp,
) -> Result<bool, AppError> {
    let count = i64::try_from(pieces.len()).unwrap_or(i64::MAX);
    let sql = "UPDATE knowledge_files SET pieces = $2, updated_at = $3 WHERE id = $1 AND pieces = 0";
    if raw::execute(db, sql, vec![id.into(), count.into(), now.into()]).await? == 0 {
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
        let part = pieces.by_ref().take(WRITTEN_AT_ONCE).map(|piece| {
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
        db.execute_raw(rows.statement(sql)?).await.map_err(app_error)?;
    }
    insert_words(db, words).await?;
    Ok(true)
}

/// Stores the words of a file that was cut without them.
pub async fn add_words<C: ConnectionTrait>(db: &C, id: KnowledgeFileId, words: Vec<WordsRow>) -> Result<(), AppError> {
    let sql = "UPDATE knowledge_files SET pieces = pieces WHERE id = $1";
    if raw::execute(db, sql, vec![id.into()]).await? == 0 {
        return Ok(());
    }
    insert_words(db, words).await
}

async fn insert_words<C: ConnectionTrait>(db: &C, words: Vec<WordsRow>) -> Result<(), AppError> {
    let sql =
        "INSERT INTO knowledge_words (file_id, first, count, words) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    for row in words {
        raw::execute(db, sql, vec![row.file_id.into(), row.first.into(), row.count.into(), row.words.into()]).await?;
    }
    Ok(())
}

/// Pieces of the other files of the assistant, or of the section.
pub async fn pieces_beside<C: ConnectionTrait>(
    db: &C,
    assistant: AssistantId,
    id: KnowledgeFileId,
) -> Result<u64, AppError> {
    let sql = "SELECT CAST(COALESCE(SUM(pieces), 0) AS BIGINT) AS n FROM knowledge_files WHERE assistant_id = $1 AND id <> $2";
    number(db, sql, vec![assistant.into(), id.into()]).await
}

/// The next pieces that have no vector.
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

/// Stores the vectors of the next pieces, made by the model with this space. `false` where the file is gone, or embedded by another model now.
pub async fn add_vectors<C: ConnectionTrait>(
    db: &C,
    row: VectorsRow,
    space: &str,
    now: Timestamp,
) -> Result<bool, AppError> {
    let sql = "UPDATE knowledge_files SET embedded = $2, error = NULL, updated_at = $3 WHERE id = $1 AND space = $4";
    let embedded = i64::from(row.first) + i64::from(row.count);
    let values = vec![row.file_id.into(), embedded.into(), now.into(), space.into()];
    if raw::execute(db, sql, values).await? == 0 {
        return Ok(false);
    }
    let sql =
        "INSERT INTO knowledge_vectors (file_id, first, count, vectors) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let values = vec![row.file_id.into(), row.first.into(), row.count.into(), row.vectors.into()];
    raw::execute(db, sql, values).await?;
    Ok(true)
}

/// Adds to what embedding a file has cost.
pub async fn add_cost<C: ConnectionTrait>(db: &C, id: KnowledgeFileId, cost: MicroCredits) -> Result<(), AppError> {
    let sql = "UPDATE knowledge_files SET cost = cost + $2 WHERE id = $1";
    raw::run(db, sql, vec![id.into(), cost.into()]).await
}

/// A piece by its file and its number there.
pub type PieceId = (KnowledgeFileId, i32);

/// All vectors of these files, as far as the model with this space made them.
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
    VectorsRow::find_by_statement(rows.statement(sql)?).all(db).await.map_err(app_error)
}

/// Some vectors of a file, from this piece on.
pub async fn vectors_from<C: ConnectionTrait>(
    db: &C,
    (file, first): PieceId,
    space: &str,
    limit: usize,
) -> Result<Vec<VectorsRow>, AppError> {
    let sql = format!(
        "SELECT v.* FROM knowledge_vectors v WHERE v.file_id = $1 AND v.first >= $2 \
           AND EXISTS (SELECT 1 FROM knowledge_files f WHERE f.id = $1 AND f.space = $3) ORDER BY v.first LIMIT {limit}"
    );
    raw::find(db, &sql, vec![file.into(), first.into(), space.into()]).await
}

/// The words of all pieces of these files.
pub async fn words<C: ConnectionTrait>(db: &C, files: &[KnowledgeFileId]) -> Result<Vec<WordsRow>, AppError> {
    let rows = Rows::ids(db.get_database_backend(), files.iter().map(|file| file.0));
    let sql = format!("SELECT k.* FROM {} JOIN knowledge_words k ON k.file_id = w.id", rows.table());
    WordsRow::find_by_statement(rows.statement(sql)?).all(db).await.map_err(app_error)
}

/// Some words of a file, from this piece on.
pub async fn words_from<C: ConnectionTrait>(
    db: &C,
    (file, first): PieceId,
    limit: usize,
) -> Result<Vec<WordsRow>, AppError> {
    let sql = format!(
        "SELECT k.* FROM knowledge_words k WHERE k.file_id = $1 AND k.first >= $2 ORDER BY k.first LIMIT {limit}"
    );
    raw::find(db, &sql, vec![file.into(), first.into()]).await
}

/// Files behind this one whose words aren't there, though they are cut.
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

/// Some pieces of a file, from this one on.
pub async fn pieces_from<C: ConnectionTrait>(
    db: &C,
    (file, first): PieceId,
    limit: usize,
) -> Result<Vec<PieceRow>, AppError> {
    let sql = format!(
        "SELECT p.* FROM knowledge_chunks p WHERE p.file_id = $1 AND p.number >= $2 ORDER BY p.number LIMIT {limit}"
    );
    raw::find(db, &sql, vec![file.into(), first.into()]).await
}

/// These pieces, in no order.
pub async fn pieces<C: ConnectionTrait>(db: &C, wanted: &[PieceId]) -> Result<Vec<PieceRow>, AppError> {
    let columns = [Column::Uuid("id"), Column::Int("number")];
    let rows = wanted.iter().map(|(file, number)| [file.0.into(), i64::from(*number).into()]);
    let rows = Rows::new(db.get_database_backend(), columns, rows);
    let sql =
        format!("SELECT p.* FROM {} JOIN knowledge_chunks p ON p.file_id = w.id AND p.number = w.number", rows.table());
    PieceRow::find_by_statement(rows.statement(sql)?).all(db).await.map_err(app_error)
}

/// A file that was removed.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct Removed {
    pub upload_id: UploadId,
}

/// Removes a file with all that was made of it.
pub async fn remove<C: ConnectionTrait>(db: &C, id: KnowledgeFileId) -> Result<Option<Removed>, AppError> {
    let removed =
        raw::find_one(db, "DELETE FROM knowledge_files WHERE id = $1 RETURNING upload_id", vec![id.into()]).await?;
    for table in ["knowledge_vectors", "knowledge_words", "knowledge_chunks"] {
        raw::execute(db, &format!("DELETE FROM {table} WHERE file_id = $1"), vec![id.into()]).await?;
    }
    Ok(removed)
}

/// Files behind this one that nobody can ask any more: their assistant, their section or their workspace was deleted.
pub async fn forgotten<C: ConnectionTrait>(
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

/// Files behind this one whose vectors are of another model than this one.
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

/// Has a file be embedded anew; `false` where somebody else was faster.
pub async fn outdate<C: ConnectionTrait>(
    db: &C,
    id: KnowledgeFileId,
    space: &str,
    now: Timestamp,
) -> Result<bool, AppError> {
    let sql = format!(
        "UPDATE knowledge_files SET state = '{}', error = NULL, embedded = 0, updated_at = $3 WHERE id = $1 AND state = '{}' AND space <> $2",
        KnowledgeState::Waiting,
        KnowledgeState::Ready
    );
    Ok(raw::execute(db, &sql, vec![id.into(), space.into(), now.into()]).await? > 0)
}

/// What a statement counts, as `n`.
async fn number<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<u64, AppError> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let row = db.query_one_raw(statement).await.map_err(app_error)?;
    let number: i64 = row.map_or(Ok(0), |row| row.try_get("", "n").map_err(app_error))?;
    Ok(number.unsigned_abs())
}
