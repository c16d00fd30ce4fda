//! Custom emoji of workspaces.

use appcore::{AppError, ConversationId, UploadId, UserId, WorkspaceId, page::PageRequest};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IntoActiveModel, PaginatorTrait, QueryFilter,
    Set,
};

use super::raw;
pub use crate::entity::workspace_emoji::Model as EmojiRow;
use crate::{
    constraint::{app_error, unique_violation},
    entity::workspace_emoji::{ActiveModel, Column, Entity},
};

/// Emoji with the name of its creator.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SeenEmoji {
    #[sea_orm(nested)]
    pub emoji: EmojiRow,
    pub author_name: Option<String>,
}

const SEEN: &str = "SELECT e.*, u.display_name AS author_name FROM workspace_emoji e \
                    LEFT JOIN users u ON u.id = e.created_by AND NOT u.is_deleted WHERE e.workspace_id = $1";

pub async fn insert<C: ConnectionTrait>(db: &C, row: &EmojiRow) -> Result<(), AppError> {
    Entity::insert(row.clone().into_active_model()).exec_without_returning(db).await.map_err(name_taken)?;
    Ok(())
}

fn name_taken(error: DbErr) -> AppError {
    if unique_violation(&error) {
        AppError::field("name", "taken", "There's already an emoji with this name. Choose another one.")
    } else {
        app_error(error)
    }
}

/// Finds an emoji of a workspace by its name.
pub async fn find<C: ConnectionTrait>(db: &C, id: WorkspaceId, name: &str) -> Result<Option<SeenEmoji>, AppError> {
    let sql = format!("{SEEN} AND e.name = $2");
    let values = vec![id.into(), name.into()];
    raw::find_one(db, &sql, values).await
}

/// Lists a workspace's emoji by name, with the total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    page: PageRequest,
) -> Result<(Vec<SeenEmoji>, u64), AppError> {
    let sql = format!("{SEEN} ORDER BY e.name LIMIT {} OFFSET {}", page.page_size, page.offset());
    let found = raw::find(db, &sql, vec![id.into()]).await?;
    Ok((found, count(db, id).await?))
}

/// Number of a workspace's emoji.
pub async fn count<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<u64, AppError> {
    Entity::find().filter(Column::WorkspaceId.eq(id)).count(db).await.map_err(app_error)
}

/// True if the conversation's workspace has an emoji of this name.
pub async fn exists_in<C: ConnectionTrait>(db: &C, id: ConversationId, name: &str) -> Result<bool, AppError> {
    let sql = "SELECT 1 AS one FROM conversations c JOIN workspace_emoji e ON e.workspace_id = c.workspace_id AND e.name = $2 \
               WHERE c.id = $1";
    raw::exists(db, sql, [id.into(), name.into()]).await
}

#[derive(FromQueryResult)]
struct UploadOf {
    upload_id: UploadId,
}

/// Deletes an emoji and returns the id of its upload.
pub async fn remove<C: ConnectionTrait>(db: &C, id: WorkspaceId, name: &str) -> Result<Option<UploadId>, AppError> {
    let removed = Entity::delete_by_id((id, name.to_owned())).exec_with_returning(db).await.map_err(app_error)?;
    Ok(removed.map(|emoji| emoji.upload_id))
}

/// Deletes the emoji of a deleted workspace and returns the ids of their uploads.
pub async fn remove_all<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<Vec<UploadId>, AppError> {
    let sql = "DELETE FROM workspace_emoji WHERE workspace_id = $1 \
               AND EXISTS (SELECT 1 FROM workspaces w WHERE w.id = $1 AND w.is_deleted) RETURNING upload_id";
    let removed = raw::find::<_, UploadOf>(db, sql, vec![id.into()]).await?;
    Ok(removed.into_iter().map(|of| of.upload_id).collect())
}

/// Clears the creator of the emoji that a user has added; the emoji stay.
pub async fn clear_creator<C: ConnectionTrait>(db: &C, user: UserId) -> Result<(), AppError> {
    Entity::update_many()
        .set(ActiveModel { created_by: Set(None), ..Default::default() })
        .filter(Column::CreatedBy.eq(user))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}
