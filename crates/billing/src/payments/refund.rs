//! Refunds.
//!
//! A refund is stored before the gateway is asked for it: under the payment's lock it is checked that all refunds
//! together don't exceed the payment, and the credits are clawed back. Each attempt is stored before its request is
//! sent, so a process that dies in between leaves an attempt with unknown outcome.
//!
//! A refund ends only with a final answer of the gateway. After an attempt with unknown outcome, the refund is fetched
//! from the gateway. It is requested again only if the gateway doesn't know it and requests are idempotent there. The
//! attempts back off and continue for a week; then the refund is stuck, and an administrator decides about it.

use std::time::Duration;

use ::payment::{GatewayError, RefundOrder, RefundResult, RefundState, Stage};
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
    apply, details, gateway_of, known_payment,
    reversals::{Reversal, Reversals},
    stage,
    subscriptions::wrong_state,
    view,
};
use crate::BillingService;

const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Maximum length of a stored gateway answer, in characters.
const MAX_ANSWER_LEN: usize = 300;

/// Refunds a part of a payment, or all that is left. Requires a recent sign-in.
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
    let left = row.amount - claims.reversed();
    if left <= 0 && claims.is_disputed() {
        return Err(AppError::refused(
            Code::WrongState,
            "The payer has disputed this payment. It can't be refunded until the dispute is decided.",
        ));
    }
    let amount = amount.unwrap_or(left);
    if amount <= 0 || amount > left {
        return Err(AppError::field("amount", "invalid", "Enter an amount above 0, up to the amount left."));
    }
    let refund = payment_refund::Model {
        check_at: Some(now.plus(service.config.payment.reconcile_after)),
        ..new_refund(row.id, amount, reason, Some(by.user_id), now)
    };
    let id = refund.id;
    claims.refunds.push(refund.clone());
    let credits = claims.claw_back(&tx, &row, Reversal::from_refund(&refund), now).await?;
    rows::put_refund(&tx, payment_refund::Model { credits, ..refund }).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::PaymentRefunded, Some(payment_id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    complete(service, id).await?;
    let row = rows::by_id(service.db.writer(), payment_id).await?.ok_or(Code::NotFound)?;
    view(service, row).await
}

/// A new refund that was not requested yet. It is only processed once it has a `check_at`.
pub(super) fn new_refund(
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

/// True if the refund is pending but no longer retried.
pub(super) fn is_stuck(refund: &payment_refund::Model) -> bool {
    refund.state == RefundState::Pending.as_str() && refund.check_at.is_none()
}

/// Requests a pending refund from the gateway, or fetches its state.
pub(super) async fn complete(service: &BillingService, id: PaymentRefundId) -> Result<(), AppError> {
    let Some(attempt) = start_attempt(service, id).await? else { return Ok(()) };
    let said = request_refund(service, &attempt).await;
    apply_outcome(service, &attempt, said).await
}

/// A stored attempt.
struct Attempt {
    row: payment::Model,
    refund: payment_refund::Model,
    /// True for the first attempt, before which the gateway can't know the refund.
    is_first: bool,
    at: Timestamp,
}

/// Outcome of an attempt.
enum AttemptOutcome {
    Told(RefundResult),
    /// The refund was rejected, and won't be made.
    Refused(String),
    Unknown(String),
}

/// Stores an attempt. Returns `None` if the refund is no longer pending.
async fn start_attempt(service: &BillingService, id: PaymentRefundId) -> Result<Option<Attempt>, AppError> {
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
    refund.check_at = retry_delay(service.config.payment.reconcile_after, refund.attempts).map(|wait| at.plus(wait));
    if refund.check_at.is_none() {
        tracing::error!(refund = %id, payment = %row.id, "refund outcome unknown after a week, an administrator must decide it");
    }
    rows::put_refund(&tx, refund.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(Some(Attempt { row, refund, is_first, at }))
}

/// Delay until the next attempt: doubles up to a day. `None` once the attempts have gone on for a week.
fn retry_delay(first: Duration, tries: i64) -> Option<Duration> {
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

async fn request_refund(service: &BillingService, attempt: &Attempt) -> AttemptOutcome {
    let (gateway, payment) = match (gateway_of(service, &attempt.row), known_payment(service, &attempt.row)) {
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
            Ok(None) if gateway.has_idempotent_refunds() && order.reference.is_none() => {}
            Ok(None) => return AttemptOutcome::Unknown("it doesn't know this refund".to_owned()),
            // A failed fetch says nothing about the refund.
            Err(error) => return AttemptOutcome::Unknown(error.to_string()),
        }
    }
    match gateway.refund(&order).await {
        Ok(refunded) => AttemptOutcome::Told(refunded),
        Err(error @ GatewayError::OutcomeUnknown(_)) => AttemptOutcome::Unknown(error.to_string()),
        Err(GatewayError::Rejected(reason)) if attempt.is_first => AttemptOutcome::Refused(reason),
        // The gateway may have rejected the request because an earlier attempt succeeded.
        Err(GatewayError::Rejected(reason)) => match gateway.fetch_refund(&order).await {
            Ok(Some(found)) => AttemptOutcome::Told(found),
            Ok(None) => AttemptOutcome::Refused(reason),
            Err(error) => AttemptOutcome::Unknown(error.to_string()),
        },
    }
}

/// Applies the outcome of an attempt, under the payment's lock.
async fn apply_outcome(service: &BillingService, attempt: &Attempt, said: AttemptOutcome) -> Result<(), AppError> {
    let (id, now) = (attempt.refund.id, service.clock.now());
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = rows::lock(&tx, attempt.row.id).await?.ok_or(Code::NotFound)?;
    let before = row.clone();
    let mut claims = Reversals::read(&tx, row.id).await?;
    let Some(refund) = claims.refunds.iter_mut().find(|refund| refund.id == id) else { return Ok(()) };
    // A failure counts only for the newest attempt, because a newer one may have succeeded.
    let is_newest = refund.attempts == attempt.refund.attempts;
    let state = match said {
        AttemptOutcome::Told(refunded) => {
            // An event may have reported the refund in the meantime.
            refund.reference.get_or_insert(refunded.reference);
            refund.last_answer = None;
            Some(refunded.state)
        }
        AttemptOutcome::Refused(reason) if is_newest => {
            tracing::error!(reason, refund = %id, "refund rejected by the gateway, returning the credits");
            refund.last_answer = Some(truncate(&reason));
            Some(RefundState::Failed)
        }
        // An event has reported the final state in the meantime.
        AttemptOutcome::Refused(_) | AttemptOutcome::Unknown(_) if refund.state != RefundState::Pending.as_str() => {
            None
        }
        AttemptOutcome::Refused(reason) | AttemptOutcome::Unknown(reason) => {
            tracing::warn!(reason, refund = %id, "refund outcome unknown, retrying");
            refund.last_answer = Some(truncate(&reason));
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
    apply::notify_payer(service, &before, &row);
    Ok(())
}

fn truncate(answer: &str) -> String {
    answer.chars().filter(|letter| *letter != '\0').take(MAX_ANSWER_LEN).collect()
}

/// Applies an administrator's decision about a pending refund, made after checking it at the gateway. Requires a recent
/// sign-in.
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
        return Err(wrong_state("This refund has already ended."));
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
        // Set without the gateway's report time, so that a later report of the gateway overrides it.
        apply::set_refund(service, &tx, &mut row, &mut claims, refund_id, state, None, now).await?;
        rows::store(&tx, row.clone()).await?;
    }
    let target = format!("{payment_id}:{refund_id}:{}:{reason}", decision.as_str());
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::RefundDecided, Some(target))).await?;
    tx.commit().await.map_err(app_error)?;
    apply::notify_payer(service, &before, &row);
    if decision == RefundDecision::Ask {
        complete(service, refund_id).await?;
    }
    details(service, payment_id).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delay_grows_to_a_day_and_ends_after_a_week() {
        for seconds in [1, 60, 600, 86_400] {
            let first = Duration::from_secs(seconds);
            let mut passed = Duration::ZERO;
            let mut last = first;
            let mut tries = 0;
            while let Some(next) = retry_delay(first, tries + 1) {
                assert!(next >= last && next <= DAY, "{seconds}: {next:?} after {last:?}");
                (last, tries) = (next, tries + 1);
                passed += next;
            }
            assert!(passed >= WEEK && passed < WEEK + DAY, "{seconds}: {passed:?}");
            assert!(tries < 30, "{seconds}: {tries}");
            assert_eq!(retry_delay(first, i64::MAX), None);
        }
        assert_eq!(retry_delay(Duration::from_secs(600), 1), Some(Duration::from_secs(600)));
        assert_eq!(retry_delay(Duration::from_secs(600), 3), Some(Duration::from_secs(2_400)));
    }
}
