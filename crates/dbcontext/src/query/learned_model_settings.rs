//! Settings of models that were learned from the refusals of AI providers.

use appcore::{AppError, Timestamp};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};

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

/// Deletes all values of a setting of a model; `deployment` is its provider, address and name.
pub async fn delete_values<C: ConnectionTrait>(
    db: &C,
    deployment: (&str, &str, &str),
    name: &str,
) -> Result<(), AppError> {
    let values = Column::Setting.starts_with(format!("{name}="));
    Entity::delete_many().filter(is_of(deployment)).filter(values).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes the oldest settings of a model above this number.
pub async fn delete_excess<C: ConnectionTrait>(
    db: &C,
    deployment: (&str, &str, &str),
    most: u64,
) -> Result<(), AppError> {
    let all = Entity::find().filter(is_of(deployment)).order_by_desc(Column::LearnedAt).order_by_asc(Column::Setting);
    let names = all.select_only().column(Column::Setting).into_tuple::<String>().all(db).await.map_err(app_error)?;
    let excess: Vec<String> = names.into_iter().skip(usize::try_from(most).unwrap_or(usize::MAX)).collect();
    if !excess.is_empty() {
        let oldest = Entity::delete_many().filter(is_of(deployment)).filter(Column::Setting.is_in(excess));
        oldest.exec(db).await.map_err(app_error)?;
    }
    Ok(())
}

fn is_of((provider, base_url, model): (&str, &str, &str)) -> Condition {
    let address = Column::BaseUrl.eq(base_url);
    Condition::all().add(Column::Provider.eq(provider)).add(address).add(Column::Model.eq(model))
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
