//! Budgets of parts of a key's calls. Those of end users are created when the end user first
//! calls, with the amount spent in the current period.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use appcore::{
    ApiKeyId, AppError,
    credits::MicroCredits,
    view::{BudgetLimit, BudgetPeriod, BudgetScope},
};
use billing::reservations::start_of;
use dbcontext::{
    constraint::app_error,
    query::{
        api_keys,
        budgets::{self as rows, BudgetId, BudgetSubject},
    },
};
use identity::accounts::key_policy::ScopedBudgets;
use tokio::time::Instant;
use uuid::Uuid;

use super::limit::upsert;
use crate::{GatewayCaller, GatewayService};

/// Maximum number of end users of a key with budgets of their own. Further ones share a budget.
const MAX_END_USERS: u64 = 10_000;
/// Name of the budget that further end users share.
const OTHER_END_USERS: &str = "";
/// Maximum number of budgets that this instance knows to exist.
const MAX_KNOWN_BUDGETS: usize = 50_000;
/// Time for which a budget is known to exist. Much shorter than [`IDLE_TIME`].
const KNOWN_TIME: Duration = Duration::from_secs(600);
/// Time after the end of its period for which a budget without calls is kept.
const IDLE_TIME: Duration = Duration::from_secs(3_600);

/// Budgets of end users that exist in the database, by key and end user.
#[derive(Default)]
pub(crate) struct KnownBudgets(Mutex<HashMap<ApiKeyId, HashMap<String, KnownBudget>>>);

#[derive(Clone, Copy, Debug)]
struct KnownBudget {
    id: BudgetId,
    limit: BudgetLimit,
    confirmed_at: Instant,
}

impl KnownBudgets {
    fn lock(&self) -> MutexGuard<'_, HashMap<ApiKeyId, HashMap<String, KnownBudget>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the end user's budget, if it is known to exist with this limit.
    fn find(&self, key: ApiKeyId, name: &str, limit: BudgetLimit) -> Option<BudgetId> {
        let known = *self.lock().get(&key)?.get(name)?;
        (known.limit == limit && known.confirmed_at.elapsed() < KNOWN_TIME).then_some(known.id)
    }

    fn insert(&self, key: ApiKeyId, name: &str, id: BudgetId, limit: BudgetLimit) {
        let mut known = self.lock();
        if known.values().map(HashMap::len).sum::<usize>() >= MAX_KNOWN_BUDGETS {
            known.clear();
        }
        let budget = KnownBudget { id, limit, confirmed_at: Instant::now() };
        known.entry(key).or_default().insert(name.to_owned(), budget);
    }

    /// Removes the budgets of these keys and returns their ids.
    pub fn remove(&self, keys: &[Uuid]) -> Vec<Uuid> {
        let mut known = self.lock();
        let removed = keys.iter().filter_map(|key| known.remove(&ApiKeyId(*key)));
        removed.flat_map(HashMap::into_values).map(|budget| budget.id.id).collect()
    }
}

impl GatewayService {
    /// Returns the budgets that a call counts against: none if it can't cost anything.
    pub(crate) async fn budgets_of_call(
        &self,
        caller: &GatewayCaller,
        end_user: Option<&str>,
        max_cost: MicroCredits,
    ) -> Result<Vec<BudgetId>, AppError> {
        if max_cost <= MicroCredits::ZERO {
            return Ok(Vec::new());
        }
        let mut budgets = caller.policy.budgets.clone();
        if let Some(end_user) = end_user {
            budgets.extend(self.budget_of_end_user(caller, end_user).await?);
        }
        Ok(budgets)
    }

    /// Returns the budget of an end user, which is created if necessary.
    async fn budget_of_end_user(&self, caller: &GatewayCaller, name: &str) -> Result<Option<BudgetId>, AppError> {
        let Some(limit) = caller.policy.scoped_budgets.limit_of_end_user(name) else { return Ok(None) };
        if let Some(id) = self.known_budgets.find(caller.key_id, name, limit) {
            return Ok(Some(id));
        }
        let created = self.create_end_user_budget(caller.key_id, name).await?;
        if let Some((id, limit)) = created {
            self.known_budgets.insert(caller.key_id, name, id, limit);
        }
        Ok(created.map(|(id, _)| id))
    }

    /// Creates the budget of an end user with the key's current limit, unless it exists. Returns
    /// `None` if the key has no such limit any more.
    async fn create_end_user_budget(
        &self,
        key: ApiKeyId,
        name: &str,
    ) -> Result<Option<(BudgetId, BudgetLimit)>, AppError> {
        let tx = self.db.begin().await.map_err(app_error)?;
        let stored = api_keys::lock_scoped_budgets(&tx, key).await?;
        let scoped = ScopedBudgets::parse(stored.as_deref());
        let Some(limit) = scoped.limit_of_end_user(name) else { return Ok(None) };
        let mut subject = BudgetSubject::EndUser(key, name);
        if !scoped.end_users.contains_key(name)
            && rows::find(&tx, subject.id()).await?.is_none()
            && rows::count_parts(&tx, key, BudgetScope::EndUser).await? >= MAX_END_USERS
        {
            subject = BudgetSubject::EndUser(key, OTHER_END_USERS);
        }
        upsert(&tx, subject, limit, self.clock.now()).await?;
        tx.commit().await.map_err(app_error)?;
        Ok(Some((subject.id(), limit)))
    }

    /// Deletes at most `most` budgets of end users that have not called since the end of a period.
    pub(crate) async fn delete_idle_budgets(&self, most: u64) -> Result<u64, AppError> {
        let since = self.clock.now().minus(IDLE_TIME);
        let periods = [BudgetPeriod::Day, BudgetPeriod::Week, BudgetPeriod::Month];
        let current = periods.map(|period| (period, start_of(period, since)));
        rows::delete_ended_parts(self.db.writer(), &current, most).await
    }
}
