//! Reservations: the worst-case cost of a call is reserved in its [budgets, quotas and credits](SpendingLimit) before the call,
//! and the actual cost is posted after it.
//!
//! Concurrent requests are decided in one transaction, which locks the limits, so that instances together never reserve
//! more than is available. For a busy limit with much left, an instance reserves a local allotment in advance, from
//! which calls draw without a transaction ([`local_allotments`]). The reservations of calls in progress are renewed; a
//! reservation that is never settled because its instance died expires.

mod local_allotments;
mod locked_limits;
mod maintenance;
mod period;
mod spending_limit;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
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
    local_allotments::{AllotmentGrant, AllotmentRequest, LocalAllotments},
    locked_limits::{LockedLimits, RemovalFilter},
};
pub use self::{
    period::{period_of, resets_at, roll_over, start_of},
    spending_limit::{Amounts, SpendingLimit},
};

/// Maximum number of limits of one call: budgets of its key, user, workspace, end user, model and ten tags, two quotas,
/// and credits.
const MAX_LIMITS: usize = 18;
/// A local allotment is at most this fraction (1/n) of what its limit has left.
const ALLOTMENT_DIVISOR: i64 = 20;

/// The limits that one call counts against.
type CallLimits = [Option<SpendingLimit>; MAX_LIMITS];

/// Reservations of this instance.
pub struct Reservations {
    db: Database,
    clock: Clock,
    expiry: Duration,
    request_batcher: Arc<Batcher<ReservationRequest, ReservationDecision>>,
    /// Reservations of calls in progress on this instance.
    live: DashMap<Uuid, ()>,
    allotments: LocalAllotments,
    /// Serialises database changes of local allotments, together with their changes in memory.
    allotment_lock: Mutex<()>,
    /// Users whose entitlements have changed, for the notifier.
    changed_users: mpsc::UnboundedSender<UserId>,
    /// Runtime of the instance. The runtime of a caller may end sooner.
    runtime: Handle,
}

/// Reservation request of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ReservationRequest {
    id: Uuid,
    amounts: Amounts,
    spending_limits: CallLimits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ReservationDecision {
    Held,
    Refused(Shortage),
    /// No limit applies.
    #[default]
    Unlimited,
}

/// A limit without enough left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    pub spending_limit: SpendingLimit,
    /// Used and held amount; zero for credits.
    pub used: i64,
    pub limit: i64,
    /// Start of the limit's next period.
    pub resets_at: Option<Timestamp>,
}

/// Reservation of a call: settled with the call's usage row, or released on drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Id of the reservation in each limit.
    holds: [Option<(SpendingLimit, Uuid)>; MAX_LIMITS],
    amounts: Amounts,
    origin: Origin,
}

/// Origin of a call's reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Reserved for this call alone.
    Own,
    /// Drawn from local allotments if they have enough.
    Allotments,
    /// Drawn from a reservation of several calls: a batch, or a local allotment of a process that has ended.
    SharedReservation,
}

/// Reservation of credits that a killed process left behind, for posting the cost of its finished call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanedReservation {
    hold: Uuid,
    account: Uuid,
    is_block: bool,
}

/// Cost of a finished call and the reservation that it settles.
#[derive(Clone, Copy, Debug)]
pub struct Settlement {
    reservation: Reservation,
    cost: Amounts,
    /// Id of the call's usage row, which makes the posting idempotent.
    source: Uuid,
}

impl Reservation {
    /// Id of a reservation made for one call alone.
    pub fn id(&self) -> Option<Uuid> {
        self.holds.iter().flatten().next().map(|(_, id)| *id)
    }

    pub fn amounts(&self) -> Amounts {
        self.amounts
    }

    /// Settlement of a call that is one of several for which this was reserved: its cost in these limits is drawn from
    /// the reservation, of which the rest stays. A limit in which nothing is reserved is charged too.
    pub fn draw(&self, limits: &[SpendingLimit], cost: Amounts, source: Uuid) -> Settlement {
        let id_in = |limit: SpendingLimit| {
            self.holds.iter().flatten().find(|(held, _)| *held == limit).map_or(Uuid::nil(), |(_, id)| *id)
        };
        let mut holds = [None; MAX_LIMITS];
        for (place, limit) in holds.iter_mut().zip(limits) {
            *place = Some((*limit, id_in(*limit)));
        }
        let reservation = Self { holds, amounts: Amounts::default(), origin: Origin::SharedReservation };
        Settlement { reservation, cost, source }
    }

    /// The account whose credits are reserved.
    pub fn account(&self) -> Option<Uuid> {
        self.holds.iter().flatten().find_map(|(purse, _)| purse.account())
    }
}

impl Settlement {
    /// Creates the settlement of a call that a killed process had finished. Its reservation of these credits, if it
    /// still exists, is released together with the posting, or reduced if it is a local allotment; so the reserved
    /// amount doesn't become debt.
    pub fn for_orphaned_call(
        purses: &[SpendingLimit],
        cost: Amounts,
        source: Uuid,
        left: Option<OrphanedReservation>,
    ) -> Self {
        let mut holds = [None; MAX_LIMITS];
        for (place, purse) in holds.iter_mut().zip(purses) {
            let left = left.filter(|left| purse.account() == Some(left.account));
            *place = Some((*purse, left.map_or(Uuid::nil(), |left| left.hold)));
        }
        let origin = if left.is_some_and(|left| left.is_block) { Origin::SharedReservation } else { Origin::Own };
        Self { reservation: Reservation { holds, amounts: Amounts::default(), origin }, cost, source }
    }

    /// Reservation of credits behind this settlement.
    pub fn orphaned(&self) -> Option<OrphanedReservation> {
        let is_block = self.reservation.origin != Origin::Own;
        self.reservation.holds.iter().flatten().find_map(|(purse, hold)| {
            let account = purse.account().filter(|_| !hold.is_nil())?;
            Some(OrphanedReservation { hold: *hold, account, is_block })
        })
    }

    pub fn account(&self) -> Option<Uuid> {
        self.reservation.account()
    }

    /// True if other calls may be refused until this settlement is posted.
    pub fn is_urgent(&self) -> bool {
        self.reservation.origin == Origin::Own
    }
}

impl Reservations {
    /// Starts the background tasks. Also returns the channel of users whose entitlements change.
    pub fn start(db: Database, clock: Clock, expiry: Duration) -> (Arc<Self>, mpsc::UnboundedReceiver<UserId>) {
        let (changed, changes) = mpsc::unbounded_channel();
        let (takes, live, blocks, turn) =
            (Arc::default(), DashMap::new(), LocalAllotments::default(), Mutex::default());
        let runtime = Handle::current();
        let holds = Arc::new(Self {
            db,
            clock,
            expiry,
            request_batcher: takes,
            live,
            allotments: blocks,
            allotment_lock: turn,
            changed_users: changed,
            runtime,
        });
        maintenance::start(&holds);
        (holds, changes)
    }

    /// Reserves amounts in all of these limits, or in none. Returns `None` if no limit applies.
    pub async fn reserve(
        self: &Arc<Self>,
        purses: &[SpendingLimit],
        amounts: Amounts,
        origin: Origin,
    ) -> Result<Result<Option<Reservation>, Shortage>, AppError> {
        let mut named = [None; MAX_LIMITS];
        for (place, purse) in named.iter_mut().zip(purses) {
            *place = Some(*purse);
        }
        if origin == Origin::Own {
            return self.decide(named, amounts).await;
        }
        if let Some((held, due)) = self.allotments.draw(&named, amounts, Instant::now()) {
            self.spawn_reserve_allotments(due);
            return Ok(Ok(held.id().map(|_| held)));
        }
        let taken = self.decide(named, amounts).await?;
        if taken.is_ok() {
            self.spawn_reserve_allotments(self.allotments.record_call(&named, amounts, Instant::now()));
        }
        Ok(taken)
    }

    async fn decide(
        &self,
        purses: CallLimits,
        amounts: Amounts,
    ) -> Result<Result<Option<Reservation>, Shortage>, AppError> {
        let take = ReservationRequest { id: Uuid::now_v7(), amounts, spending_limits: purses };
        let (db, clock, expiry) = (self.db.clone(), self.clock.clone(), self.expiry);
        let decide = move |takes: Vec<ReservationRequest>| {
            let (db, now) = (db.clone(), clock.now());
            async move { decide_batch(&db, takes, now, now.plus(expiry)).await }
        };
        Ok(match self.request_batcher.get(take, decide).await? {
            ReservationDecision::Held => {
                self.live.insert(take.id, ());
                self.announce_owners(purses.iter().flatten());
                let holds = purses.map(|purse| purse.map(|purse| (purse, take.id)));
                Ok(Some(Reservation { holds, amounts, origin: Origin::Own }))
            }
            ReservationDecision::Refused(shortage) => Err(shortage),
            ReservationDecision::Unlimited => Ok(None),
        })
    }

    /// Takes over the reservation with this id, perhaps from another instance, and renews it from now on. Returns
    /// `None` if it no longer exists.
    pub async fn adopt(&self, id: Uuid) -> Result<Option<Reservation>, AppError> {
        let adopted = maintenance::adopt(self, id).await?;
        if adopted.is_some() {
            self.live.insert(id, ());
        }
        Ok(adopted)
    }

    /// Stops renewing the reservation here; another instance may finish the call.
    pub fn stop_renewing(&self, held: &Reservation) {
        for (_, id) in held.holds.iter().flatten() {
            self.live.remove(id);
        }
    }

    /// Finishes a call with its actual cost. Returns the settlement to post, if any.
    pub fn finish(&self, held: Reservation, cost: Amounts, source: Uuid) -> Option<Settlement> {
        match held.origin {
            Origin::Own | Origin::SharedReservation => self.stop_renewing(&held),
            Origin::Allotments => self.allotments.finish(&held, cost),
        }
        let is_booked = held.origin == Origin::Own || cost != Amounts::default();
        is_booked.then_some(Settlement { reservation: held, cost, source })
    }

    /// Lock that the writer of settlements holds while it posts them.
    pub async fn lock_writes(&self) -> MutexGuard<'_, ()> {
        self.allotment_lock.lock().await
    }

    /// Applies settlements that were posted in the database.
    pub fn mark_posted<'a>(&self, settlements: impl IntoIterator<Item = &'a Settlement>) {
        let mut concerned = Vec::new();
        for settlement in settlements {
            let Settlement { reservation: held, cost, .. } = settlement;
            if held.origin == Origin::Allotments {
                self.allotments.mark_posted(held, *cost);
            }
            concerned.extend(held.holds.iter().flatten().map(|(purse, _)| purse));
        }
        self.announce_owners(concerned);
    }

    /// Drops a settlement that will never be posted.
    pub fn discard(&self, Settlement { reservation: held, cost, .. }: &Settlement) {
        if held.origin == Origin::Allotments {
            self.allotments.discard(held, *cost);
        }
    }

    /// Closes the local allotments of these keys, users and workspaces, whose budgets or plans have changed.
    pub fn close_allotments(self: &Arc<Self>, ids: &[Uuid]) {
        self.spawn_reserve_allotments(self.allotments.close(|purse| ids.contains(&purse.id())));
    }

    /// Closes all local allotments, because change events may have been lost.
    pub fn close_all_allotments(self: &Arc<Self>) {
        self.spawn_reserve_allotments(self.allotments.close(|_| true));
    }

    /// Returns the free amounts of the local allotments of these limits, or of all. Returns false if there was nothing
    /// to return.
    pub async fn return_allotments(&self, purses: Option<&[SpendingLimit]>) -> Result<bool, AppError> {
        let closed = self.allotments.close(|purse| purses.is_none_or(|meant| meant.contains(purse)));
        self.reserve_allotments(&closed).await?;
        Ok(!closed.is_empty())
    }

    /// Amount of the local allotment that no call has drawn, and the costs not posted yet.
    pub fn unposted(&self, purse: SpendingLimit) -> (MicroCredits, MicroCredits) {
        self.allotments.unposted(purse)
    }

    /// Spawns the task on the instance's runtime, so that it finishes even if the caller is dropped.
    pub fn run_to_end<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.spawn(task)
    }

    /// Sends the owners of the limits to the notifier of entitlement changes. At shutdown there is no receiver any
    /// more.
    fn announce_owners<'a>(&self, purses: impl IntoIterator<Item = &'a SpendingLimit>) {
        let owners: BTreeSet<UserId> = purses.into_iter().filter_map(|purse| purse.owner()).collect();
        for owner in owners {
            let _ = self.changed_users.send(owner);
        }
    }

    fn spawn_reserve_allotments(self: &Arc<Self>, due: Vec<SpendingLimit>) {
        if due.is_empty() {
            return;
        }
        let holds = Arc::clone(self);
        self.runtime.spawn(async move { holds.reserve_allotments_or_log(&due).await });
    }

    async fn reserve_allotments_or_log(&self, due: &[SpendingLimit]) {
        if let Err(error) = self.reserve_allotments(due).await {
            tracing::warn!(%error, "failed to reserve local allotments");
        }
    }

    /// Reserves local allotments again.
    async fn reserve_allotments(&self, due: &[SpendingLimit]) -> Result<(), AppError> {
        if due.is_empty() {
            return Ok(());
        }
        let _turn = self.allotment_lock.lock().await;
        let wishes = self.allotments.pending_requests(due);
        let now = self.clock.now();
        match grant_allotments(&self.db, &wishes, now, now.plus(self.expiry)).await {
            Ok(grants) => {
                self.allotments.apply_grants(&grants, Instant::now());
                Ok(())
            }
            Err(error) => {
                self.allotments.reservation_failed(&wishes, Instant::now());
                Err(error)
            }
        }
    }
}

/// Sets the reserved amounts of local allotments in the database. Amounts that calls have drawn in the meantime stay
/// reserved: only a closed allotment shrinks.
async fn grant_allotments(
    db: &Database,
    wishes: &[AllotmentRequest],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<AllotmentGrant>, AppError> {
    let tx = db.begin().await.map_err(app_error)?;
    let mut purses = LockedLimits::open(&tx, wishes.iter().map(|wish| wish.spending_limit), now).await?;
    let removed =
        purses.remove(&tx, wishes.iter().map(|wish| (wish.spending_limit, wish.id)), RemovalFilter::All).await?;
    let before: HashMap<Uuid, MicroCredits> = removed.iter().map(|hold| (hold.id, hold.amount)).collect();
    let mut grants = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let before = before.get(&wish.id).copied().unwrap_or_default();
        let Some(left) = purses.remaining(wish.spending_limit) else {
            grants.push(AllotmentGrant {
                request: *wish,
                amount: MicroCredits::ZERO,
                is_covered: true,
                is_limitless: true,
            });
            continue;
        };
        let share = MicroCredits((left - wish.needed).0 / ALLOTMENT_DIVISOR);
        let extra = if share < wish.min_amount { MicroCredits::ZERO } else { share.min(wish.extra) };
        let wanted = if wish.is_closed { wish.needed } else { before.max(wish.needed + extra) };
        // A balance never goes below zero, not even for amounts drawn from an expired allotment.
        let amount = if matches!(wish.spending_limit, SpendingLimit::Credits(_)) { wanted.min(left) } else { wanted };
        purses.hold(wish.spending_limit, wish.id, amount, expires_at);
        let is_covered = wish.is_closed || wanted <= left;
        grants.push(AllotmentGrant { request: *wish, amount, is_covered, is_limitless: false });
    }
    purses.store(&tx).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(grants)
}

/// Decides requests in order: the first that fits gets the amount.
async fn decide_batch(
    db: &Database,
    takes: Vec<ReservationRequest>,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<HashMap<ReservationRequest, ReservationDecision>, AppError> {
    let tx = db.begin().await.map_err(app_error)?;
    let mut purses =
        LockedLimits::open(&tx, takes.iter().flat_map(|take| take.spending_limits.into_iter().flatten()), now).await?;
    let mut verdicts = HashMap::with_capacity(takes.len());
    for take in takes {
        let verdict = decide(&mut purses, &take, expires_at);
        verdicts.insert(take, verdict);
    }
    if verdicts.values().all(|verdict| *verdict != ReservationDecision::Held) {
        // No amount was reserved. The roll-over to a new period isn't stored either; it is repeated next time.
        tx.rollback().await.map_err(app_error)?;
        return Ok(verdicts);
    }
    purses.store(&tx).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(verdicts)
}

fn decide(purses: &mut LockedLimits, take: &ReservationRequest, expires_at: Timestamp) -> ReservationDecision {
    let mut any = false;
    for purse in take.spending_limits.iter().flatten() {
        let Some(left) = purses.remaining(*purse) else { continue };
        any = true;
        // A limit with nothing left refuses the call. This doesn't affect calls without cost: budgets and credits are
        // not in their list of limits.
        if left < take.amounts.amount_for(*purse) || left <= MicroCredits::ZERO {
            let (used, limit, resets_at) = purses.usage(*purse);
            return ReservationDecision::Refused(Shortage { spending_limit: *purse, used, limit, resets_at });
        }
    }
    if !any {
        return ReservationDecision::Unlimited;
    }
    for purse in take.spending_limits.iter().flatten() {
        purses.hold(*purse, take.id, take.amounts.amount_for(*purse), expires_at);
    }
    ReservationDecision::Held
}

/// Posts the costs of calls and releases their reservations, in the caller's transaction. A cost is posted even if its
/// reservation has expired.
pub async fn settle<C: ConnectionTrait>(txn: &C, settlements: &[Settlement], now: Timestamp) -> Result<(), AppError> {
    if settlements.is_empty() {
        return Ok(());
    }
    let holds =
        || settlements.iter().flat_map(|one| one.reservation.holds.into_iter().flatten().map(move |hold| (one, hold)));
    let mut purses = LockedLimits::open(txn, holds().map(|(_, (purse, _))| purse), now).await?;
    let mut drawn: HashMap<(SpendingLimit, Uuid), MicroCredits> = HashMap::new();
    let mut released = HashSet::new();
    for (Settlement { reservation: held, cost, source }, (purse, id)) in holds() {
        let cost = cost.amount_for(purse);
        purses.spend(purse, cost, *source);
        if held.origin == Origin::Own {
            released.insert((purse, id));
        } else {
            *drawn.entry((purse, id)).or_default() += cost;
        }
    }
    let removed = purses.remove(txn, holds().map(|(_, hold)| hold), RemovalFilter::All).await?;
    // The rest of a shared reservation stays reserved.
    for hold in removed {
        let key = (hold.spending_limit, hold.id);
        if let Some(cost) = drawn.get(&key).filter(|_| !released.contains(&key)) {
            purses.hold(hold.spending_limit, hold.id, hold.amount - *cost, hold.expires_at);
        }
    }
    purses.store(txn).await
}
