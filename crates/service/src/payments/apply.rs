//! What news change about a payment, under the lock of its row. Nothing here commits.

use ::payment::{DisputeState, Money, News, Notice, RefundState, Stage, Standing};
use appcore::{AppError, Code, Timestamp, credits::MicroCredits};
use dbcontext::{
    entity::{payment, payment_dispute, payment_refund, subscription},
    query::{payments as rows, plans as plan_rows},
};
use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{checkout::is_period, plans, price, stage};
use crate::{
    App, entitlements,
    ledger::{Books, Source},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    Done,
    /// The gateway names another amount: the payment is in quarantine.
    WrongAmount,
    /// It is about what was paid, and that it was paid is not known yet.
    Waits,
}

/// Applies a notice. The caller stores the row.
pub(super) async fn apply<C: ConnectionTrait>(
    txn: &C,
    row: &mut payment::Model,
    notice: &Notice,
    now: Timestamp,
) -> Result<Applied, AppError> {
    if !notice.is_ours {
        quarantine(row, "account")?;
        return Ok(Applied::Done);
    }
    news(txn, row, &notice.news, now).await
}

/// Applies what a gateway says, by itself or when it is asked.
pub(super) async fn news<C: ConnectionTrait>(
    txn: &C,
    row: &mut payment::Model,
    news: &News,
    now: Timestamp,
) -> Result<Applied, AppError> {
    match news {
        News::Pending => step(row, Stage::Pending)?,
        News::Failed => step(row, Stage::Failed)?,
        News::Expired => step(row, Stage::Expired)?,
        News::Paid { money, charge } => return paid(txn, row, *money, charge.as_deref(), now).await,
        News::Refund { .. } | News::Dispute { .. } if stage(row)? != Stage::Paid => return Ok(Applied::Waits),
        News::Refund { reference, ours, money, state } => {
            refunded(txn, row, reference, *ours, *money, *state, now).await?;
        }
        News::Dispute { reference, money, state } => disputed(txn, row, reference, *money, *state, now).await?,
        News::Approved | News::Other => {}
    }
    Ok(Applied::Done)
}

/// Applies what has waited until this payment was paid.
pub(super) async fn waiting<C: ConnectionTrait>(
    txn: &C,
    row: &mut payment::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    if stage(row)? != Stage::Paid {
        return Ok(());
    }
    let mut keys = vec![format!("payment:{}", row.id)];
    keys.extend(row.charge.as_ref().map(|charge| format!("charge:{charge}")));
    for event in rows::waiting(txn, &row.gateway.clone(), keys).await? {
        let notice: Notice = serde_json::from_str(&event.notice).map_err(AppError::internal)?;
        apply(txn, row, &notice, now).await?;
        rows::mark_event(txn, &event.gateway, &event.event_id, Some(row.id), None, Some(now)).await?;
    }
    Ok(())
}

/// Takes a step, if there is such a one.
pub(super) fn step(row: &mut payment::Model, to: Stage) -> Result<(), AppError> {
    let next = stage(row)?.step(to);
    row.stage = next.as_str().to_owned();
    if !next.is_open() {
        row.check_at = None;
    }
    restate(row)
}

pub(super) fn quarantine(row: &mut payment::Model, reason: &str) -> Result<(), AppError> {
    tracing::error!(payment = %row.id, gateway = row.gateway, reason, "a payment is in quarantine");
    row.quarantine.get_or_insert_with(|| reason.to_owned());
    restate(row)
}

/// The status that follows from the rest.
pub(super) fn restate(row: &mut payment::Model) -> Result<(), AppError> {
    let standing = Standing {
        stage: stage(row)?,
        amount: row.amount,
        refunded: row.refunded,
        is_disputed: row.is_disputed != 0,
        is_quarantined: row.quarantine.is_some(),
    };
    row.status = standing.status().as_str().to_owned();
    Ok(())
}

async fn paid<C: ConnectionTrait>(
    txn: &C,
    row: &mut payment::Model,
    money: Money,
    charge: Option<&str>,
    now: Timestamp,
) -> Result<Applied, AppError> {
    if stage(row)? == Stage::Paid {
        return Ok(Applied::Done);
    }
    if money != price(row)? {
        quarantine(row, "amount")?;
        return Ok(Applied::WrongAmount);
    }
    // What is in quarantine stays there until an administrator has looked.
    if row.quarantine.is_some() {
        return Ok(Applied::Done);
    }
    if let Some(charge) = charge {
        // One payment at the gateway can't pay for two of ours.
        if rows::by_charge(txn, &row.gateway, charge).await?.is_some_and(|other| other.id != row.id) {
            quarantine(row, "charge")?;
            return Ok(Applied::Done);
        }
    }
    row.charge = charge.map(str::to_owned);
    row.paid_at = Some(now);
    let year = i64::from(OffsetDateTime::from_unix_timestamp(now.seconds()).map_err(AppError::internal)?.year());
    row.receipt_number = Some(rows::next_receipt(txn, year).await?);
    row.receipt_year = Some(year);
    step(row, Stage::Paid)?;
    deliver(txn, row, now).await?;
    Ok(Applied::Done)
}

/// Gives the payer what was paid for.
async fn deliver<C: ConnectionTrait>(txn: &C, row: &payment::Model, now: Timestamp) -> Result<(), AppError> {
    let plan = plan_rows::by_id(txn, row.plan_id).await?.ok_or(Code::NotFound)?;
    let plan = plans::view(plan)?;
    let mut expires_at = None;
    if is_period(plan.kind) {
        let current = plan_rows::subscription(txn, row.user_id).await?;
        // The same plan again goes on where it ends.
        let starts_at = match current {
            Some(current) if current.plan_id == plan.id && current.ends_at > now => current.ends_at,
            _ => now,
        };
        let ends_at = plans::end_of_period(starts_at, plan.interval)?;
        let row =
            subscription::Model { user_id: row.user_id, plan_id: plan.id, payment_id: row.id, starts_at: now, ends_at };
        plan_rows::put_subscription(txn, row).await?;
        expires_at = Some(ends_at);
    }
    let mut books = Books::open(txn, row.user_id.0, now).await?;
    books.only()?.buy(plan.credits, &Source::new("payment", row.id), expires_at);
    books.store(txn).await
}

/// The credits that go with a part of what was paid, parts of a micro-credit counted as whole ones.
async fn share<C: ConnectionTrait>(txn: &C, row: &payment::Model, amount: i64) -> Result<MicroCredits, AppError> {
    let plan = plan_rows::by_id(txn, row.plan_id).await?.ok_or(Code::NotFound)?;
    let (credits, amount, whole) = (i128::from(plan.credits.0), i128::from(amount), i128::from(row.amount.max(1)));
    let share = (credits * amount.min(whole) + whole - 1) / whole;
    Ok(MicroCredits(i64::try_from(share).unwrap_or(i64::MAX)))
}

/// Takes back the credits that go with an amount, under a name that is used once.
pub(super) async fn take_credits<C: ConnectionTrait>(
    txn: &C,
    row: &payment::Model,
    amount: i64,
    source: &Source,
    kind: &'static str,
    now: Timestamp,
) -> Result<MicroCredits, AppError> {
    let credits = share(txn, row, amount).await?;
    let mut books = Books::open(txn, row.user_id.0, now).await?;
    books.only()?.take_back(credits, source, kind, &row.id.to_string());
    books.store(txn).await?;
    Ok(credits)
}

async fn return_credits<C: ConnectionTrait>(
    txn: &C,
    row: &payment::Model,
    credits: MicroCredits,
    source: &Source,
    kind: &'static str,
    now: Timestamp,
) -> Result<(), AppError> {
    let mut books = Books::open(txn, row.user_id.0, now).await?;
    books.only()?.return_taken(credits, source, kind);
    books.store(txn).await
}

async fn refunded<C: ConnectionTrait>(
    txn: &C,
    row: &mut payment::Model,
    reference: &str,
    ours: Option<Uuid>,
    money: Money,
    state: RefundState,
    now: Timestamp,
) -> Result<(), AppError> {
    let mut refunds = rows::refunds(txn, row.id).await?;
    let is_meant = |refund: &payment_refund::Model| {
        refund.reference.as_deref() == Some(reference) || ours.is_some_and(|id| refund.id == id)
    };
    let place = match refunds.iter().position(is_meant) {
        Some(place) => place,
        // It was made at the gateway, and not by us.
        None => {
            let counted: i64 = refunds.iter().filter(|one| counts(one)).map(|one| one.amount).sum();
            if money.currency.code() != row.currency || money.amount <= 0 || counted + money.amount > row.amount {
                return quarantine(row, "refund");
            }
            let id = Uuid::now_v7();
            let credits = if state == RefundState::Failed {
                MicroCredits::ZERO
            } else {
                take_credits(txn, row, money.amount, &Source::new("refund", id), "refund", now).await?
            };
            refunds.push(payment_refund::Model {
                id,
                payment_id: row.id,
                reference: Some(reference.to_owned()),
                amount: money.amount,
                credits,
                state: state.as_str().to_owned(),
                reason: "gateway".to_owned(),
                by_user: None,
                created_at: now,
                check_at: None,
            });
            refunds.len() - 1
        }
    };
    let refund = &mut refunds[place];
    if refund.amount != money.amount || money.currency.code() != row.currency {
        return quarantine(row, "refund");
    }
    refund.reference.get_or_insert_with(|| reference.to_owned());
    set_refund(txn, row, refund, state, now).await?;
    recount(row, &refunds)
}

/// Whether its money went back, or is about to.
pub(super) fn counts(refund: &payment_refund::Model) -> bool {
    refund.state != RefundState::Failed.as_str()
}

/// What a refund's state changes. One that fails gives the credits back.
pub(super) async fn set_refund<C: ConnectionTrait>(
    txn: &C,
    row: &payment::Model,
    refund: &mut payment_refund::Model,
    state: RefundState,
    now: Timestamp,
) -> Result<(), AppError> {
    let before: RefundState = refund.state.parse().map_err(AppError::internal)?;
    let after = before.step(state);
    if after == RefundState::Failed && refund.credits > MicroCredits::ZERO {
        let source = Source::new("refund", refund.id);
        return_credits(txn, row, refund.credits, &source, "refund_failed", now).await?;
        refund.credits = MicroCredits::ZERO;
    }
    refund.state = after.as_str().to_owned();
    if after != RefundState::Pending {
        refund.check_at = None;
    }
    rows::put_refund(txn, refund.clone()).await
}

pub(super) fn recount(row: &mut payment::Model, refunds: &[payment_refund::Model]) -> Result<(), AppError> {
    let done = refunds.iter().filter(|refund| refund.state == RefundState::Done.as_str());
    row.refunded = done.map(|refund| refund.amount).sum();
    restate(row)
}

async fn disputed<C: ConnectionTrait>(
    txn: &C,
    row: &mut payment::Model,
    reference: &str,
    money: Money,
    state: DisputeState,
    now: Timestamp,
) -> Result<(), AppError> {
    let mut disputes = rows::disputes(txn, row.id).await?;
    let source = Source::new("dispute", format_args!("{}:{reference}", row.id));
    let place = match disputes.iter().position(|dispute| dispute.reference == reference) {
        Some(place) => place,
        None => {
            // While it is open nobody spends what it is about. One that is won at once has taken nothing.
            let credits = if state == DisputeState::Won {
                MicroCredits::ZERO
            } else {
                take_credits(txn, row, money.amount, &source, "dispute", now).await?
            };
            disputes.push(payment_dispute::Model {
                payment_id: row.id,
                reference: reference.to_owned(),
                amount: money.amount,
                credits,
                state: state.as_str().to_owned(),
                created_at: now,
            });
            disputes.len() - 1
        }
    };
    let dispute = &mut disputes[place];
    let before: DisputeState = dispute.state.parse().map_err(AppError::internal)?;
    let after = before.step(state);
    if after == DisputeState::Won && dispute.credits > MicroCredits::ZERO {
        return_credits(txn, row, dispute.credits, &source, "dispute_won", now).await?;
        dispute.credits = MicroCredits::ZERO;
    }
    dispute.state = after.as_str().to_owned();
    rows::put_dispute(txn, dispute.clone()).await?;
    let is_disputed = disputes.iter().any(|dispute| dispute.state != DisputeState::Won.as_str());
    row.is_disputed = i64::from(is_disputed);
    restate(row)
}

/// Tells the payer that something has changed. The transaction is committed.
pub(super) fn tell(app: &App, before: &payment::Model, after: &payment::Model) {
    if before != after {
        entitlements::tell(app, after.user_id);
    }
}
