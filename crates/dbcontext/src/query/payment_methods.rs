//! Saved payment methods, and setups, by which a payment method is saved without a payment.

use appcore::{AppError, PaymentMethodId, PaymentMethodSetupId, Timestamp, page::PageRequest};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait as _,
    QueryFilter, QueryOrder, QuerySelect as _, sea_query::OnConflict,
};
use uuid::Uuid;

use super::{page, raw};
use crate::{
    constraint::app_error,
    entity::{
        payment_method::{Column, Entity, Model},
        payment_method_setup,
    },
};

pub async fn by_id<C: ConnectionTrait>(db: &C, id: PaymentMethodId) -> Result<Option<Model>, AppError> {
    Entity::find_by_id(id).one(db).await.map_err(app_error)
}

pub async fn by_ids<C: ConnectionTrait>(db: &C, ids: Vec<PaymentMethodId>) -> Result<Vec<Model>, AppError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = Entity::find().filter(Column::Id.is_in(ids));
    query.all(db).await.map_err(app_error)
}

/// Lists an account's payment methods, newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    account_id: Uuid,
    page: PageRequest,
) -> Result<(Vec<Model>, u64), AppError> {
    let query = Entity::find().filter(Column::AccountId.eq(account_id));
    page::select(db, query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id), page).await
}

/// Newest payment method of an account at a gateway.
pub async fn newest<C: ConnectionTrait>(db: &C, account_id: Uuid, gateway: &str) -> Result<Option<Model>, AppError> {
    Entity::find()
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::Gateway.eq(gateway))
        .order_by_desc(Column::CreatedAt)
        .one(db)
        .await
        .map_err(app_error)
}

/// Inserts a payment method unless it already exists; returns the stored one.
pub async fn insert_or_find<C: ConnectionTrait>(txn: &C, row: Model) -> Result<Option<Model>, AppError> {
    let (gateway, reference, account) = (row.gateway.clone(), row.reference.clone(), row.account_id);
    let again = OnConflict::columns([Column::Gateway, Column::Reference, Column::AccountId]).do_nothing().to_owned();
    let done = Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(txn);
    done.await.map_err(app_error)?;
    Entity::find()
        .filter(Column::Gateway.eq(gateway))
        .filter(Column::Reference.eq(reference))
        .filter(Column::AccountId.eq(account))
        .one(txn)
        .await
        .map_err(app_error)
}

pub async fn remove<C: ConnectionTrait>(txn: &C, id: PaymentMethodId) -> Result<(), AppError> {
    Entity::delete_by_id(id).exec(txn).await.map_err(app_error)?;
    Ok(())
}

/// Default payment method of an account.
pub async fn default_of<C: ConnectionTrait>(db: &C, account_id: Uuid) -> Result<Option<Model>, AppError> {
    let query = Entity::find().filter(Column::AccountId.eq(account_id)).filter(Column::IsDefault.eq(true));
    query.order_by_desc(Column::CreatedAt).one(db).await.map_err(app_error)
}

/// Sets the default payment method of an account.
pub async fn make_default<C: ConnectionTrait>(txn: &C, account_id: Uuid, id: PaymentMethodId) -> Result<(), AppError> {
    let sql = "UPDATE payment_methods SET is_default = (id = $1) WHERE account_id = $2";
    let values = [id.into(), account_id.into()];
    raw::run(txn, sql, values).await
}

/// Returns the newest payment method of an account other than the given one.
pub async fn newest_except<C: ConnectionTrait>(
    db: &C,
    account_id: Uuid,
    id: PaymentMethodId,
) -> Result<Option<Model>, AppError> {
    let query = Entity::find().filter(Column::AccountId.eq(account_id)).filter(Column::Id.ne(id));
    query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).one(db).await.map_err(app_error)
}

pub async fn count<C: ConnectionTrait>(db: &C, account_id: Uuid) -> Result<u64, AppError> {
    Entity::find().filter(Column::AccountId.eq(account_id)).count(db).await.map_err(app_error)
}

pub async fn insert_setup<C: ConnectionTrait>(db: &C, row: payment_method_setup::Model) -> Result<(), AppError> {
    let row = row.into_active_model();
    payment_method_setup::Entity::insert(row).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

pub async fn setup<C: ConnectionTrait>(
    db: &C,
    id: PaymentMethodSetupId,
) -> Result<Option<payment_method_setup::Model>, AppError> {
    payment_method_setup::Entity::find_by_id(id).one(db).await.map_err(app_error)
}

/// [`setup`], locked until the transaction ends.
pub async fn lock_setup<C: ConnectionTrait>(
    txn: &C,
    id: PaymentMethodSetupId,
) -> Result<Option<payment_method_setup::Model>, AppError> {
    payment_method_setup::Entity::find_by_id(id).lock_exclusive().one(txn).await.map_err(app_error)
}

/// Writes back a setup that the caller has locked.
pub async fn store_setup<C: ConnectionTrait>(txn: &C, row: payment_method_setup::Model) -> Result<(), AppError> {
    let row = row.into_active_model().reset_all();
    payment_method_setup::Entity::update(row).exec(txn).await.map_err(app_error)?;
    Ok(())
}

/// Claims setups that are due for a poll of the gateway. Other workers skip these until `next`.
pub async fn claim_due_setups<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    next: Timestamp,
    most: u64,
) -> Result<Vec<PaymentMethodSetupId>, AppError> {
    let due = super::payments::claim(db, "payment_method_setups", "check_at", now, next, most).await?;
    Ok(due.into_iter().map(PaymentMethodSetupId).collect())
}
