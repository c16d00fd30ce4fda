//! Budgets of parts of a key's calls: of an end user, of a model, or with a tag. Each is created by
//! the first call of its part, with the amount spent in the current period.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::ai::RequestLabels;
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
use crate::{GatewayCaller, GatewayService, models::Model};

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

/// Budgets of parts of keys' calls that exist in the database.
#[derive(Default)]
pub(crate) struct KnownBudgets(Mutex<HashMap<ApiKeyId, HashMap<BudgetId, KnownBudget>>>);

#[derive(Clone, Copy, Debug)]
struct KnownBudget {
    /// Budget that counts the part's calls: its own, or the one that further end users share.
    counted: BudgetId,
    limit: BudgetLimit,
    confirmed_at: Instant,
}

impl KnownBudgets {
    fn lock(&self) -> MutexGuard<'_, HashMap<ApiKeyId, HashMap<BudgetId, KnownBudget>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the budget that counts the part's calls, if it is known to exist with this limit.
    fn find(&self, key: ApiKeyId, part: BudgetId, limit: BudgetLimit) -> Option<BudgetId> {
        let known = *self.lock().get(&key)?.get(&part)?;
        (known.limit == limit && known.confirmed_at.elapsed() < KNOWN_TIME).then_some(known.counted)
    }

    fn insert(&self, key: ApiKeyId, part: BudgetId, counted: BudgetId, limit: BudgetLimit) {
        let mut known = self.lock();
        if known.values().map(HashMap::len).sum::<usize>() >= MAX_KNOWN_BUDGETS {
            known.clear();
        }
        let budget = KnownBudget { counted, limit, confirmed_at: Instant::now() };
        known.entry(key).or_default().insert(part, budget);
    }

    /// Removes the budgets of these keys and returns their ids.
    pub fn remove(&self, keys: &[Uuid]) -> Vec<Uuid> {
        let mut known = self.lock();
        let removed = keys.iter().filter_map(|key| known.remove(&ApiKeyId(*key)));
        removed.flat_map(HashMap::into_values).map(|budget| budget.counted.id).collect()
    }
}

impl GatewayService {
    /// Returns the budgets that a call counts against: none if it can't cost anything.
    pub(crate) async fn budgets_of_call(
        &self,
        caller: &GatewayCaller,
        model: &Model,
        labels: &RequestLabels,
        max_cost: MicroCredits,
    ) -> Result<Vec<BudgetId>, AppError> {
        if max_cost <= MicroCredits::ZERO {
            return Ok(Vec::new());
        }
        let (key, mut budgets) = (caller.key_id, caller.policy.budgets.clone());
        let end_user = labels.end_user.as_deref().map(|name| BudgetSubject::EndUser(key, name));
        let tags = labels.tags.iter().map(|tag| BudgetSubject::Tag(key, tag));
        for part in end_user.into_iter().chain([BudgetSubject::Model(key, &model.name)]).chain(tags) {
            budgets.extend(self.budget_of_part(&caller.policy.scoped_budgets, part).await?);
        }
        Ok(budgets)
    }

    /// Returns the budget of a part of a key's calls, which is created if necessary.
    async fn budget_of_part(
        &self,
        scoped: &ScopedBudgets,
        part: BudgetSubject<'_>,
    ) -> Result<Option<BudgetId>, AppError> {
        let (id, Some((key, name))) = (part.id(), part.part()) else { return Ok(None) };
        let Some(limit) = scoped.limit_of(id.scope, name) else { return Ok(None) };
        if let Some(counted) = self.known_budgets.find(key, id, limit) {
            return Ok(Some(counted));
        }
        let created = self.create_part_budget(key, name, part).await?;
        if let Some((counted, limit)) = created {
            self.known_budgets.insert(key, id, counted, limit);
        }
        Ok(created.map(|(counted, _)| counted))
    }

    /// Creates the budget of a part with the key's current limit, unless it exists. Returns `None`
    /// if the key has no such limit any more.
    async fn create_part_budget(
        &self,
        key: ApiKeyId,
        name: &str,
        mut part: BudgetSubject<'_>,
    ) -> Result<Option<(BudgetId, BudgetLimit)>, AppError> {
        let tx = self.db.begin().await.map_err(app_error)?;
        let stored = api_keys::lock_scoped_budgets(&tx, key).await?;
        let scoped = ScopedBudgets::parse(stored.as_deref());
        let id = part.id();
        let Some(limit) = scoped.limit_of(id.scope, name) else { return Ok(None) };
        if id.scope == BudgetScope::EndUser
            && !scoped.end_users.contains_key(name)
            && rows::find(&tx, id).await?.is_none()
            && rows::count_parts(&tx, key, BudgetScope::EndUser).await? >= MAX_END_USERS
        {
            part = BudgetSubject::EndUser(key, OTHER_END_USERS);
        }
        upsert(&tx, part, limit, self.clock.now()).await?;
        tx.commit().await.map_err(app_error)?;
        // This instance may have cached that the budget doesn't exist.
        self.billing.reservations.close_allotments(&[part.id().id]);
        Ok(Some((part.id(), limit)))
    }

    /// Deletes at most `most` budgets of end users that have not called since the end of a period.
    pub(crate) async fn delete_idle_budgets(&self, most: u64) -> Result<u64, AppError> {
        let since = self.clock.now().minus(IDLE_TIME);
        let periods = [BudgetPeriod::Day, BudgetPeriod::Week, BudgetPeriod::Month];
        let current = periods.map(|period| (period, start_of(period, since)));
        rows::delete_ended_parts(self.db.writer(), &current, most).await
    }
}
