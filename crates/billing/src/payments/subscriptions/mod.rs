//! Subscriptions of users and workspaces.
//!
//! All gateways share one state machine, whose table is in `payment::SubscriptionState`. A period starts when its
//! payment is [fulfilled](super::fulfilment), in the same transaction, whether the payer paid at a gateway or the
//! [renewal](renew) charged the saved method. The time of the next action is stored in the row (`due_at`); each
//! instance looks for due subscriptions, and one claims each. A period has one automatic payment and one payment intent
//! at the gateway, so it is never charged twice, even after crashes or with clock differences between instances.

mod change;
mod methods;
#[cfg(test)]
mod period_tests;
mod renew;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use ::payment::{Cycle, SubscriptionSchedule, SubscriptionState, SubscriptionTransition};
use appcore::{
    AppError, Code, PlanId, Timestamp, UserId, WorkspaceId,
    auth::{Permission, Principal},
    credits::MicroCredits,
    page::{Page, PageRequest},
    view::{AdminSubscription, PlanInterval, PlanKind, PlanName, Price, PricingPlan, Subscription, SubscriptionStatus},
};
use aws_lc_rs::digest::{SHA256, digest};
use dbcontext::{
    constraint::app_error,
    entity::{payment, subscription},
    query::{payment_methods, plans as plan_rows, subscriptions as rows, users, workspaces},
};
use uuid::Uuid;

pub use self::methods::SaveMethodJob;
pub(super) use self::{
    change::price_at,
    methods::{customer_of, find_own as own_method, save as save_method, view as method_view},
    renew::{attempt_failed, charge_unattended, sweep},
};
pub use self::{
    change::{ChangeResult, PayRequest, change, pay_next_period, preview},
    methods::{methods, portal, remove, set_default},
};
use super::plans;
pub(super) use crate::entitlements::parse_state;
use crate::{
    BillingService, entitlements,
    ledger::{AccountHolder, LockedAccounts, PostingSource},
};

/// Maximum number of seats of a workspace.
pub(super) const MAX_SEATS: i64 = 1_000;

/// Purpose of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PaymentPurpose {
    /// Purchase by the payer: credits, a first period, or another period.
    Purchase,
    /// Automatic charge of a period.
    Renewal,
    /// Change of plan or seats for the rest of the period.
    Change,
    /// Change of plan that starts a new period.
    Restart,
    /// Automatic top-up of credits.
    TopUp,
}

impl PaymentPurpose {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Renewal => "renewal",
            Self::Change => "change",
            Self::Restart => "restart",
            Self::TopUp => "top_up",
        }
    }
}

impl std::str::FromStr for PaymentPurpose {
    type Err = AppError;

    fn from_str(text: &str) -> Result<Self, AppError> {
        let all = [Self::Purchase, Self::Renewal, Self::Change, Self::Restart, Self::TopUp];
        let unknown = || AppError::internal(anyhow::anyhow!("unknown purpose of a payment"));
        all.into_iter().find(|one| one.as_str() == text).ok_or_else(unknown)
    }
}

/// The user who pays, for themselves or for a workspace. Callers get one only through the permission check of
/// [`Self::ask`]; background tasks construct it from stored rows.
#[derive(Clone, Copy, Debug)]
pub struct Payer {
    pub(super) user_id: UserId,
    /// Workspace that the user pays for; `None` if the user pays for themselves.
    pub(super) workspace_id: Option<WorkspaceId>,
}

impl Payer {
    /// Returns the caller as payer. For a workspace the caller needs the permission to configure it; otherwise the
    /// result is `NotFound`.
    pub async fn authorize(
        service: &BillingService,
        by: &Principal,
        workspace_id: Option<WorkspaceId>,
    ) -> Result<Self, AppError> {
        if let Some(id) = workspace_id {
            let role = workspaces::role(service.db.reader(), id, by.user_id).await?.ok_or(Code::NotFound)?;
            if !role.may(Permission::Configure) {
                return Err(Code::NotFound.into());
            }
        }
        Ok(Self { user_id: by.user_id, workspace_id })
    }

    pub(super) fn account(self) -> Uuid {
        self.holder().account()
    }

    /// Holder of the account that gets the credits.
    pub(crate) fn holder(self) -> AccountHolder {
        self.workspace_id.map_or(AccountHolder::Person(self.user_id), AccountHolder::Workspace)
    }
}

/// Account that a payment is for.
pub(super) fn account(row: &payment::Model) -> Uuid {
    row.workspace_id.map_or(row.user_id.0, |id| id.0)
}

pub(super) fn interval_of(plan: &PricingPlan) -> Result<PlanInterval, AppError> {
    plan.interval.ok_or_else(|| AppError::internal(anyhow::anyhow!("subscription plan has no interval")))
}

/// Billing cycle of a subscription.
pub(super) fn cycle(row: &subscription::Model, plan: &PricingPlan) -> Result<Cycle, AppError> {
    let usual = Cycle::starting_at(interval_of(plan)?, row.period_end);
    let anchor_day = u8::try_from(row.anchor_day).ok().filter(|day| *day > 0).unwrap_or(usual.anchor_day);
    Ok(Cycle { anchor_day, ..usual })
}

/// Applies a state transition; returns false if it is invalid.
pub(super) fn step(row: &mut subscription::Model, deed: SubscriptionTransition) -> Result<bool, AppError> {
    let Some(next) = parse_state(row)?.step(deed) else { return Ok(false) };
    row.state = next.as_str().to_owned();
    Ok(true)
}

/// True if the subscription can be charged without the payer being present.
pub(super) fn is_automatic(service: &BillingService, row: &subscription::Model) -> bool {
    let gateway =
        row.gateway.as_deref().and_then(|name| name.parse().ok()).and_then(|name| service.payments.gateway(name));
    row.method_id.is_some() && gateway.is_some_and(|gateway| gateway.recurring().is_some())
}

pub(super) fn schedule(service: &BillingService, row: &subscription::Model) -> Result<SubscriptionSchedule, AppError> {
    Ok(SubscriptionSchedule {
        state: parse_state(row)?,
        starts_at: row.starts_at,
        period_end: row.period_end,
        ends_at: row.ends_at,
        is_reminded: row.reminded_period >= row.period,
        is_automatic: is_automatic(service, row),
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        is_charging: row.is_charging,
    })
}

/// Recomputes the end of the subscription and the time of its next action.
pub(super) fn reschedule(
    service: &BillingService,
    row: &mut subscription::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    row.ends_at = match parse_state(row)? {
        SubscriptionState::Active | SubscriptionState::PastDue => row.period_end.plus(service.config.payment.grace),
        SubscriptionState::Canceling | SubscriptionState::Trialing => row.period_end,
        SubscriptionState::Ended => row.ends_at.min(now),
    };
    row.due_at = schedule(service, row)?.next().map(|(at, _)| at);
    row.updated_at = now;
    Ok(())
}

/// Notifies the payer of a change. Members with seats read the subscription when they need it.
pub(super) fn notify_payer(service: &BillingService, row: &subscription::Model) {
    entitlements::notify_user(service, row.user_id);
}

/// Reads the payer's subscription; `None` if there never was one.
pub async fn read(service: &BillingService, payer: Payer) -> Result<Option<Subscription>, AppError> {
    match rows::by_account(service.db.writer(), payer.account()).await? {
        Some(row) => Ok(Some(view(service, row).await?)),
        None => Ok(None),
    }
}

async fn view(service: &BillingService, row: subscription::Model) -> Result<Subscription, AppError> {
    let found = views(service, vec![row]).await?;
    found.into_iter().next().map(|one| one.subscription).ok_or_else(|| Code::NotFound.into())
}

/// Lists all subscriptions, for administrators.
pub async fn list_all(
    service: &BillingService,
    status: Option<SubscriptionStatus>,
    page: PageRequest,
) -> Result<Page<AdminSubscription>, AppError> {
    let states: &[&str] = match status {
        None => &[],
        Some(SubscriptionStatus::Trialing) => &["trialing"],
        Some(SubscriptionStatus::Active) => &["active", "canceling"],
        Some(SubscriptionStatus::PastDue) => &["past_due"],
        Some(SubscriptionStatus::Ended) => &["ended"],
    };
    let (found, total) = rows::list(service.db.reader(), states, page).await?;
    Ok(Page::new(views(service, found).await?, page, total))
}

async fn views(service: &BillingService, found: Vec<subscription::Model>) -> Result<Vec<AdminSubscription>, AppError> {
    let db = service.db.writer();
    let mut ids: Vec<PlanId> = found.iter().flat_map(|row| [Some(row.plan_id), row.next_plan_id]).flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut known = HashMap::new();
    for row in plan_rows::by_ids(db, ids).await? {
        known.insert(row.id, plans::view(row)?);
    }
    let methods = payment_methods::by_ids(db, found.iter().filter_map(|row| row.method_id).collect()).await?;
    let methods: HashMap<_, _> = methods.into_iter().map(|row| (row.id, row)).collect();
    let of_workspaces = found.iter().filter(|row| row.workspace_id.is_some());
    let taken = rows::seats_taken(db, &of_workspaces.filter_map(|row| row.payment_id).collect::<Vec<_>>()).await?;
    let mut views = Vec::new();
    for row in found {
        let plan = known.get(&row.plan_id).cloned().ok_or(Code::NotFound)?;
        let state = parse_state(&row)?;
        let course = schedule(service, &row)?;
        let price = price_of(&plan, &row);
        let next_plan = row.next_plan_id.and_then(|id| known.get(&id)).map(|plan| PlanName {
            id: plan.id.0,
            name: plan.name.clone(),
            interval: plan.interval,
        });
        let is = |one: SubscriptionState| state == one;
        let taken = row.payment_id.and_then(|id| taken.get(&id)).copied();
        let seats_used = row.workspace_id.map(|_| taken.unwrap_or(0).min(row.seats));
        let subscription = Subscription {
            id: row.id,
            status: match state {
                SubscriptionState::Trialing => SubscriptionStatus::Trialing,
                SubscriptionState::Active | SubscriptionState::Canceling => SubscriptionStatus::Active,
                SubscriptionState::PastDue => SubscriptionStatus::PastDue,
                SubscriptionState::Ended => SubscriptionStatus::Ended,
            },
            price,
            seats: row.workspace_id.map(|_| row.seats),
            seats_used,
            workspace_id: row.workspace_id,
            period_start: row.starts_at,
            period_end: row.period_end,
            renews_at: is(SubscriptionState::Active).then_some(row.period_end),
            ends_at: (is(SubscriptionState::Canceling) || is(SubscriptionState::Trialing)).then_some(row.period_end),
            trial_ends_at: is(SubscriptionState::Trialing).then_some(row.period_end),
            grace_until: is(SubscriptionState::PastDue).then_some(row.ends_at),
            auto_renews: course.is_automatic && !is(SubscriptionState::Ended),
            next_attempt_at: course.attempt_at().filter(|_| is(SubscriptionState::PastDue) && !course.is_charging),
            failed_attempts: if is(SubscriptionState::PastDue) { row.attempts - i64::from(row.is_charging) } else { 0 },
            next_plan,
            next_seats: row.next_seats.filter(|_| row.workspace_id.is_some()),
            method: row.method_id.and_then(|id| methods.get(&id)).map(methods::view),
            gateway: row.gateway,
            plan,
        };
        views.push(AdminSubscription { subscription, user_id: row.user_id });
    }
    Ok(views)
}

/// Price of one period including seats, in the subscription's currency. `None` if the plan has no price in it.
pub(super) fn price_of(plan: &PricingPlan, row: &subscription::Model) -> Option<Price> {
    let currency = row.currency.as_deref();
    let price = plan.prices.iter().find(|price| Some(price.currency.as_str()) == currency)?;
    Some(Price { currency: price.currency.clone(), amount: price.amount.checked_mul(row.seats)? })
}

/// Starts a trial of a plan without payment: once per account and mailbox, for accounts with a verified address and
/// without an earlier subscription.
pub async fn start_trial(service: &BillingService, by: &Principal, plan_id: PlanId) -> Result<Subscription, AppError> {
    let now = service.clock.now();
    let plan = plan_rows::by_id(service.db.reader(), plan_id).await?.filter(|plan| plan.is_active);
    let plan = plans::view(plan.ok_or(Code::NotFound)?)?;
    if plan.kind != PlanKind::Subscription || plan.trial_days == 0 {
        return Err(wrong_state("This plan has no trial."));
    }
    let length = i64::from(plan.trial_days) * 86_400_000;
    let end = Timestamp(now.0.saturating_add(length));
    let cycle = Cycle::starting_at(interval_of(&plan)?, now);
    let period = cycle.period_end(now).map_or(length, |end| end.0 - now.0);
    let part = i128::from(plan.credits.0) * i128::from(length.min(period)) / i128::from(period.max(1));
    let account = by.user_id.0;
    let tx = service.db.begin().await.map_err(app_error)?;
    let user = users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if !user.is_verified() {
        return Err(AppError::refused(Code::Forbidden, "Verify your email address before you start a trial."));
    }
    for subject in [account, mailbox(&user.email)] {
        if !rows::record_trial(&tx, subject, plan.id, now).await? {
            return Err(wrong_state("You've already had your trial."));
        }
    }
    let mut row = subscription::Model {
        id: Uuid::now_v7(),
        account_id: account,
        workspace_id: None,
        user_id: by.user_id,
        plan_id: plan.id,
        payment_id: None,
        state: SubscriptionState::Trialing.as_str().to_owned(),
        gateway: None,
        currency: None,
        seats: 1,
        anchor_day: i64::from(cycle.anchor_day),
        period: 0,
        starts_at: now,
        period_end: end,
        ends_at: end,
        next_plan_id: None,
        next_seats: None,
        method_id: None,
        attempts: 0,
        is_charging: false,
        reminded_period: -1,
        due_at: None,
        updated_at: now,
    };
    reschedule(service, &mut row, now)?;
    if !rows::insert(&tx, row.clone()).await? {
        return Err(wrong_state("A trial is for those who haven't had a plan yet."));
    }
    let mut books = LockedAccounts::open(&tx, AccountHolder::Person(by.user_id), now).await?;
    let credits = MicroCredits(i64::try_from(part).unwrap_or(0));
    books.single_account()?.grant(credits, &PostingSource::new("trial", row.id), Some(end), None);
    books.store(&tx).await?;
    tx.commit().await.map_err(app_error)?;
    notify_payer(service, &row);
    view(service, row).await
}

/// Id of the mailbox that an address reaches, so that other spellings of it get no second trial: without the part after
/// a plus sign and, at Gmail, without dots. It is a digest because it is stored beyond the deletion of the account.
fn mailbox(email: &str) -> Uuid {
    let email = email.to_lowercase();
    let (local, domain) = email.rsplit_once('@').unwrap_or((&email, ""));
    let local = local.split('+').next().unwrap_or(local);
    let plain = match domain {
        "gmail.com" | "googlemail.com" => format!("{}@gmail.com", local.replace('.', "")),
        _ => format!("{local}@{domain}"),
    };
    let hash = digest(&SHA256, format!("natter trial {plain}").as_bytes());
    let mut bytes = [0; 16];
    for (byte, sha256_hex) in bytes.iter_mut().zip(hash.as_ref()) {
        *byte = *sha256_hex;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Cancels the subscription at the end of the paid period; an unpaid subscription ends at once.
pub async fn cancel(service: &BillingService, payer: Payer) -> Result<Subscription, AppError> {
    transition(service, payer, SubscriptionTransition::Cancel, "There is nothing to cancel.").await
}

/// Reverts a cancellation.
pub async fn resume(service: &BillingService, payer: Payer) -> Result<Subscription, AppError> {
    transition(service, payer, SubscriptionTransition::Resume, "There is nothing to resume.").await
}

async fn transition(
    service: &BillingService,
    payer: Payer,
    deed: SubscriptionTransition,
    sentence: &'static str,
) -> Result<Subscription, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = rows::lock_of(&tx, payer.account()).await?.ok_or(Code::NotFound)?;
    if row.is_charging {
        return Err(wrong_state("A charge is in progress. Try again in a few minutes."));
    }
    if parse_state(&row)? == SubscriptionState::Canceling && row.period_end <= now {
        return Err(wrong_state("It has ended already."));
    }
    if !step(&mut row, deed)? {
        return Err(wrong_state(sentence));
    }
    if parse_state(&row)? == SubscriptionState::Ended {
        row.period_end = row.period_end.min(now);
        row.ends_at = now;
    }
    if deed == SubscriptionTransition::Cancel {
        (row.next_plan_id, row.next_seats) = (None, None);
    }
    reschedule(service, &mut row, now)?;
    rows::store(&tx, row.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    notify_payer(service, &row);
    view(service, row).await
}

pub(super) fn wrong_state(sentence: &'static str) -> AppError {
    AppError::refused(Code::WrongState, sentence)
}
