//! AI providers added by administrators.

use appcore::{AppError, Timestamp};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, Set,
};

pub use crate::entity::ai_provider::Model as AiProviderRow;
use crate::{
    constraint::{app_error, unique_violation},
    entity::ai_provider::{ActiveModel, Column, Entity},
};

/// Lists all providers, oldest first. Each instance caches them.
pub async fn all<C: ConnectionTrait>(db: &C) -> Result<Vec<AiProviderRow>, AppError> {
    Entity::find().order_by_asc(Column::CreatedAt).order_by_asc(Column::Name).all(db).await.map_err(app_error)
}

pub async fn find<C: ConnectionTrait>(db: &C, name: &str) -> Result<Option<AiProviderRow>, AppError> {
    Entity::find_by_id(name).one(db).await.map_err(app_error)
}

pub async fn count<C: ConnectionTrait>(db: &C) -> Result<u64, AppError> {
    Entity::find().count(db).await.map_err(app_error)
}

/// Inserts a provider; its name must be unused.
pub async fn insert<C: ConnectionTrait>(db: &C, row: AiProviderRow) -> Result<(), AppError> {
    Entity::insert(row.into_active_model()).exec_without_returning(db).await.map_err(name_taken)?;
    Ok(())
}

/// Updates a provider that was read as of `as_of`; returns `false` if it was changed or removed since.
pub async fn update<C: ConnectionTrait>(db: &C, row: AiProviderRow, as_of: Timestamp) -> Result<bool, AppError> {
    let AiProviderRow { name, base_url, models, requests_per_minute, keys, updated_at, .. } = row;
    let changed = ActiveModel {
        base_url: Set(base_url),
        models: Set(models),
        requests_per_minute: Set(requests_per_minute),
        keys: Set(keys),
        updated_at: Set(updated_at),
        ..Default::default()
    };
    let done = Entity::update_many()
        .set(changed)
        .filter(Column::Name.eq(name))
        .filter(Column::UpdatedAt.eq(as_of))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Deletes a provider; returns `false` if there is none of this name.
pub async fn delete<C: ConnectionTrait>(db: &C, name: &str) -> Result<bool, AppError> {
    let done = Entity::delete_by_id(name).exec(db).await.map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

fn name_taken(error: DbErr) -> AppError {
    if unique_violation(&error) {
        AppError::field("name", "taken", "Another provider has this name.")
    } else {
        app_error(error)
    }
}
