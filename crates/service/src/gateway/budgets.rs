//! Budgets: before a request goes out its worst case is held in every budget that it counts against, and after it the true cost is booked.
//!
//! Requests that ask at the same time are decided in one transaction, which locks the budgets, so two instances never hold more than there is.
//! For a busy budget that has much left, an instance holds a block in advance, from which requests take without a transaction ([`blocks`]).
//! A hold that nobody settles, because its instance died, expires; those of requests that are still under way are renewed.

mod blocks;
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
use tokio::{
    runtime::Handle,
    sync::{Mutex, MutexGuard},
    time::Instant,
};
use uuid::Uuid;

pub use self::limit::{lift, list, set};
pub(crate) use self::limit::{put, view};
use self::{
    blocks::{Blocks, Grant, Wish},
    period::{resets_at, start_of},
};
use crate::batcher::Batcher;

/// Expired holds that one transaction releases.
const SWEEP_HOLDS: u64 = 500;
/// The most budgets that one request counts against: of its key, its person and its workspace.
const MOST: usize = 3;
/// A block has at most this part of what its budget has left.
const BLOCK_SHARE: i64 = 20;
/// How often blocks are looked after.
const TEND: Duration = Duration::from_millis(500);

/// The budgets that one request counts against.
type Named = [Option<BudgetId>; MOST];

/// The holds of this instance.
pub(super) struct Holds {
    db: Database,
    clock: Clock,
    expiry: Duration,
    takes: Arc<Batcher<Take, Verdict>>,
    /// Those of requests that are under way here.
    live: DashMap<Uuid, ()>,
    blocks: Blocks,
    /// What changes blocks in the database goes one after the other, each with what it changes here.
    turn: Mutex<()>,
    /// The runtime of the instance. That of a caller may end sooner.
    runtime: Handle,
}

/// What one request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Take {
    id: Uuid,
    amount: MicroCredits,
    budgets: Named,
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
    /// The holds, each in its budget.
    holds: [Option<(BudgetId, Uuid)>; MOST],
    amount: MicroCredits,
    origin: Origin,
}

/// Where what is held for a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Held for this request alone.
    Own,
    /// Taken from blocks, where these have enough.
    Blocks,
}

/// What a finished request changes in its budgets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settlement {
    held: HeldFor,
    cost: MicroCredits,
}

impl HeldFor {
    fn own(id: Uuid, budgets: &[BudgetId]) -> Self {
        let mut holds = [None; MOST];
        for (place, budget) in holds.iter_mut().zip(budgets) {
            *place = Some((*budget, id));
        }
        Self { holds, amount: MicroCredits::ZERO, origin: Origin::Own }
    }

    /// The name of what is held for one request alone.
    pub fn id(&self) -> Option<Uuid> {
        self.holds.iter().flatten().next().map(|(_, id)| *id)
    }
}

impl Settlement {
    /// Books a cost in these budgets and leaves what is held as it is.
    pub fn booking(budgets: &[BudgetId], cost: MicroCredits) -> Self {
        Self { held: HeldFor::own(Uuid::nil(), budgets), cost }
    }

    /// Whether others may be refused until it is booked.
    pub fn is_urgent(&self) -> bool {
        self.held.origin == Origin::Own
    }
}

impl Holds {
    pub fn start(db: Database, clock: Clock, expiry: Duration) -> Arc<Self> {
        let (takes, live, blocks, turn) = (Arc::default(), DashMap::new(), Blocks::default(), Mutex::default());
        let runtime = Handle::current();
        let holds = Arc::new(Self { db, clock, expiry, takes, live, blocks, turn, runtime });
        tokio::spawn(keep(Arc::downgrade(&holds), expiry / 4));
        tokio::spawn(tend(Arc::downgrade(&holds)));
        holds
    }

    /// Holds an amount in all of these budgets, or in none.
    pub async fn take(
        self: &Arc<Self>,
        budgets: &[BudgetId],
        amount: MicroCredits,
    ) -> Result<Result<Option<HeldFor>, UsedUp>, AppError> {
        let mut named = [None; MOST];
        for (place, budget) in named.iter_mut().zip(budgets) {
            *place = Some(*budget);
        }
        if let Some((held, due)) = self.blocks.take(&named, amount, Instant::now()) {
            self.reserve_soon(due);
            return Ok(Ok(Some(held)));
        }
        let taken = self.decide(named, amount).await?;
        if let Ok(Some(_)) = taken {
            self.reserve_soon(self.blocks.note(&named, amount, Instant::now()));
        }
        Ok(taken)
    }

    /// The same, from no block.
    pub async fn take_own(
        &self,
        budgets: &[BudgetId],
        amount: MicroCredits,
    ) -> Result<Result<Option<HeldFor>, UsedUp>, AppError> {
        let mut named = [None; MOST];
        for (place, budget) in named.iter_mut().zip(budgets) {
            *place = Some(*budget);
        }
        self.decide(named, amount).await
    }

    async fn decide(&self, named: Named, amount: MicroCredits) -> Result<Result<Option<HeldFor>, UsedUp>, AppError> {
        let take = Take { id: Uuid::now_v7(), amount, budgets: named };
        let (db, clock, expiry) = (self.db.clone(), self.clock.clone(), self.expiry);
        let decide = move |takes: Vec<Take>| {
            let (db, now) = (db.clone(), clock.now());
            async move { decide_all(&db, takes, now, now.plus(expiry)).await }
        };
        Ok(match self.takes.ask(take, decide).await? {
            Verdict::Held => {
                self.live.insert(take.id, ());
                let holds = named.map(|budget| budget.map(|budget| (budget, take.id)));
                Ok(Some(HeldFor { holds, amount, origin: Origin::Own }))
            }
            Verdict::Refused(scope, resets_at) => Err(UsedUp { scope, resets_at }),
            Verdict::Unlimited => Ok(None),
        })
    }

    /// Renews from now on what is held under this name, perhaps by another instance.
    pub fn adopt(&self, id: Uuid, budgets: &[BudgetId]) -> HeldFor {
        self.live.insert(id, ());
        HeldFor::own(id, budgets)
    }

    /// Another instance may end it: here it is not renewed any more.
    pub fn let_go(&self, held: &HeldFor) {
        for (_, id) in held.holds.iter().flatten() {
            self.live.remove(id);
        }
    }

    /// The request is over and cost this. What is to be booked, if anything is.
    pub fn end(&self, held: HeldFor, cost: MicroCredits) -> Option<Settlement> {
        match held.origin {
            Origin::Own => self.let_go(&held),
            Origin::Blocks => self.blocks.end(&held, cost),
        }
        let is_booked = held.origin == Origin::Own || cost != MicroCredits::ZERO;
        is_booked.then_some(Settlement { held, cost })
    }

    /// Whoever books settlements has this for as long as that takes.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// These settlements stand in the database.
    pub fn booked<'a>(&self, settlements: impl IntoIterator<Item = &'a Settlement>) {
        for Settlement { held, cost } in settlements.into_iter().filter(|one| !one.is_urgent()) {
            self.blocks.booked(held, *cost);
        }
    }

    /// This settlement will never stand there.
    pub fn forgotten(&self, Settlement { held, cost }: &Settlement) {
        if held.origin == Origin::Blocks {
            self.blocks.forgotten(held, *cost);
        }
    }

    /// Nothing more is taken from the blocks of these budgets, or of those of these keys, people and workspaces: they are others now.
    pub fn changed(self: &Arc<Self>, ids: &[Uuid]) {
        self.reserve_soon(self.blocks.close(|budget| ids.contains(&budget.id)));
    }

    /// News may have been lost.
    pub fn all_changed(self: &Arc<Self>) {
        self.reserve_soon(self.blocks.close(|_| true));
    }

    /// Gives back what blocks have free, of these budgets, or of all. Whether there was something.
    pub async fn give_back(&self, budgets: Option<&[BudgetId]>) -> Result<bool, AppError> {
        let closed = self.blocks.close(|budget| budgets.is_none_or(|meant| meant.contains(budget)));
        self.reserve(&closed).await?;
        Ok(!closed.is_empty())
    }

    fn reserve_soon(self: &Arc<Self>, due: Vec<BudgetId>) {
        if due.is_empty() {
            return;
        }
        let holds = Arc::clone(self);
        self.runtime.spawn(async move { holds.reserve_or_say(&due).await });
    }

    async fn reserve_or_say(&self, due: &[BudgetId]) {
        if let Err(error) = self.reserve(due).await {
            tracing::warn!(%error, "nothing could be reserved for the next requests");
        }
    }

    /// Reserves blocks anew.
    async fn reserve(&self, due: &[BudgetId]) -> Result<(), AppError> {
        if due.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let wishes = self.blocks.wishes(due);
        let now = self.clock.now();
        match grant(&self.db, &wishes, now, now.plus(self.expiry)).await {
            Ok(grants) => {
                self.blocks.granted(&grants, Instant::now());
                Ok(())
            }
            Err(error) => {
                self.blocks.not_granted(&wishes, Instant::now());
                Err(error)
            }
        }
    }
}

/// Sets what is held for blocks. What calls took meanwhile stays theirs: only a closed block becomes smaller.
async fn grant(db: &Database, wishes: &[Wish], now: Timestamp, expires_at: Timestamp) -> Result<Vec<Grant>, AppError> {
    let tx = db.begin().await.map_err(app_error)?;
    let mut budgets = locked(&tx, wishes.iter().map(|wish| wish.budget), now).await?;
    let ids: Vec<Uuid> = wishes.iter().map(|wish| wish.id).collect();
    let removed = rows::remove_holds(&tx, &ids).await?;
    let before: HashMap<Uuid, MicroCredits> = removed.iter().map(|hold| (hold.id, hold.amount)).collect();
    release(&mut budgets, removed)?;
    let (mut grants, mut holds) = (Vec::with_capacity(wishes.len()), Vec::new());
    for wish in wishes {
        let before = before.get(&wish.id).copied().unwrap_or_default();
        let Some(row) = budgets.get_mut(&wish.budget) else {
            grants.push(Grant { wish: *wish, amount: MicroCredits::ZERO, is_covered: true });
            continue;
        };
        let left = row.most - row.spent - row.held;
        let share = MicroCredits((left - wish.needed).0 / BLOCK_SHARE);
        let extra = if share < wish.least { MicroCredits::ZERO } else { share.min(wish.extra) };
        let amount = if wish.is_closed { wish.needed } else { before.max(wish.needed + extra) };
        row.held += amount;
        if amount > MicroCredits::ZERO {
            holds.push(NewHold { id: wish.id, budget: wish.budget, amount, expires_at });
        }
        grants.push(Grant { wish: *wish, amount, is_covered: wish.is_closed || amount <= left });
    }
    rows::store(&tx, &budgets.into_values().collect::<Vec<_>>()).await?;
    rows::insert_holds(&tx, &holds).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(grants)
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
    let holds = || settlements.iter().flat_map(|one| one.held.holds.into_iter().flatten().map(move |hold| (one, hold)));
    let mut budgets = locked(txn, holds().map(|(_, (budget, _))| budget), now).await?;
    let mut drawn: HashMap<Uuid, MicroCredits> = HashMap::new();
    let mut ids: Vec<Uuid> = Vec::new();
    for (Settlement { held, cost }, (budget, id)) in holds() {
        if let Some(row) = budgets.get_mut(&budget) {
            row.spent += *cost;
        }
        if held.origin == Origin::Blocks {
            *drawn.entry(id).or_default() += *cost;
        } else {
            ids.push(id);
        }
    }
    ids.extend(drawn.keys());
    ids.sort_unstable();
    ids.dedup();
    let removed = rows::remove_holds(txn, &ids).await?;
    let mut kept = Vec::new();
    // What is left of a block stays reserved.
    for hold in &removed {
        let Some(cost) = drawn.get(&hold.id) else { continue };
        let budget = BudgetId { scope: scope(&hold.scope)?, id: hold.scope_id };
        let amount = (hold.amount - *cost).max(MicroCredits::ZERO);
        if let Some(row) = budgets.get_mut(&budget).filter(|_| amount > MicroCredits::ZERO) {
            row.held += amount;
            kept.push(NewHold { id: hold.id, budget, amount, expires_at: hold.expires_at });
        }
    }
    release(&mut budgets, removed)?;
    rows::insert_holds(txn, &kept).await?;
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

/// Keeps blocks as large as they are used.
async fn tend(holds: Weak<Holds>) {
    let mut tick = tokio::time::interval(TEND);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(holds) = holds.upgrade() else { return };
        let due = holds.blocks.due(Instant::now());
        holds.reserve_or_say(&due).await;
    }
}

impl Holds {
    /// As if this instance had died.
    #[cfg(test)]
    pub fn forget_all(&self) {
        self.live.clear();
        self.blocks.forget_all();
    }

    #[cfg(test)]
    pub fn has_nothing_reserved(&self) -> bool {
        self.blocks.ids().is_empty()
    }

    pub(super) async fn renew(&self) -> Result<(), AppError> {
        let mut live: Vec<Uuid> = self.live.iter().map(|entry| *entry.key()).collect();
        live.extend(self.blocks.ids());
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
