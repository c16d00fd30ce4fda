//! Giving money back.
//!
//! A refund is a row before the gateway hears of it: under the payment's lock it is checked that all refunds together are no more than was paid,
//! and the credits are taken back. Each try is written down before its request goes out, so a program that dies in between leaves one of which
//! it isn't known whether it was done.
//!
//! Only a gateway's final word ends a refund. The first try's answer is one. After a try of which nobody knows, the gateway is asked what became of the
//! refund; only where it has never heard of it, and the same order is the same refund there, it is asked for once more. That goes on at growing
//! intervals for a week. Then the refund is stuck, and an administrator ends it.

use std::time::Duration;

use ::payment::{GatewayError, RefundOrder, RefundState, RefundResult, Stage};
use appcore::{
    AppError, Code, PaymentRefundId, Timestamp, UserId,
    credits::MicroCredits,
    view::{AdminPaymentDetails, Payment, RefundDecision},
};
use dbcontext::{
    constraint::app_error,
    entity::{payment, payment_refund},
    query::payments as rows,
};
use identity::accounts::Confirmed;
use platform::audit::{self, Action, NewAuditEntry};
use uuid::Uuid;

use super::{
    apply,
    reversals::{Reversal, Reversals},
    details, gateway_of, known, stage,
    subscriptions::wrong_state,
    view,
};
use crate::BillingService;

const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// As much of an answer as is kept, in characters.
const MAX_ANSWER: usize = 300;

/// Gives back a part of what was paid, or all that is left of it. With a fresh sign-in.
pub async fn refund(
    service: &BillingService,
    by: &Confirmed,
    payment_id: Uuid,
    amount: Option<i64>,
    reason: String,
) -> Result<Payment, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let row = rows::lock(&tx, payment_id).await?.ok_or(Code::NotFound)?;
    if stage(&row)? != Stage::Paid {
        return Err(AppError::refused(Code::WrongState, "Only what was paid can be refunded."));
    }
    let mut claims = Reversals::read(&tx, row.id).await?;
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
    let refund = payment_refund::Model {
        check_at: Some(now.plus(service.config.payment.reconcile_after)),
        ..new(row.id, amount, reason, Some(by.user_id), now)
    };
    let id = refund.id;
    claims.refunds.push(refund.clone());
    let credits = claims.take(&tx, &row, Reversal::of(&refund), now).await?;
    rows::put_refund(&tx, payment_refund::Model { credits, ..refund }).await?;
    audit::record(&tx, NewAuditEntry::by(by, Action::PaymentRefunded, Some(payment_id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    complete(service, id).await?;
    let row = rows::by_id(service.db.writer(), payment_id).await?.ok_or(Code::NotFound)?;
    view(service, row).await
}

/// One that was not asked for yet. Nobody asks about it until it has a `check_at`.
pub(super) fn new(
    payment_id: Uuid,
    amount: i64,
    reason: String,
    requested_by: Option<UserId>,
    now: Timestamp,
) -> payment_refund::Model {
    payment_refund::Model {
        id: PaymentRefundId::new(),
        payment_id,
        reference: None,
        amount,
        credits: MicroCredits::ZERO,
        state: RefundState::Pending.as_str().to_owned(),
        reason,
        requested_by,
        created_at: now,
        check_at: None,
        attempts: 0,
        unknown_since: None,
        last_answer: None,
        reported_at: None,
        reversals: 0,
        credit_note_year: None,
        credit_note_number: None,
        refunded_at: None,
    }
}

/// Whether nobody asks about it any more, though it hasn't ended.
pub(super) fn is_stuck(refund: &payment_refund::Model) -> bool {
    refund.state == RefundState::Pending.as_str() && refund.check_at.is_none()
}

/// Asks the gateway for a refund that is under way, or what became of it.
pub(super) async fn complete(service: &BillingService, id: PaymentRefundId) -> Result<(), AppError> {
    let Some(attempt) = begin(service, id).await? else { return Ok(()) };
    let said = ask(service, &attempt).await;
    end(service, &attempt, said).await
}

/// A try that is written down.
struct Attempt {
    row: payment::Model,
    refund: payment_refund::Model,
    /// The gateway can't have heard of it.
    is_first: bool,
    at: Timestamp,
}

/// What a try has come to.
enum AttemptOutcome {
    Told(RefundResult),
    /// It was not done, and won't be.
    Refused(String),
    Unknown(String),
}

/// Writes a try down. None: there is nothing to ask any more.
async fn begin(service: &BillingService, id: PaymentRefundId) -> Result<Option<Attempt>, AppError> {
    let Some(found) = rows::refund(service.db.writer(), id).await? else { return Ok(None) };
    let at = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let row = rows::lock(&tx, found.payment_id).await?.ok_or(Code::NotFound)?;
    let Some(mut refund) = rows::refund(&tx, id).await? else { return Ok(None) };
    if refund.state != RefundState::Pending.as_str() {
        return Ok(None);
    }
    let is_first = refund.unknown_since.is_none() && refund.reference.is_none();
    refund.attempts += 1;
    refund.unknown_since.get_or_insert(at);
    refund.check_at = wait(service.config.payment.reconcile_after, refund.attempts).map(|wait| at.plus(wait));
    if refund.check_at.is_none() {
        tracing::error!(refund = %id, payment = %row.id, "a refund is not certain after a week: an administrator has to end it");
    }
    rows::put_refund(&tx, refund.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(Some(Attempt { row, refund, is_first, at }))
}

/// How long after a try the next one comes: twice as long each time, up to a day. None: that has gone on for a week.
fn wait(first: Duration, tries: i64) -> Option<Duration> {
    let (mut next, mut passed) = (first.min(DAY), Duration::ZERO);
    for _ in 1..tries {
        passed += next;
        if passed >= WEEK {
            return None;
        }
        next = (next * 2).min(DAY);
    }
    Some(next)
}

async fn ask(service: &BillingService, attempt: &Attempt) -> AttemptOutcome {
    let (gateway, payment) = match (gateway_of(service, &attempt.row), known(service, &attempt.row)) {
        (Ok(gateway), Ok(payment)) => (gateway, payment),
        (Err(error), _) | (_, Err(error)) => return AttemptOutcome::Unknown(error.to_string()),
    };
    let refund = &attempt.refund;
    let order = RefundOrder {
        refund_id: refund.id.0,
        money: ::payment::Money::new(refund.amount, payment.price.currency),
        payment,
        created_at: refund.created_at,
        reference: refund.reference.as_deref(),
    };
    if !attempt.is_first {
        match gateway.fetch_refund(&order).await {
            Ok(Some(found)) => return AttemptOutcome::Told(found),
            Ok(None) if gateway.repeats_refunds() && order.reference.is_none() => {}
            Ok(None) => return AttemptOutcome::Unknown("it doesn't know this refund".to_owned()),
            // That it won't tell is nothing about the refund.
            Err(error) => return AttemptOutcome::Unknown(error.to_string()),
        }
    }
    match gateway.refund(&order).await {
        Ok(refunded) => AttemptOutcome::Told(refunded),
        Err(error @ GatewayError::OutcomeUnknown(_)) => AttemptOutcome::Unknown(error.to_string()),
        Err(GatewayError::Rejected(reason)) if attempt.is_first => AttemptOutcome::Refused(reason),
        // An earlier try may have been done meanwhile, and be why.
        Err(GatewayError::Rejected(reason)) => match gateway.fetch_refund(&order).await {
            Ok(Some(found)) => AttemptOutcome::Told(found),
            Ok(None) => AttemptOutcome::Refused(reason),
            Err(error) => AttemptOutcome::Unknown(error.to_string()),
        },
    }
}

/// What a try has come to, under the payment's lock.
async fn end(service: &BillingService, attempt: &Attempt, said: AttemptOutcome) -> Result<(), AppError> {
    let (id, now) = (attempt.refund.id, service.clock.now());
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = rows::lock(&tx, attempt.row.id).await?.ok_or(Code::NotFound)?;
    let before = row.clone();
    let mut claims = Reversals::read(&tx, row.id).await?;
    let Some(refund) = claims.refunds.iter_mut().find(|refund| refund.id == id) else { return Ok(()) };
    // Where another try has begun meanwhile, that one may be done.
    let is_newest = refund.attempts == attempt.refund.attempts;
    let state = match said {
        AttemptOutcome::Told(refunded) => {
            // The gateway may have told of it meanwhile.
            refund.reference.get_or_insert(refunded.reference);
            refund.last_answer = None;
            Some(refunded.state)
        }
        AttemptOutcome::Refused(reason) if is_newest => {
            tracing::error!(reason, refund = %id, "a refund is refused: the credits are given back");
            refund.last_answer = Some(shortened(&reason));
            Some(RefundState::Failed)
        }
        // It was told of meanwhile.
        AttemptOutcome::Refused(_) | AttemptOutcome::Unknown(_) if refund.state != RefundState::Pending.as_str() => None,
        AttemptOutcome::Refused(reason) | AttemptOutcome::Unknown(reason) => {
            tracing::warn!(reason, refund = %id, "a refund is not certain yet: it is asked about again");
            refund.last_answer = Some(shortened(&reason));
            None
        }
    };
    match state {
        Some(state) => {
            apply::set_refund(service, &tx, &mut row, &mut claims, id, state, Some(attempt.at), now).await?;
            rows::store(&tx, row.clone()).await?;
        }
        None => rows::put_refund(&tx, refund.clone()).await?,
    }
    tx.commit().await.map_err(app_error)?;
    apply::tell(service, &before, &row);
    Ok(())
}

fn shortened(answer: &str) -> String {
    answer.chars().filter(|letter| *letter != '\0').take(MAX_ANSWER).collect()
}

/// What an administrator who has looked at the gateway says of a refund that is under way. With a fresh sign-in.
pub async fn decide_refund(
    service: &BillingService,
    by: &Confirmed,
    payment_id: Uuid,
    refund_id: PaymentRefundId,
    decision: RefundDecision,
    reason: String,
) -> Result<AdminPaymentDetails, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = rows::lock(&tx, payment_id).await?.ok_or(Code::NotFound)?;
    let before = row.clone();
    let mut claims = Reversals::read(&tx, row.id).await?;
    let refund = claims.refunds.iter_mut().find(|refund| refund.id == refund_id).ok_or(Code::NotFound)?;
    if refund.state != RefundState::Pending.as_str() {
        return Err(wrong_state("This refund has ended already."));
    }
    let state = match decision {
        RefundDecision::Ask => {
            if is_stuck(refund) {
                refund.attempts = 0;
            }
            refund.check_at = Some(now);
            rows::put_refund(&tx, refund.clone()).await?;
            None
        }
        RefundDecision::Done => Some(RefundState::Done),
        RefundDecision::Failed => Some(RefundState::Failed),
    };
    if let Some(state) = state {
        // It is not the gateway's word: should that say something else, it counts.
        apply::set_refund(service, &tx, &mut row, &mut claims, refund_id, state, None, now).await?;
        rows::store(&tx, row.clone()).await?;
    }
    let target = format!("{payment_id}:{refund_id}:{}:{reason}", decision.as_str());
    audit::record(&tx, NewAuditEntry::by(by, Action::RefundDecided, Some(target))).await?;
    tx.commit().await.map_err(app_error)?;
    apply::tell(service, &before, &row);
    if decision == RefundDecision::Ask {
        complete(service, refund_id).await?;
    }
    details(service, payment_id).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_grows_to_a_day_and_ends_after_a_week() {
        for seconds in [1, 60, 600, 86_400] {
            let first = Duration::from_secs(seconds);
            let mut passed = Duration::ZERO;
            let mut last = first;
            let mut tries = 0;
            while let Some(next) = wait(first, tries + 1) {
                assert!(next >= last && next <= DAY, "{seconds}: {next:?} after {last:?}");
                (last, tries) = (next, tries + 1);
                passed += next;
            }
            assert!(passed >= WEEK && passed < WEEK + DAY, "{seconds}: {passed:?}");
            assert!(tries < 30, "{seconds}: {tries}");
            assert_eq!(wait(first, i64::MAX), None);
        }
        assert_eq!(wait(Duration::from_secs(600), 1), Some(Duration::from_secs(600)));
        assert_eq!(wait(Duration::from_secs(600), 3), Some(Duration::from_secs(2_400)));
    }
}
