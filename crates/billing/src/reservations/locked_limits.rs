//! Limits locked by a transaction.
//!
//! Budgets and quotas are locked before accounts, each in a fixed order, so that transactions can't deadlock.

use std::collections::{BTreeMap, BTreeSet};

use appcore::{
    AppError, Timestamp, UserId,
    credits::MicroCredits,
    view::{BudgetPeriod, QuotaMetric},
};
use dbcontext::{
    entity::budget,
    query::{
        budgets::{self as counters, CounterId},
        ledger as accounts, plans,
    },
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{SpendingLimit, period_of, resets_at, roll_over};
use crate::ledger::{LockedAccounts, PostingSource};

/// Total that an account pays in this transaction.
#[derive(Clone, Copy, Debug)]
struct Charge {
    cost: MicroCredits,
    /// Usage row of the first call paid for.
    source: Uuid,
}

pub(super) struct LockedLimits {
    counters: BTreeMap<CounterId, budget::Model>,
    /// Quotas that the users' current plans limit.
    limited: BTreeSet<CounterId>,
    accounts: LockedAccounts,
    charges: BTreeMap<Uuid, Charge>,
    counter_holds: Vec<counters::NewBudgetReservation>,
    credit_holds: Vec<accounts::NewCreditReservation>,
    now: Timestamp,
}

/// A removed reservation.
#[derive(Clone, Copy, Debug)]
pub(super) struct RemovedHold {
    pub id: Uuid,
    pub spending_limit: SpendingLimit,
    pub amount: MicroCredits,
    pub expires_at: Timestamp,
}

/// Selects the reservations to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RemovalFilter {
    All,
    /// Reservations that have expired and were not renewed in the meantime.
    Expired,
}

impl LockedLimits {
    pub async fn open<C: ConnectionTrait>(
        txn: &C,
        purses: impl IntoIterator<Item = SpendingLimit>,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        let (mut ids, mut owners) = (BTreeSet::new(), BTreeSet::new());
        for purse in purses {
            match purse {
                SpendingLimit::Counter(counter) => _ = ids.insert(counter),
                SpendingLimit::Credits(account) => _ = owners.insert(account),
            }
        }
        let limits = limits(txn, &ids, now).await?;
        let counters = lock_counters(txn, ids, &limits, now).await?;
        let limited = limits.into_keys().collect();
        let owners: Vec<Uuid> = owners.into_iter().collect();
        let mut books = LockedAccounts::lock(txn, &owners, now).await?;
        books.all_mut().for_each(crate::ledger::LedgerAccount::expire);
        let (charges, counter_holds, credit_holds) = (BTreeMap::new(), Vec::new(), Vec::new());
        Ok(Self { counters, limited, accounts: books, charges, counter_holds, credit_holds, now })
    }

    /// Remaining amount; `None` if there is no limit.
    pub fn remaining(&self, purse: SpendingLimit) -> Option<MicroCredits> {
        match purse {
            SpendingLimit::Counter(counter) => self.limit(counter).map(|row| row.spending_limit - row.spent - row.held),
            // A holder without an account has no credits.
            SpendingLimit::Credits(account) => {
                Some(self.accounts.get(account).map_or(MicroCredits::ZERO, crate::ledger::LedgerAccount::available))
            }
        }
    }

    fn limit(&self, counter: CounterId) -> Option<&budget::Model> {
        let is_limited = matches!(counter, CounterId::Budget(_)) || self.limited.contains(&counter);
        self.counters.get(&counter).filter(|_| is_limited)
    }

    /// Used and held amount, limit, and start of the next period.
    pub fn usage(&self, purse: SpendingLimit) -> (i64, i64, Option<Timestamp>) {
        let SpendingLimit::Counter(counter) = purse else { return (0, 0, None) };
        self.counters.get(&counter).map_or((0, 0, None), |row| {
            ((row.spent + row.held).0, row.spending_limit.0, resets_at(period_of(row), self.now))
        })
    }

    /// Reserves an amount. The caller has checked that it is available.
    pub fn hold(&mut self, purse: SpendingLimit, id: Uuid, amount: MicroCredits, expires_at: Timestamp) {
        if amount <= MicroCredits::ZERO {
            return;
        }
        match purse {
            SpendingLimit::Counter(counter) => {
                if self.limit(counter).is_some()
                    && let Some(row) = self.counters.get_mut(&counter)
                {
                    row.held += amount;
                    self.counter_holds.push(counters::NewBudgetReservation { id, counter, amount, expires_at });
                }
            }
            SpendingLimit::Credits(account) => {
                if let Some(book) = self.accounts.get_mut(account) {
                    book.hold(amount);
                    self.credit_holds.push(accounts::NewCreditReservation {
                        id,
                        account_id: account,
                        amount,
                        expires_at,
                    });
                }
            }
        }
    }

    /// Removes the reservations that exist, and releases their amounts.
    pub async fn remove<C: ConnectionTrait>(
        &mut self,
        txn: &C,
        holds: impl IntoIterator<Item = (SpendingLimit, Uuid)>,
        which: RemovalFilter,
    ) -> Result<Vec<RemovedHold>, AppError> {
        let (mut counter_ids, mut credit_ids) = (BTreeSet::new(), BTreeSet::new());
        for (purse, id) in holds {
            match purse {
                SpendingLimit::Counter(_) => counter_ids.insert(id),
                SpendingLimit::Credits(_) => credit_ids.insert(id),
            };
        }
        let (counter_ids, credit_ids): (Vec<_>, Vec<_>) =
            (counter_ids.into_iter().collect(), credit_ids.into_iter().collect());
        let mut removed = Vec::new();
        if !counter_ids.is_empty() {
            let rows = match which {
                RemovalFilter::All => counters::remove_reservations(txn, &counter_ids).await?,
                RemovalFilter::Expired => counters::remove_expired(txn, &counter_ids, self.now).await?,
            };
            for row in rows {
                let counter = CounterId::parse(&row.scope, row.scope_id)?;
                if let Some(counted) = self.counters.get_mut(&counter) {
                    counted.held = counted.held - row.amount;
                }
                let purse = SpendingLimit::Counter(counter);
                removed.push(RemovedHold {
                    id: row.id,
                    spending_limit: purse,
                    amount: row.amount,
                    expires_at: row.expires_at,
                });
            }
        }
        if !credit_ids.is_empty() {
            let rows = match which {
                RemovalFilter::All => accounts::remove_reservations(txn, &credit_ids).await?,
                RemovalFilter::Expired => accounts::remove_expired(txn, &credit_ids, self.now).await?,
            };
            for row in rows {
                if let Some(book) = self.accounts.get_mut(row.account_id) {
                    book.release_hold(row.amount);
                }
                let purse = SpendingLimit::Credits(row.account_id);
                removed.push(RemovedHold {
                    id: row.id,
                    spending_limit: purse,
                    amount: row.amount,
                    expires_at: row.expires_at,
                });
            }
        }
        Ok(removed)
    }

    /// Records a cost. `source` makes its ledger entry idempotent.
    pub fn spend(&mut self, purse: SpendingLimit, cost: MicroCredits, source: Uuid) {
        match purse {
            SpendingLimit::Counter(counter) => {
                if let Some(row) = self.counters.get_mut(&counter) {
                    row.spent += cost;
                }
            }
            SpendingLimit::Credits(account) if cost > MicroCredits::ZERO => {
                let charge = self.charges.entry(account).or_insert(Charge { cost: MicroCredits::ZERO, source });
                charge.cost += cost;
            }
            SpendingLimit::Credits(_) => {}
        }
    }

    /// Stores all changes. An account gets one entry for the net of holds and releases, and one for the costs.
    pub async fn store<C: ConnectionTrait>(mut self, txn: &C) -> Result<(), AppError> {
        for book in self.accounts.all_mut() {
            let moved = PostingSource::new("hold", Uuid::now_v7());
            book.post_holds(&moved);
            match self.charges.get(&book.account.id) {
                Some(Charge { cost, source }) => {
                    let source = PostingSource::new("usage", source);
                    book.charge(*cost, &source);
                    book.pay_debts(&source);
                }
                None => book.pay_debts(&moved),
            }
        }
        counters::store(txn, &self.counters.values().collect::<Vec<_>>()).await?;
        counters::insert_reservations(txn, &self.counter_holds).await?;
        accounts::insert_reservations(txn, &self.credit_holds).await?;
        self.accounts.store(txn).await
    }
}

/// Locks budgets and quotas and rolls them to the current period. Missing rows of limited quotas are created, and all
/// get the limit of the plan.
async fn lock_counters<C: ConnectionTrait>(
    txn: &C,
    ids: BTreeSet<CounterId>,
    limits: &BTreeMap<CounterId, MicroCredits>,
    now: Timestamp,
) -> Result<BTreeMap<CounterId, budget::Model>, AppError> {
    let ids: Vec<CounterId> = ids.into_iter().collect();
    let mut found = read(txn, &ids, now).await?;
    let new: Vec<budget::Model> = limits
        .iter()
        .filter(|(id, _)| !found.contains_key(id))
        .map(|(id, most)| budget::Model {
            scope: id.scope().to_owned(),
            scope_id: id.id(),
            spending_limit: *most,
            period: BudgetPeriod::Day.as_str().to_owned(),
            period_start: Timestamp(0),
            spent: MicroCredits::ZERO,
            held: MicroCredits::ZERO,
            key_id: None,
            name: None,
        })
        .collect();
    if !new.is_empty() {
        counters::insert_missing(txn, new).await?;
        found = read(txn, &ids, now).await?;
    }
    for (id, most) in limits {
        if let Some(row) = found.get_mut(id) {
            row.spending_limit = *most;
        }
    }
    Ok(found)
}

async fn read<C: ConnectionTrait>(
    txn: &C,
    ids: &[CounterId],
    now: Timestamp,
) -> Result<BTreeMap<CounterId, budget::Model>, AppError> {
    let mut found = BTreeMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    for mut row in counters::lock(txn, ids).await? {
        roll_over(&mut row, now);
        found.insert(CounterId::parse(&row.scope, row.scope_id)?, row);
    }
    Ok(found)
}

/// Returns those of the quotas that a plan limits, with their limits.
async fn limits<C: ConnectionTrait>(
    txn: &C,
    ids: &BTreeSet<CounterId>,
    now: Timestamp,
) -> Result<BTreeMap<CounterId, MicroCredits>, AppError> {
    let users: BTreeSet<UserId> =
        ids.iter().filter_map(|id| if let CounterId::Quota(_, user_id) = id { Some(*user_id) } else { None }).collect();
    let mut limits = BTreeMap::new();
    if users.is_empty() {
        return Ok(limits);
    }
    let users: Vec<UserId> = users.into_iter().collect();
    for (user_id, quotas) in plans::quotas_of_all(txn, &users, now).await? {
        let quotas: BTreeMap<QuotaMetric, i64> = serde_json::from_str(&quotas).map_err(AppError::internal)?;
        let of_plan = quotas.into_iter().map(|(metric, most)| (CounterId::Quota(metric, user_id), MicroCredits(most)));
        limits.extend(of_plan.filter(|(id, _)| ids.contains(id)));
    }
    Ok(limits)
}
