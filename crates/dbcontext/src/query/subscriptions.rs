//! Subscriptions, seats and trials.

use std::collections::HashMap;

use appcore::{AppError, PlanId, Timestamp, UserId, WorkspaceId, page::PageRequest, view::WorkspaceRole};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect as _, Set, sea_query::OnConflict,
};
use uuid::Uuid;

use super::{page, raw, rows::Rows, single};
use crate::{
    constraint::app_error,
    entity::{
        billing_details, payment, payment_credit,
        subscription::{Column, Entity, Model},
        subscription_trial,
    },
};

/// Returns the subscription of a user or workspace.
pub async fn by_account<C: ConnectionTrait>(db: &C, account_id: Uuid) -> Result<Option<Model>, AppError> {
    Entity::find().filter(Column::AccountId.eq(account_id)).one(db).await.map_err(app_error)
}

/// [`of`], locked until the transaction ends.
pub async fn lock_of<C: ConnectionTrait>(txn: &C, account_id: Uuid) -> Result<Option<Model>, AppError> {
    Entity::find().filter(Column::AccountId.eq(account_id)).lock_exclusive().one(txn).await.map_err(app_error)
}

pub async fn by_id<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<Option<Model>, AppError> {
    Entity::find_by_id(id).one(db).await.map_err(app_error)
}

pub async fn lock<C: ConnectionTrait>(txn: &C, id: Uuid) -> Result<Option<Model>, AppError> {
    Entity::find_by_id(id).lock_exclusive().one(txn).await.map_err(app_error)
}

/// Inserts a subscription; returns `false` if the account already has one.
pub async fn insert<C: ConnectionTrait>(txn: &C, row: Model) -> Result<bool, AppError> {
    let again = OnConflict::column(Column::AccountId).do_nothing().to_owned();
    let done = Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(txn);
    Ok(done.await.map_err(app_error)? > 0)
}

/// Writes back a subscription that the caller has locked.
pub async fn store<C: ConnectionTrait>(txn: &C, row: Model) -> Result<(), AppError> {
    Entity::update(row.into_active_model().reset_all()).exec(txn).await.map_err(app_error)?;
    Ok(())
}

/// Lists all subscriptions, most recently changed first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    states: &[&str],
    page: PageRequest,
) -> Result<(Vec<Model>, u64), AppError> {
    let mut query = Entity::find().order_by_desc(Column::UpdatedAt).order_by_desc(Column::Id);
    if !states.is_empty() {
        query = query.filter(Column::State.is_in(states.iter().copied()));
    }
    page::select(db, query, page).await
}

/// Claims subscriptions that are due for processing. Other workers skip these until `next`.
pub async fn claim_due<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    next: Timestamp,
    most: u64,
) -> Result<Vec<Uuid>, AppError> {
    super::payments::claim(db, "subscriptions", "due_at", now, next, most).await
}

/// Finds the pending payment by which the payer pays for the next period.
pub async fn open_payment<C: ConnectionTrait>(
    db: &C,
    id: Uuid,
    now: Timestamp,
) -> Result<Option<payment::Model>, AppError> {
    use payment::Column;
    payment::Entity::find()
        .filter(Column::SubscriptionId.eq(id))
        .filter(Column::Purpose.ne("renewal"))
        .filter(Column::Stage.is_in(["created", "pending"]))
        .filter(Column::ExpiresAt.gt(now))
        .order_by_desc(Column::ExpiresAt)
        .one(db)
        .await
        .map_err(app_error)
}

/// Finds the automatic payment of a period.
pub async fn renewal<C: ConnectionTrait>(db: &C, id: Uuid, period: i64) -> Result<Option<payment::Model>, AppError> {
    use payment::Column;
    payment::Entity::find()
        .filter(Column::SubscriptionId.eq(id))
        .filter(Column::Period.eq(period))
        .filter(Column::Purpose.eq("renewal"))
        .one(db)
        .await
        .map_err(app_error)
}

/// Lists the paid payments of a subscription, in the order in which they were paid.
pub async fn paid<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<Vec<payment::Model>, AppError> {
    use payment::Column;
    payment::Entity::find()
        .filter(Column::SubscriptionId.eq(id))
        .filter(Column::Stage.eq("paid"))
        .order_by_asc(Column::PaidAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await
        .map_err(app_error)
}

/// Returns the members of a workspace who occupy a seat, in the order in which they joined.
pub async fn seated<C: ConnectionTrait>(db: &C, id: WorkspaceId, most: i64) -> Result<Vec<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Seated {
        user_id: UserId,
    }
    let sql = format!(
        "SELECT m.user_id FROM workspace_members m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = $1 \
         AND m.is_deleted = FALSE AND u.is_deleted = FALSE AND m.role <> '{}' ORDER BY m.created_at, m.user_id LIMIT $2",
        WorkspaceRole::Guest.as_str()
    );
    let rows = raw::find::<_, Seated>(db, sql, [id.into(), most.into()]).await?;
    Ok(rows.into_iter().map(|row| row.user_id).collect())
}

/// Member without a seat, and the workspace's subscription that has a free seat.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct Unseated {
    pub id: Uuid,
    pub user_id: UserId,
    /// Time at which the member joined.
    pub since: Timestamp,
}

/// Lists members without a seat for whom a seat is free, after the cursor `after`. The order is by
/// time of joining, user and subscription; the subscription is needed because a user may have
/// joined two workspaces at the same time.
pub async fn unseated<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    after: (Timestamp, UserId, Uuid),
    most: u64,
) -> Result<Vec<Unseated>, AppError> {
    let sql = format!(
        "SELECT s.id, m.user_id, m.created_at AS since FROM subscriptions s JOIN workspace_members m ON m.workspace_id = s.workspace_id \
         JOIN users u ON u.id = m.user_id WHERE s.workspace_id IS NOT NULL AND s.payment_id IS NOT NULL AND s.period_end > $1 \
         AND s.state <> 'ended' AND m.is_deleted = FALSE AND u.is_deleted = FALSE AND m.role <> '{}' \
         AND NOT EXISTS (SELECT 1 FROM payment_credits c WHERE c.payment_id = s.payment_id AND c.account_id = m.user_id) \
         AND (SELECT COUNT(*) FROM payment_credits c WHERE c.payment_id = s.payment_id) < s.seats \
         AND (m.created_at, m.user_id, s.id) > ($2, $3, $4) ORDER BY m.created_at, m.user_id, s.id LIMIT $5",
        WorkspaceRole::Guest.as_str()
    );
    let (since, user_id, id) = after;
    let values = [now.0.into(), since.0.into(), user_id.into(), id.into(), raw::limit(most)];
    raw::find::<_, Unseated>(db, sql, values).await
}

/// Returns the credits that a payment has granted to each account.
pub async fn credits_of<C: ConnectionTrait>(db: &C, payment_id: Uuid) -> Result<Vec<payment_credit::Model>, AppError> {
    let query = payment_credit::Entity::find().filter(payment_credit::Column::PaymentId.eq(payment_id));
    query.order_by_asc(payment_credit::Column::AccountId).all(db).await.map_err(app_error)
}

/// Returns the number of accounts that received credits from each of these payments. Payments
/// without such accounts are left out.
pub async fn seats_taken<C: ConnectionTrait>(db: &C, payments: &[Uuid]) -> Result<HashMap<Uuid, i64>, AppError> {
    #[derive(FromQueryResult)]
    struct PaidSeats {
        payment_id: Uuid,
        seats: i64,
    }
    if payments.is_empty() {
        return Ok(HashMap::new());
    }
    let asked = Rows::ids(db.get_database_backend(), payments.iter().copied());
    let sql = format!(
        "SELECT c.payment_id, COUNT(*) AS seats FROM {} JOIN payment_credits c ON c.payment_id = w.id GROUP BY c.payment_id",
        asked.table()
    );
    let found = asked.find::<_, PaidSeats>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.payment_id, row.seats)).collect())
}

/// Inserts or updates the credits per account of a payment.
pub async fn upsert_credits<C: ConnectionTrait>(txn: &C, rows: Vec<payment_credit::Model>) -> Result<(), AppError> {
    for part in rows.chunks(200) {
        let rows = part.iter().cloned().map(IntoActiveModel::into_active_model);
        payment_credit::Entity::insert_many(rows).exec_without_returning(txn).await.map_err(app_error)?;
    }
    Ok(())
}

/// Records a trial of an account or of an email address; returns `false` if it had a trial before.
pub async fn record_trial<C: ConnectionTrait>(
    txn: &C,
    account_id: Uuid,
    plan_id: PlanId,
    now: Timestamp,
) -> Result<bool, AppError> {
    let row =
        subscription_trial::ActiveModel { account_id: Set(account_id), plan_id: Set(plan_id), created_at: Set(now) };
    single::insert_if_absent(txn, row).await
}

/// Returns the billing details of an account, as JSON.
pub async fn billing_details<C: ConnectionTrait>(db: &C, account_id: Uuid) -> Result<Option<String>, AppError> {
    let found = billing_details::Entity::find_by_id(account_id).one(db).await.map_err(app_error)?;
    Ok(found.map(|row| row.details))
}

pub async fn upsert_billing_details<C: ConnectionTrait>(
    db: &C,
    account_id: Uuid,
    details: &str,
    now: Timestamp,
) -> Result<(), AppError> {
    let row = billing_details::ActiveModel {
        account_id: Set(account_id),
        details: Set(details.to_owned()),
        updated_at: Set(now),
    };
    let changed = [billing_details::Column::Details, billing_details::Column::UpdatedAt];
    single::upsert(db, row, [billing_details::Column::AccountId], changed).await
}
