//! Giving money back.
//!
//! A refund is a row before the gateway hears of it: under the payment's lock it is checked that all refunds together are no more than was paid,
//! and the credits are taken back. Then the gateway is asked, with the refund's id as its key, as often as it takes until it has answered.

use ::payment::{GatewayError, RefundState, Stage};
use appcore::{AppError, Code, auth::Principal, credits::MicroCredits, view::Payment};
use dbcontext::{constraint::app_error, entity::payment_refund, query::payments as rows};
use uuid::Uuid;

use super::{
    apply,
    claims::{Claim, Claims},
    reconcile, stage, view,
};
use crate::{
    App, accounts,
    audit::{self, Action, Entry},
};

/// Gives back a part of what was paid, or all that is left of it. With a fresh sign-in.
pub async fn refund(
    app: &App,
    by: &Principal,
    payment_id: Uuid,
    amount: Option<i64>,
    reason: String,
) -> Result<Payment, AppError> {
    accounts::require_fresh(app, by).await?;
    let now = app.clock.now();
    let tx = app.db.begin().await.map_err(app_error)?;
    let row = rows::lock(&tx, payment_id).await?.ok_or(Code::NotFound)?;
    if stage(&row)? != Stage::Paid {
        return Err(AppError::refused(Code::WrongState, "Only what was paid can be refunded."));
    }
    let mut claims = Claims::read(&tx, row.id).await?;
    let left = row.amount - claims.claimed();
    if left <= 0 && claims.is_disputed() {
        return Err(AppError::refused(
            Code::WrongState,
            "The payer has disputed this payment. Until that is decided there is nothing to refund.",
        ));
    }
    let amount = amount.unwrap_or(left);
    if amount <= 0 || amount > left {
        return Err(AppError::field("amount", "invalid", "This must be more than nothing, and no more than is left."));
    }
    let id = Uuid::now_v7();
    let refund = payment_refund::Model {
        id,
        payment_id: row.id,
        reference: None,
        amount,
        credits: MicroCredits::ZERO,
        state: RefundState::Pending.as_str().to_owned(),
        reason,
        by_user: Some(by.user_id),
        created_at: now,
        check_at: Some(now.plus(app.config.payment.reconcile_after)),
        note_year: None,
        note_number: None,
        done_at: None,
    };
    claims.refunds.push(refund.clone());
    let credits = claims.take(&tx, &row, Claim::Refund(id), now).await?;
    rows::put_refund(&tx, payment_refund::Model { credits, ..refund }).await?;
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
    let mut claims = Claims::read(&tx, row.id).await?;
    // The gateway may have told of it meanwhile.
    if let Some(refund) = claims.refunds.iter_mut().find(|refund| refund.id == id)
        && refund.reference.is_none()
    {
        refund.reference = reference;
    }
    apply::set_refund(app, &tx, &mut row, &mut claims, id, state, now).await?;
    rows::store(&tx, row.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    apply::tell(app, &before, &row);
    Ok(())
}
