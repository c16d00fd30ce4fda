//! Applies gateway updates to a payment, under the lock of its row. Runs in the caller's transaction.

use ::payment::{
    DisputeState, Money, PaymentFacts, PaymentUpdate, PaymentWebhookEvent, RefundState, RefundUpdate, Stage,
};
use appcore::{AppError, PaymentRefundId, Timestamp, credits::MicroCredits};
use dbcontext::{
    entity::{payment, payment_dispute, payment_refund},
    query::{payments as rows, plans as plan_rows},
};
use identity::mail::{self, MailContent, Recipient};
use sea_orm::ConnectionTrait;
use time::OffsetDateTime;

use super::{
    balances,
    fulfilment::{apply_valid_plan, fulfil, review_reason},
    price, receipts, refund,
    reversals::{Reversal, Reversals},
    stage, subscriptions,
};
use crate::{BillingService, entitlements, ledger::AccountHolder};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    Done,
    /// The amount differs from the gateway's: the payment is quarantined.
    WrongAmount,
    /// The update depends on a payment that isn't known to be paid yet, so it waits.
    Deferred,
}

/// Applies a webhook event. The caller stores the row.
pub(super) async fn apply<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut payment::Model,
    notice: &PaymentWebhookEvent,
    now: Timestamp,
) -> Result<Applied, AppError> {
    if !notice.is_ours {
        quarantine(row, "account")?;
        return Ok(Applied::Done);
    }
    apply_update(service, txn, row, &notice.news, now).await
}

/// Applies an update from a webhook or from a fetch.
pub(super) async fn apply_update<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut payment::Model,
    news: &PaymentUpdate,
    now: Timestamp,
) -> Result<Applied, AppError> {
    match news {
        PaymentUpdate::Pending => advance_stage(row, Stage::Pending)?,
        PaymentUpdate::Failed => {
            advance_stage(row, Stage::Failed)?;
            subscriptions::attempt_failed(service, txn, row, now).await?;
        }
        PaymentUpdate::Expired => advance_stage(row, Stage::Expired)?,
        PaymentUpdate::Paid { money, charge } => {
            return apply_payment(service, txn, row, *money, charge.as_deref(), now).await;
        }
        PaymentUpdate::Refund(_) | PaymentUpdate::Refunds(_)
            if stage(row)? != Stage::Paid && row.refused_at.is_none() =>
        {
            return Ok(Applied::Deferred);
        }
        PaymentUpdate::Dispute { .. } if stage(row)? != Stage::Paid => return Ok(Applied::Deferred),
        PaymentUpdate::Refund(refund) => apply_refund(service, txn, row, refund, now).await?,
        PaymentUpdate::Refunds(refunds) => {
            for refund in refunds {
                apply_refund(service, txn, row, refund, now).await?;
            }
        }
        PaymentUpdate::Dispute { reference, money, state } => {
            apply_dispute(service, txn, row, reference, *money, *state, now).await?
        }
        PaymentUpdate::Foreign => quarantine(row, "amount")?,
        PaymentUpdate::Approved | PaymentUpdate::Other => {}
    }
    Ok(Applied::Done)
}

/// Applies the events that waited until this payment was paid or rejected.
pub(super) async fn apply_deferred<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut payment::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    if stage(row)? != Stage::Paid && row.refused_at.is_none() {
        return Ok(());
    }
    let mut keys = vec![format!("payment:{}", row.id)];
    keys.extend(row.charge.as_ref().map(|charge| format!("charge:{charge}")));
    for event in rows::waiting_events(txn, &row.gateway.clone(), keys).await? {
        let Ok(notice) = serde_json::from_str::<PaymentWebhookEvent>(&event.notice) else {
            // The event is skipped, because the events after it must be applied.
            tracing::error!(payment = %row.id, gateway = event.gateway, event = event.event_id, "failed to parse deferred event");
            let awaited_subject = event.awaited_subject.as_deref();
            rows::mark_event(txn, &event.gateway, &event.event_id, Some(row.id), awaited_subject, Some(now)).await?;
            continue;
        };
        if apply(service, txn, row, &notice, now).await? == Applied::Deferred {
            continue;
        }
        rows::mark_event(txn, &event.gateway, &event.event_id, Some(row.id), None, Some(now)).await?;
    }
    Ok(())
}

/// Applies a stage transition, if it is valid.
pub(super) fn advance_stage(row: &mut payment::Model, to: Stage) -> Result<(), AppError> {
    let next = stage(row)?.step(to);
    row.stage = next.as_str().to_owned();
    if !next.is_open() {
        row.check_at = None;
    }
    update_status(row)
}

pub(super) fn quarantine(row: &mut payment::Model, reason: &str) -> Result<(), AppError> {
    tracing::error!(payment = %row.id, gateway = row.gateway, reason, "payment quarantined");
    row.quarantine.get_or_insert_with(|| reason.to_owned());
    update_status(row)
}

/// Recomputes the status from the other fields.
pub(super) fn update_status(row: &mut payment::Model) -> Result<(), AppError> {
    let standing = PaymentFacts {
        stage: stage(row)?,
        amount: row.amount,
        refunded: row.refunded,
        is_disputed: row.is_disputed,
        is_quarantined: row.quarantine.is_some(),
    };
    row.status = standing.status();
    Ok(())
}

async fn apply_payment<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut payment::Model,
    money: Money,
    charge: Option<&str>,
    now: Timestamp,
) -> Result<Applied, AppError> {
    if stage(row)? == Stage::Paid {
        return Ok(Applied::Done);
    }
    // A charge at the gateway can't pay for two payments.
    let is_anothers = match charge {
        Some(charge) => rows::by_charge(txn, &row.gateway, charge).await?.is_some_and(|other| other.id != row.id),
        None => false,
    };
    let own_charge = charge.filter(|_| !is_anothers);
    if row.refused_at.is_some() {
        return refund_rejected(txn, row, money, own_charge, now).await;
    }
    if money != price(row)? {
        record_charge(row, money, own_charge)?;
        quarantine(row, "amount")?;
        return Ok(Applied::WrongAmount);
    }
    // A quarantined payment stays so until an administrator reviews it. The charge is recorded so that it can be
    // refunded.
    if row.quarantine.is_some() {
        record_charge(row, money, own_charge)?;
        return Ok(Applied::Done);
    }
    if is_anothers {
        quarantine(row, "charge")?;
        return Ok(Applied::Done);
    }
    row.charge = charge.map(str::to_owned);
    if let Some(reason) = review_reason(txn, row, now).await? {
        quarantine(row, reason)?;
        return Ok(Applied::Done);
    }
    complete(service, txn, row, now).await?;
    Ok(Applied::Done)
}

/// Records the paid amount and the charge of a payment that isn't accepted.
fn record_charge(row: &mut payment::Model, money: Money, charge: Option<&str>) -> Result<(), AppError> {
    row.charge = row.charge.take().or_else(|| charge.map(str::to_owned));
    if money != price(row)? && row.paid_amount.is_none() {
        row.paid_amount = Some(money.amount);
        row.paid_currency = Some(money.currency.code().to_owned());
    }
    Ok(())
}

/// Handles money that arrives for a payment that an administrator has rejected. The payment is never fulfilled, and the
/// money is refunded once. If an automatic refund isn't possible, the payment is quarantined again.
async fn refund_rejected<C: ConnectionTrait>(
    txn: &C,
    row: &mut payment::Model,
    money: Money,
    charge: Option<&str>,
    now: Timestamp,
) -> Result<Applied, AppError> {
    if is_refunded_rejection(txn, row, money).await? {
        return Ok(Applied::Done);
    }
    let is_first = rows::refunds(txn, row.id).await?.is_empty();
    let Some(charge) = charge.filter(|_| is_first && row.quarantine.is_none() && money.amount > 0) else {
        record_charge(row, money, charge)?;
        quarantine(row, "refused")?;
        return Ok(Applied::Done);
    };
    tracing::warn!(payment = %row.id, "rejected payment was paid, refunding it");
    row.charge = Some(charge.to_owned());
    row.amount = money.amount;
    row.currency = money.currency.code().to_owned();
    let refund = payment_refund::Model {
        check_at: Some(now),
        ..refund::new_refund(row.id, money.amount, "refused".to_owned(), None, now)
    };
    rows::put_refund(txn, refund).await?;
    Ok(Applied::Done)
}

/// True if an administrator has rejected the payment and all of its money is being refunded. Gateways may then report
/// again that it was paid.
pub(super) async fn is_refunded_rejection<C: ConnectionTrait>(
    db: &C,
    row: &payment::Model,
    money: Money,
) -> Result<bool, AppError> {
    if stage(row)? == Stage::Paid || row.currency != money.currency.code() {
        return Ok(false);
    }
    let back = Reversals::read(db, row.id).await?.refunded_or_pending();
    Ok(back > 0 && back >= money.amount)
}

/// Completes a paid payment: assigns the receipt number, fulfils it, and e-mails the payer.
pub(super) async fn complete<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut payment::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    row.paid_at = Some(now);
    row.buyer = Some(receipts::buyer(txn, row).await?);
    let (year, number) = next_number(txn, now).await?;
    row.receipt_year = Some(year);
    row.receipt_number = Some(number);
    advance_stage(row, Stage::Paid)?;
    fulfil(service, txn, row, now).await?;
    let letter = MailContent::Paid {
        plan: plan_rows::by_id(txn, row.plan_id).await?.map(|plan| plan.name).unwrap_or_default(),
        amount: price(row)?.to_string(),
        number: format!("{year}-{number:04}"),
        page: page_path(row),
    };
    mail::enqueue(txn, now, Recipient::User(row.user_id), letter).await
}

/// Allocates the next number of receipts and credit notes. Numbers of a year have no gaps.
pub(super) async fn next_number<C: ConnectionTrait>(txn: &C, now: Timestamp) -> Result<(i64, i64), AppError> {
    let year = i64::from(OffsetDateTime::from_unix_timestamp(now.seconds()).map_err(AppError::internal)?.year());
    Ok((year, rows::next_receipt(txn, year).await?))
}

/// Path of the page on which the payer sees the payment.
fn page_path(row: &payment::Model) -> String {
    format!("plans/result?payment={}", row.id)
}

async fn apply_refund<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut payment::Model,
    told: &RefundUpdate,
    now: Timestamp,
) -> Result<(), AppError> {
    let RefundUpdate { ref reference, ours, money, state, at } = *told;
    let mut claims = Reversals::read(txn, row.id).await?;
    let is_meant = |refund: &payment_refund::Model| {
        refund.reference.as_ref() == Some(reference) || ours.is_some_and(|id| refund.id.0 == id)
    };
    let place = match claims.refunds.iter().position(is_meant) {
        Some(place) => place,
        // The refund was made at the gateway and not requested by Natter.
        None => {
            let is_too_much = state != RefundState::Failed && claims.refunded_or_pending() + money.amount > row.amount;
            if money.currency.code() != row.currency || money.amount <= 0 || is_too_much {
                return quarantine(row, "refund");
            }
            claims.refunds.push(payment_refund::Model {
                reference: Some(reference.clone()),
                // Reconciliation fetches the outcome if no event reports it.
                check_at: Some(now.plus(service.config.payment.reconcile_after)),
                unknown_since: Some(now),
                ..refund::new_refund(row.id, money.amount, "gateway".to_owned(), None, now)
            });
            let place = claims.refunds.len() - 1;
            if state != RefundState::Failed {
                let claim = Reversal::from_refund(&claims.refunds[place]);
                claims.refunds[place].credits = claims.claw_back(txn, row, claim, now).await?;
            }
            place
        }
    };
    let refund = &mut claims.refunds[place];
    if refund.amount != money.amount || money.currency.code() != row.currency {
        return quarantine(row, "refund");
    }
    refund.reference.get_or_insert_with(|| reference.clone());
    let id = refund.id;
    set_refund(service, txn, row, &mut claims, id, state, Some(at.unwrap_or(now)), now).await
}

/// Applies a refund state reported by the gateway, or set by an administrator. A failed refund returns the credits; a
/// refund that succeeds after a failure claws them back again. If all money was refunded, the subscription is updated.
#[allow(clippy::too_many_arguments, reason = "each argument is a separate fact about the refund")]
pub(super) async fn set_refund<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut payment::Model,
    claims: &mut Reversals,
    id: PaymentRefundId,
    state: RefundState,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), AppError> {
    let (gone, given_back) = (claims.lost_amount(), claims.refunded_or_pending());
    let Some(place) = claims.refunds.iter().position(|refund| refund.id == id) else { return Ok(()) };
    let refund = &mut claims.refunds[place];
    let before: RefundState = refund.state.parse().map_err(AppError::internal)?;
    let (after, reported_at) = before.step(refund.reported_at, state, at);
    let is_reversed = (before, after) == (RefundState::Failed, RefundState::Done);
    if is_reversed && given_back + refund.amount > row.amount {
        // Another refund has replaced this one in the meantime. Nothing is changed, not even `reported_at`, so that the
        // report counts if it is repeated after a release.
        return quarantine(row, "refund");
    }
    refund.state = after.as_str().to_owned();
    refund.reported_at = reported_at;
    if after != RefundState::Pending {
        refund.check_at = None;
    }
    if is_reversed {
        refund.reversals += 1;
        let claim = Reversal::from_refund(refund);
        claims.refunds[place].credits = claims.claw_back(txn, row, claim, now).await?;
    }
    let refund = &mut claims.refunds[place];
    // A payment that was rejected when it was paid has no receipt, so its refund gets no credit note.
    if after == RefundState::Done && refund.credit_note_number.is_none() && row.receipt_number.is_some() {
        let (year, number) = next_number(txn, now).await?;
        (refund.credit_note_year, refund.credit_note_number, refund.refunded_at) =
            (Some(year), Some(number), Some(now));
        let letter = MailContent::Refunded {
            amount: Money::new(refund.amount, price(row)?.currency).to_string(),
            number: format!("{year}-{number:04}"),
            page: page_path(row),
        };
        mail::enqueue(txn, now, Recipient::User(row.user_id), letter).await?;
    }
    if after == RefundState::Failed && before != after {
        refund.credits = MicroCredits::ZERO;
    }
    rows::put_refund(txn, refund.clone()).await?;
    let claim = Reversal::from_refund(refund);
    if after == RefundState::Failed && before != after {
        claims.return_excess(txn, row, claim, now).await?;
    }
    row.refunded = claims.refunded();
    update_subscription(service, txn, row, (gone, claims.lost_amount()), now).await?;
    update_status(row)
}

/// Updates the subscription after all of a payment's money was returned to the payer, or after such a return has
/// failed.
async fn update_subscription<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &payment::Model,
    (before, after): (i64, i64),
    now: Timestamp,
) -> Result<(), AppError> {
    if stage(row)? == Stage::Paid && (before >= row.amount) != (after >= row.amount) {
        apply_valid_plan(service, txn, row, now).await?;
    }
    Ok(())
}

async fn apply_dispute<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut payment::Model,
    reference: &str,
    money: Option<Money>,
    state: DisputeState,
    now: Timestamp,
) -> Result<(), AppError> {
    let mut claims = Reversals::read(txn, row.id).await?;
    let gone = claims.lost_amount();
    let told = money.map(|money| (money.amount, money.currency.code()));
    let place = match claims.disputes.iter().position(|dispute| dispute.reference == reference) {
        Some(place) => place,
        None => {
            // A dispute in another currency (such as that of the bank account) or above the paid amount is taken to
            // cover the whole payment.
            let paid = price(row)?;
            let fits = |money: &Money| money.currency == paid.currency && (0..=paid.amount).contains(&money.amount);
            let part = money.filter(fits);
            if part.is_none() {
                quarantine(row, "dispute")?;
            }
            claims.disputes.push(payment_dispute::Model {
                payment_id: row.id,
                reference: reference.to_owned(),
                amount: part.map_or(row.amount, |part| part.amount),
                credits: MicroCredits::ZERO,
                state: state.as_str().to_owned(),
                created_at: now,
                reported_amount: told.map(|(amount, _)| amount),
                reported_currency: told.map(|(_, currency)| currency.to_owned()),
            });
            let place = claims.disputes.len() - 1;
            // The credits are clawed back while the dispute is open. A dispute that is reported as won claws back none.
            claims.disputes[place].credits = claims.claw_back(txn, row, Reversal::Dispute(reference), now).await?;
            place
        }
    };
    let dispute = &mut claims.disputes[place];
    let said = dispute.reported_amount.zip(dispute.reported_currency.as_deref());
    if let Some((amount, currency)) = told
        && said != told
    {
        // The disputed amount has changed. The held-back credits stay until an administrator reviews it.
        if said.is_some() {
            quarantine(row, "dispute")?;
        }
        (dispute.reported_amount, dispute.reported_currency) = (Some(amount), Some(currency.to_owned()));
    }
    let before: DisputeState = dispute.state.parse().map_err(AppError::internal)?;
    let after = before.step(state);
    let is_won = after == DisputeState::Won && before != after;
    if is_won {
        dispute.credits = MicroCredits::ZERO;
    }
    dispute.state = after.as_str().to_owned();
    rows::put_dispute(txn, dispute.clone()).await?;
    if is_won {
        claims.return_excess(txn, row, Reversal::Dispute(reference), now).await?;
    }
    row.is_disputed = claims.is_disputed();
    update_subscription(service, txn, row, (gone, claims.lost_amount()), now).await?;
    update_status(row)
}

/// Notifies the payer of a change. Call after the commit.
pub(super) fn notify_payer(service: &BillingService, before: &payment::Model, after: &payment::Model) {
    if before == after {
        return;
    }
    entitlements::notify_user(service, after.user_id);
    balances::wake_sweep(service);
    if let Some(id) = after.workspace_id {
        balances::notify_changed(service, AccountHolder::Workspace(id));
    }
}
