//! Emoji of workspaces.

use appcore::{AppError, ConversationId, Timestamp, UploadId, UserId, WorkspaceId, page::PageRequest};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};

use super::{page, raw};
use crate::constraint::{app_error, unique_violation};

/// An emoji, as it is stored.
#[derive(Clone, Debug, FromQueryResult)]
pub struct EmojiRow {
    pub workspace_id: WorkspaceId,
    pub name: String,
    pub upload_id: UploadId,
    /// None: the account was deleted.
    pub created_by: Option<UserId>,
    pub created_at: Timestamp,
}

/// An emoji with the name of whoever added it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SeenEmoji {
    #[sea_orm(nested)]
    pub emoji: EmojiRow,
    pub author_name: Option<String>,
}

const SEEN: &str = "SELECT e.*, u.display_name AS author_name FROM workspace_emoji e \
                    LEFT JOIN users u ON u.id = e.created_by AND NOT u.is_deleted WHERE e.workspace_id = $1";

pub async fn insert<C: ConnectionTrait>(db: &C, row: &EmojiRow) -> Result<(), AppError> {
    let sql = "INSERT INTO workspace_emoji (workspace_id, name, upload_id, created_by, created_at) VALUES ($1, $2, $3, $4, $5)";
    let values = vec![
        row.workspace_id.into(),
        row.name.clone().into(),
        row.upload_id.into(),
        row.created_by.into(),
        row.created_at.into(),
    ];
    db.execute_raw(raw::statement(db, sql, values)).await.map_err(name_taken)?;
    Ok(())
}

fn name_taken(error: DbErr) -> AppError {
    if unique_violation(&error) {
        AppError::field("name", "taken", "There's already an emoji with this name. Choose another one.")
    } else {
        app_error(error)
    }
}

/// One of a workspace's, by its name.
pub async fn find<C: ConnectionTrait>(db: &C, id: WorkspaceId, name: &str) -> Result<Option<SeenEmoji>, AppError> {
    let sql = format!("{SEEN} AND e.name = $2");
    let values = vec![id.into(), name.into()];
    raw::find_one(db, &sql, values).await
}

/// A workspace's, by their names; and how many there are.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    page: PageRequest,
) -> Result<(Vec<SeenEmoji>, u64), AppError> {
    let sql = format!("{SEEN} ORDER BY e.name LIMIT {} OFFSET {}", page.page_size, page.offset());
    let found = raw::find(db, &sql, vec![id.into()]).await?;
    Ok((found, count(db, id).await?))
}

/// How many a workspace has.
pub async fn count<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<u64, AppError> {
    page::count(db, "FROM workspace_emoji WHERE workspace_id = $1", [id.into()]).await
}

/// Whether the workspace of a conversation has one of this name.
pub async fn is_in<C: ConnectionTrait>(db: &C, id: ConversationId, name: &str) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM conversations c JOIN workspace_emoji e ON e.workspace_id = c.workspace_id AND e.name = $2 \
               WHERE c.id = $1";
    let found = db.query_one_raw(raw::statement(db, sql, vec![id.into(), name.into()])).await.map_err(app_error)?;
    Ok(found.is_some())
}

#[derive(FromQueryResult)]
struct UploadOf {
    upload_id: UploadId,
}

/// Removes one; its picture, where it was there.
pub async fn remove<C: ConnectionTrait>(db: &C, id: WorkspaceId, name: &str) -> Result<Option<UploadId>, AppError> {
    let sql = "DELETE FROM workspace_emoji WHERE workspace_id = $1 AND name = $2 RETURNING upload_id";
    let removed: Option<UploadOf> = raw::find_one(db, sql, vec![id.into(), name.into()]).await?;
    Ok(removed.map(|of| of.upload_id))
}

/// Removes all of a workspace that is no longer there; their pictures.
pub async fn remove_ended<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<Vec<UploadId>, AppError> {
    let sql = "DELETE FROM workspace_emoji WHERE workspace_id = $1 \
               AND EXISTS (SELECT 1 FROM workspaces w WHERE w.id = $1 AND w.is_deleted) RETURNING upload_id";
    let removed = raw::find::<_, UploadOf>(db, sql, vec![id.into()]).await?;
    Ok(removed.into_iter().map(|of| of.upload_id).collect())
}

/// What somebody has added stays, without their name.
pub async fn forget_author<C: ConnectionTrait>(db: &C, user: UserId) -> Result<(), AppError> {
    let sql = "UPDATE workspace_emoji SET created_by = NULL WHERE created_by = $1";
    raw::run(db, sql, vec![user.into()]).await
}
