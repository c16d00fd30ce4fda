//! What calls may cost is held before they go out, and what they cost is booked after it: in [budgets, quotas and credits](Purse).
//!
//! Calls that ask at the same time are decided in one transaction, which locks what they count against, so two instances never hold more than
//! there is. For a busy purse that has much left, an instance holds a block in advance, from which calls take without a transaction ([`blocks`]).
//! A hold that nobody settles, because its instance died, expires; those of calls that are still under way are renewed.

mod local_allotments;
mod maintenance;
mod locked_limits;
mod period;
mod spending_limit;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use appcore::{AppError, Clock, Timestamp, UserId, credits::MicroCredits};
use dashmap::DashMap;
use dbcontext::{Database, constraint::app_error};
use platform::batcher::Batcher;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::Handle,
    sync::{Mutex, MutexGuard, mpsc},
    task::JoinHandle,
    time::Instant,
};
use uuid::Uuid;

use self::{
    local_allotments::{LocalAllotments, AllotmentGrant, AllotmentRequest},
    locked_limits::{LockedLimits, RemovalFilter},
};
pub use self::{
    period::{begin_anew, period_of, resets_at, start_of},
    spending_limit::{Amounts, SpendingLimit},
};

/// The most purses that one call counts against: budgets of its key, its person and its workspace, two quotas, and credits.
const MOST: usize = 6;
/// A block has at most this part of what its purse has left.
const BLOCK_SHARE: i64 = 20;

/// The purses that one call counts against.
type CallLimits = [Option<SpendingLimit>; MOST];

/// The holds of this instance.
pub struct Reservations {
    db: Database,
    clock: Clock,
    expiry: Duration,
    takes: Arc<Batcher<ReservationRequest, ReservationDecision>>,
    /// Those of calls that are under way here.
    live: DashMap<Uuid, ()>,
    blocks: LocalAllotments,
    /// What changes blocks in the database goes one after the other, each with what it changes here.
    turn: Mutex<()>,
    /// Those of whom something has changed, for those who tell them.
    changed: mpsc::UnboundedSender<UserId>,
    /// The runtime of the instance. That of a caller may end sooner.
    runtime: Handle,
}

/// What one call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ReservationRequest {
    id: Uuid,
    amounts: Amounts,
    purses: CallLimits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ReservationDecision {
    /// The amounts are held.
    Held,
    Refused(Shortage),
    /// Nothing of it is limited.
    #[default]
    Unlimited,
}

/// A purse that has too little left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    pub purse: SpendingLimit,
    /// What is used and held, of how much, where that is counted.
    pub used: i64,
    pub limit: i64,
    /// When it begins anew.
    pub resets_at: Option<Timestamp>,
}

/// What is held for a call. It is settled with its usage row, or released when it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The holds, each in its purse.
    holds: [Option<(SpendingLimit, Uuid)>; MOST],
    amounts: Amounts,
    origin: Origin,
}

/// Where what is held for a call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Held for this call alone.
    Own,
    /// Taken from blocks, where these have enough.
    Blocks,
    /// Taken from a block of a program that has ended.
    LeftBlock,
}

/// Credits that are held for a call, as whoever books the call knows them when this program was killed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanedReservation {
    hold: Uuid,
    account: Uuid,
    is_block: bool,
}

/// What a finished call changes in its purses.
#[derive(Clone, Copy, Debug)]
pub struct Settlement {
    held: Reservation,
    cost: Amounts,
    /// The call's row, by which it is booked once.
    source: Uuid,
}

impl Reservation {
    /// The name of what is held for one call alone.
    pub fn id(&self) -> Option<Uuid> {
        self.holds.iter().flatten().next().map(|(_, id)| *id)
    }

    pub fn amounts(&self) -> Amounts {
        self.amounts
    }

    /// The account whose credits are held.
    pub fn account(&self) -> Option<Uuid> {
        self.holds.iter().flatten().find_map(|(purse, _)| purse.account())
    }
}

impl Settlement {
    /// Books what a call cost that a program had finished which was killed. What it held of these credits is freed with it, or drawn where that is a block, as far
    /// as it is still there: so nothing is owed for what was held.
    pub fn booking(purses: &[SpendingLimit], cost: Amounts, source: Uuid, left: Option<OrphanedReservation>) -> Self {
        let mut holds = [None; MOST];
        for (place, purse) in holds.iter_mut().zip(purses) {
            let left = left.filter(|left| purse.account() == Some(left.account));
            *place = Some((*purse, left.map_or(Uuid::nil(), |left| left.hold)));
        }
        let origin = if left.is_some_and(|left| left.is_block) { Origin::LeftBlock } else { Origin::Own };
        Self { held: Reservation { holds, amounts: Amounts::default(), origin }, cost, source }
    }

    /// Credits that are held for it.
    pub fn left(&self) -> Option<OrphanedReservation> {
        let is_block = self.held.origin != Origin::Own;
        self.held.holds.iter().flatten().find_map(|(purse, hold)| {
            let account = purse.account().filter(|_| !hold.is_nil())?;
            Some(OrphanedReservation { hold: *hold, account, is_block })
        })
    }

    /// The account that pays.
    pub fn account(&self) -> Option<Uuid> {
        self.held.account()
    }

    /// Whether others may be refused until it is booked.
    pub fn is_urgent(&self) -> bool {
        self.held.origin == Origin::Own
    }
}

impl Reservations {
    /// With those of whom something changes.
    pub fn start(db: Database, clock: Clock, expiry: Duration) -> (Arc<Self>, mpsc::UnboundedReceiver<UserId>) {
        let (changed, changes) = mpsc::unbounded_channel();
        let (takes, live, blocks, turn) = (Arc::default(), DashMap::new(), LocalAllotments::default(), Mutex::default());
        let runtime = Handle::current();
        let holds = Arc::new(Self { db, clock, expiry, takes, live, blocks, turn, changed, runtime });
        maintenance::start(&holds);
        (holds, changes)
    }

    /// Holds amounts in all of these purses, or in none.
    pub async fn take(
        self: &Arc<Self>,
        purses: &[SpendingLimit],
        amounts: Amounts,
        origin: Origin,
    ) -> Result<Result<Option<Reservation>, Shortage>, AppError> {
        let mut named = [None; MOST];
        for (place, purse) in named.iter_mut().zip(purses) {
            *place = Some(*purse);
        }
        if origin == Origin::Own {
            return self.decide(named, amounts).await;
        }
        if let Some((held, due)) = self.blocks.take(&named, amounts, Instant::now()) {
            self.reserve_soon(due);
            return Ok(Ok(held.id().map(|_| held)));
        }
        let taken = self.decide(named, amounts).await?;
        if taken.is_ok() {
            self.reserve_soon(self.blocks.note(&named, amounts, Instant::now()));
        }
        Ok(taken)
    }

    async fn decide(&self, purses: CallLimits, amounts: Amounts) -> Result<Result<Option<Reservation>, Shortage>, AppError> {
        let take = ReservationRequest { id: Uuid::now_v7(), amounts, purses };
        let (db, clock, expiry) = (self.db.clone(), self.clock.clone(), self.expiry);
        let decide = move |takes: Vec<ReservationRequest>| {
            let (db, now) = (db.clone(), clock.now());
            async move { decide_all(&db, takes, now, now.plus(expiry)).await }
        };
        Ok(match self.takes.ask(take, decide).await? {
            ReservationDecision::Held => {
                self.live.insert(take.id, ());
                self.tell(purses.iter().flatten());
                let holds = purses.map(|purse| purse.map(|purse| (purse, take.id)));
                Ok(Some(Reservation { holds, amounts, origin: Origin::Own }))
            }
            ReservationDecision::Refused(shortage) => Err(shortage),
            ReservationDecision::Unlimited => Ok(None),
        })
    }

    /// Renews from now on what is held under this name, perhaps by another instance. None: nothing is held any more.
    pub async fn adopt(&self, id: Uuid) -> Result<Option<Reservation>, AppError> {
        let adopted = maintenance::adopt(self, id).await?;
        if adopted.is_some() {
            self.live.insert(id, ());
        }
        Ok(adopted)
    }

    /// Another instance may end it: here it is not renewed any more.
    pub fn let_go(&self, held: &Reservation) {
        for (_, id) in held.holds.iter().flatten() {
            self.live.remove(id);
        }
    }

    /// The call is over and cost this. What is to be booked, if anything is.
    pub fn end(&self, held: Reservation, cost: Amounts, source: Uuid) -> Option<Settlement> {
        match held.origin {
            Origin::Own | Origin::LeftBlock => self.let_go(&held),
            Origin::Blocks => self.blocks.end(&held, cost),
        }
        let is_booked = held.origin == Origin::Own || cost != Amounts::default();
        is_booked.then_some(Settlement { held, cost, source })
    }

    /// Whoever books settlements has this for as long as that takes.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// These settlements stand in the database.
    pub fn booked<'a>(&self, settlements: impl IntoIterator<Item = &'a Settlement>) {
        let mut concerned = Vec::new();
        for settlement in settlements {
            let Settlement { held, cost, .. } = settlement;
            if held.origin == Origin::Blocks {
                self.blocks.booked(held, *cost);
            }
            concerned.extend(held.holds.iter().flatten().map(|(purse, _)| purse));
        }
        self.tell(concerned);
    }

    /// This settlement will never stand there.
    pub fn forgotten(&self, Settlement { held, cost, .. }: &Settlement) {
        if held.origin == Origin::Blocks {
            self.blocks.forgotten(held, *cost);
        }
    }

    /// Nothing more is taken from the blocks of these keys, people and workspaces: their budgets or plans are others now.
    pub fn changed(self: &Arc<Self>, ids: &[Uuid]) {
        self.reserve_soon(self.blocks.close(|purse| ids.contains(&purse.id())));
    }

    /// News may have been lost.
    pub fn all_changed(self: &Arc<Self>) {
        self.reserve_soon(self.blocks.close(|_| true));
    }

    /// Gives back what blocks have free, of these purses, or of all. Whether there was something.
    pub async fn give_back(&self, purses: Option<&[SpendingLimit]>) -> Result<bool, AppError> {
        let closed = self.blocks.close(|purse| purses.is_none_or(|meant| meant.contains(purse)));
        self.reserve(&closed).await?;
        Ok(!closed.is_empty())
    }

    /// What is held in advance of a purse without a call that has taken it, and what was spent but is not booked yet.
    pub fn unseen(&self, purse: SpendingLimit) -> (MicroCredits, MicroCredits) {
        self.blocks.unseen(purse)
    }

    /// Goes on with it where whoever waits for it has left.
    pub fn run_to_end<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.spawn(task)
    }

    /// At the end of the program nobody is told any more.
    fn tell<'a>(&self, purses: impl IntoIterator<Item = &'a SpendingLimit>) {
        let owners: BTreeSet<UserId> = purses.into_iter().filter_map(|purse| purse.owner()).collect();
        for owner in owners {
            let _ = self.changed.send(owner);
        }
    }

    fn reserve_soon(self: &Arc<Self>, due: Vec<SpendingLimit>) {
        if due.is_empty() {
            return;
        }
        let holds = Arc::clone(self);
        self.runtime.spawn(async move { holds.reserve_or_say(&due).await });
    }

    async fn reserve_or_say(&self, due: &[SpendingLimit]) {
        if let Err(error) = self.reserve(due).await {
            tracing::warn!(%error, "nothing could be reserved for the next calls");
        }
    }

    /// Reserves blocks anew.
    async fn reserve(&self, due: &[SpendingLimit]) -> Result<(), AppError> {
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
async fn grant(db: &Database, wishes: &[AllotmentRequest], now: Timestamp, expires_at: Timestamp) -> Result<Vec<AllotmentGrant>, AppError> {
    let tx = db.begin().await.map_err(app_error)?;
    let mut purses = LockedLimits::open(&tx, wishes.iter().map(|wish| wish.purse), now).await?;
    let removed = purses.remove(&tx, wishes.iter().map(|wish| (wish.purse, wish.id)), RemovalFilter::All).await?;
    let before: HashMap<Uuid, MicroCredits> = removed.iter().map(|hold| (hold.id, hold.amount)).collect();
    let mut grants = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let before = before.get(&wish.id).copied().unwrap_or_default();
        let Some(left) = purses.left(wish.purse) else {
            grants.push(AllotmentGrant { request: *wish, amount: MicroCredits::ZERO, is_covered: true, is_limitless: true });
            continue;
        };
        let share = MicroCredits((left - wish.needed).0 / BLOCK_SHARE);
        let extra = if share < wish.least { MicroCredits::ZERO } else { share.min(wish.extra) };
        let wanted = if wish.is_closed { wish.needed } else { before.max(wish.needed + extra) };
        // An account is never taken below what is on it, not even for what calls have taken from a block that had expired.
        let amount = if matches!(wish.purse, SpendingLimit::Credits(_)) { wanted.min(left) } else { wanted };
        purses.hold(wish.purse, wish.id, amount, expires_at);
        let is_covered = wish.is_closed || wanted <= left;
        grants.push(AllotmentGrant { request: *wish, amount, is_covered, is_limitless: false });
    }
    purses.store(&tx).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(grants)
}

/// Decides takes in their order: the first that fits gets what there is.
async fn decide_all(
    db: &Database,
    takes: Vec<ReservationRequest>,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<HashMap<ReservationRequest, ReservationDecision>, AppError> {
    let tx = db.begin().await.map_err(app_error)?;
    let mut purses = LockedLimits::open(&tx, takes.iter().flat_map(|take| take.purses.into_iter().flatten()), now).await?;
    let mut verdicts = HashMap::with_capacity(takes.len());
    for take in takes {
        let verdict = decide(&mut purses, &take, expires_at);
        verdicts.insert(take, verdict);
    }
    if verdicts.values().all(|verdict| *verdict != ReservationDecision::Held) {
        // Nothing to keep; a period that began anew is found again.
        tx.rollback().await.map_err(app_error)?;
        return Ok(verdicts);
    }
    purses.store(&tx).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(verdicts)
}

fn decide(purses: &mut LockedLimits, take: &ReservationRequest, expires_at: Timestamp) -> ReservationDecision {
    let mut any = false;
    for purse in take.purses.iter().flatten() {
        let Some(left) = purses.left(*purse) else { continue };
        any = true;
        // Each takes something of it: budgets and credits are not asked for what costs nothing.
        if left < take.amounts.of(*purse) || left <= MicroCredits::ZERO {
            let (used, limit, resets_at) = purses.figures(*purse);
            return ReservationDecision::Refused(Shortage { purse: *purse, used, limit, resets_at });
        }
    }
    if !any {
        return ReservationDecision::Unlimited;
    }
    for purse in take.purses.iter().flatten() {
        purses.hold(*purse, take.id, take.amounts.of(*purse), expires_at);
    }
    ReservationDecision::Held
}

/// Books what calls cost and releases what was held for them, in the caller's transaction. A cost whose hold has expired is booked too.
pub async fn settle<C: ConnectionTrait>(txn: &C, settlements: &[Settlement], now: Timestamp) -> Result<(), AppError> {
    if settlements.is_empty() {
        return Ok(());
    }
    let holds = || settlements.iter().flat_map(|one| one.held.holds.into_iter().flatten().map(move |hold| (one, hold)));
    let mut purses = LockedLimits::open(txn, holds().map(|(_, (purse, _))| purse), now).await?;
    let mut drawn: HashMap<Uuid, MicroCredits> = HashMap::new();
    for (Settlement { held, cost, source }, (purse, id)) in holds() {
        let cost = cost.of(purse);
        purses.spend(purse, cost, *source);
        if held.origin != Origin::Own {
            *drawn.entry(id).or_default() += cost;
        }
    }
    let removed = purses.remove(txn, holds().map(|(_, hold)| hold), RemovalFilter::All).await?;
    // What is left of a block stays reserved.
    for hold in removed {
        if let Some(cost) = drawn.get(&hold.id) {
            purses.hold(hold.purse, hold.id, hold.amount - *cost, hold.expires_at);
        }
    }
    purses.store(txn).await
}
