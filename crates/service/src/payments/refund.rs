//! Giving money back.
//!
//! A refund is a row before the gateway hears of it: under the payment's lock it is checked that all refunds together are no more than was paid,
//! and the credits are taken back. Then the gateway is asked, with the refund's id as its key, as often as it takes until it has answered.

use ::payment::{GatewayError, RefundState, Stage};
use appcore::{AppError, Code, auth::Principal, view::Payment};
use dbcontext::{constraint::app_error, entity::payment_refund, query::payments as rows};
use uuid::Uuid;

use super::{apply, reconcile, stage, view};
use crate::{
    App,
    audit::{self, Action, Entry},
    ledger::Source,
};

/// Gives back a part of what was paid, or all that is left of it.
pub async fn refund(
    app: &App,
    by: &Principal,
    payment_id: Uuid,
    amount: Option<i64>,
    reason: String,
) -> Result<Payment, AppError> {
    let now = app.clock.now();
    let tx = app.db.begin().await.map_err(app_error)?;
    let row = rows::lock(&tx, payment_id).await?.ok_or(Code::NotFound)?;
    if stage(&row)? != Stage::Paid {
        return Err(AppError::refused(Code::WrongState, "Only what was paid can be refunded."));
    }
    let refunds = rows::refunds(&tx, row.id).await?;
    let left = row.amount - refunds.iter().filter(|one| apply::counts(one)).map(|one| one.amount).sum::<i64>();
    let amount = amount.unwrap_or(left);
    if amount <= 0 || amount > left {
        return Err(AppError::field("amount", "invalid", "This must be more than nothing, and no more than is left."));
    }
    let id = Uuid::now_v7();
    let credits = apply::take_credits(&tx, &row, amount, &Source::new("refund", id), "refund", now).await?;
    let refund = payment_refund::Model {
        id,
        payment_id: row.id,
        reference: None,
        amount,
        credits,
        state: RefundState::Pending.as_str().to_owned(),
        reason,
        by_user: Some(by.user_id),
        created_at: now,
        check_at: Some(now.plus(app.config.payment.reconcile_after)),
    };
    rows::put_refund(&tx, refund).await?;
    audit::record(&tx, Entry::by(by, Action::PaymentRefunded, Some(payment_id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    complete(app, id).await?;
    let row = rows::by_id(app.db.writer(), payment_id).await?.ok_or(Code::NotFound)?;
    view(app, row).await
}

/// Asks the gateway for a refund that is under way. Asked again, it is the same one. A gateway that is away is asked again later.
pub(super) async fn complete(app: &App, id: Uuid) -> Result<(), AppError> {
    let Some(refund) = rows::refund(app.db.writer(), id).await? else { return Ok(()) };
    let row = rows::by_id(app.db.writer(), refund.payment_id).await?.ok_or(Code::NotFound)?;
    let done = reconcile::give_back(app, &row, id, refund.amount).await;
    let (reference, state) = match done {
        Ok(done) => (Some(done.reference), done.state),
        Err(GatewayError::Refused(reason)) => {
            tracing::error!(reason, refund = %id, "a refund is refused: the credits are given back");
            (None, RefundState::Failed)
        }
        Err(error @ GatewayError::Away(_)) => {
            tracing::warn!(%error, refund = %id, "a refund is not certain yet: it is asked for again");
            return Ok(());
        }
    };
    let now = app.clock.now();
    let tx = app.db.begin().await.map_err(app_error)?;
    let mut row = rows::lock(&tx, row.id).await?.ok_or(Code::NotFound)?;
    let before = row.clone();
    let mut refunds = rows::refunds(&tx, row.id).await?;
    // The gateway may have told of it meanwhile.
    if let Some(refund) = refunds.iter_mut().find(|refund| refund.id == id) {
        if refund.reference.is_none() {
            refund.reference = reference;
        }
        apply::set_refund(&tx, &row, refund, state, now).await?;
    }
    apply::recount(&mut row, &refunds)?;
    rows::store(&tx, row.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    apply::tell(app, &before, &row);
    Ok(())
}
