//! What somebody may use: their plan, their credits, and what is left of quotas.
//!
//! What is used is [held](crate::holds) before it is asked for, in all that [counts](add_purses).

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use ::payment::SubscriptionState;
use appcore::{
    AppError, Code, Timestamp, UserId, WorkspaceId,
    auth::{Permission, Principal},
    credits::MicroCredits,
    event::{BusMessage, Envelope, Event, Signal, Topic},
    view::{Credits, CurrentPlan, Entitlements, QuotaMetric, QuotaUse, StorageUse, WorkspaceEntitlements},
};
use dbcontext::{
    entity::subscription,
    query::{
        budgets::{self as counters, CounterId},
        ledger as ledger_rows, plans as plan_rows, subscriptions as subscription_rows, workspaces,
    },
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    BillingService,
    reservations::{Amounts, SpendingLimit},
    ledger::{self, AccountHolder},
    storage,
};

/// How often one person is told at most.
const PACE: Duration = Duration::from_secs(1);
/// In milliseconds.
const DAY: i64 = 86_400_000;

/// Whom there is something to tell.
///
/// An instance whose calls change what somebody has asks all instances who has a connection of theirs, and reads and tells it once one has: where
/// programs alone use it up, that is a question a second and no read. It isn't asked of [presence](identity::presence), which learns of a connection
/// after it was opened. Whoever connects after the question reads what they have by themselves.
pub struct EntitlementNotifier {
    /// Those for whom there was something within the last second.
    changed: Mutex<HashMap<UserId, UserState>>,
    /// The instance, for what is told later.
    service: Weak<BillingService>,
}

/// Somebody of whom something has changed.
struct UserState {
    search: Search,
    /// Whether something has changed that was not asked for yet.
    has_more: bool,
    /// Wakes whoever waits for an answer.
    found: Arc<Notify>,
}

/// How far it is known whether somebody is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    /// Nothing is asked.
    Closed,
    Asked,
    /// They are.
    Found,
}

/// What there is to do for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is asked who has a connection of theirs.
    Ask,
    Tell,
    End,
}

impl EntitlementNotifier {
    pub(crate) fn new(service: Weak<BillingService>) -> Self {
        Self { changed: Mutex::default(), service }
    }

    /// Something has changed. Where nobody sees to this person yet, the caller has to, and hears by this of an answer.
    fn note(&self, user_id: UserId) -> Option<Arc<Notify>> {
        match self.changed().entry(user_id) {
            Entry::Occupied(mut changed) => {
                changed.get_mut().has_more = true;
                None
            }
            Entry::Vacant(place) => Some(place.insert(UserState::new(Search::Closed, true)).found()),
        }
    }

    /// Somebody is connected. As in [`Self::note`]: an answer may come after it was waited for.
    fn find(&self, user_id: UserId) -> Option<Arc<Notify>> {
        match self.changed().entry(user_id) {
            Entry::Occupied(mut changed) => {
                let changed = changed.get_mut();
                // Each thread with a connection of theirs answers.
                if changed.search == Search::Asked {
                    changed.search = Search::Found;
                    changed.found.notify_one();
                }
                None
            }
            Entry::Vacant(place) => Some(place.insert(UserState::new(Search::Found, false)).found()),
        }
    }

    /// What is to be done next. At its end nobody sees to this person any more.
    fn next(&self, user_id: UserId) -> Step {
        let mut all = self.changed();
        let Some(changed) = all.get_mut(&user_id) else { return Step::End };
        if changed.search == Search::Found {
            changed.search = Search::Closed;
            return Step::Tell;
        }
        if std::mem::take(&mut changed.has_more) {
            changed.search = Search::Asked;
            return Step::Ask;
        }
        all.remove(&user_id);
        Step::End
    }

    fn changed(&self) -> MutexGuard<'_, HashMap<UserId, UserState>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UserState {
    fn new(search: Search, has_more: bool) -> Self {
        Self { search, has_more, found: Arc::default() }
    }

    fn found(&self) -> Arc<Notify> {
        Arc::clone(&self.found)
    }
}

/// What somebody has.
pub async fn read(service: &BillingService, user_id: UserId) -> Result<Entitlements, AppError> {
    if !service.payments.is_charging() {
        return Ok(Entitlements { plan: None, credits: None, quotas: Vec::new(), trial_ends_at: None });
    }
    let now = service.clock.now();
    let subscription = plan_rows::subscription(service.db.reader(), user_id, now).await?;
    let standing = subscription.as_ref().map(standing);
    let plan = current_plan(service, subscription.as_ref()).await?;
    let (credits, quotas) = (credits(service, AccountHolder::Person(user_id)).await?, quotas(service, user_id, now).await?);
    let trial_ends_at = standing.and_then(|standing| standing.trial_ends_at);
    Ok(Entitlements { plan, credits: Some(credits), quotas, trial_ends_at })
}

/// Reads how much a person stores, for the person and for administrators.
///
/// It is not part of [`read`], which every app calls when it starts and when it reconnects: the sum reads all rows of the person's files and texts.
pub async fn storage(service: &BillingService, user_id: UserId) -> Result<StorageUse, AppError> {
    let db = service.db.reader();
    let limit = storage::limit_of(service, db, user_id).await?;
    let bytes = storage::stored(db, user_id, None).await?;
    Ok(StorageUse { bytes, quota_bytes: limit.map(|limit| limit.bytes) })
}

/// What a workspace has, for its members; what is on its account, for those who pay for it.
pub async fn read_workspace(
    service: &BillingService,
    by: &Principal,
    id: WorkspaceId,
) -> Result<WorkspaceEntitlements, AppError> {
    let role = workspaces::role(service.db.reader(), id, by.user_id).await?.ok_or(Code::NotFound)?;
    if !service.payments.is_charging() {
        return Ok(WorkspaceEntitlements {
            workspace_id: id,
            pays: false,
            credits: None,
            plan: None,
            quotas: Vec::new(),
        });
    }
    let now = service.clock.now();
    let held = subscription_rows::of(service.db.reader(), id.0).await?.filter(|row| row.ends_at > now);
    let credits = credits(service, AccountHolder::Workspace(id)).await?;
    Ok(WorkspaceEntitlements {
        workspace_id: id,
        pays: credits.available > MicroCredits::ZERO,
        credits: role.may(Permission::Configure).then_some(credits),
        plan: current_plan(service, held.as_ref()).await?,
        quotas: identity::membership::quota::members(service.db.reader(), id, now).await?.into_iter().collect(),
    })
}

/// When a subscription that holds goes on, or ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RenewalDates {
    pub renews_at: Option<Timestamp>,
    pub cancel_at: Option<Timestamp>,
    pub trial_ends_at: Option<Timestamp>,
}

pub(crate) fn standing(row: &subscription::Model) -> RenewalDates {
    match state(row) {
        Ok(SubscriptionState::Active) => RenewalDates { renews_at: Some(row.period_end), ..RenewalDates::default() },
        Ok(SubscriptionState::Trialing) => {
            let end = Some(row.period_end);
            RenewalDates { cancel_at: end, trial_ends_at: end, renews_at: None }
        }
        _ => RenewalDates { cancel_at: Some(row.ends_at), ..RenewalDates::default() },
    }
}

/// How far a subscription is.
pub(crate) fn state(row: &subscription::Model) -> Result<SubscriptionState, AppError> {
    row.state.parse().map_err(AppError::internal)
}

async fn current_plan(
    service: &BillingService,
    held: Option<&subscription::Model>,
) -> Result<Option<CurrentPlan>, AppError> {
    let Some(row) = held else { return Ok(None) };
    let standing = standing(row);
    let plan = plan_rows::by_id(service.db.reader(), row.plan_id).await?;
    Ok(plan.map(|plan| CurrentPlan {
        id: plan.id.0,
        name: plan.name,
        renews_at: standing.renews_at,
        cancel_at: standing.cancel_at,
    }))
}

/// What is on an account. What this instance holds in advance is not shown as held, and what it has not booked yet is spent.
pub async fn credits(service: &BillingService, holder: AccountHolder) -> Result<Credits, AppError> {
    let account = holder.account();
    let Some(mut row) = ledger_rows::account(service.db.reader(), account).await? else { return Ok(ledger::none()) };
    let (unused, spent) = service.reservations.unseen(SpendingLimit::Credits(account));
    row.held = (row.held - unused).max(MicroCredits::ZERO);
    row.balance = (row.balance - spent).max(row.held);
    Ok(ledger::figures(&row, ledger_rows::granted(service.db.reader(), account).await?))
}

/// What the plan allows in a day (of UTC), and what was used of it.
async fn quotas(service: &BillingService, user_id: UserId, now: Timestamp) -> Result<Vec<QuotaUse>, AppError> {
    let Some(text) = plan_rows::quotas_of(service.db.reader(), user_id, now).await? else { return Ok(Vec::new()) };
    let limits: BTreeMap<QuotaMetric, i64> = serde_json::from_str(&text).map_err(AppError::internal)?;
    uses(service, user_id, &limits, now).await
}

/// What somebody has used of these limits: today, or at all. Those of workspaces are left out.
pub(crate) async fn uses(
    service: &BillingService,
    user_id: UserId,
    limits: &BTreeMap<QuotaMetric, i64>,
    now: Timestamp,
) -> Result<Vec<QuotaUse>, AppError> {
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    let today = Timestamp(now.0.div_euclid(DAY) * DAY);
    let metrics: Vec<QuotaMetric> = limits.keys().copied().collect();
    let counted: HashMap<String, i64> = counters::quotas_of(service.db.reader(), user_id, &metrics)
        .await?
        .into_iter()
        .filter(|row| row.period_start == today)
        .map(|row| (row.scope, row.spent.0))
        .collect();
    let stored = match limits.get(&QuotaMetric::Storage) {
        Some(_) => storage::stored(service.db.reader(), user_id, None).await?,
        None => 0,
    };
    let quota = |(metric, limit): (&QuotaMetric, &i64)| {
        if *metric == QuotaMetric::Storage {
            return identity::membership::quota::kept(*metric, stored, *limit);
        }
        let (_, ended) = service.reservations.unseen(SpendingLimit::Counter(CounterId::Quota(*metric, user_id)));
        let used = counted.get(metric.as_str()).copied().unwrap_or(0) + ended.0;
        QuotaUse { metric: *metric, used, limit: *limit, resets_at: Some(Timestamp(today.0 + DAY)) }
    };
    Ok(limits.iter().filter(|(metric, _)| **metric != QuotaMetric::Members).map(quota).collect())
}

/// What a use of models counts against beside budgets: the quotas of its user's plan, and the credits on the account that pays for it. Whatever
/// asks a model goes ahead only where all of these have room.
pub fn add_purses(purses: &mut Vec<SpendingLimit>, user_id: UserId, metric: QuotaMetric, amounts: Amounts, account: Uuid) {
    let quota = |metric| SpendingLimit::Counter(CounterId::Quota(metric, user_id));
    // What goes on is counted already.
    if amounts.count > 0 {
        purses.push(quota(metric));
    }
    if amounts.tokens > 0 {
        purses.push(quota(QuotaMetric::Tokens));
    }
    // What costs nothing needs no credits.
    if amounts.cost > MicroCredits::ZERO {
        purses.push(SpendingLimit::Credits(account));
    }
}

/// Tells somebody's own connections what they have now, wherever they are, at most once a second. Who has none costs no read.
pub fn tell(service: &BillingService, user_id: UserId) {
    if !service.payments.is_charging() {
        return;
    }
    let Some(service) = service.entitlement_notifier.service.upgrade() else { return };
    if let Some(found) = service.entitlement_notifier.note(user_id) {
        tokio::spawn(see_to(service, user_id, found));
    }
}

/// An instance has a connection of somebody for whom this one has asked.
pub(crate) fn found(service: Arc<BillingService>, user_id: UserId) {
    if let Some(found) = service.entitlement_notifier.find(user_id) {
        tokio::spawn(see_to(service, user_id, found));
    }
}

/// Asks and tells until there is nothing more for this person.
async fn see_to(service: Arc<BillingService>, user_id: UserId, found: Arc<Notify>) {
    loop {
        match service.entitlement_notifier.next(user_id) {
            Step::Ask => {
                let question = Signal::ConnectionQuery { asked_by: service.instance_id, user_id };
                drop(service.bus.publish(vec![BusMessage::Signal(question)]));
                // Without an answer the person has waited for their second as well.
                let _ = tokio::time::timeout(PACE, found.notified()).await;
            }
            Step::Tell => {
                match read(&service, user_id).await {
                    Ok(entitlements) => publish(&service, user_id, entitlements),
                    Err(error) => tracing::warn!(%error, "somebody could not be told what they have"),
                }
                tokio::time::sleep(PACE).await;
            }
            Step::End => return,
        }
    }
}

fn publish(service: &BillingService, user_id: UserId, entitlements: Entitlements) {
    let Entitlements { plan, credits, quotas, trial_ends_at } = entitlements;
    let event = Event::QuotaUpdated { plan, credits, quotas, trial_ends_at };
    match Envelope::seal(&event, Topic::User(user_id), service.clock.now()) {
        Ok(envelope) => drop(service.bus.publish(vec![BusMessage::Envelope(envelope.into())])),
        Err(error) => tracing::error!(%error, "what somebody has could not be sealed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_connected_nowhere_is_only_asked_for() {
        let (notifier, user) = (EntitlementNotifier::new(Weak::new()), UserId::new());
        assert!(notifier.note(user).is_some());
        assert_eq!(notifier.next(user), Step::Ask);
        // Somebody sees to them already.
        assert!(notifier.note(user).is_none());
        assert_eq!(notifier.next(user), Step::Ask, "there is more");
        assert_eq!(notifier.next(user), Step::End);
        assert!(notifier.changed().is_empty());
    }

    #[tokio::test]
    async fn who_is_connected_is_told_once_for_each_question() {
        let (notifier, user) = (EntitlementNotifier::new(Weak::new()), UserId::new());
        let found = notifier.note(user).unwrap();
        assert_eq!(notifier.next(user), Step::Ask);
        assert!(notifier.find(user).is_none() && notifier.find(user).is_none(), "each of their threads answers");
        found.notified().await;
        assert_eq!(notifier.next(user), Step::Tell);
        assert!(notifier.find(user).is_none());
        // While it is read and told.
        assert!(notifier.note(user).is_none());
        assert_eq!(notifier.next(user), Step::Ask);
        assert!(notifier.find(user).is_none());
        assert_eq!(notifier.next(user), Step::Tell);
        assert_eq!(notifier.next(user), Step::End);
    }

    #[test]
    fn an_answer_that_comes_late_is_heard() {
        let (notifier, user) = (EntitlementNotifier::new(Weak::new()), UserId::new());
        assert!(notifier.note(user).is_some());
        assert_eq!((notifier.next(user), notifier.next(user)), (Step::Ask, Step::End));
        assert!(notifier.find(user).is_some());
        assert_eq!((notifier.next(user), notifier.next(user)), (Step::Tell, Step::End));
    }
}
