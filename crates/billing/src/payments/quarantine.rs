//! Release of quarantined payments by administrators.

use ::payment::{Currency, DisputeState, PaymentWebhookEvent, RefundState, Stage};
use appcore::{
    AppError, Code,
    credits::MicroCredits,
    view::{AdminPaymentDetails, Payment, PaymentDispute, PaymentEvent, PaymentRefund, Price, ReleaseAs},
};
use dbcontext::{
    constraint::app_error,
    entity::payment,
    query::{payments as rows, plans as plan_rows},
};
use identity::accounts::Confirmed;
use platform::audit::{self, Action, NewAuditEntry};
use uuid::Uuid;

use super::{admin_views, apply, reconciler, refund, reversals::Reversals, stage, subscriptions::wrong_state, view};
use crate::BillingService;

/// Maximum number of events, refunds and disputes shown per payment.
const MAX_SHOWN: u64 = 200;

/// Reads a payment with its events, refunds and disputes.
pub async fn details(service: &BillingService, id: Uuid) -> Result<AdminPaymentDetails, AppError> {
    let db = service.db.reader();
    let row = rows::by_id(db, id).await?.ok_or(Code::NotFound)?;
    let events = rows::events_of(db, id, MAX_SHOWN).await?.into_iter().map(|event| {
        // An unreadable event was skipped and logged.
        let notice = serde_json::from_str::<PaymentWebhookEvent>(&event.notice).ok();
        let money = notice.as_ref().and_then(|notice| notice.news.money());
        PaymentEvent {
            id: event.event_id,
            kind: event.kind,
            money: money.map(|money| Price { currency: money.currency.code().to_owned(), amount: money.amount }),
            is_ours: notice.is_none_or(|notice| notice.is_ours),
            received_at: event.verified_at,
            applied_at: event.applied_at,
        }
    });
    let refunds = rows::refunds(db, id).await?.into_iter().take(MAX_SHOWN as usize).map(|refund| {
        Ok(PaymentRefund {
            id: refund.id.0,
            amount: refund.amount,
            state: refund.state.parse::<RefundState>().map_err(AppError::internal)?.as_str().to_owned(),
            is_stuck: refund::is_stuck(&refund),
            reason: refund.reason,
            created_at: refund.created_at,
            tries: refund.attempts,
            last_answer: refund.last_answer,
            next_try_at: refund.check_at,
        })
    });
    let disputes = rows::disputes(db, id).await?.into_iter().take(MAX_SHOWN as usize).map(|dispute| {
        Ok(PaymentDispute {
            reference: dispute.reference,
            amount: dispute.amount,
            reported: dispute
                .reported_amount
                .zip(dispute.reported_currency)
                .map(|(amount, currency)| Price { currency, amount }),
            state: dispute.state.parse::<DisputeState>().map_err(AppError::internal)?.as_str().to_owned(),
            created_at: dispute.created_at,
        })
    });
    Ok(AdminPaymentDetails {
        events: events.collect(),
        disputes: disputes.collect::<Result<_, AppError>>()?,
        refunds: refunds.collect::<Result<_, AppError>>()?,
        payment: admin_views(service, vec![row]).await?.pop().ok_or(Code::NotFound)?,
    })
}

/// Releases a payment from quarantine.
pub async fn release(
    service: &BillingService,
    by: &Confirmed,
    id: Uuid,
    decision: ReleaseAs,
    reason: String,
) -> Result<Payment, AppError> {
    if decision != ReleaseAs::Refused {
        fetch_charge(service, id).await?;
    }
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = rows::lock(&tx, id).await?.ok_or(Code::NotFound)?;
    if row.quarantine.take().is_none() {
        return Err(wrong_state("This payment isn't in quarantine."));
    }
    let before = row.clone();
    let is_paid = stage(&row)? == Stage::Paid;
    let given_back = Reversals::read(&tx, id).await?.refunded_or_pending();
    match decision {
        // The payment was paid before it was quarantined because of a refund or dispute.
        ReleaseAs::Asked if is_paid => apply::update_status(&mut row)?,
        ReleaseAs::Paid | ReleaseAs::Refused if is_paid => {
            return Err(wrong_state("It was paid as ordered. If that's wrong, refund it."));
        }
        ReleaseAs::Asked | ReleaseAs::Paid if given_back > 0 => {
            return Err(wrong_state("The money is already being returned. Refuse the payment."));
        }
        ReleaseAs::Asked => {
            row.refused_at = None;
            apply::complete(service, &tx, &mut row, now).await?;
        }
        ReleaseAs::Paid => {
            row.refused_at = None;
            let paid = amount_paid(&row)?;
            let plan = plan_rows::by_id(&tx, row.plan_id).await?.ok_or(Code::NotFound)?;
            let credits =
                i128::from(row.credits.unwrap_or(plan.credits).0) * i128::from(paid) / i128::from(row.amount.max(1));
            row.credits = Some(MicroCredits(i64::try_from(credits).unwrap_or(i64::MAX)));
            row.amount = paid;
            apply::complete(service, &tx, &mut row, now).await?;
        }
        ReleaseAs::Refused => {
            apply::advance_stage(&mut row, Stage::Failed)?;
            // Money received from now on is refunded.
            row.refused_at = Some(now);
            // The refund is made in the currency and amount that was paid.
            if let (Some(amount), Some(currency)) = (row.paid_amount, row.paid_currency.clone()) {
                currency.parse::<Currency>().map_err(AppError::internal)?;
                (row.amount, row.currency) = (amount, currency);
            }
        }
    }
    // Applies events that were deferred until this decision.
    apply::apply_deferred(service, &tx, &mut row, now).await?;
    let mut refunded = None;
    if decision == ReleaseAs::Refused && row.charge.is_some() {
        let left = row.amount - Reversals::read(&tx, id).await?.refunded_or_pending();
        if left > 0 {
            // Nothing was granted, so nothing is clawed back.
            let mut refund = refund::new_refund(row.id, left, reason.clone(), Some(by.user_id), now);
            refund.check_at = Some(now);
            refunded = Some(refund.id);
            rows::put_refund(&tx, refund).await?;
        }
    }
    rows::store(&tx, row.clone()).await?;
    let target = format!("{id}:{}:{reason}", decision.as_str());
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::PaymentReleased, Some(target))).await?;
    tx.commit().await.map_err(app_error)?;
    apply::notify_payer(service, &before, &row);
    if let Some(refund) = refunded {
        refund::complete(service, refund).await?;
    }
    view(service, rows::by_id(service.db.writer(), id).await?.ok_or(Code::NotFound)?).await
}

/// Fetches the payment from the gateway if no charge is known, so that the charge can be refunded later. A failure
/// doesn't block the decision.
async fn fetch_charge(service: &BillingService, id: Uuid) -> Result<(), AppError> {
    let row = rows::by_id(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    if row.quarantine.is_some()
        && row.charge.is_none()
        && stage(&row)? != Stage::Paid
        && let Err(error) = reconciler::fetch_and_apply(service, row).await
    {
        tracing::info!(%error, payment = %id, "failed to fetch payment before its release");
    }
    Ok(())
}

/// Amount that was paid instead of the requested one. Fails if it is in another currency than the payment.
fn amount_paid(row: &payment::Model) -> Result<i64, AppError> {
    let is_same = row.paid_currency.as_deref() == Some(row.currency.as_str());
    let paid = row.paid_amount.filter(|paid| is_same && *paid > 0);
    paid.ok_or_else(|| wrong_state("The amount paid in this currency is unknown. Add what was ordered, or refuse it."))
}
