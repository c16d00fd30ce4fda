//! What can be bought, and what somebody has bought until when.

use appcore::{AppError, Timestamp, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect as _, Statement, sea_query::OnConflict,
};
use uuid::Uuid;

use crate::{
    constraint::app_error,
    entity::{payment, pricing_plan, subscription},
};

/// Plans in the order in which they are shown.
pub async fn list<C: ConnectionTrait>(db: &C, inactive_too: bool) -> Result<Vec<pricing_plan::Model>, AppError> {
    let mut query = pricing_plan::Entity::find();
    if !inactive_too {
        query = query.filter(pricing_plan::Column::IsActive.eq(1_i64));
    }
    let query = query.order_by_asc(pricing_plan::Column::Position).order_by_asc(pricing_plan::Column::Id);
    query.all(db).await.map_err(app_error)
}

pub async fn by_id<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<Option<pricing_plan::Model>, AppError> {
    pricing_plan::Entity::find_by_id(id).one(db).await.map_err(app_error)
}

pub async fn by_ids<C: ConnectionTrait>(db: &C, ids: Vec<Uuid>) -> Result<Vec<pricing_plan::Model>, AppError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    pricing_plan::Entity::find().filter(pricing_plan::Column::Id.is_in(ids)).all(db).await.map_err(app_error)
}

/// The same, locked until the transaction ends: nobody buys it meanwhile.
pub async fn lock<C: ConnectionTrait>(txn: &C, id: Uuid) -> Result<Option<pricing_plan::Model>, AppError> {
    pricing_plan::Entity::find_by_id(id).lock_exclusive().one(txn).await.map_err(app_error)
}

/// Whether somebody has bought it, or begun to.
pub async fn is_sold<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<bool, AppError> {
    let found = payment::Entity::find().filter(payment::Column::PlanId.eq(id)).one(db).await.map_err(app_error)?;
    Ok(found.is_some())
}

/// Adds plans; those that are there stay as they are.
pub async fn add<C: ConnectionTrait>(db: &C, plans: Vec<pricing_plan::Model>) -> Result<(), AppError> {
    let rows = plans.into_iter().map(IntoActiveModel::into_active_model);
    let again = OnConflict::column(pricing_plan::Column::Id).do_nothing().to_owned();
    pricing_plan::Entity::insert_many(rows).on_conflict(again).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

pub async fn store<C: ConnectionTrait>(db: &C, plan: pricing_plan::Model) -> Result<(), AppError> {
    pricing_plan::Entity::update(sea_orm::ActiveModelTrait::reset_all(plan.into_active_model()))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

pub async fn subscription<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
) -> Result<Option<subscription::Model>, AppError> {
    subscription::Entity::find_by_id(user_id).one(db).await.map_err(app_error)
}

/// What the plan allows that somebody has paid for, as JSON.
pub async fn quotas_of<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    now: Timestamp,
) -> Result<Option<String>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        quotas: String,
    }
    let sql = "SELECT p.quotas FROM subscriptions s JOIN pricing_plans p ON p.id = s.plan_id WHERE s.user_id = $1 AND s.ends_at > $2";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [user_id.into(), now.0.into()]);
    Ok(Row::find_by_statement(statement).one(db).await.map_err(app_error)?.map(|row| row.quotas))
}

/// Begins a subscription, or goes on with it.
pub async fn put_subscription<C: ConnectionTrait>(db: &C, row: subscription::Model) -> Result<(), AppError> {
    use subscription::Column;
    let again = OnConflict::column(Column::UserId)
        .update_columns([Column::PlanId, Column::PaymentId, Column::StartsAt, Column::EndsAt])
        .to_owned();
    let done = subscription::Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(db);
    done.await.map_err(app_error)?;
    Ok(())
}
