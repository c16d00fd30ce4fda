//! Entitlements of a user or workspace: plan, credits, and remaining quotas.
//!
//! Usage is [reserved](crate::reservations) in every applicable limit ([`add_limits`]) before a call is made.

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
    ledger::{self, AccountHolder},
    reservations::{Amounts, SpendingLimit},
    storage,
};

/// Minimum interval between two entitlement updates of one user.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Milliseconds per day.
const DAY_MILLIS: i64 = 86_400_000;

/// Rate-limited notifier for entitlement changes.
///
/// An instance whose calls change a user's entitlements asks all instances on the bus whether the user is connected to
/// them, and reads and publishes the entitlements only after a positive answer. A user who only calls the API therefore
/// costs one bus message a second and no database read. [Presence](identity::presence) isn't used for this because it
/// learns of a connection only after it was opened. A client that connects after the question reads its entitlements
/// itself.
pub struct EntitlementNotifier {
    /// Users with a change within the last second.
    changed: Mutex<HashMap<UserId, UserState>>,
    /// The service, for notifications sent later.
    service: Weak<BillingService>,
}

/// Notification state of one user.
struct UserState {
    search: ConnectionSearch,
    /// True if a change arrived since the last question.
    has_more: bool,
    /// Wakes the task that waits for an answer.
    answered: Arc<Notify>,
}

/// State of the search for the user's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionSearch {
    Closed,
    Asked,
    /// An instance has answered that the user is connected to it.
    Found,
}

/// Next step of the notification task for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Ask all instances whether the user is connected to them.
    QueryInstances,
    Publish,
    End,
}

impl EntitlementNotifier {
    pub(crate) fn new(service: Weak<BillingService>) -> Self {
        Self { changed: Mutex::default(), service }
    }

    /// Records a change. If no task runs for the user, the caller must start one; the returned [`Notify`] is signalled
    /// on an answer.
    fn mark_changed(&self, user_id: UserId) -> Option<Arc<Notify>> {
        match self.changed().entry(user_id) {
            Entry::Occupied(mut changed) => {
                changed.get_mut().has_more = true;
                None
            }
            Entry::Vacant(place) => Some(place.insert(UserState::new(ConnectionSearch::Closed, true)).answered()),
        }
    }

    /// Records that the user is connected. As in [`Self::note`], the caller must start a task if none runs, because the
    /// answer may arrive late.
    fn mark_connected(&self, user_id: UserId) -> Option<Arc<Notify>> {
        match self.changed().entry(user_id) {
            Entry::Occupied(mut changed) => {
                let changed = changed.get_mut();
                // Later answers are ignored: every worker thread with a connection of the user sends one.
                if changed.search == ConnectionSearch::Asked {
                    changed.search = ConnectionSearch::Found;
                    changed.answered.notify_one();
                }
                None
            }
            Entry::Vacant(place) => Some(place.insert(UserState::new(ConnectionSearch::Found, false)).answered()),
        }
    }

    /// Returns the next step. After [`Step::End`] no task runs for the user.
    fn next_step(&self, user_id: UserId) -> Step {
        let mut all = self.changed();
        let Some(changed) = all.get_mut(&user_id) else { return Step::End };
        if changed.search == ConnectionSearch::Found {
            changed.search = ConnectionSearch::Closed;
            return Step::Publish;
        }
        if std::mem::take(&mut changed.has_more) {
            changed.search = ConnectionSearch::Asked;
            return Step::QueryInstances;
        }
        all.remove(&user_id);
        Step::End
    }

    fn changed(&self) -> MutexGuard<'_, HashMap<UserId, UserState>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UserState {
    fn new(search: ConnectionSearch, has_more: bool) -> Self {
        Self { search, has_more, answered: Arc::default() }
    }

    fn answered(&self) -> Arc<Notify> {
        Arc::clone(&self.answered)
    }
}

/// Reads the entitlements of a user.
pub async fn read(service: &BillingService, user_id: UserId) -> Result<Entitlements, AppError> {
    if !service.payments.is_charging() {
        return Ok(Entitlements { plan: None, credits: None, quotas: Vec::new(), trial_ends_at: None });
    }
    let now = service.clock.now();
    let subscription = plan_rows::subscription(service.db.reader(), user_id, now).await?;
    let standing = subscription.as_ref().map(renewal_dates);
    let plan = current_plan(service, subscription.as_ref()).await?;
    let (credits, quotas) =
        (credits(service, AccountHolder::Person(user_id)).await?, quotas(service, user_id, now).await?);
    let trial_ends_at = standing.and_then(|standing| standing.trial_ends_at);
    Ok(Entitlements { plan, credits: Some(credits), quotas, trial_ends_at })
}

/// Reads the storage use of a user, for the user and for administrators.
///
/// Separate from [`read`], which every client calls at start-up and on reconnect, because the sum reads all rows of the
/// user's files and texts.
pub async fn storage(service: &BillingService, user_id: UserId) -> Result<StorageUse, AppError> {
    let db = service.db.reader();
    let limit = storage::storage_limit(service, db, user_id).await?;
    let bytes = storage::stored_bytes(db, user_id, None).await?;
    Ok(StorageUse { bytes, quota_bytes: limit.map(|limit| limit.bytes) })
}

/// Reads the entitlements of a workspace, for its members. The credit balance is only included for members who may
/// configure the workspace.
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
    let held = subscription_rows::by_account(service.db.reader(), id.0).await?.filter(|row| row.ends_at > now);
    let credits = credits(service, AccountHolder::Workspace(id)).await?;
    Ok(WorkspaceEntitlements {
        workspace_id: id,
        pays: credits.available > MicroCredits::ZERO,
        credits: role.may(Permission::Configure).then_some(credits),
        plan: current_plan(service, held.as_ref()).await?,
        quotas: identity::membership::quota::members(service.db.reader(), id, now).await?.into_iter().collect(),
    })
}

/// Renewal and end dates of a current subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RenewalDates {
    pub renews_at: Option<Timestamp>,
    pub cancel_at: Option<Timestamp>,
    pub trial_ends_at: Option<Timestamp>,
}

pub(crate) fn renewal_dates(row: &subscription::Model) -> RenewalDates {
    match parse_state(row) {
        Ok(SubscriptionState::Active) => RenewalDates { renews_at: Some(row.period_end), ..RenewalDates::default() },
        Ok(SubscriptionState::Trialing) => {
            let end = Some(row.period_end);
            RenewalDates { cancel_at: end, trial_ends_at: end, renews_at: None }
        }
        _ => RenewalDates { cancel_at: Some(row.ends_at), ..RenewalDates::default() },
    }
}

/// Parses the state of a subscription.
pub(crate) fn parse_state(row: &subscription::Model) -> Result<SubscriptionState, AppError> {
    row.state.parse().map_err(AppError::internal)
}

async fn current_plan(
    service: &BillingService,
    held: Option<&subscription::Model>,
) -> Result<Option<CurrentPlan>, AppError> {
    let Some(row) = held else { return Ok(None) };
    let standing = renewal_dates(row);
    let plan = plan_rows::by_id(service.db.reader(), row.plan_id).await?;
    Ok(plan.map(|plan| CurrentPlan {
        id: plan.id.0,
        name: plan.name,
        renews_at: standing.renews_at,
        cancel_at: standing.cancel_at,
    }))
}

/// Reads the credit balance. Unused amounts of this instance's allotments are not shown as held, and unposted costs
/// count as spent.
pub async fn credits(service: &BillingService, holder: AccountHolder) -> Result<Credits, AppError> {
    let account = holder.account();
    let Some(mut row) = ledger_rows::account(service.db.reader(), account).await? else {
        return Ok(ledger::empty_balance());
    };
    let (unused, spent) = service.reservations.unposted(SpendingLimit::Credits(account));
    row.held = (row.held - unused).max(MicroCredits::ZERO);
    row.balance = (row.balance - spent).max(row.held);
    Ok(ledger::balance_view(&row, ledger_rows::granted_amount(service.db.reader(), account).await?))
}

/// Daily quotas of the user's plan with the amounts used today (UTC).
async fn quotas(service: &BillingService, user_id: UserId, now: Timestamp) -> Result<Vec<QuotaUse>, AppError> {
    let Some(text) = plan_rows::quotas_of(service.db.reader(), user_id, now).await? else { return Ok(Vec::new()) };
    let limits: BTreeMap<QuotaMetric, i64> = serde_json::from_str(&text).map_err(AppError::internal)?;
    quota_usage(service, user_id, &limits, now).await
}

/// Amounts used of the given limits: today for daily quotas, in total for storage. Quotas of workspaces are left out.
pub(crate) async fn quota_usage(
    service: &BillingService,
    user_id: UserId,
    limits: &BTreeMap<QuotaMetric, i64>,
    now: Timestamp,
) -> Result<Vec<QuotaUse>, AppError> {
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    let today = Timestamp(now.0.div_euclid(DAY_MILLIS) * DAY_MILLIS);
    let metrics: Vec<QuotaMetric> = limits.keys().copied().collect();
    let counted: HashMap<String, i64> = counters::quotas_of(service.db.reader(), user_id, &metrics)
        .await?
        .into_iter()
        .filter(|row| row.period_start == today)
        .map(|row| (row.scope, row.spent.0))
        .collect();
    let stored = match limits.get(&QuotaMetric::Storage) {
        Some(_) => storage::stored_bytes(service.db.reader(), user_id, None).await?,
        None => 0,
    };
    let quota = |(metric, limit): (&QuotaMetric, &i64)| {
        if *metric == QuotaMetric::Storage {
            return identity::membership::quota::without_reset(*metric, stored, *limit);
        }
        let (_, ended) = service.reservations.unposted(SpendingLimit::Counter(CounterId::Quota(*metric, user_id)));
        let used = counted.get(metric.as_str()).copied().unwrap_or(0) + ended.0;
        QuotaUse { metric: *metric, used, limit: *limit, resets_at: Some(Timestamp(today.0 + DAY_MILLIS)) }
    };
    Ok(limits.iter().filter(|(metric, _)| **metric != QuotaMetric::Members).map(quota).collect())
}

/// Adds the limits that apply to a model call apart from budgets: the quotas of the user's plan, and the credits of the
/// paying account. A call is admitted only if all of them have room.
pub fn add_limits(
    purses: &mut Vec<SpendingLimit>,
    user_id: UserId,
    metric: QuotaMetric,
    amounts: Amounts,
    account: Uuid,
) {
    let quota = |metric| SpendingLimit::Counter(CounterId::Quota(metric, user_id));
    // The continuation of a call was already counted and has a count of zero.
    if amounts.count > 0 {
        purses.push(quota(metric));
    }
    if amounts.tokens > 0 {
        purses.push(quota(QuotaMetric::Tokens));
    }
    // Calls without cost need no credits.
    if amounts.cost > MicroCredits::ZERO {
        purses.push(SpendingLimit::Credits(account));
    }
}

/// Publishes the current entitlements to the user's connections on all instances, at most once a second. Reads nothing
/// if the user is not connected.
pub fn notify_user(service: &BillingService, user_id: UserId) {
    if !service.payments.is_charging() {
        return;
    }
    let Some(service) = service.entitlement_notifier.service.upgrade() else { return };
    if let Some(found) = service.entitlement_notifier.mark_changed(user_id) {
        tokio::spawn(run_steps(service, user_id, found));
    }
}

/// Handles the answer that an instance has a connection of the user.
pub(crate) fn handle_connected(service: Arc<BillingService>, user_id: UserId) {
    if let Some(found) = service.entitlement_notifier.mark_connected(user_id) {
        tokio::spawn(run_steps(service, user_id, found));
    }
}

/// Runs the user's notification steps until there are none left.
async fn run_steps(service: Arc<BillingService>, user_id: UserId, found: Arc<Notify>) {
    loop {
        match service.entitlement_notifier.next_step(user_id) {
            Step::QueryInstances => {
                let question = Signal::ConnectionQuery { asked_by: service.instance_id, user_id };
                drop(service.bus.publish(vec![BusMessage::Signal(question)]));
                // If no answer comes, the timeout keeps the minimum interval.
                let _ = tokio::time::timeout(MIN_INTERVAL, found.notified()).await;
            }
            Step::Publish => {
                match read(&service, user_id).await {
                    Ok(entitlements) => publish(&service, user_id, entitlements),
                    Err(error) => tracing::warn!(%error, "failed to read entitlements"),
                }
                tokio::time::sleep(MIN_INTERVAL).await;
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
        Err(error) => tracing::error!(%error, "failed to seal entitlement event"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_once_for_disconnected_users() {
        let (notifier, user) = (EntitlementNotifier::new(Weak::new()), UserId::new());
        assert!(notifier.mark_changed(user).is_some());
        assert_eq!(notifier.next_step(user), Step::QueryInstances);
        // A task is already running for the user.
        assert!(notifier.mark_changed(user).is_none());
        assert_eq!(notifier.next_step(user), Step::QueryInstances, "another change is pending");
        assert_eq!(notifier.next_step(user), Step::End);
        assert!(notifier.changed().is_empty());
    }

    #[tokio::test]
    async fn notifies_connected_users_once_per_question() {
        let (notifier, user) = (EntitlementNotifier::new(Weak::new()), UserId::new());
        let found = notifier.mark_changed(user).unwrap();
        assert_eq!(notifier.next_step(user), Step::QueryInstances);
        assert!(
            notifier.mark_connected(user).is_none() && notifier.mark_connected(user).is_none(),
            "every worker thread answers"
        );
        found.notified().await;
        assert_eq!(notifier.next_step(user), Step::Publish);
        assert!(notifier.mark_connected(user).is_none());
        // This change arrives while the entitlements are being read and published.
        assert!(notifier.mark_changed(user).is_none());
        assert_eq!(notifier.next_step(user), Step::QueryInstances);
        assert!(notifier.mark_connected(user).is_none());
        assert_eq!(notifier.next_step(user), Step::Publish);
        assert_eq!(notifier.next_step(user), Step::End);
    }

    #[test]
    fn accepts_late_answers() {
        let (notifier, user) = (EntitlementNotifier::new(Weak::new()), UserId::new());
        assert!(notifier.mark_changed(user).is_some());
        assert_eq!((notifier.next_step(user), notifier.next_step(user)), (Step::QueryInstances, Step::End));
        assert!(notifier.mark_connected(user).is_some());
        assert_eq!((notifier.next_step(user), notifier.next_step(user)), (Step::Publish, Step::End));
    }
}
