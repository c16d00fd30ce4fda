//! Model lists: the models to which administrators have restricted users and workspaces.

use appcore::{AppError, page::PageRequest};
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel, QueryOrder, Select, sea_query::OnConflict};

use super::{budgets::BudgetId, page};
use crate::{
    constraint::app_error,
    entity::model_list::{Column, Entity, Model},
};

/// Returns all lists. Each instance caches them together with its routing table.
pub async fn all<C: ConnectionTrait>(db: &C) -> Result<Vec<Model>, AppError> {
    ordered_query().all(db).await.map_err(app_error)
}

pub async fn list<C: ConnectionTrait>(db: &C, page: PageRequest) -> Result<(Vec<Model>, u64), AppError> {
    page::select(db, ordered_query(), page).await
}

/// Inserts or replaces a list.
pub async fn upsert<C: ConnectionTrait>(db: &C, row: Model) -> Result<(), AppError> {
    let again = OnConflict::columns([Column::Scope, Column::ScopeId])
        .update_columns([Column::Models, Column::UpdatedAt])
        .to_owned();
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes a list; returns `false` if there is none.
pub async fn remove<C: ConnectionTrait>(db: &C, of: BudgetId) -> Result<bool, AppError> {
    let done = Entity::delete_by_id((of.scope, of.id)).exec(db).await.map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

fn ordered_query() -> Select<Entity> {
    Entity::find().order_by_asc(Column::Scope).order_by_asc(Column::ScopeId)
}
