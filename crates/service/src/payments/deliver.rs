//! What somebody gets by a payment, and the subscription that ends with its money. Nothing here commits.

use ::payment::{Cycle, SubscriptionDeed, SubscriptionState};
use appcore::{
    AppError, Code, PlanId, Timestamp,
    credits::MicroCredits,
    view::{PlanKind, PricingPlan},
};
use dbcontext::{
    entity::{payment, payment_credit, subscription},
    query::{plans as plan_rows, subscriptions as rows},
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{
    claims::holder_of,
    plans,
    subscriptions::{self, KeepMethodJob, Purpose, interval_of},
};
use crate::{
    App, jobs,
    ledger::{Books, Source},
};

/// Gives the payer what was paid for.
pub(super) async fn deliver<C: ConnectionTrait>(
    app: &App,
    txn: &C,
    row: &mut payment::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    let plan = plan_rows::by_id(txn, row.plan_id).await?.ok_or(Code::NotFound)?;
    let plan = plans::view(plan)?;
    let credits = row.credits.unwrap_or(plan.credits);
    if plan.kind != PlanKind::Subscription {
        return give(txn, row, &[subscriptions::account(row)], credits, None, now).await;
    }
    let purpose: Purpose = row.purpose.parse()?;
    let current = rows::lock_of(txn, subscriptions::account(row)).await?;
    let before = current.as_ref().and_then(|current| current.payment_id);
    let paid = match current {
        Some(current) => go_on(app, txn, current, purpose, row, &plan, now).await?,
        None => {
            let new = first_period(app, row, &plan, now)?;
            if rows::insert(txn, new.clone()).await? {
                new
            } else {
                // Another payment was faster.
                let current = rows::lock_of(txn, subscriptions::account(row)).await?.ok_or(Code::Conflict)?;
                go_on(app, txn, current, purpose, row, &plan, now).await?
            }
        }
    };
    row.subscription_id = Some(paid.id);
    row.period = Some(paid.period);
    let expires_at = Some(paid.period_end);
    row.period_start = Some(if purpose == Purpose::Change { now } else { paid.starts_at });
    row.period_end = expires_at;
    match paid.workspace_id {
        None => give(txn, row, &[row.user_id.0], credits, expires_at, now).await?,
        Some(id) => {
            let mut seated: Vec<Uuid> =
                rows::seated(txn, id, paid.seats).await?.into_iter().map(|user| user.0).collect();
            if let Some(before) = before.filter(|_| purpose == Purpose::Change) {
                // Who has no seat yet gets one of the new plan, below or later.
                let held = rows::credits_of(txn, before).await?;
                seated.retain(|user| held.iter().any(|row| row.account_id == *user));
            }
            give(txn, row, &seated, credits, expires_at, now).await?;
        }
    }
    if purpose != Purpose::Renewal && super::gateway_of(app, row).is_ok_and(|gateway| gateway.recurring().is_some()) {
        jobs::ask(txn, now, &KeepMethodJob { payment_id: row.id }).await?;
    }
    Ok(())
}

async fn go_on<C: ConnectionTrait>(
    app: &App,
    txn: &C,
    current: subscription::Model,
    purpose: Purpose,
    row: &payment::Model,
    plan: &PricingPlan,
    now: Timestamp,
) -> Result<subscription::Model, AppError> {
    let paid = match purpose {
        Purpose::Purchase | Purpose::Renewal => {
            let is_same = row.subscription_id == Some(current.id) || is_version(txn, current.plan_id, plan.id).await?;
            next_period(app, current, row, plan, is_same, now)?
        }
        Purpose::Change | Purpose::Restart => changed(app, current, purpose, row, plan, now)?,
        Purpose::TopUp => return Err(AppError::internal(anyhow::anyhow!("credits that were bought have no period"))),
    };
    rows::store(txn, paid.clone()).await?;
    Ok(paid)
}

fn first_period(
    app: &App,
    row: &payment::Model,
    plan: &PricingPlan,
    now: Timestamp,
) -> Result<subscription::Model, AppError> {
    let cycle = Cycle::beginning(interval_of(plan)?, now);
    let mut new = subscription::Model {
        id: Uuid::now_v7(),
        account_id: subscriptions::account(row),
        workspace_id: row.workspace_id,
        user_id: row.user_id,
        plan_id: plan.id,
        payment_id: Some(row.id),
        state: SubscriptionState::Active.as_str().to_owned(),
        gateway: Some(row.gateway.clone()),
        currency: Some(row.currency.clone()),
        seats: row.seats,
        anchor_day: i64::from(cycle.anchor_day),
        period: 1,
        starts_at: now,
        period_end: end_of(cycle, now)?,
        ends_at: now,
        next_plan_id: None,
        next_seats: None,
        method_id: None,
        attempts: 0,
        is_charging: 0,
        reminded: 0,
        due_at: None,
        updated_at: now,
    };
    subscriptions::settle(app, &mut new, now)?;
    Ok(new)
}

/// Whether two plans are versions of the same one.
async fn is_version<C: ConnectionTrait>(txn: &C, one: PlanId, other: PlanId) -> Result<bool, AppError> {
    let found = plan_rows::by_ids(txn, vec![one, other]).await?;
    let family = |id: PlanId| found.iter().find(|plan| plan.id == id).map(plans::family);
    Ok(one == other || (family(one).is_some() && family(one) == family(other)))
}

/// Whether there is time left that was paid.
fn is_paid_for(current: &subscription::Model, now: Timestamp) -> Result<bool, AppError> {
    let is_paid = matches!(subscriptions::state(current)?, SubscriptionState::Active | SubscriptionState::Canceling);
    Ok(is_paid && current.period_end > now)
}

/// One more period. The same subscription goes on where it ends, though that may be past, and so does another plan while there is time left that was paid;
/// what has ended begins anew.
fn next_period(
    app: &App,
    current: subscription::Model,
    row: &payment::Model,
    plan: &PricingPlan,
    is_same: bool,
    now: Timestamp,
) -> Result<subscription::Model, AppError> {
    let state = subscriptions::state(&current)?;
    let goes_on =
        (state != SubscriptionState::Ended && is_same && current.ends_at > now) || is_paid_for(&current, now)?;
    let (start, cycle) = if goes_on {
        (current.period_end, Cycle { interval: interval_of(plan)?, ..subscriptions::cycle(&current, plan)? })
    } else {
        (now, Cycle::beginning(interval_of(plan)?, now))
    };
    let is_other_gateway = current.gateway.as_deref() != Some(row.gateway.as_str());
    let mut next = subscription::Model {
        user_id: row.user_id,
        plan_id: plan.id,
        payment_id: Some(row.id),
        state: SubscriptionState::Active.as_str().to_owned(),
        gateway: Some(row.gateway.clone()),
        currency: Some(row.currency.clone()),
        seats: row.seats,
        anchor_day: i64::from(cycle.anchor_day),
        period: current.period + 1,
        starts_at: start,
        period_end: end_of(cycle, start)?,
        next_plan_id: None,
        next_seats: None,
        method_id: current.method_id.filter(|_| !is_other_gateway),
        attempts: 0,
        is_charging: 0,
        updated_at: now,
        ..current
    };
    subscriptions::settle(app, &mut next, now)?;
    Ok(next)
}

/// Another plan, or more seats, from now on. With another interval a period of its own begins.
fn changed(
    app: &App,
    current: subscription::Model,
    purpose: Purpose,
    row: &payment::Model,
    plan: &PricingPlan,
    now: Timestamp,
) -> Result<subscription::Model, AppError> {
    if current.ends_at <= now {
        return next_period(app, current, row, plan, false, now);
    }
    let mut next = subscription::Model {
        plan_id: plan.id,
        seats: row.seats,
        payment_id: Some(row.id),
        next_plan_id: None,
        next_seats: None,
        updated_at: now,
        ..current
    };
    if purpose == Purpose::Restart {
        let cycle = Cycle::beginning(interval_of(plan)?, now);
        next.anchor_day = i64::from(cycle.anchor_day);
        next.period += 1;
        next.starts_at = now;
        next.period_end = end_of(cycle, now)?;
    }
    subscriptions::settle(app, &mut next, now)?;
    Ok(next)
}

fn end_of(cycle: Cycle, start: Timestamp) -> Result<Timestamp, AppError> {
    cycle.end(start).ok_or_else(|| AppError::internal(anyhow::anyhow!("no calendar has the end of this period")))
}

/// Why what was paid has to be looked at before anything is given for it. None: it fits.
pub(super) async fn misfit<C: ConnectionTrait>(
    txn: &C,
    row: &payment::Model,
    now: Timestamp,
) -> Result<Option<&'static str>, AppError> {
    let purpose: Purpose = row.purpose.parse()?;
    if matches!(purpose, Purpose::Renewal | Purpose::TopUp) {
        return Ok(None);
    }
    let current = rows::lock_of(txn, subscriptions::account(row)).await?;
    if matches!(purpose, Purpose::Change | Purpose::Restart) {
        // A change is for the period that it was begun in.
        let is_timely = current.is_some_and(|current| Some(current.period) == row.period && current.period_end > now);
        return Ok((!is_timely).then_some("late"));
    }
    let Some(current) = current else { return Ok(None) };
    if row.subscription_id == Some(current.id) || !is_paid_for(&current, now)? {
        return Ok(None);
    }
    let plan = plan_rows::by_id(txn, row.plan_id).await?.ok_or(Code::NotFound)?;
    if plan.kind != PlanKind::Subscription.as_str() {
        return Ok(None);
    }
    // Both were begun before there was anything: what was paid first is not thrown away for what was paid second.
    let is_same = current.seats == row.seats && is_version(txn, current.plan_id, row.plan_id).await?;
    Ok((!is_same).then_some("second_plan"))
}

/// Gives each of these accounts credits by a payment. Once: the ledger doesn't book the same thing twice.
async fn give<C: ConnectionTrait>(
    txn: &C,
    row: &payment::Model,
    accounts: &[Uuid],
    credits: MicroCredits,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), AppError> {
    let mut accounts = accounts.to_vec();
    accounts.sort_unstable();
    accounts.dedup();
    for account in &accounts {
        let mut books = Books::open(txn, holder_of(row, *account), now).await?;
        books.only()?.buy(credits, &source_of(row, *account), expires_at);
        books.store(txn).await?;
    }
    let given = |account_id| payment_credit::Model { payment_id: row.id, account_id, credits, created_at: now };
    rows::put_credits(txn, accounts.into_iter().map(given).collect()).await
}

/// Gives somebody who came later a seat of a workspace that is free, with the credits of the rest of the period.
pub(super) async fn seat<C: ConnectionTrait>(
    txn: &C,
    held: &subscription::Model,
    row: &payment::Model,
    user: Uuid,
    now: Timestamp,
) -> Result<(), AppError> {
    let plan = plans::view(plan_rows::by_id(txn, held.plan_id).await?.ok_or(Code::NotFound)?)?;
    let (whole, rest) = (held.period_end.0 - held.starts_at.0, held.period_end.0 - now.0);
    let part = i128::from(plan.credits.0) * i128::from(rest.clamp(0, whole.max(1))) / i128::from(whole.max(1));
    let credits = MicroCredits(i64::try_from(part).unwrap_or(0));
    give(txn, row, &[user], credits, Some(held.period_end), now).await
}

/// What a purchase of an account's is booked for.
pub(super) fn source_of(row: &payment::Model, account: Uuid) -> Source {
    if account == row.user_id.0 && row.workspace_id.is_none() {
        Source::new("payment", row.id)
    } else {
        Source::new("payment", format_args!("{}:{account}", row.id))
    }
}

/// Ends a subscription whose period isn't paid any more.
pub(super) async fn end_if_unpaid<C: ConnectionTrait>(
    app: &App,
    txn: &C,
    row: &payment::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(mut held) = rows::lock_of(txn, subscriptions::account(row)).await? else { return Ok(()) };
    let is_of_period = row.subscription_id == Some(held.id) && row.period == Some(held.period);
    if !is_of_period || row.purpose.parse::<Purpose>()? == Purpose::Change {
        return Ok(());
    }
    let deed = if held.starts_at > now {
        // It was paid in advance: what was paid before it still holds.
        held.period_end = held.starts_at;
        SubscriptionDeed::Cancel
    } else {
        held.period_end = held.period_end.min(now);
        SubscriptionDeed::TakenBack
    };
    if subscriptions::step(&mut held, deed)? {
        subscriptions::settle(app, &mut held, now)?;
        rows::store(txn, held).await?;
    }
    Ok(())
}
