//! Files of the AI gateway. A file belongs to the owner and the workspace of the key that stored
//! it; only keys with both can read it.

use appcore::{AppError, GatewayFileId, Timestamp, UserId, WorkspaceId, view::GatewayFileState};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, Select, Set,
};

use super::{raw, single};
pub use crate::entity::gateway_file::Model as GatewayFileRow;
use crate::{
    constraint::app_error,
    entity::gateway_file::{ActiveModel, Column, Entity},
};

/// Owner of files and batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayOwner {
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
}

/// Page of a list of files.
#[derive(Clone, Debug)]
pub struct FilePage {
    pub purpose: Option<String>,
    /// Id of the last file of the previous page.
    pub after: Option<GatewayFileId>,
    pub is_ascending: bool,
    pub limit: u64,
}

/// Number and total size of a user's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct FileUsage {
    pub files: i64,
    pub bytes: i64,
}

/// Properties of a file that has been received.
#[derive(Clone, Debug)]
pub struct ReceivedFileData {
    pub name: String,
    pub purpose: String,
    pub bytes: i64,
    pub expires_at: Option<Timestamp>,
}

pub async fn insert<C: ConnectionTrait>(db: &C, row: GatewayFileRow) -> Result<(), AppError> {
    single::insert(db, row.into_active_model()).await
}

/// Makes a pending file readable; returns `false` if it was removed meanwhile.
pub async fn finish<C: ConnectionTrait>(
    db: &C,
    id: GatewayFileId,
    received: ReceivedFileData,
) -> Result<bool, AppError> {
    let ReceivedFileData { name, purpose, bytes, expires_at } = received;
    let ready = ActiveModel {
        name: Set(name),
        purpose: Set(purpose),
        bytes: Set(bytes),
        expires_at: Set(expires_at),
        state: Set(GatewayFileState::Ready),
        ..Default::default()
    };
    let done = Entity::update_many()
        .set(ready)
        .filter(Column::Id.eq(id))
        .filter(Column::State.eq(GatewayFileState::Pending))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Finds a file in any state.
pub async fn get<C: ConnectionTrait>(db: &C, id: GatewayFileId) -> Result<Option<GatewayFileRow>, AppError> {
    Entity::find_by_id(id).one(db).await.map_err(app_error)
}

/// Finds a file that its owner may read now.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    owner: GatewayOwner,
    id: GatewayFileId,
    now: Timestamp,
) -> Result<Option<GatewayFileRow>, AppError> {
    readable(owner, now).filter(Column::Id.eq(id)).one(db).await.map_err(app_error)
}

/// Lists the files of a user in all workspaces, without internal ones, by id after `after`.
pub async fn of_user<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    after: GatewayFileId,
    most: u64,
) -> Result<Vec<GatewayFileRow>, AppError> {
    Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::State.eq(GatewayFileState::Ready))
        .filter(Column::IsInternal.eq(false))
        .filter(Column::Id.gt(after))
        .order_by_asc(Column::Id)
        .limit(most)
        .all(db)
        .await
        .map_err(app_error)
}

/// Lists the files that their owner may read now, without internal ones.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    owner: GatewayOwner,
    page: &FilePage,
    now: Timestamp,
) -> Result<Vec<GatewayFileRow>, AppError> {
    let mut query = readable(owner, now).filter(Column::IsInternal.eq(false));
    if let Some(purpose) = &page.purpose {
        query = query.filter(Column::Purpose.eq(purpose));
    }
    if let Some(after) = page.after {
        query = query.filter(if page.is_ascending { Column::Id.gt(after) } else { Column::Id.lt(after) });
    }
    let query = if page.is_ascending { query.order_by_asc(Column::Id) } else { query.order_by_desc(Column::Id) };
    query.limit(page.limit).all(db).await.map_err(app_error)
}

/// Number and total size of a user's files, including those that are being received.
pub async fn usage<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<FileUsage, AppError> {
    let sql = "SELECT COUNT(*) AS files, CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM gateway_files \
               WHERE user_id = $1 AND state <> 'deleted'";
    let usage = raw::find_one(db, sql, [user_id.into()]).await?;
    Ok(usage.unwrap_or(FileUsage { files: 0, bytes: 0 }))
}

/// Marks a file as deleted, so that it can't be read any more.
pub async fn mark_deleted<C: ConnectionTrait>(db: &C, id: GatewayFileId) -> Result<(), AppError> {
    let deleted = ActiveModel { state: Set(GatewayFileState::Deleted), ..Default::default() };
    Entity::update_many().set(deleted).filter(Column::Id.eq(id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

pub async fn delete<C: ConnectionTrait>(db: &C, id: GatewayFileId) -> Result<(), AppError> {
    Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Ids of at most `most` files of a user.
pub async fn ids_of_user<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    most: u64,
) -> Result<Vec<GatewayFileId>, AppError> {
    Entity::find()
        .filter(Column::UserId.eq(user_id))
        .select_only()
        .column(Column::Id)
        .limit(most)
        .into_tuple()
        .all(db)
        .await
        .map_err(app_error)
}

fn readable(owner: GatewayOwner, now: Timestamp) -> Select<Entity> {
    Entity::find()
        .filter(Column::UserId.eq(owner.user_id))
        .filter(match owner.workspace_id {
            Some(workspace) => Column::WorkspaceId.eq(workspace),
            None => Column::WorkspaceId.is_null(),
        })
        .filter(Column::State.eq(GatewayFileState::Ready))
        .filter(Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now)))
}
