//! Gateway models defined by administrators.

use appcore::{AppError, Timestamp};
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder, Set, sea_query::OnConflict};

use crate::{
    constraint::app_error,
    entity::gateway_model::{ActiveModel, Column, Entity, Model},
};

/// Lists all models by name. Each instance caches them in its routing table.
pub async fn all<C: ConnectionTrait>(db: &C) -> Result<Vec<Model>, AppError> {
    Entity::find().order_by_asc(Column::Name).all(db).await.map_err(app_error)
}

/// Inserts or replaces a model.
pub async fn upsert<C: ConnectionTrait>(
    db: &C,
    name: &str,
    definition: String,
    now: Timestamp,
) -> Result<(), AppError> {
    let row = ActiveModel { name: Set(name.to_owned()), definition: Set(definition), updated_at: Set(now) };
    let again = OnConflict::column(Column::Name).update_columns([Column::Definition, Column::UpdatedAt]).to_owned();
    Entity::insert(row).on_conflict(again).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes a model; returns `false` if there is none.
pub async fn remove<C: ConnectionTrait>(db: &C, name: &str) -> Result<bool, AppError> {
    let done = Entity::delete_by_id(name.to_owned()).exec(db).await.map_err(app_error)?;
    Ok(done.rows_affected > 0)
}
