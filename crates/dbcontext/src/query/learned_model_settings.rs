//! Settings of models that were learned from the refusals of AI providers.

use appcore::{AppError, Timestamp};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use super::single;
pub use crate::entity::learned_model_setting::Model as LearnedModelSettingRow;
use crate::{
    constraint::app_error,
    entity::learned_model_setting::{Column, Entity},
};

/// Settings that were learned since `since`, oldest first.
pub async fn all_since<C: ConnectionTrait>(db: &C, since: Timestamp) -> Result<Vec<LearnedModelSettingRow>, AppError> {
    let query = Entity::find().filter(Column::LearnedAt.gte(since)).order_by_asc(Column::LearnedAt);
    query.all(db).await.map_err(app_error)
}

/// Inserts a setting unless it is known.
pub async fn insert<C: ConnectionTrait>(db: &C, row: LearnedModelSettingRow) -> Result<bool, AppError> {
    single::insert_if_absent(db, row.into_active_model()).await
}

/// Deletes the settings of a model; returns their number.
pub async fn delete_of_model<C: ConnectionTrait>(db: &C, provider: &str, model: &str) -> Result<u64, AppError> {
    let query = Entity::delete_many().filter(Column::Provider.eq(provider)).filter(Column::Model.eq(model));
    Ok(query.exec(db).await.map_err(app_error)?.rows_affected)
}

/// Deletes the settings that were learned before `before`.
pub async fn delete_before<C: ConnectionTrait>(db: &C, before: Timestamp) -> Result<(), AppError> {
    Entity::delete_many().filter(Column::LearnedAt.lt(before)).exec(db).await.map_err(app_error)?;
    Ok(())
}
