//! Inserts of single rows through their entities. Reads, updates and deletes of single rows are one
//! call of the entity, so they need no helper.

use appcore::AppError;
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, sea_query::OnConflict};

use crate::constraint::app_error;

type Column<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;

/// Inserts a row.
pub(super) async fn insert<C: ConnectionTrait, A: ActiveModelTrait>(db: &C, row: A) -> Result<(), AppError> {
    A::Entity::insert(row).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Inserts a row unless a row with an equal key exists; returns whether it was inserted.
pub(super) async fn insert_if_absent<C: ConnectionTrait, A: ActiveModelTrait>(
    db: &C,
    row: A,
) -> Result<bool, AppError> {
    let absent = OnConflict::new().do_nothing().to_owned();
    let inserted = A::Entity::insert(row).on_conflict(absent).exec_without_returning(db).await.map_err(app_error)?;
    Ok(inserted > 0)
}

/// Inserts a row, or updates `columns` of the row that has the same `key`.
pub(super) async fn upsert<C: ConnectionTrait, A: ActiveModelTrait, const K: usize, const N: usize>(
    db: &C,
    row: A,
    key: [Column<A>; K],
    columns: [Column<A>; N],
) -> Result<(), AppError> {
    let again = OnConflict::columns(key).update_columns(columns).to_owned();
    A::Entity::insert(row).on_conflict(again).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}
