//! Accounts with balance alerts and automatic top-ups.

use appcore::{AppError, Timestamp, UserId, WorkspaceId, credits::MicroCredits, view::WorkspaceRole};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect as _, Set,
    sea_query::{ExprTrait as _, OnConflict},
};
use uuid::Uuid;

use super::raw;
use crate::{
    constraint::app_error,
    entity::{
        credit_top_up::{Column, Entity, Model},
        ledger_account, ledger_entry,
    },
};

/// Lists accounts that are due for an examination and whose ids are greater than `after`.
pub async fn due_accounts<C: ConnectionTrait>(db: &C, after: Uuid, most: u64) -> Result<Vec<Uuid>, AppError> {
    use ledger_account::Column;
    let query = ledger_account::Entity::find().select_only().column(Column::Id);
    // A literal, as the condition of the partial index has it; with a parameter the index would not
    // be used.
    let is_due = Column::IsDue.into_expr().eq(super::literal(true));
    let query = query.filter(is_due).filter(Column::Id.into_expr().gt(after)).order_by_asc(Column::Id);
    query.limit(most).into_tuple().all(db).await.map_err(app_error)
}

/// Marks an account as due for an examination.
pub async fn mark_due<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<(), AppError> {
    let due = ledger_account::ActiveModel { is_due: Set(true), ..Default::default() };
    change(db, id, due).await
}

async fn change<C: ConnectionTrait>(db: &C, id: Uuid, changed: ledger_account::ActiveModel) -> Result<(), AppError> {
    let account = ledger_account::Entity::update_many().set(changed).filter(ledger_account::Column::Id.eq(id));
    account.exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Updates the alert columns of a locked account.
pub async fn update_alerts<C: ConnectionTrait>(txn: &C, row: &ledger_account::Model) -> Result<(), AppError> {
    let watched = ledger_account::ActiveModel {
        low_threshold: Set(row.low_threshold),
        is_low: Set(row.is_low),
        check_threshold: Set(row.check_threshold),
        is_due: Set(row.is_due),
        ..Default::default()
    };
    change(txn, row.id, watched).await
}

/// Amount of the last grant or purchase of an account.
pub async fn last_credit_amount<C: ConnectionTrait>(db: &C, account_id: Uuid) -> Result<MicroCredits, AppError> {
    use ledger_entry::Column;
    let query = ledger_entry::Entity::find()
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::Kind.is_in(["purchase", "grant"]))
        .order_by_desc(Column::Id);
    Ok(query.one(db).await.map_err(app_error)?.map_or(MicroCredits::ZERO, |row| row.amount))
}

/// Members of a workspace who may pay for it.
pub async fn payers<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<Vec<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Payer {
        user_id: UserId,
    }
    let sql = format!(
        "SELECT m.user_id FROM workspace_members m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = $1 \
         AND m.is_deleted = FALSE AND u.is_deleted = FALSE AND m.role IN ('{}', '{}') ORDER BY m.user_id",
        WorkspaceRole::Owner.as_str(),
        WorkspaceRole::Admin.as_str()
    );
    let rows = raw::find::<_, Payer>(db, sql, [id.into()]).await?;
    Ok(rows.into_iter().map(|row| row.user_id).collect())
}

/// Automatic top-up settings of an account.
pub async fn top_up<C: ConnectionTrait>(db: &C, account_id: Uuid) -> Result<Option<Model>, AppError> {
    Entity::find_by_id(account_id).one(db).await.map_err(app_error)
}

/// [`top_up`], locked until the transaction ends.
pub async fn lock_top_up<C: ConnectionTrait>(txn: &C, account_id: Uuid) -> Result<Option<Model>, AppError> {
    Entity::find_by_id(account_id).lock_exclusive().one(txn).await.map_err(app_error)
}

pub async fn put_top_up<C: ConnectionTrait>(txn: &C, row: Model) -> Result<(), AppError> {
    let all = [
        Column::WorkspaceId,
        Column::UserId,
        Column::PlanId,
        Column::MethodId,
        Column::Currency,
        Column::Threshold,
        Column::MonthlyLimit,
        Column::IsOn,
        Column::Stopped,
        Column::PaymentId,
        Column::CheckAt,
        Column::UpdatedAt,
    ];
    let again = OnConflict::column(Column::Id).update_columns(all).to_owned();
    let row = row.into_active_model().reset_all();
    Entity::insert(row).on_conflict(again).exec_without_returning(txn).await.map_err(app_error)?;
    Ok(())
}

pub async fn remove_top_up<C: ConnectionTrait>(txn: &C, account_id: Uuid) -> Result<(), AppError> {
    Entity::delete_by_id(account_id).exec(txn).await.map_err(app_error)?;
    Ok(())
}

/// Claims top-ups with a payment in progress that are due for a poll. Other workers skip these
/// until `next`.
pub async fn claim_top_ups<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    next: Timestamp,
    most: u64,
) -> Result<Vec<Uuid>, AppError> {
    super::payments::claim(db, "credit_top_ups", "check_at", now, next, most).await
}

/// Returns the amount of automatic purchases, in the currency of the settings, since `since`.
/// Pending purchases are included.
pub async fn topped_up_since<C: ConnectionTrait>(db: &C, row: &Model, since: Timestamp) -> Result<i64, AppError> {
    #[derive(FromQueryResult)]
    struct Sum {
        amount: i64,
    }
    let whose = if row.workspace_id.is_some() { "workspace_id = $1" } else { "user_id = $1 AND workspace_id IS NULL" };
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS amount FROM payments WHERE {whose} AND created_at >= $2 \
         AND currency = $3 AND purpose = 'top_up' AND stage NOT IN ('failed', 'expired')"
    );
    let values = [row.id.into(), since.0.into(), row.currency.as_str().into()];
    Ok(raw::find_one::<_, Sum>(db, sql, values).await?.map_or(0, |sum| sum.amount))
}
