//! Notes: only their owner sees them.

use appcore::{AppError, NoteId, Timestamp, UserId, view::Note};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use super::{page, raw};

#[derive(FromQueryResult)]
struct Row {
    id: NoteId,
    title: String,
    content: String,
    pinned: bool,
    version: i64,
    created_at: Timestamp,
    edited_at: Timestamp,
    updated_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

impl From<Row> for Note {
    fn from(row: Row) -> Self {
        let Row { id, title, content, pinned, version, created_at, edited_at, updated_at, deleted_at } = row;
        Self { id, title, content, pinned, version, created_at, edited_at, updated_at, deleted_at }
    }
}

const COLUMNS: &str = "id, title, content, pinned, version, created_at, edited_at, updated_at, deleted_at";

/// A note, also one that is deleted.
pub async fn find<C: ConnectionTrait>(db: &C, user: UserId, id: NoteId) -> Result<Option<Note>, AppError> {
    let sql = format!("SELECT {COLUMNS} FROM notes WHERE user_id = $1 AND id = $2");
    let found: Option<Row> = raw::find_one(db, &sql, [user.into(), id.into()]).await?;
    Ok(found.map(Into::into))
}

/// Some notes that were stored after `since`, in the order in which that was, and how many there are. Without `since` those that are deleted
/// are left out.
pub async fn since<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    since: Option<Timestamp>,
    most: u64,
    skipped: u64,
) -> Result<(Vec<Note>, u64), AppError> {
    let (rows, values): (_, Vec<Value>) = match since {
        Some(since) => ("FROM notes WHERE user_id = $1 AND updated_at > $2", vec![user.into(), since.into()]),
        None => ("FROM notes WHERE user_id = $1 AND deleted_at IS NULL", vec![user.into()]),
    };
    let sql = format!("SELECT {COLUMNS} {rows} ORDER BY updated_at LIMIT {most} OFFSET {skipped}");
    let found: Vec<Row> = raw::find(db, &sql, values.clone()).await?;
    let total = page::count(db, rows, values).await?;
    Ok((found.into_iter().map(Into::into).collect(), total))
}

/// How many notes somebody has.
pub async fn count<C: ConnectionTrait>(db: &C, user: UserId) -> Result<u64, AppError> {
    page::count(db, "FROM notes WHERE user_id = $1 AND deleted_at IS NULL", [user.into()]).await
}

/// When the last change of somebody's notes was stored.
pub async fn last_change<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Option<Timestamp>, AppError> {
    #[derive(FromQueryResult)]
    struct Last {
        updated_at: Option<Timestamp>,
    }
    let sql = "SELECT MAX(updated_at) AS updated_at FROM notes WHERE user_id = $1";
    let found: Option<Last> = raw::find_one(db, sql, [user.into()]).await?;
    Ok(found.and_then(|last| last.updated_at))
}

/// Stores a note in place of what there is of it.
pub async fn put<C: ConnectionTrait>(db: &C, user: UserId, note: &Note) -> Result<(), AppError> {
    let sql = "INSERT INTO notes (user_id, id, title, content, pinned, version, created_at, edited_at, updated_at, deleted_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (user_id, id) DO UPDATE SET title = excluded.title, \
               content = excluded.content, pinned = excluded.pinned, version = excluded.version, edited_at = excluded.edited_at, \
               updated_at = excluded.updated_at, deleted_at = excluded.deleted_at";
    let values = [
        user.into(),
        note.id.into(),
        note.title.clone().into(),
        note.content.clone().into(),
        note.pinned.into(),
        note.version.into(),
        note.created_at.into(),
        note.edited_at.into(),
        note.updated_at.into(),
        note.deleted_at.into(),
    ];
    raw::run(db, sql, values).await
}

/// Forgets what was deleted before then.
pub async fn forget<C: ConnectionTrait>(db: &C, user: UserId, before: Timestamp) -> Result<(), AppError> {
    let sql = "DELETE FROM notes WHERE user_id = $1 AND deleted_at < $2";
    raw::run(db, sql, [user.into(), before.into()]).await
}
