//! Responses of the gateway that are created in the background.
//!
//! The status is changed only from the states that a statement names, so that a cancellation and
//! the end of a response can't overwrite each other.

use appcore::{ApiKeyId, AppError, BackgroundResponseId, Timestamp, UserId, view::BackgroundResponseStatus};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, IntoActiveModel, PaginatorTrait,
    QueryFilter, QuerySelect, Select, Set, sea_query::Expr,
};

use super::{raw, single};
pub use crate::entity::gateway_response::Model as BackgroundResponseRow;
use crate::{
    constraint::app_error,
    entity::gateway_response::{ActiveModel, Column, Entity},
};

const ACTIVE: [BackgroundResponseStatus; 2] = [BackgroundResponseStatus::Queued, BackgroundResponseStatus::InProgress];

/// State of a response, without its request.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct BackgroundResponseState {
    pub status: BackgroundResponseStatus,
    pub response: String,
}

pub async fn insert<C: ConnectionTrait>(db: &C, row: BackgroundResponseRow) -> Result<(), AppError> {
    single::insert(db, row.into_active_model()).await
}

pub async fn get<C: ConnectionTrait>(
    db: &C,
    id: BackgroundResponseId,
) -> Result<Option<BackgroundResponseRow>, AppError> {
    Entity::find_by_id(id).one(db).await.map_err(app_error)
}

pub async fn find<C: ConnectionTrait>(
    db: &C,
    key_id: ApiKeyId,
    id: BackgroundResponseId,
) -> Result<Option<BackgroundResponseState>, AppError> {
    let query = of_key(key_id, id).select_only().columns([Column::Status, Column::Response]);
    query.into_model().one(db).await.map_err(app_error)
}

/// Returns the whole row of a response of this key.
pub async fn find_row<C: ConnectionTrait>(
    db: &C,
    key_id: ApiKeyId,
    id: BackgroundResponseId,
) -> Result<Option<BackgroundResponseRow>, AppError> {
    of_key(key_id, id).one(db).await.map_err(app_error)
}

pub async fn status<C: ConnectionTrait>(
    db: &C,
    id: BackgroundResponseId,
) -> Result<Option<BackgroundResponseStatus>, AppError> {
    let query = Entity::find_by_id(id).select_only().column(Column::Status);
    query.into_tuple().one(db).await.map_err(app_error)
}

/// Number of a user's responses that have not ended.
pub async fn count_active<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<u64, AppError> {
    let query = Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::Status.is_in(ACTIVE));
    query.count(db).await.map_err(app_error)
}

/// Total length of a user's responses and their requests, in bytes.
pub async fn stored_bytes<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<i64, AppError> {
    let sql = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS total FROM gateway_responses WHERE user_id = $1";
    Ok(raw::find_value(db, sql, [user_id.into()]).await?.unwrap_or(0))
}

/// Marks a response as in progress; returns `false` if it has ended.
pub async fn start<C: ConnectionTrait>(db: &C, id: BackgroundResponseId) -> Result<bool, AppError> {
    let started = ActiveModel { status: Set(BackgroundResponseStatus::InProgress), ..Default::default() };
    change(db, id, started).await
}

/// Cancels a response; returns `false` if it has ended.
pub async fn cancel<C: ConnectionTrait>(db: &C, id: BackgroundResponseId, now: Timestamp) -> Result<bool, AppError> {
    let cancelled = ActiveModel {
        status: Set(BackgroundResponseStatus::Cancelled),
        ended_at: Set(Some(now)),
        ..Default::default()
    };
    change(db, id, cancelled).await
}

/// Records the end of a response; returns `false` if it has ended already.
pub async fn complete<C: ConnectionTrait>(
    db: &C,
    id: BackgroundResponseId,
    ended: BackgroundResponseState,
    now: Timestamp,
) -> Result<bool, AppError> {
    let BackgroundResponseState { status, response } = ended;
    let length = i64::try_from(response.len()).unwrap_or(i64::MAX);
    let ended =
        ActiveModel { status: Set(status), response: Set(response), ended_at: Set(Some(now)), ..Default::default() };
    let done = Entity::update_many()
        .set(ended)
        .col_expr(Column::Bytes, Expr::col(Column::Bytes).add(length))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.is_in(ACTIVE))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Deletes a response of a key; returns `false` if there is none.
pub async fn delete<C: ConnectionTrait>(db: &C, key_id: ApiKeyId, id: BackgroundResponseId) -> Result<bool, AppError> {
    let query = Entity::delete_many().filter(Column::Id.eq(id)).filter(Column::KeyId.eq(key_id));
    Ok(query.exec(db).await.map_err(app_error)?.rows_affected > 0)
}

/// Deletes a response in any state.
pub async fn delete_by_id<C: ConnectionTrait>(db: &C, id: BackgroundResponseId) -> Result<(), AppError> {
    Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes all responses of a user.
pub async fn delete_of_user<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<(), AppError> {
    Entity::delete_many().filter(Column::UserId.eq(user_id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

async fn change<C: ConnectionTrait>(db: &C, id: BackgroundResponseId, changed: ActiveModel) -> Result<bool, AppError> {
    let query = Entity::update_many().set(changed).filter(Column::Id.eq(id)).filter(Column::Status.is_in(ACTIVE));
    Ok(query.exec(db).await.map_err(app_error)?.rows_affected > 0)
}

fn of_key(key_id: ApiKeyId, id: BackgroundResponseId) -> Select<Entity> {
    Entity::find().filter(Column::Id.eq(id)).filter(Column::KeyId.eq(key_id))
}
