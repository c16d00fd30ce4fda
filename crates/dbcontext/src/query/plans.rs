//! Pricing plans, and the quotas of users who have one.

use std::collections::BTreeSet;

use appcore::{AppError, PlanId, Timestamp, UserId};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect as _, sea_query::OnConflict,
};
use uuid::Uuid;

use super::raw;
use super::rows::{Column as Field, Rows};
use crate::{
    constraint::app_error,
    entity::{payment, pricing_plan, subscription},
};

/// Lists plans in display order.
pub async fn list<C: ConnectionTrait>(db: &C, inactive_too: bool) -> Result<Vec<pricing_plan::Model>, AppError> {
    let mut query = pricing_plan::Entity::find();
    if !inactive_too {
        query = query.filter(pricing_plan::Column::IsActive.eq(true));
    }
    let query = query.order_by_asc(pricing_plan::Column::Position).order_by_asc(pricing_plan::Column::Id);
    query.all(db).await.map_err(app_error)
}

pub async fn by_id<C: ConnectionTrait>(db: &C, id: PlanId) -> Result<Option<pricing_plan::Model>, AppError> {
    pricing_plan::Entity::find_by_id(id).one(db).await.map_err(app_error)
}

pub async fn by_ids<C: ConnectionTrait>(db: &C, ids: Vec<PlanId>) -> Result<Vec<pricing_plan::Model>, AppError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    pricing_plan::Entity::find().filter(pricing_plan::Column::Id.is_in(ids)).all(db).await.map_err(app_error)
}

/// Locks a plan exclusively until the transaction ends, so that it can't be bought meanwhile.
pub async fn lock<C: ConnectionTrait>(txn: &C, id: PlanId) -> Result<Option<pricing_plan::Model>, AppError> {
    pricing_plan::Entity::find_by_id(id).lock_exclusive().one(txn).await.map_err(app_error)
}

/// Locks a plan for a purchase until the transaction ends, so that it can't be changed meanwhile.
pub async fn lock_shared<C: ConnectionTrait>(txn: &C, id: PlanId) -> Result<Option<pricing_plan::Model>, AppError> {
    pricing_plan::Entity::find_by_id(id).lock_shared().one(txn).await.map_err(app_error)
}

/// Returns the newest version of a plan. Only this version is offered for sale.
pub async fn offered_version<C: ConnectionTrait>(
    db: &C,
    family: PlanId,
) -> Result<Option<pricing_plan::Model>, AppError> {
    use pricing_plan::Column;
    let is_of = Condition::any().add(Column::Id.eq(family)).add(Column::Family.eq(family));
    let query = pricing_plan::Entity::find().filter(Column::IsActive.eq(true)).filter(is_of);
    query.order_by_desc(Column::CreatedAt).one(db).await.map_err(app_error)
}

/// True if the plan was bought, or is part of a pending payment, a trial or a scheduled change.
pub async fn is_in_use<C: ConnectionTrait>(db: &C, id: PlanId) -> Result<bool, AppError> {
    let bought = payment::Entity::find().filter(payment::Column::PlanId.eq(id)).one(db).await.map_err(app_error)?;
    let is_held =
        Condition::any().add(subscription::Column::PlanId.eq(id)).add(subscription::Column::NextPlanId.eq(id));
    let held = subscription::Entity::find().filter(is_held).one(db).await;
    Ok(bought.is_some() || held.map_err(app_error)?.is_some())
}

/// Inserts plans that don't exist yet; existing ones stay unchanged.
pub async fn insert_missing<C: ConnectionTrait>(db: &C, plans: Vec<pricing_plan::Model>) -> Result<(), AppError> {
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

/// Returns the subscription of a user: the user's own, or otherwise that of a workspace in which
/// the user has a seat. It may have ended.
pub async fn subscription<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    now: Timestamp,
) -> Result<Option<subscription::Model>, AppError> {
    let sql = format!("SELECT s.* FROM {SEATS} WHERE s.ends_at > $2 ORDER BY {OWN_FIRST} LIMIT 1");
    raw::find_one::<_, subscription::Model>(db, sql, [user_id.into(), now.0.into()]).await
}

/// Returns the quotas of a user's plan, as JSON.
pub async fn quotas_of<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    now: Timestamp,
) -> Result<Option<String>, AppError> {
    Ok(quotas_of_all(db, &[user_id], now).await?.pop().map(|(_, quotas)| quotas))
}

/// Returns the quotas of the plan to which the account itself is subscribed, as JSON.
pub async fn own_quotas<C: ConnectionTrait>(db: &C, account: Uuid, now: Timestamp) -> Result<Option<String>, AppError> {
    #[derive(FromQueryResult)]
    struct PlanQuotas {
        quotas: String,
    }
    let sql = "SELECT p.quotas FROM subscriptions s JOIN pricing_plans p ON p.id = s.plan_id WHERE s.account_id = $1 AND s.ends_at > $2";
    Ok(raw::find_one::<_, PlanQuotas>(db, sql, [account.into(), now.0.into()]).await?.map(|row| row.quotas))
}

/// Returns the quotas of several users. Users without a plan are left out.
pub async fn quotas_of_all<C: ConnectionTrait>(
    db: &C,
    users: &[UserId],
    now: Timestamp,
) -> Result<Vec<(UserId, String)>, AppError> {
    #[derive(FromQueryResult)]
    struct UserQuotas {
        user_id: UserId,
        quotas: String,
    }
    let rows = users.iter().map(|user| [user.0.into(), now.0.into()]);
    let asked = Rows::new(db.get_database_backend(), [Field::Uuid("id"), Field::Int("now")], rows);
    let sql = format!(
        "WITH asked AS (SELECT w.id, w.now FROM {}) SELECT held.person AS user_id, p.quotas FROM (\
         SELECT a.id AS person, o.id AS seat FROM asked a JOIN subscriptions o ON o.account_id = a.id UNION ALL \
         SELECT a.id, t.id FROM asked a JOIN payment_credits c ON c.account_id = a.id \
         JOIN subscriptions t ON t.payment_id = c.payment_id AND t.workspace_id IS NOT NULL \
         JOIN workspace_members m ON m.workspace_id = t.workspace_id AND m.user_id = a.id AND m.is_deleted = FALSE\
         ) held JOIN subscriptions s ON s.id = held.seat JOIN pricing_plans p ON p.id = s.plan_id \
         WHERE s.ends_at > (SELECT MAX(asked.now) FROM asked) ORDER BY {OWN_FIRST}",
        asked.table()
    );
    let rows = asked.find::<_, UserQuotas>(db, sql).await?;
    let mut seen = BTreeSet::new();
    Ok(rows.into_iter().filter(|row| seen.insert(row.user_id)).map(|row| (row.user_id, row.quotas)).collect())
}

/// SQL subquery of the subscriptions that apply to the user `$1`: the user's own, and those of the
/// workspaces in which the user has a seat and is still a member.
pub(super) const SEATS: &str = "(SELECT id AS seat FROM subscriptions WHERE account_id = $1 UNION ALL \
    SELECT w.id FROM payment_credits c JOIN subscriptions w ON w.payment_id = c.payment_id AND w.workspace_id IS NOT NULL \
    JOIN workspace_members m ON m.workspace_id = w.workspace_id AND m.user_id = c.account_id AND m.is_deleted = FALSE \
    WHERE c.account_id = $1) held JOIN subscriptions s ON s.id = held.seat";
pub(super) const OWN_FIRST: &str = "CASE WHEN s.workspace_id IS NULL THEN 0 ELSE 1 END, s.ends_at DESC";
