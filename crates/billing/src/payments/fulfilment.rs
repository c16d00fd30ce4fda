//! Fulfilment: grants credits, takes seats and updates the subscription for a paid payment, and follows its refunds and
//! disputes. Runs in the caller's transaction.
//!
//! A paid payment pays for `credits` for each of its `seats` and never grants more than that, even if the seats change
//! hands. So the credits granted in a period never exceed what its payments pay for, also after refunds.

use std::collections::{BTreeSet, HashSet};

use ::payment::{Cycle, SubscriptionState, SubscriptionTransition};
use appcore::{
    AppError, Code, PlanId, Timestamp,
    credits::MicroCredits,
    view::{PlanKind, PricingPlan},
};
use dbcontext::{
    entity::{payment, payment_credit, subscription},
    query::{payments as payment_rows, plans as plan_rows, subscriptions as rows},
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{
    plans,
    reversals::{Reversals, holder_of},
    subscriptions::{self, PaymentPurpose, SaveMethodJob, interval_of},
};
use crate::{
    BillingService,
    ledger::{LockedAccounts, PostingSource},
};

/// Fulfils a paid payment.
pub(super) async fn fulfil<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &mut payment::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    let plan = plan_rows::by_id(txn, row.plan_id).await?.ok_or(Code::NotFound)?;
    let plan = plans::view(plan)?;
    let credits = row.credits.unwrap_or(plan.credits);
    if plan.kind != PlanKind::Subscription {
        return grant_credits(txn, row, &[subscriptions::account(row)], credits, None, now).await;
    }
    let purpose: PaymentPurpose = row.purpose.parse()?;
    let current = rows::lock_of(txn, subscriptions::account(row)).await?;
    let before = current.clone();
    let paid = match current {
        Some(current) => continue_subscription(service, txn, current, purpose, row, &plan, now).await?,
        None => {
            let new = first_period(service, row, &plan, now)?;
            if rows::insert(txn, new.clone()).await? {
                new
            } else {
                // A concurrent payment has created the subscription in the meantime.
                let current = rows::lock_of(txn, subscriptions::account(row)).await?.ok_or(Code::Conflict)?;
                continue_subscription(service, txn, current, purpose, row, &plan, now).await?
            }
        }
    };
    row.subscription_id = Some(paid.id);
    row.period = Some(paid.period);
    let expires_at = Some(paid.period_end);
    row.period_start = Some(if purpose == PaymentPurpose::Change { now } else { paid.starts_at });
    row.period_end = expires_at;
    let changed_within = before.filter(|before| before.period == paid.period);
    if let Some(base) = changed_within.as_ref().and_then(|before| before.payment_id) {
        // The period number is that of the period's first payment, also if a reversal brought the subscription back to
        // it.
        row.period = payment_rows::by_id(txn, base).await?.ok_or(Code::NotFound)?.period;
        row.base_payment_id = Some(base);
    }
    match paid.workspace_id {
        None => grant_credits(txn, row, &[row.user_id.0], credits, expires_at, now).await?,
        Some(id) => {
            let members: Vec<Uuid> = rows::seated(txn, id, paid.seats).await?.into_iter().map(|user| user.0).collect();
            match changed_within {
                None => grant_credits(txn, row, &members, credits, expires_at, now).await?,
                Some(before) => transfer_seats(txn, &before, &paid, row, &plan, &members, now).await?,
            }
        }
    }
    if purpose != PaymentPurpose::Renewal
        && super::gateway_of(service, row).is_ok_and(|gateway| gateway.recurring().is_some())
    {
        jobs::enqueue(txn, now, &SaveMethodJob { payment_id: row.id }).await?;
    }
    Ok(())
}

/// Moves the seats of a period to the payment of a change within it. Members get the difference to the old plan's
/// credits, for the rest of the period. Seats of former members and guests stay taken without further credits, as far
/// as there are enough seats. Members without a seat get one [later](seat).
async fn transfer_seats<C: ConnectionTrait>(
    txn: &C,
    before: &subscription::Model,
    paid: &subscription::Model,
    row: &payment::Model,
    plan: &PricingPlan,
    members: &[Uuid],
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(base) = before.payment_id else { return Ok(()) };
    let taken = rows::credits_of(txn, base).await?.into_iter().map(|one| one.account_id);
    let (members, mut others): (Vec<Uuid>, Vec<Uuid>) = taken.partition(|account| members.contains(account));
    let old = plan_rows::by_id(txn, before.plan_id).await?.ok_or(Code::NotFound)?.credits;
    let more = MicroCredits((plan.credits.0 - old.0).max(0));
    let each = prorate(paid, more, now).min(split_evenly(paid_credits(row, plan.credits), members.len()));
    grant_credits(txn, row, &members, each, Some(paid.period_end), now).await?;
    others.truncate(usize::try_from(paid.seats).unwrap_or(0).saturating_sub(members.len()));
    let nothing = |account_id| payment_credit::Model {
        payment_id: row.id,
        account_id,
        credits: MicroCredits::ZERO,
        created_at: now,
    };
    rows::upsert_credits(txn, others.into_iter().map(nothing).collect()).await
}

/// Pro-rated credits for the rest of the period.
fn prorate(held: &subscription::Model, credits: MicroCredits, now: Timestamp) -> MicroCredits {
    let (whole, rest) = ((held.period_end.0 - held.starts_at.0).max(1), held.period_end.0 - now.0);
    let part = i128::from(credits.0) * i128::from(rest.max(0)) / i128::from(whole);
    MicroCredits(i64::try_from(part).unwrap_or(i64::MAX))
}

fn split_evenly(credits: MicroCredits, among: usize) -> MicroCredits {
    MicroCredits(credits.0.max(0) / i64::try_from(among.max(1)).unwrap_or(i64::MAX))
}

/// Total credits of a payment, for all of its seats.
fn paid_credits(row: &payment::Model, of_plan: MicroCredits) -> MicroCredits {
    MicroCredits(row.credits.unwrap_or(of_plan).0.saturating_mul(row.seats))
}

async fn continue_subscription<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    current: subscription::Model,
    purpose: PaymentPurpose,
    row: &payment::Model,
    plan: &PricingPlan,
    now: Timestamp,
) -> Result<subscription::Model, AppError> {
    let paid = match purpose {
        PaymentPurpose::Purchase | PaymentPurpose::Renewal => {
            let is_same = row.subscription_id == Some(current.id) || is_version(txn, current.plan_id, plan.id).await?;
            next_period(service, current, row, plan, is_same, now)?
        }
        PaymentPurpose::Change | PaymentPurpose::Restart => apply_change(service, current, purpose, row, plan, now)?,
        PaymentPurpose::TopUp => {
            return Err(AppError::internal(anyhow::anyhow!("a top-up has no subscription period")));
        }
    };
    rows::store(txn, paid.clone()).await?;
    Ok(paid)
}

fn first_period(
    service: &BillingService,
    row: &payment::Model,
    plan: &PricingPlan,
    now: Timestamp,
) -> Result<subscription::Model, AppError> {
    let cycle = Cycle::starting_at(interval_of(plan)?, now);
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
        period_end: cycle_end(cycle, now)?,
        ends_at: now,
        next_plan_id: None,
        next_seats: None,
        method_id: None,
        attempts: 0,
        is_charging: false,
        reminded_period: 0,
        due_at: None,
        updated_at: now,
    };
    subscriptions::reschedule(service, &mut new, now)?;
    Ok(new)
}

/// True if both are versions of the same plan.
async fn is_version<C: ConnectionTrait>(txn: &C, one: PlanId, other: PlanId) -> Result<bool, AppError> {
    let found = plan_rows::by_ids(txn, vec![one, other]).await?;
    let family = |id: PlanId| found.iter().find(|plan| plan.id == id).map(plans::family);
    Ok(one == other || (family(one).is_some() && family(one) == family(other)))
}

/// True if the subscription has paid time left.
fn is_paid_for(current: &subscription::Model, now: Timestamp) -> Result<bool, AppError> {
    let is_paid =
        matches!(subscriptions::parse_state(current)?, SubscriptionState::Active | SubscriptionState::Canceling);
    Ok(is_paid && current.period_end > now)
}

/// Computes the next period. The same plan continues at the end of the current period, even if that is past, and so
/// does another plan while there is paid time left; an ended subscription starts again now.
fn next_period(
    service: &BillingService,
    current: subscription::Model,
    row: &payment::Model,
    plan: &PricingPlan,
    is_same: bool,
    now: Timestamp,
) -> Result<subscription::Model, AppError> {
    let state = subscriptions::parse_state(&current)?;
    let goes_on =
        (state != SubscriptionState::Ended && is_same && current.ends_at > now) || is_paid_for(&current, now)?;
    let (start, cycle) = if goes_on {
        (current.period_end, Cycle { interval: interval_of(plan)?, ..subscriptions::cycle(&current, plan)? })
    } else {
        (now, Cycle::starting_at(interval_of(plan)?, now))
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
        period_end: cycle_end(cycle, start)?,
        next_plan_id: None,
        next_seats: None,
        method_id: current.method_id.filter(|_| !is_other_gateway),
        attempts: 0,
        is_charging: false,
        updated_at: now,
        ..current
    };
    subscriptions::reschedule(service, &mut next, now)?;
    Ok(next)
}

/// Applies a change of plan or seats. A restart, for a plan with another interval, begins a new period.
fn apply_change(
    service: &BillingService,
    current: subscription::Model,
    purpose: PaymentPurpose,
    row: &payment::Model,
    plan: &PricingPlan,
    now: Timestamp,
) -> Result<subscription::Model, AppError> {
    if current.ends_at <= now {
        return next_period(service, current, row, plan, false, now);
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
    if purpose == PaymentPurpose::Restart {
        let cycle = Cycle::starting_at(interval_of(plan)?, now);
        next.anchor_day = i64::from(cycle.anchor_day);
        next.period += 1;
        next.starts_at = now;
        next.period_end = cycle_end(cycle, now)?;
    }
    subscriptions::reschedule(service, &mut next, now)?;
    Ok(next)
}

fn cycle_end(cycle: Cycle, start: Timestamp) -> Result<Timestamp, AppError> {
    cycle.period_end(start).ok_or_else(|| AppError::internal(anyhow::anyhow!("end of period out of range")))
}

/// Reason why a paid payment needs a review before it is fulfilled; `None` if it can be fulfilled.
pub(super) async fn review_reason<C: ConnectionTrait>(
    txn: &C,
    row: &payment::Model,
    now: Timestamp,
) -> Result<Option<&'static str>, AppError> {
    let purpose: PaymentPurpose = row.purpose.parse()?;
    if matches!(purpose, PaymentPurpose::Renewal | PaymentPurpose::TopUp) {
        return Ok(None);
    }
    let current = rows::lock_of(txn, subscriptions::account(row)).await?;
    if matches!(purpose, PaymentPurpose::Change | PaymentPurpose::Restart) {
        // A change is only valid for the period and plan that it was priced against.
        let is_timely = current.is_some_and(|current| {
            let is_same_base = row.base_payment_id.is_none_or(|base| current.payment_id == Some(base));
            Some(current.period) == row.period && current.period_end > now && is_same_base
        });
        return Ok((!is_timely).then_some("late"));
    }
    let Some(current) = current else { return Ok(None) };
    if row.subscription_id == Some(current.id) || !is_paid_for(&current, now)? {
        return Ok(None);
    }
    let plan = plan_rows::by_id(txn, row.plan_id).await?.ok_or(Code::NotFound)?;
    if plan.kind != PlanKind::Subscription {
        return Ok(None);
    }
    // Both checkouts started before there was a subscription. The first paid plan isn't discarded for the second.
    let is_same = current.seats == row.seats && is_version(txn, current.plan_id, row.plan_id).await?;
    Ok((!is_same).then_some("second_plan"))
}

/// Grants credits of a payment to each account. Idempotent by the ledger's unique key.
async fn grant_credits<C: ConnectionTrait>(
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
        let mut books = LockedAccounts::open(txn, holder_of(row, *account), now).await?;
        books.single_account()?.purchase(credits, &source_of(row, *account), expires_at);
        books.store(txn).await?;
    }
    let given = |account_id| payment_credit::Model { payment_id: row.id, account_id, credits, created_at: now };
    rows::upsert_credits(txn, accounts.into_iter().map(given).collect()).await
}

/// Remaining credits of a payment.
struct RemainingCredits<'a> {
    row: &'a payment::Model,
    claims: Reversals,
    /// Credits paid for and not granted, without the reversed part.
    credits: MicroCredits,
    /// Part of `row.amount` that is not reversed, in the currency's smallest unit.
    unclaimed: i64,
    has_user: bool,
    /// True if all seats are taken.
    is_full: bool,
}

impl<'a> RemainingCredits<'a> {
    async fn read<C: ConnectionTrait>(txn: &C, row: &'a payment::Model, user: Uuid) -> Result<Self, AppError> {
        let of_plan = plan_rows::by_id(txn, row.plan_id).await?.ok_or(Code::NotFound)?.credits;
        let claims = Reversals::read(txn, row.id).await?;
        let mut credits = claims.remaining_credits(row, paid_credits(row, of_plan));
        let granted = rows::credits_of(txn, row.id).await?;
        for one in &granted {
            credits = credits - claims.remaining_credits(row, one.credits);
        }
        let unclaimed = (row.amount.max(1) - claims.reversed()).max(0);
        let has_user = granted.iter().any(|one| one.account_id == user);
        let credits = if unclaimed == 0 { MicroCredits::ZERO } else { credits.max(MicroCredits::ZERO) };
        let is_full = i64::try_from(granted.len()).is_ok_and(|taken| taken >= row.seats);
        Ok(Self { row, claims, credits, unclaimed, has_user, is_full })
    }

    /// Grants a part of the remaining credits. The share that belongs to reversed money is granted and clawed back at
    /// once, so that it can be returned if the reversal fails.
    async fn grant<C: ConnectionTrait>(
        &self,
        txn: &C,
        user: Uuid,
        part: MicroCredits,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), AppError> {
        let gross = i128::from(part.0) * i128::from(self.row.amount.max(1)) / i128::from(self.unclaimed.max(1));
        let gross = MicroCredits(i64::try_from(gross).unwrap_or(i64::MAX));
        grant_credits(txn, self.row, &[user], gross, Some(expires_at), now).await?;
        match self.claims.current() {
            Some(claim) => self.claims.claw_back(txn, self.row, claim, now).await.map(drop),
            None => Ok(()),
        }
    }
}

/// Gives a member a free seat of a workspace, with the plan's credits for the rest of the period as far as they are
/// paid for. `payments` are those of the period, locked, with that of `held` last. A member who already had credits of
/// this period gets none again.
pub(super) async fn assign_seat<C: ConnectionTrait>(
    txn: &C,
    held: &subscription::Model,
    payments: &[payment::Model],
    user: Uuid,
    now: Timestamp,
) -> Result<(), AppError> {
    let Some((current, earlier)) = payments.split_last() else { return Ok(()) };
    let current = RemainingCredits::read(txn, current, user).await?;
    let taken = rows::credits_of(txn, current.row.id).await?.len();
    let free = usize::try_from(held.seats).unwrap_or(0).saturating_sub(taken);
    // No seats are given while all of the payment is disputed or being refunded.
    if free == 0 || current.has_user || current.unclaimed == 0 {
        return Ok(());
    }
    let mut sources = vec![current];
    let mut had_some = false;
    for row in earlier.iter().rev() {
        let one = RemainingCredits::read(txn, row, user).await?;
        had_some |= one.has_user && one.unclaimed > 0;
        if !one.has_user && !one.is_full {
            sources.push(one);
        }
    }
    let left = sources.iter().map(|one| one.credits.0).sum();
    let plan = plan_rows::by_id(txn, held.plan_id).await?.ok_or(Code::NotFound)?;
    // If the period was paid in advance and has not begun yet, the credits are those of the whole period.
    let usual = prorate(held, plan.credits, now.max(held.starts_at));
    let mut missing = if had_some { MicroCredits::ZERO } else { usual.min(split_evenly(MicroCredits(left), free)) };
    for (place, one) in sources.iter().enumerate() {
        let part = missing.min(one.credits);
        // The seat belongs to the current payment even if no credits are granted.
        if place == 0 || part > MicroCredits::ZERO {
            one.grant(txn, user, part, held.period_end, now).await?;
            missing = missing - part;
        }
    }
    Ok(())
}

/// Source of the ledger entry for an account's share of a payment.
pub(super) fn source_of(row: &payment::Model, account: Uuid) -> PostingSource {
    if account == row.user_id.0 && row.workspace_id.is_none() {
        PostingSource::new("payment", row.id)
    } else {
        PostingSource::new("payment", format_args!("{}:{account}", row.id))
    }
}

/// Updates the plan in force after all money of a payment was returned, or after such a return has failed.
///
/// The plan in force is that of the last valid payment. A payment is valid unless all of its money was returned. A
/// change within a period is valid only while its base payment is, since it paid no more than the difference. Without a
/// valid payment the subscription ends.
pub(super) async fn apply_valid_plan<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    row: &payment::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(mut held) = rows::lock_of(txn, subscriptions::account(row)).await? else { return Ok(()) };
    if row.subscription_id != Some(held.id) || subscriptions::parse_state(&held)? == SubscriptionState::Ended {
        return Ok(());
    }
    let mut all = rows::paid(txn, held.id).await?;
    // The payment may be paid and refunded in one transaction, so it may not be stored as paid yet.
    if let Some(one) = all.iter_mut().find(|one| one.id == row.id) {
        one.clone_from(row);
    } else {
        all.push(row.clone());
    }
    let Some(current) = all.iter().find(|one| Some(one.id) == held.payment_id) else { return Ok(()) };
    let period = current.period;
    let deed = if let Some(paid) = last_valid(txn, &all, period).await? {
        if Some(paid.id) == held.payment_id {
            return Ok(());
        }
        switch_to(&mut held, paid);
        None
    } else if let Some(earlier) = running_before(txn, &all, period, now).await? {
        let is_in_advance = held.starts_at > now;
        switch_to(&mut held, earlier.paid);
        (held.starts_at, held.period_end) = (earlier.starts_at, earlier.period_end);
        held.anchor_day = 0;
        is_in_advance.then_some(SubscriptionTransition::Cancel)
    } else if held.starts_at > now {
        // The period whose payment was returned was paid in advance; the current period remains valid.
        held.period_end = held.starts_at;
        Some(SubscriptionTransition::Cancel)
    } else {
        held.period_end = held.period_end.min(now);
        Some(SubscriptionTransition::TakenBack)
    };
    if let Some(deed) = deed {
        subscriptions::step(&mut held, deed)?;
    }
    subscriptions::reschedule(service, &mut held, now)?;
    rows::store(txn, held).await
}

fn switch_to(held: &mut subscription::Model, paid: &payment::Model) {
    held.plan_id = paid.plan_id;
    held.seats = paid.seats;
    held.payment_id = Some(paid.id);
    held.currency = Some(paid.currency.clone());
    if held.gateway.as_ref() != Some(&paid.gateway) {
        held.gateway = Some(paid.gateway.clone());
        held.method_id = None;
    }
    let is_next = held.next_plan_id == Some(paid.plan_id) && held.next_seats.is_none_or(|seats| seats == paid.seats);
    if is_next {
        (held.next_plan_id, held.next_seats) = (None, None);
    }
}

/// Last [valid](apply_valid_plan) payment of the period.
async fn last_valid<'a, C: ConnectionTrait>(
    txn: &C,
    all: &'a [payment::Model],
    period: Option<i64>,
) -> Result<Option<&'a payment::Model>, AppError> {
    let (mut before, mut last) = (None, None);
    let mut fallen = HashSet::new();
    for one in all.iter().filter(|one| one.period == period) {
        let is_change = one.purpose.parse::<PaymentPurpose>()? == PaymentPurpose::Change;
        let base = one.base_payment_id.or(before).filter(|_| is_change);
        let is_gone = Reversals::read(txn, one.id).await?.lost_amount() >= one.amount;
        if is_gone || base.is_some_and(|base| fallen.contains(&base)) {
            fallen.insert(one.id);
        } else {
            last = Some(one);
        }
        before = Some(one.id);
    }
    Ok(last)
}

/// An earlier paid period that isn't over.
struct EarlierPeriod<'a> {
    /// Last valid payment of the period.
    paid: &'a payment::Model,
    starts_at: Timestamp,
    period_end: Timestamp,
}

async fn running_before<'a, C: ConnectionTrait>(
    txn: &C,
    all: &'a [payment::Model],
    period: Option<i64>,
    now: Timestamp,
) -> Result<Option<EarlierPeriod<'a>>, AppError> {
    let is_running = |one: &&payment::Model| one.period < period && one.period_end.is_some_and(|end| end > now);
    let periods: BTreeSet<_> = all.iter().filter(is_running).map(|one| one.period).collect();
    for period in periods.into_iter().rev() {
        let first = all.iter().find(|one| one.period == period);
        let Some((starts_at, period_end)) = first.and_then(|first| first.period_start.zip(first.period_end)) else {
            continue;
        };
        if let Some(paid) = last_valid(txn, all, period).await? {
            return Ok(Some(EarlierPeriod { paid, starts_at, period_end }));
        }
    }
    Ok(None)
}
