//! Daily comparison of our payments with the gateways' records, and the differences found.

use appcore::{AppError, PaymentDifferenceId, Timestamp, page::PageRequest, view::DifferenceState};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect as _, Set,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{page, raw};
use crate::{
    constraint::app_error,
    entity::{payment, payment_comparison, payment_difference},
};

/// Claims the comparison of a day; returns `false` if the day was already compared or claimed.
pub async fn claim<C: ConnectionTrait>(
    db: &C,
    gateway: &str,
    day: Timestamp,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, AppError> {
    let sql = "INSERT INTO payment_comparisons (gateway, day, due_at) VALUES ($1, $2, $3) ON CONFLICT (gateway, day) DO UPDATE \
               SET due_at = $4 WHERE payment_comparisons.ended_at IS NULL AND payment_comparisons.due_at <= $5";
    let values = [gateway.into(), day.0.into(), until.0.into(), until.0.into(), now.0.into()];
    Ok(raw::execute(db, sql, values).await? > 0)
}

pub async fn finish<C: ConnectionTrait>(db: &C, gateway: &str, day: Timestamp, now: Timestamp) -> Result<(), AppError> {
    payment_comparison::Entity::update_many()
        .set(payment_comparison::ActiveModel { ended_at: Set(Some(now)), ..Default::default() })
        .filter(payment_comparison::Column::Gateway.eq(gateway))
        .filter(payment_comparison::Column::Day.eq(day))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Finds payments at a gateway by their ids or charges.
pub async fn payments<C: ConnectionTrait>(
    db: &C,
    gateway: &str,
    ids: Vec<Uuid>,
    charges: Vec<String>,
) -> Result<Vec<payment::Model>, AppError> {
    use payment::Column;
    let named = Condition::any().add(Column::Id.is_in(ids)).add(Column::Charge.is_in(charges));
    let query = payment::Entity::find().filter(Column::Gateway.eq(gateway)).filter(named);
    query.all(db).await.map_err(app_error)
}

/// Payments paid in a period.
pub async fn paid_between<C: ConnectionTrait>(
    db: &C,
    gateway: &str,
    from: Timestamp,
    until: Timestamp,
    most: u64,
) -> Result<Vec<payment::Model>, AppError> {
    use payment::Column;
    payment::Entity::find()
        .filter(Column::Gateway.eq(gateway))
        .filter(Column::PaidAt.gte(from))
        .filter(Column::PaidAt.lt(until))
        .limit(most)
        .all(db)
        .await
        .map_err(app_error)
}

/// Lists the payments created in a period that the gateway has a record of.
pub async fn created_between<C: ConnectionTrait>(
    db: &C,
    gateway: &str,
    from: Timestamp,
    until: Timestamp,
    most: u64,
) -> Result<Vec<payment::Model>, AppError> {
    use payment::Column;
    payment::Entity::find()
        .filter(Column::Gateway.eq(gateway))
        .filter(Column::CreatedAt.gte(from))
        .filter(Column::CreatedAt.lt(until))
        .filter(Column::Reference.is_not_null())
        .limit(most)
        .all(db)
        .await
        .map_err(app_error)
}

/// Inserts a difference unless it already exists.
pub async fn insert<C: ConnectionTrait>(db: &C, row: payment_difference::Model) -> Result<(), AppError> {
    use payment_difference::Column;
    let again = OnConflict::columns([Column::Gateway, Column::Kind, Column::Subject]).do_nothing().to_owned();
    let done = payment_difference::Entity::insert(row.into_active_model()).on_conflict(again);
    done.exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Resolves the differences of these payments, because our records and the gateway's now agree.
pub async fn resolve<C: ConnectionTrait>(
    db: &C,
    gateway: &str,
    payments: Vec<Uuid>,
    now: Timestamp,
) -> Result<(), AppError> {
    use payment_difference::Column;
    payment_difference::Entity::update_many()
        .col_expr(Column::State, Expr::value(DifferenceState::Healed))
        .col_expr(Column::ClosedAt, Expr::value(now))
        .filter(Column::Gateway.eq(gateway))
        .filter(Column::State.eq(DifferenceState::Open))
        .filter(Column::PaymentId.is_in(payments))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Lists differences, newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    state: Option<DifferenceState>,
    page: PageRequest,
) -> Result<(Vec<payment_difference::Model>, u64), AppError> {
    use payment_difference::Column;
    let mut query = payment_difference::Entity::find().order_by_desc(Column::FoundAt).order_by_desc(Column::Id);
    if let Some(state) = state {
        query = query.filter(Column::State.eq(state));
    }
    page::select(db, query, page).await
}

/// Locks a difference until the transaction ends.
pub async fn lock<C: ConnectionTrait>(
    txn: &C,
    id: PaymentDifferenceId,
) -> Result<Option<payment_difference::Model>, AppError> {
    payment_difference::Entity::find_by_id(id).lock_exclusive().one(txn).await.map_err(app_error)
}

/// Writes back a difference that the caller has locked.
pub async fn store<C: ConnectionTrait>(txn: &C, row: payment_difference::Model) -> Result<(), AppError> {
    payment_difference::Entity::update(row.into_active_model().reset_all()).exec(txn).await.map_err(app_error)?;
    Ok(())
}
