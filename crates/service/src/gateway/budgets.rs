//! Budgets: before a request goes out its worst case is held in every budget that it counts against, and after it the true cost is booked.
//!
//! Requests that ask at the same time are decided in one transaction, so that a busy key costs a few transactions a second and not one for
//! each request. The transaction locks the budgets, so two instances never hold more than there is. A hold that nobody settles, because its
//! instance died, expires; those of requests that are still under way are renewed.

mod limit;
mod period;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
    time::Duration,
};

use appcore::{
    AppError, Clock, Timestamp,
    credits::MicroCredits,
    view::{BudgetPeriod, BudgetScope, UnknownName},
};
use dashmap::DashMap;
use dbcontext::{
    Database,
    constraint::app_error,
    entity::budget,
    query::{
        self,
        budgets::{self as rows, BudgetId, NewHold},
    },
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

pub use self::limit::{lift, list, set};
pub(crate) use self::limit::{put, view};
use self::period::{resets_at, start_of};
use crate::batcher::Batcher;

/// Expired holds that one transaction releases.
const SWEEP_HOLDS: u64 = 500;
/// The most budgets that one request counts against: of its key, its person and its workspace.
const MOST: usize = 3;

/// The holds of this instance.
pub(super) struct Holds {
    db: Database,
    clock: Clock,
    expiry: Duration,
    takes: Arc<Batcher<Take, Verdict>>,
    /// Those of requests that are under way here.
    live: DashMap<Uuid, ()>,
}

/// What one request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Take {
    id: Uuid,
    amount: MicroCredits,
    budgets: [Option<BudgetId>; MOST],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Verdict {
    /// The amount is held.
    Held,
    /// The budget that has too little left, and when it begins anew.
    Refused(BudgetScope, Option<Timestamp>),
    /// There is none of the budgets any more.
    #[default]
    Unlimited,
}

/// Which budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedUp {
    pub scope: BudgetScope,
    pub resets_at: Option<Timestamp>,
}

/// What is held for a request. It is settled with its usage row, or released when it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldFor {
    pub id: Uuid,
    pub budgets: [Option<BudgetId>; MOST],
}

/// What a finished request changes in its budgets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settlement {
    pub held: HeldFor,
    pub cost: MicroCredits,
}

impl Holds {
    pub fn start(db: Database, clock: Clock, expiry: Duration) -> Arc<Self> {
        let holds = Arc::new(Self { db, clock, expiry, takes: Arc::default(), live: DashMap::new() });
        tokio::spawn(keep(Arc::downgrade(&holds), expiry / 4));
        holds
    }

    /// Holds an amount in all of these budgets, or in none.
    pub async fn take(
        &self,
        budgets: &[BudgetId],
        amount: MicroCredits,
    ) -> Result<Result<Option<HeldFor>, UsedUp>, AppError> {
        let mut named = [None; MOST];
        for (place, budget) in named.iter_mut().zip(budgets) {
            *place = Some(*budget);
        }
        let take = Take { id: Uuid::now_v7(), amount, budgets: named };
        let (db, clock, expiry) = (self.db.clone(), self.clock.clone(), self.expiry);
        let decide = move |takes: Vec<Take>| {
            let (db, now) = (db.clone(), clock.now());
            async move { decide_all(&db, takes, now, now.plus(expiry)).await }
        };
        Ok(match self.takes.ask(take, decide).await? {
            Verdict::Held => {
                self.live.insert(take.id, ());
                Ok(Some(HeldFor { id: take.id, budgets: named }))
            }
            Verdict::Refused(scope, resets_at) => Err(UsedUp { scope, resets_at }),
            Verdict::Unlimited => Ok(None),
        })
    }

    /// The request is over: its hold is not renewed any more.
    pub fn ended(&self, held: HeldFor) {
        self.live.remove(&held.id);
    }
}

/// Decides takes in their order: the first that fits gets what there is.
async fn decide_all(
    db: &Database,
    takes: Vec<Take>,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<HashMap<Take, Verdict>, AppError> {
    let tx = db.begin().await.map_err(app_error)?;
    let mut budgets = locked(&tx, takes.iter().flat_map(|take| take.budgets.into_iter().flatten()), now).await?;
    let mut verdicts = HashMap::with_capacity(takes.len());
    let mut holds = Vec::new();
    for take in takes {
        let verdict = decide(&mut budgets, &take, now);
        if verdict == Verdict::Held {
            let there = take.budgets.into_iter().flatten().filter(|budget| budgets.contains_key(budget));
            holds.extend(there.map(|budget| NewHold { id: take.id, budget, amount: take.amount, expires_at }));
        }
        verdicts.insert(take, verdict);
    }
    if holds.is_empty() {
        // Nothing to keep; a period that began anew is found again.
        tx.rollback().await.map_err(app_error)?;
        return Ok(verdicts);
    }
    rows::store(&tx, &budgets.into_values().collect::<Vec<_>>()).await?;
    rows::insert_holds(&tx, &holds).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(verdicts)
}

fn decide(budgets: &mut BTreeMap<BudgetId, budget::Model>, take: &Take, now: Timestamp) -> Verdict {
    let mut any = false;
    for id in take.budgets.iter().flatten() {
        let Some(row) = budgets.get(id) else { continue };
        any = true;
        let left = row.most - row.spent - row.held;
        // A budget that is used up refuses what costs nothing, too.
        if left < take.amount || left <= MicroCredits::ZERO {
            return Verdict::Refused(id.scope, resets_at(period(row), now));
        }
    }
    if !any {
        return Verdict::Unlimited;
    }
    for id in take.budgets.iter().flatten() {
        if let Some(row) = budgets.get_mut(id) {
            row.held += take.amount;
        }
    }
    Verdict::Held
}

/// Books what requests cost and releases what was held for them, in the caller's transaction. A cost whose hold has expired is booked too.
pub(super) async fn settle<C: ConnectionTrait>(
    txn: &C,
    settlements: &[Settlement],
    now: Timestamp,
) -> Result<(), AppError> {
    if settlements.is_empty() {
        return Ok(());
    }
    let concerned = || settlements.iter().flat_map(|settlement| settlement.held.budgets.into_iter().flatten());
    let mut budgets = locked(txn, concerned(), now).await?;
    for settlement in settlements {
        for id in settlement.held.budgets.iter().flatten() {
            if let Some(row) = budgets.get_mut(id) {
                row.spent += settlement.cost;
            }
        }
    }
    let ids: Vec<Uuid> = settlements.iter().map(|settlement| settlement.held.id).collect();
    release(&mut budgets, rows::remove_holds(txn, &ids).await?)?;
    rows::store(txn, &budgets.into_values().collect::<Vec<_>>()).await
}

/// The budgets, locked and in their present period.
async fn locked<C: ConnectionTrait>(
    txn: &C,
    ids: impl IntoIterator<Item = BudgetId>,
    now: Timestamp,
) -> Result<BTreeMap<BudgetId, budget::Model>, AppError> {
    let mut ids: Vec<BudgetId> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut budgets = BTreeMap::new();
    for mut row in rows::lock(txn, &ids).await? {
        let id = BudgetId { scope: scope(&row.scope)?, id: row.scope_id };
        begin_anew(&mut row, now);
        budgets.insert(id, row);
    }
    Ok(budgets)
}

fn release(budgets: &mut BTreeMap<BudgetId, budget::Model>, holds: Vec<rows::Hold>) -> Result<(), AppError> {
    for hold in holds {
        let id = BudgetId { scope: scope(&hold.scope)?, id: hold.scope_id };
        if let Some(row) = budgets.get_mut(&id) {
            row.held = row.held - hold.amount;
        }
    }
    Ok(())
}

fn scope(name: &str) -> Result<BudgetScope, AppError> {
    name.parse().map_err(|error: UnknownName| AppError::internal(error))
}

/// Renews the holds of what is under way here, and releases those that nobody settled.
async fn keep(holds: Weak<Holds>, every: Duration) {
    let mut tick = tokio::time::interval(every.max(Duration::from_millis(100)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(holds) = holds.upgrade() else { return };
        if let Err(error) = holds.renew().await {
            tracing::warn!(%error, "what is held for requests that are under way could not be renewed");
        }
        if let Err(error) = holds.sweep().await {
            tracing::warn!(%error, "expired holds could not be released");
        }
    }
}

impl Holds {
    /// As if this instance had died.
    #[cfg(test)]
    pub fn forget_all(&self) {
        self.live.clear();
    }

    pub(super) async fn renew(&self) -> Result<(), AppError> {
        let live: Vec<Uuid> = self.live.iter().map(|entry| *entry.key()).collect();
        if live.is_empty() {
            return Ok(());
        }
        let backend = self.db.writer().get_database_backend();
        let piece = rows::renew(backend, &live, self.clock.now().plus(self.expiry))?;
        query::execute(self.db.writer(), vec![piece]).await
    }

    pub(super) async fn sweep(&self) -> Result<(), AppError> {
        let now = self.clock.now();
        let expired = rows::expired(self.db.reader(), now, SWEEP_HOLDS).await?;
        if expired.is_empty() {
            return Ok(());
        }
        let tx = self.db.begin().await.map_err(app_error)?;
        let mut concerned = Vec::with_capacity(expired.len());
        for hold in &expired {
            concerned.push(BudgetId { scope: scope(&hold.scope)?, id: hold.scope_id });
        }
        let mut budgets = locked(&tx, concerned, now).await?;
        let ids: Vec<Uuid> = expired.iter().map(|hold| hold.id).collect();
        let removed = rows::remove_expired(&tx, &ids, now).await?;
        tracing::info!(holds = removed.len(), "what was held for requests that nobody settled is free again");
        release(&mut budgets, removed)?;
        rows::store(&tx, &budgets.into_values().collect::<Vec<_>>()).await?;
        tx.commit().await.map_err(app_error)
    }
}

fn period(row: &budget::Model) -> BudgetPeriod {
    row.period.parse().unwrap_or(BudgetPeriod::None)
}

fn begin_anew(row: &mut budget::Model, now: Timestamp) {
    let start = start_of(period(row), now);
    if row.period_start < start {
        row.period_start = start;
        row.spent = MicroCredits::ZERO;
    }
}
