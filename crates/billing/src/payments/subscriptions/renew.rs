//! Automatic actions on subscriptions: reminders, charges of the next period, and ends.

use ::payment::{DueAction, Money, PayerPresence, RemoteState, Snapshot, SubscriptionState, SubscriptionTransition};
use appcore::{AppError, Code, Timestamp, UserId, view::PricingPlan};
use dbcontext::{
    constraint::app_error,
    entity::{payment, payment_method, subscription},
    query::{payment_methods, payments as payment_rows, plans as plan_rows, subscriptions as rows, users, workspaces},
};
use futures_util::stream::{self, StreamExt as _};
use identity::mail::{self, MailContent, Recipient};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{PaymentPurpose, notify_payer, parse_state, price_of, reschedule, schedule, step};
use crate::{
    BillingService,
    payments::{
        self,
        charges::{self, ChargeOptions, apply_charge},
        fulfilment, plans,
        reconciler::MAX_CONCURRENT,
    },
};

/// Maximum number of subscriptions that a sweep claims.
const SWEEP_BATCH: u64 = 100;

/// Processes due subscriptions, and members without a seat. Every instance runs this; each subscription is claimed by
/// one.
pub(in crate::payments) async fn sweep(service: &BillingService, now: Timestamp) -> Result<(), AppError> {
    let next = now.plus(service.config.payment.reconcile_after);
    let due = rows::claim_due(service.db.writer(), now, next, SWEEP_BATCH).await?;
    stream::iter(due)
        .for_each_concurrent(MAX_CONCURRENT, |id| async move {
            if let Err(error) = advance(service, id).await {
                tracing::warn!(%error, subscription = %id, "failed to process due subscription");
            }
        })
        .await;
    assign_seats(service, now).await
}

async fn assign_seats(service: &BillingService, now: Timestamp) -> Result<(), AppError> {
    let mut after = (Timestamp(i64::MIN), UserId(Uuid::nil()), Uuid::nil());
    loop {
        let part = rows::unseated(service.db.reader(), now, after, SWEEP_BATCH).await?;
        let Some(last) = part.last() else { return Ok(()) };
        after = (last.since, last.user_id, last.id);
        for rows::Unseated { id, user_id, .. } in part {
            if let Err(error) = assign_free_seat(service, id, user_id).await {
                tracing::warn!(%error, subscription = %id, "failed to assign seat");
            }
        }
    }
}

/// Performs the due action of a subscription. Safe to repeat.
async fn advance(service: &BillingService, id: Uuid) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let Some(mut row) = rows::lock(&tx, id).await? else { return Ok(()) };
    let Some(due) = schedule(service, &row)?.due(now) else {
        reschedule(service, &mut row, now)?;
        rows::store(&tx, row).await?;
        return tx.commit().await.map_err(app_error);
    };
    let plan = plans::view(plan_rows::by_id(&tx, row.plan_id).await?.ok_or(Code::NotFound)?)?;
    let before = row.clone();
    match due {
        DueAction::Remind => {
            let letter = reminder(service, &row, &plan)?;
            row.reminded_period = row.period;
            mail::enqueue(&tx, now, Recipient::User(row.user_id), letter).await?;
            reschedule(service, &mut row, now)?;
        }
        DueAction::Lapse => {
            step(&mut row, SubscriptionTransition::Lapse)?;
            reschedule(service, &mut row, now)?;
            let letter = MailContent::PlanUnpaid { plan: plan.name.clone(), until: row.ends_at, page: page_path(&row) };
            mail::enqueue(&tx, now, Recipient::User(row.user_id), letter).await?;
        }
        DueAction::End => {
            step(&mut row, SubscriptionTransition::End)?;
            row.ends_at = now;
            reschedule(service, &mut row, now)?;
            let letter = MailContent::PlanEnded { plan: plan.name.clone(), page: page_path(&row) };
            mail::enqueue(&tx, now, Recipient::User(row.user_id), letter).await?;
        }
        DueAction::Charge | DueAction::Ask => {
            if due == DueAction::Charge && !may_charge(service, &tx, &mut row, &plan, now).await? {
                rows::store(&tx, row).await?;
                return tx.commit().await.map_err(app_error);
            }
            let payment = renewal(service, &tx, &row, &plan, now).await?;
            // The attempt is stored before the charge is made, so that its outcome is fetched after a crash.
            if due == DueAction::Charge {
                step(&mut row, SubscriptionTransition::Lapse)?;
                row.attempts += 1;
                row.is_charging = true;
                reschedule(service, &mut row, now)?;
            }
            row.due_at = Some(now.plus(service.config.payment.reconcile_after));
            rows::store(&tx, row.clone()).await?;
            tx.commit().await.map_err(app_error)?;
            return charge(service, &row, payment, due == DueAction::Ask).await;
        }
    }
    rows::store(&tx, row.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    if row != before {
        notify_payer(service, &row);
    }
    Ok(())
}

fn reminder(service: &BillingService, row: &subscription::Model, plan: &PricingPlan) -> Result<MailContent, AppError> {
    let (name, at, page) = (plan.name.clone(), row.period_end, page_path(row));
    if parse_state(row)? == SubscriptionState::Trialing {
        return Ok(MailContent::TrialEnding { plan: name, at, page });
    }
    let price = price_of(plan, row).and_then(|price| Some(Money::new(price.amount, price.currency.parse().ok()?)));
    let amount = price.map(|price| price.to_string()).unwrap_or_default();
    Ok(if super::is_automatic(service, row) {
        MailContent::PlanRenewing { plan: name, amount, at, page }
    } else {
        MailContent::PlanExpiring { plan: name, amount, at, page }
    })
}

/// Path of the page on which the payer sees the subscription.
fn page_path(row: &subscription::Model) -> String {
    match row.workspace_id {
        Some(id) => format!("plans/billing?workspace_id={id}"),
        None => "plans/billing".to_owned(),
    }
}

/// True if the next period can be charged now. Otherwise updates the row accordingly.
async fn may_charge<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut subscription::Model,
    plan: &PricingPlan,
    now: Timestamp,
) -> Result<bool, AppError> {
    let payer = users::by_id(txn, row.user_id).await?;
    let is_there = match row.workspace_id {
        Some(id) => workspaces::name(txn, id).await?.is_some(),
        None => true,
    };
    if payer.is_none() || !is_there {
        // The payer or the workspace was deleted, so the subscription ends.
        row.state = SubscriptionState::Ended.as_str().to_owned();
        row.ends_at = now;
        reschedule(service, row, now)?;
        return Ok(false);
    }
    // The payer may be paying manually at this moment, so nothing is charged before that payment is over.
    if let Some(open) = rows::open_payment(txn, row.id, now).await? {
        row.due_at = Some(Timestamp(open.expires_at.0 + 1_000));
        return Ok(false);
    }
    if price_of(plan, row).is_none() {
        row.method_id = None;
        reschedule(service, row, now)?;
        return Ok(false);
    }
    Ok(true)
}

/// Returns the single payment of the next period, creating it if missing.
async fn renewal<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &subscription::Model,
    plan: &PricingPlan,
    now: Timestamp,
) -> Result<payment::Model, AppError> {
    let period = row.period + 1;
    if let Some(there) = rows::renewal(txn, row.id, period).await? {
        return Ok(there);
    }
    let next = match row.next_plan_id {
        Some(id) => plans::view(plan_rows::by_id(txn, id).await?.ok_or(Code::NotFound)?)?,
        None => plan.clone(),
    };
    let seats = row.next_seats.unwrap_or(row.seats);
    let counted = subscription::Model { seats, ..row.clone() };
    // The subscription doesn't switch to a plan without a price in its currency.
    let (next, price) = match price_of(&next, &counted) {
        Some(price) => (next, price),
        None => (plan.clone(), price_of(plan, &counted).ok_or(Code::WrongState)?),
    };
    let money = Money::new(price.amount, price.currency.parse().map_err(AppError::internal)?);
    let gateway = row.gateway.clone().ok_or(Code::WrongState)?;
    let payment = payment::Model {
        purpose: PaymentPurpose::Renewal.as_str().to_owned(),
        workspace_id: row.workspace_id,
        subscription_id: Some(row.id),
        period: Some(period),
        seats,
        // Clients can't send such a key, because it contains spaces.
        idempotency_key: format!("renewal {} {period}", row.id),
        expires_at: row.period_end.plus(service.config.payment.grace),
        // Reconciliation skips this payment, because the subscription's schedule checks it.
        check_at: None,
        ..payments::new_payment(service, row.user_id, next.id, &gateway, money, now)
    };
    payment_rows::insert(txn, payment.clone()).await?;
    payment_rows::by_key(txn, row.user_id, &payment.idempotency_key).await?.ok_or_else(|| Code::Conflict.into())
}

/// Charges a stored payment, or fetches its outcome.
async fn charge(
    service: &BillingService,
    row: &subscription::Model,
    payment: payment::Model,
    ask: bool,
) -> Result<(), AppError> {
    let method = match row.method_id {
        Some(id) => payment_methods::by_id(service.db.writer(), id).await?,
        None => None,
    };
    let found = match method {
        Some(method) => charge_unattended(service, &payment, &method, row.attempts, ask).await,
        // The method was removed in the meantime, so the charge fails.
        None => Ok(Some(Snapshot { remote: RemoteState::Failed, charge: None })),
    };
    match found {
        Ok(Some(snapshot)) => apply_charge(service, payment.id, snapshot).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Charges a payment without the payer being present. Returns `None` if the gateway doesn't know the outcome yet.
pub(in crate::payments) async fn charge_unattended(
    service: &BillingService,
    payment: &payment::Model,
    method: &payment_method::Model,
    attempt: i64,
    ask: bool,
) -> Result<Option<Snapshot>, AppError> {
    let how = ChargeOptions { presence: PayerPresence::Absent, attempt, fetch_first: ask };
    Ok(charges::charge(service, payment, method, how).await?.map(|charged| charged.snapshot))
}

/// Schedules the retry of a failed renewal, and e-mails the payer. Runs in the caller's transaction.
pub(in crate::payments) async fn attempt_failed<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    payment: &payment::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(id) = payment.subscription_id else { return Ok(()) };
    let Some(mut row) = rows::lock(txn, id).await? else { return Ok(()) };
    if !row.is_charging || payment.period != Some(row.period + 1) {
        return Ok(());
    }
    row.is_charging = false;
    reschedule(service, &mut row, now)?;
    let course = schedule(service, &row)?;
    let letter = MailContent::ChargeFailed {
        plan: plan_rows::by_id(txn, payment.plan_id).await?.map(|plan| plan.name).unwrap_or_default(),
        amount: payments::price(payment)?.to_string(),
        again_at: course.attempt_at().filter(|at| *at < row.ends_at),
        until: row.ends_at,
        page: page_path(&row),
    };
    mail::enqueue(txn, now, Recipient::User(row.user_id), letter).await?;
    rows::store(txn, row).await
}

/// Gives a member a free seat.
async fn assign_free_seat(service: &BillingService, id: Uuid, user_id: UserId) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let Some(payment_id) = rows::by_id(&tx, id).await?.and_then(|row| row.payment_id) else { return Ok(()) };
    let mut payments = rows::paid(&tx, id).await?;
    let period = payments.iter().find(|one| one.id == payment_id).and_then(|one| one.period);
    payments.retain(|one| one.period == period);
    // Payments are locked before the subscription, in the same order as in fulfilment and refunds.
    let mut locked = Vec::new();
    for one in payments {
        locked.extend(payment_rows::lock(&tx, one.id).await?);
    }
    locked.sort_by_key(|one| one.id == payment_id);
    let row = rows::lock(&tx, id).await?.filter(|row| row.payment_id == Some(payment_id) && row.period_end > now);
    let Some(row) = row else { return Ok(()) };
    fulfilment::assign_seat(&tx, &row, &locked, user_id.0, now).await?;
    tx.commit().await.map_err(app_error)?;
    crate::entitlements::notify_user(service, user_id);
    Ok(())
}
