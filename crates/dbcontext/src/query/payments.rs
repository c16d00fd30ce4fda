//! Payments, gateway events, refunds and disputes.

use appcore::{AppError, PaymentRefundId, Timestamp, UserId, WorkspaceId, page::PageRequest, view::PaymentStatus};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect as _, QueryTrait as _, Set, sea_query::OnConflict,
};
use uuid::Uuid;

use super::{page, raw, single};
use crate::{
    constraint::app_error,
    entity::{
        payment::{Column, Entity, Model},
        payment_dispute, payment_event, payment_refund, payment_toggle,
    },
};

/// Inserts a payment; returns `false` if the payer already has one with this idempotency key.
pub async fn insert<C: ConnectionTrait>(db: &C, row: Model) -> Result<bool, AppError> {
    let again = OnConflict::columns([Column::UserId, Column::IdempotencyKey]).do_nothing().to_owned();
    let done = Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(db);
    Ok(done.await.map_err(app_error)? > 0)
}

pub async fn by_key<C: ConnectionTrait>(db: &C, user_id: UserId, key: &str) -> Result<Option<Model>, AppError> {
    let query = Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::IdempotencyKey.eq(key));
    query.one(db).await.map_err(app_error)
}

pub async fn by_id<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<Option<Model>, AppError> {
    Entity::find_by_id(id).one(db).await.map_err(app_error)
}

pub async fn by_reference<C: ConnectionTrait>(
    db: &C,
    gateway: &str,
    reference: &str,
) -> Result<Option<Model>, AppError> {
    let query = Entity::find().filter(Column::Gateway.eq(gateway)).filter(Column::Reference.eq(reference));
    query.one(db).await.map_err(app_error)
}

pub async fn by_charge<C: ConnectionTrait>(db: &C, gateway: &str, charge: &str) -> Result<Option<Model>, AppError> {
    let query = Entity::find().filter(Column::Gateway.eq(gateway)).filter(Column::Charge.eq(charge));
    query.one(db).await.map_err(app_error)
}

/// Locks a payment until the transaction ends.
pub async fn lock<C: ConnectionTrait>(txn: &C, id: Uuid) -> Result<Option<Model>, AppError> {
    Entity::find_by_id(id).lock_exclusive().one(txn).await.map_err(app_error)
}

/// Writes back a payment that the caller has locked.
pub async fn store<C: ConnectionTrait>(txn: &C, row: Model) -> Result<(), AppError> {
    Entity::update(row.into_active_model().reset_all()).exec(txn).await.map_err(app_error)?;
    Ok(())
}

/// Filter of payments; fields that are not set match all payments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    pub user_id: Option<UserId>,
    pub workspace_id: Option<WorkspaceId>,
    pub status: Option<PaymentStatus>,
    pub gateway: Option<&'a str>,
    /// If true, selects only payments with an unfinished refund that is no longer polled.
    pub is_refund_stuck: bool,
}

/// Lists payments, newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    filter: Filter<'_>,
    page: PageRequest,
) -> Result<(Vec<Model>, u64), AppError> {
    let mut query = Entity::find().order_by_desc(Column::CreatedAt).order_by_desc(Column::Id);
    if let Some(user_id) = filter.user_id {
        query = query.filter(Column::UserId.eq(user_id));
    }
    if let Some(workspace_id) = filter.workspace_id {
        query = query.filter(Column::WorkspaceId.eq(workspace_id));
    }
    if let Some(status) = filter.status {
        query = query.filter(Column::Status.eq(status));
    }
    if let Some(gateway) = filter.gateway {
        query = query.filter(Column::Gateway.eq(gateway));
    }
    if filter.is_refund_stuck {
        use payment_refund::Column as Refund;
        let stuck = payment_refund::Entity::find().select_only().column(Refund::PaymentId);
        let stuck = stuck.filter(Refund::State.eq("pending")).filter(Refund::CheckAt.is_null());
        query = query.filter(Column::Id.in_subquery(stuck.into_query()));
    }
    page::select(db, query, page).await
}

/// Claims payments that are due for a poll of the gateway. Other workers skip these until `next`.
pub async fn claim_due<C: ConnectionTrait>(
    db: &C,
    gateway: &str,
    now: Timestamp,
    next: Timestamp,
    most: u64,
) -> Result<Vec<Uuid>, AppError> {
    let sql = "UPDATE payments SET check_at = $1 WHERE id IN (SELECT id FROM payments WHERE gateway = $2 AND check_at IS NOT NULL \
               AND check_at <= $3 ORDER BY check_at LIMIT $4) AND check_at <= $5 RETURNING id";
    claim_of(db, sql, gateway, now, next, most).await
}

/// [`claim_due`] for refunds.
pub async fn claim_due_refunds<C: ConnectionTrait>(
    db: &C,
    gateway: &str,
    now: Timestamp,
    next: Timestamp,
    most: u64,
) -> Result<Vec<PaymentRefundId>, AppError> {
    let sql = "UPDATE payment_refunds SET check_at = $1 WHERE id IN (SELECT r.id FROM payment_refunds r \
               JOIN payments p ON p.id = r.payment_id WHERE p.gateway = $2 AND r.check_at IS NOT NULL AND r.check_at <= $3 \
               ORDER BY r.check_at LIMIT $4) AND check_at <= $5 RETURNING id";
    Ok(claim_of(db, sql, gateway, now, next, most).await?.into_iter().map(PaymentRefundId).collect())
}

async fn claim_of<C: ConnectionTrait>(
    db: &C,
    sql: &str,
    gateway: &str,
    now: Timestamp,
    next: Timestamp,
    most: u64,
) -> Result<Vec<Uuid>, AppError> {
    let values = [next.0.into(), gateway.into(), now.0.into(), raw::limit(most), now.0.into()];
    ids(db, sql, values).await
}

async fn ids<C: ConnectionTrait, const N: usize>(
    db: &C,
    sql: &str,
    values: [sea_orm::Value; N],
) -> Result<Vec<Uuid>, AppError> {
    #[derive(FromQueryResult)]
    struct Claimed {
        id: Uuid,
    }
    Ok(raw::find::<_, Claimed>(db, sql, values).await?.into_iter().map(|row| row.id).collect())
}

pub(super) async fn claim<C: ConnectionTrait>(
    db: &C,
    table: &'static str,
    column: &'static str,
    now: Timestamp,
    next: Timestamp,
    most: u64,
) -> Result<Vec<Uuid>, AppError> {
    let sql = format!(
        "UPDATE {table} SET {column} = $1 WHERE id IN (SELECT id FROM {table} WHERE {column} IS NOT NULL AND {column} <= $2 \
         ORDER BY {column} LIMIT $3) AND {column} <= $4 RETURNING id"
    );
    let values = [next.0.into(), now.0.into(), raw::limit(most), now.0.into()];
    ids(db, &sql, values).await
}

/// Increments and returns the receipt number of a year.
pub async fn next_receipt<C: ConnectionTrait>(txn: &C, year: i64) -> Result<i64, AppError> {
    #[derive(FromQueryResult)]
    struct ReceiptNumber {
        last: i64,
    }
    let sql = "INSERT INTO receipt_years (year, last) VALUES ($1, 1) \
               ON CONFLICT (year) DO UPDATE SET last = receipt_years.last + 1 RETURNING last";
    let row = raw::find_one::<_, ReceiptNumber>(txn, sql, [year.into()]).await?;
    Ok(row.map_or(1, |row| row.last))
}

/// Inserts an event; returns `false` if it was received before.
pub async fn insert_event<C: ConnectionTrait>(txn: &C, row: payment_event::Model) -> Result<bool, AppError> {
    use payment_event::Column;
    let again = OnConflict::columns([Column::Gateway, Column::EventId]).do_nothing().to_owned();
    let done = payment_event::Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(txn);
    Ok(done.await.map_err(app_error)? > 0)
}

/// Records the outcome of an event.
pub async fn mark_event<C: ConnectionTrait>(
    txn: &C,
    gateway: &str,
    event_id: &str,
    payment_id: Option<Uuid>,
    awaited_subject: Option<&str>,
    applied_at: Option<Timestamp>,
) -> Result<(), AppError> {
    let sql = "UPDATE payment_events SET payment_id = $1, awaited_subject = $2, charge = $3, applied_at = $4 \
               WHERE gateway = $5 AND event_id = $6";
    let charge = awaited_subject.filter(|_| applied_at.is_none()).and_then(|what| what.strip_prefix("charge:"));
    let values = [
        payment_id.into(),
        awaited_subject.map(str::to_owned).into(),
        charge.map(str::to_owned).into(),
        applied_at.map(|at| at.0).into(),
        gateway.into(),
        event_id.into(),
    ];
    raw::run(txn, sql, values).await
}

/// Lists the gateway's events about a payment, oldest first.
pub async fn events_of<C: ConnectionTrait>(
    db: &C,
    payment_id: Uuid,
    most: u64,
) -> Result<Vec<payment_event::Model>, AppError> {
    use payment_event::Column;
    let query = payment_event::Entity::find().filter(Column::PaymentId.eq(payment_id));
    query.order_by_asc(Column::VerifiedAt).limit(most).all(db).await.map_err(app_error)
}

/// Lists the events that wait for one of these subjects, oldest first.
pub async fn waiting_events<C: ConnectionTrait>(
    txn: &C,
    gateway: &str,
    awaited_subject: Vec<String>,
) -> Result<Vec<payment_event::Model>, AppError> {
    use payment_event::Column;
    payment_event::Entity::find()
        .filter(Column::Gateway.eq(gateway))
        .filter(Column::AwaitedSubject.is_in(awaited_subject))
        .filter(Column::AppliedAt.is_null())
        .order_by_asc(Column::VerifiedAt)
        .all(txn)
        .await
        .map_err(app_error)
}

/// Lists payments with ids greater than `after` for which an event still waits although its subject
/// exists by now.
pub async fn unblocked<C: ConnectionTrait>(db: &C, after: Uuid, most: u64) -> Result<Vec<Uuid>, AppError> {
    // Starts with the waiting events, which are few; going through the payments in order would read
    // all of them.
    let sql = "WITH awaited AS MATERIALIZED (SELECT DISTINCT p.id FROM payment_events e \
                 JOIN payments p ON p.gateway = e.gateway AND p.charge = e.charge AND p.stage = 'paid' \
                 WHERE e.applied_at IS NULL AND e.charge IS NOT NULL) \
               SELECT id FROM awaited WHERE id > $1 ORDER BY id LIMIT $2";
    ids(db, sql, [after.into(), raw::limit(most)]).await
}

/// Discards events that have waited since before `before` for a charge that belongs to no payment,
/// and clears their content. Returns their number.
pub async fn discard_foreign<C: ConnectionTrait>(db: &C, now: Timestamp, before: Timestamp) -> Result<u64, AppError> {
    let sql = "UPDATE payment_events SET applied_at = $1, charge = NULL, raw = '' WHERE applied_at IS NULL AND charge IS NOT NULL \
               AND verified_at <= $2 AND NOT EXISTS (SELECT 1 FROM payments p \
               WHERE p.gateway = payment_events.gateway AND p.charge = payment_events.charge)";
    let values = [now.0.into(), before.0.into()];
    raw::execute(db, sql, values).await
}

/// Deletes at most `most` events received before `before`.
pub async fn remove_events<C: ConnectionTrait>(db: &C, before: Timestamp, most: u64) -> Result<(), AppError> {
    let sql = "DELETE FROM payment_events WHERE (gateway, event_id) IN \
               (SELECT gateway, event_id FROM payment_events WHERE verified_at <= $1 ORDER BY verified_at LIMIT $2)";
    let values = [before.0.into(), raw::limit(most)];
    raw::run(db, sql, values).await
}

pub async fn refunds<C: ConnectionTrait>(db: &C, payment_id: Uuid) -> Result<Vec<payment_refund::Model>, AppError> {
    payment_refund::Entity::find()
        .filter(payment_refund::Column::PaymentId.eq(payment_id))
        .order_by_asc(payment_refund::Column::Id)
        .all(db)
        .await
        .map_err(app_error)
}

/// Lists the completed refunds of these payments.
pub async fn refunds_done<C: ConnectionTrait>(
    db: &C,
    payments: Vec<Uuid>,
) -> Result<Vec<payment_refund::Model>, AppError> {
    use payment_refund::Column;
    if payments.is_empty() {
        return Ok(Vec::new());
    }
    let query = payment_refund::Entity::find().filter(Column::PaymentId.is_in(payments));
    query.filter(Column::State.eq("done")).order_by_asc(Column::Id).all(db).await.map_err(app_error)
}

pub async fn refund<C: ConnectionTrait>(
    db: &C,
    id: PaymentRefundId,
) -> Result<Option<payment_refund::Model>, AppError> {
    payment_refund::Entity::find_by_id(id).one(db).await.map_err(app_error)
}

/// Inserts or updates a refund.
pub async fn put_refund<C: ConnectionTrait>(txn: &C, row: payment_refund::Model) -> Result<(), AppError> {
    use payment_refund::Column;
    let again = OnConflict::column(Column::Id)
        .update_columns([
            Column::Reference,
            Column::Credits,
            Column::State,
            Column::CheckAt,
            Column::Attempts,
            Column::UnknownSince,
            Column::LastAnswer,
            Column::ReportedAt,
            Column::Reversals,
            Column::CreditNoteYear,
            Column::CreditNoteNumber,
            Column::RefundedAt,
        ])
        .to_owned();
    let done = payment_refund::Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(txn);
    done.await.map_err(app_error)?;
    Ok(())
}

pub async fn disputes<C: ConnectionTrait>(db: &C, payment_id: Uuid) -> Result<Vec<payment_dispute::Model>, AppError> {
    let query = payment_dispute::Entity::find().filter(payment_dispute::Column::PaymentId.eq(payment_id));
    query.all(db).await.map_err(app_error)
}

/// Inserts or updates a dispute.
pub async fn put_dispute<C: ConnectionTrait>(txn: &C, row: payment_dispute::Model) -> Result<(), AppError> {
    use payment_dispute::Column;
    let again = OnConflict::columns([Column::PaymentId, Column::Reference])
        .update_columns([Column::Credits, Column::State, Column::ReportedAmount, Column::ReportedCurrency])
        .to_owned();
    let done = payment_dispute::Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(txn);
    done.await.map_err(app_error)?;
    Ok(())
}

/// Health of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct GatewayHealth {
    pub last_event_at: Option<Timestamp>,
    pub last_paid_at: Option<Timestamp>,
    /// Number of payments that have been pending for long.
    pub waiting: i64,
    /// Number of refunds without a response from the gateway.
    pub refunds_waiting: i64,
    /// Number of unfinished refunds that are no longer polled.
    pub refunds_stuck: i64,
}

/// Returns the health of a gateway. A payment counts as waiting if it was created before `before`
/// and is still polled.
pub async fn gateway_health<C: ConnectionTrait>(
    db: &C,
    gateway: &str,
    before: Timestamp,
) -> Result<GatewayHealth, AppError> {
    let sql = "SELECT (SELECT MAX(verified_at) FROM payment_events WHERE gateway = $1) AS last_event_at, \
               (SELECT MAX(paid_at) FROM payments WHERE gateway = $2 AND paid_at IS NOT NULL) AS last_paid_at, \
               (SELECT COUNT(*) FROM payments WHERE check_at IS NOT NULL AND gateway = $3 AND created_at < $4) AS waiting, \
               (SELECT COUNT(*) FROM payment_refunds r JOIN payments p ON p.id = r.payment_id \
               WHERE r.check_at IS NOT NULL AND p.gateway = $5) AS refunds_waiting, \
               (SELECT COUNT(*) FROM payment_refunds r JOIN payments p ON p.id = r.payment_id \
               WHERE r.state = 'pending' AND r.check_at IS NULL AND p.gateway = $6) AS refunds_stuck";
    let values = [gateway.into(), gateway.into(), gateway.into(), before.0.into(), gateway.into(), gateway.into()];
    let heard = raw::find_one::<_, GatewayHealth>(db, sql, values).await?;
    Ok(heard.unwrap_or(GatewayHealth {
        last_event_at: None,
        last_paid_at: None,
        waiting: 0,
        refunds_waiting: 0,
        refunds_stuck: 0,
    }))
}

/// Returns the gateways that an administrator has switched on (`true`) or off (`false`).
pub async fn toggles<C: ConnectionTrait>(db: &C) -> Result<Vec<(String, bool)>, AppError> {
    let rows = payment_toggle::Entity::find().all(db).await.map_err(app_error)?;
    Ok(rows.into_iter().map(|row| (row.gateway, row.enabled)).collect())
}

pub async fn set_toggle<C: ConnectionTrait>(db: &C, gateway: &str, enabled: bool) -> Result<(), AppError> {
    let row = payment_toggle::ActiveModel { gateway: Set(gateway.to_owned()), enabled: Set(enabled) };
    single::upsert(db, row, [payment_toggle::Column::Gateway], [payment_toggle::Column::Enabled]).await
}
