//! Local allotments: parts of budgets, quotas and credits reserved by this instance in advance, so that calls against a
//! busy limit need no transaction.
//!
//! In the database an allotment is a reservation like any other. Calls draw from it in memory, and their cost is
//! deducted from it when it is posted. An allotment is small compared to what its limit has left; if little is left,
//! none is reserved and each call gets a reservation of its own. Unused amounts are returned after a moment. The
//! absence of a limit is cached in the same way, and for no longer.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use appcore::credits::MicroCredits;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Amounts, CallLimits, Origin, Reservation, SpendingLimit};

/// A limit is busy if its calls follow each other within this time.
const BUSY_INTERVAL: Duration = Duration::from_millis(200);
/// Time after which an unused allotment is returned.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval at which an allotment is confirmed in the database, so that a changed limit is noticed even if its bus
/// message was lost.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(2);
/// Time after which an unconfirmed allotment is no longer used.
const CONFIRMATION_TTL: Duration = Duration::from_secs(4);
/// Pause after an attempt to reserve an allotment has failed or yielded nothing.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Number of calls that the first allotment covers. Each further allotment that follows soon covers twice as many.
const INITIAL_CALLS: i64 = 16;
const MAX_CALLS: i64 = 512;
/// Minimum number of calls per allotment. A smaller one isn't worth its transaction.
const MIN_CALLS: i64 = 4;

#[derive(Default)]
pub(super) struct LocalAllotments(Mutex<HashMap<SpendingLimit, Allotment>>);

#[derive(Debug)]
struct Allotment {
    /// Id of the reservation.
    id: Uuid,
    /// Amount reserved in the database.
    amount: MicroCredits,
    /// Worst-case amounts of the calls in progress.
    in_use: MicroCredits,
    /// Costs of finished calls that are not posted yet.
    owed: MicroCredits,
    /// Free amount after the last reservation.
    capacity: MicroCredits,
    /// Worst-case amount of the last call.
    usual: MicroCredits,
    calls: i64,
    used_at: Instant,
    reserved_at: Option<Instant>,
    paused_until: Option<Instant>,
    /// True if nothing may be drawn until the next reservation.
    is_closed: bool,
    /// True while a reservation is pending.
    is_due: bool,
    /// True if there is no limit, so that calls draw nothing.
    is_limitless: bool,
}

/// Reservation request for one limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllotmentRequest {
    pub spending_limit: SpendingLimit,
    pub id: Uuid,
    /// Amount that calls have already drawn.
    pub needed: MicroCredits,
    /// Additional amount that calls may draw.
    pub extra: MicroCredits,
    pub min_amount: MicroCredits,
    pub is_closed: bool,
}

/// Result of a reservation request.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllotmentGrant {
    pub request: AllotmentRequest,
    pub amount: MicroCredits,
    /// True if the limit covers the whole amount.
    pub is_covered: bool,
    /// True if there is no limit, or none any more.
    pub is_limitless: bool,
}

impl Allotment {
    fn new(usual: MicroCredits, now: Instant) -> Self {
        Self {
            id: Uuid::now_v7(),
            amount: MicroCredits::ZERO,
            in_use: MicroCredits::ZERO,
            owed: MicroCredits::ZERO,
            capacity: MicroCredits::ZERO,
            usual,
            calls: INITIAL_CALLS,
            used_at: now,
            reserved_at: None,
            paused_until: None,
            is_closed: false,
            is_due: false,
            is_limitless: false,
        }
    }

    fn needed(&self) -> MicroCredits {
        self.in_use + self.owed
    }

    fn free(&self) -> MicroCredits {
        self.amount - self.needed()
    }

    /// True if a call may draw this amount.
    fn has_room(&self, amount: MicroCredits, now: Instant) -> bool {
        let has_enough = self.free() >= amount && self.free() > MicroCredits::ZERO;
        self.is_confirmed(now) && (self.is_limitless || has_enough)
    }

    fn is_confirmed(&self, now: Instant) -> bool {
        !self.is_closed && self.reserved_at.is_some_and(|at| now.duration_since(at) < CONFIRMATION_TTL)
    }

    /// Claims the next reservation. Returns false if the allotment pauses or another task has claimed it.
    fn claim(&mut self, now: Instant) -> bool {
        let rests = self.paused_until.is_some_and(|until| now < until);
        !rests && !std::mem::replace(&mut self.is_due, true)
    }
}

impl LocalAllotments {
    // The state is consistent between any two statements, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, HashMap<SpendingLimit, Allotment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws amounts from the allotments of all limits, or from none. Also returns the limits whose allotment must be
    /// reserved again.
    pub fn draw(
        &self,
        purses: &CallLimits,
        amounts: Amounts,
        now: Instant,
    ) -> Option<(Reservation, Vec<SpendingLimit>)> {
        let mut blocks = self.lock();
        let has_room = |purse: &SpendingLimit| {
            blocks.get(purse).is_some_and(|block| block.has_room(amounts.amount_for(*purse), now))
        };
        if !purses.iter().flatten().all(has_room) {
            return None;
        }
        let (mut due, mut held) =
            (Vec::new(), Reservation { holds: [None; super::MAX_LIMITS], amounts, origin: Origin::Allotments });
        for (place, purse) in held.holds.iter_mut().zip(purses.iter().flatten()) {
            let block = blocks.get_mut(purse)?;
            let amount = amounts.amount_for(*purse);
            (block.usual, block.used_at) = (amount, now);
            if block.is_limitless {
                continue;
            }
            block.in_use += amount;
            *place = Some((*purse, block.id));
            if block.free().0 < block.capacity.0 / 2 && block.claim(now) {
                due.push(*purse);
            }
        }
        Some((held, due))
    }

    /// Records a call that was admitted without allotments, and returns the busy limits to reserve allotments for.
    pub fn record_call(&self, purses: &CallLimits, amounts: Amounts, now: Instant) -> Vec<SpendingLimit> {
        let mut blocks = self.lock();
        let mut busy = Vec::new();
        for purse in purses.iter().flatten() {
            let amount = amounts.amount_for(*purse);
            let Some(block) = blocks.get_mut(purse) else {
                blocks.insert(*purse, Allotment::new(amount, now));
                continue;
            };
            let is_busy = now.duration_since(block.used_at) < BUSY_INTERVAL;
            (block.usual, block.used_at) = (amount, now);
            if is_busy && block.claim(now) {
                busy.push(*purse);
            }
        }
        busy
    }

    /// Records the cost of a finished call that drew from allotments.
    pub fn finish(&self, held: &Reservation, cost: Amounts) {
        self.change(held, |purse, block| {
            block.in_use = block.in_use - held.amounts.amount_for(purse);
            block.owed += cost.amount_for(purse);
        });
    }

    /// Deducts a cost that was posted in the database.
    pub fn mark_posted(&self, held: &Reservation, cost: Amounts) {
        self.change(held, |purse, block| {
            let cost = cost.amount_for(purse);
            block.owed = block.owed - cost;
            block.amount = (block.amount - cost).max(MicroCredits::ZERO);
        });
    }

    /// Drops a cost that will never be posted.
    pub fn discard(&self, held: &Reservation, cost: Amounts) {
        self.change(held, |purse, block| block.owed = block.owed - cost.amount_for(purse));
    }

    fn change(&self, held: &Reservation, change: impl Fn(SpendingLimit, &mut Allotment)) {
        let mut blocks = self.lock();
        for (purse, id) in held.holds.iter().flatten() {
            if let Some(block) = blocks.get_mut(purse).filter(|block| block.id == *id) {
                change(*purse, block);
            }
        }
    }

    /// Returns the reservation requests for these limits.
    pub fn pending_requests(&self, purses: &[SpendingLimit]) -> Vec<AllotmentRequest> {
        let blocks = self.lock();
        let wish = |purse: &SpendingLimit| {
            let block = blocks.get(purse)?;
            let calls = |calls: i64| MicroCredits(block.usual.0.max(1).saturating_mul(calls));
            Some(AllotmentRequest {
                spending_limit: *purse,
                id: block.id,
                needed: block.needed(),
                extra: calls(block.calls),
                min_amount: calls(MIN_CALLS),
                is_closed: block.is_closed,
            })
        };
        purses.iter().filter_map(wish).collect()
    }

    pub fn apply_grants(&self, grants: &[AllotmentGrant], now: Instant) {
        let mut blocks = self.lock();
        for AllotmentGrant { request: wish, amount, is_covered, is_limitless } in grants {
            let Some(block) = blocks.get_mut(&wish.spending_limit) else { continue };
            (block.amount, block.is_due, block.is_limitless) = (*amount, false, *is_limitless);
            block.capacity = block.free();
            let is_reserved = *is_limitless || block.capacity > MicroCredits::ZERO;
            block.calls = if is_reserved { (block.calls * 2).min(MAX_CALLS) } else { INITIAL_CALLS };
            block.reserved_at = is_reserved.then_some(now);
            block.paused_until = (!is_reserved).then(|| now + RETRY_PAUSE);
            if wish.is_closed {
                block.is_closed = false;
            }
            // A limit that no longer covers the allotment was reduced, so the allotment is closed.
            block.is_closed |= !is_covered;
        }
    }

    /// Pauses the allotments whose reservation failed.
    pub fn reservation_failed(&self, wishes: &[AllotmentRequest], now: Instant) {
        let mut blocks = self.lock();
        for wish in wishes {
            if let Some(block) = blocks.get_mut(&wish.spending_limit) {
                (block.is_due, block.paused_until) = (false, Some(now + RETRY_PAUSE));
            }
        }
    }

    /// Returns the allotments to reserve again: closed or idle ones are returned, used ones are confirmed.
    pub fn due(&self, now: Instant) -> Vec<SpendingLimit> {
        let mut blocks = self.lock();
        blocks.retain(|_, block| {
            let is_empty = block.amount == MicroCredits::ZERO && block.needed() == MicroCredits::ZERO;
            !is_empty || block.is_due || now.duration_since(block.used_at) < IDLE_TIMEOUT
        });
        let mut due = Vec::new();
        for (purse, block) in blocks.iter_mut() {
            let is_idle = now.duration_since(block.used_at) >= IDLE_TIMEOUT && block.free() > MicroCredits::ZERO;
            let is_old = block.reserved_at.is_some_and(|at| now.duration_since(at) >= CONFIRM_INTERVAL);
            block.is_closed |= is_idle;
            if (block.is_closed || is_old) && block.claim(now) {
                due.push(*purse);
            }
        }
        due
    }

    /// Closes the matching allotments that have a free amount or no limit. Returns their limits, so that the caller can
    /// return the free amounts to them.
    pub fn close(&self, is_meant: impl Fn(&SpendingLimit) -> bool) -> Vec<SpendingLimit> {
        let mut blocks = self.lock();
        let has_something = |block: &Allotment| block.is_limitless || block.amount > block.needed();
        let meant = blocks.iter_mut().filter(|(purse, block)| is_meant(purse) && has_something(block));
        meant
            .map(|(purse, block)| {
                (block.is_closed, block.is_due) = (true, true);
                *purse
            })
            .collect()
    }

    /// The reservations that exist in the database.
    pub fn holds(&self) -> Vec<(SpendingLimit, Uuid)> {
        let blocks = self.lock();
        let reserved = blocks.iter().filter(|(_, block)| block.amount > MicroCredits::ZERO);
        reserved.map(|(purse, block)| (*purse, block.id)).collect()
    }

    /// Amount of the allotment that no call has drawn, and the costs that are not posted yet.
    pub fn unposted(&self, purse: SpendingLimit) -> (MicroCredits, MicroCredits) {
        let blocks = self.lock();
        blocks.get(&purse).map_or_else(Default::default, |block| (block.amount - block.in_use, block.owed))
    }

    #[cfg(test)]
    pub fn clear(&self) {
        self.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Amounts = Amounts::cost(MicroCredits(100));

    fn purse() -> SpendingLimit {
        SpendingLimit::Credits(Uuid::nil())
    }

    fn named() -> CallLimits {
        let mut limits = [None; super::super::MAX_LIMITS];
        limits[0] = Some(purse());
        limits
    }

    /// Creates an allotment for this number of calls.
    fn reserved(calls: i64) -> LocalAllotments {
        let (blocks, now) = (LocalAllotments::default(), Instant::now());
        assert!(blocks.draw(&named(), CALL, now).is_none());
        assert!(blocks.record_call(&named(), CALL, now).is_empty(), "a single call is not busy");
        assert_eq!(blocks.record_call(&named(), CALL, now), [purse()]);
        assert!(blocks.record_call(&named(), CALL, now).is_empty(), "a reservation is pending");
        let wish = blocks.pending_requests(&[purse()])[0];
        assert_eq!((wish.extra, wish.needed), (MicroCredits(100 * INITIAL_CALLS), MicroCredits::ZERO));
        blocks.apply_grants(
            &[AllotmentGrant {
                request: wish,
                amount: MicroCredits(100 * calls),
                is_covered: true,
                is_limitless: false,
            }],
            now,
        );
        blocks
    }

    #[tokio::test(start_paused = true)]
    async fn draws_at_most_the_reserved_amount_and_renews_at_half_once() {
        let blocks = reserved(4);
        let due: Vec<usize> = (0..4).map(|_| blocks.draw(&named(), CALL, Instant::now()).unwrap().1.len()).collect();
        assert_eq!(due, [0, 0, 1, 0]);
        assert!(blocks.draw(&named(), CALL, Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn unused_amount_is_free_at_once_and_cost_leaves_when_posted() {
        let blocks = reserved(1);
        let (held, _) = blocks.draw(&named(), CALL, Instant::now()).unwrap();
        let cost = Amounts::cost(MicroCredits(30));
        blocks.finish(&held, cost);
        assert_eq!(blocks.unposted(purse()), (MicroCredits(100), MicroCredits(30)));
        assert!(blocks.draw(&named(), Amounts::cost(MicroCredits(71)), Instant::now()).is_none());
        blocks.mark_posted(&held, cost);
        assert_eq!(blocks.unposted(purse()), (MicroCredits(70), MicroCredits::ZERO));
        assert!(blocks.draw(&named(), Amounts::cost(MicroCredits(70)), Instant::now()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_or_closed_allotment_is_returned_except_calls_in_progress() {
        let blocks = reserved(4);
        let (held, _) = blocks.draw(&named(), CALL, Instant::now()).unwrap();
        assert!(blocks.due(Instant::now()).is_empty());
        tokio::time::advance(IDLE_TIMEOUT).await;
        assert_eq!(blocks.due(Instant::now()), [purse()]);
        assert!(blocks.draw(&named(), CALL, Instant::now()).is_none(), "the allotment is closed");
        let wish = blocks.pending_requests(&[purse()])[0];
        assert!(wish.is_closed && wish.needed == MicroCredits(100));
        blocks.apply_grants(
            &[AllotmentGrant { request: wish, amount: MicroCredits(100), is_covered: true, is_limitless: false }],
            Instant::now(),
        );
        assert_eq!(blocks.holds().len(), 1, "the call in progress keeps its part");
        blocks.finish(&held, Amounts::default());
        assert_eq!(blocks.close(|_| true), [purse()]);
        let wish = blocks.pending_requests(&[purse()])[0];
        blocks.apply_grants(
            &[AllotmentGrant { request: wish, amount: MicroCredits::ZERO, is_covered: true, is_limitless: false }],
            Instant::now(),
        );
        assert!(blocks.holds().is_empty() && blocks.due(Instant::now()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn unconfirmed_allotment_is_not_used() {
        let blocks = reserved(100);
        for _ in 0..4 {
            assert!(blocks.draw(&named(), CALL, Instant::now()).is_some());
            tokio::time::advance(Duration::from_secs(1) - Duration::from_millis(1)).await;
        }
        assert_eq!(blocks.due(Instant::now()), [purse()]);
        tokio::time::advance(Duration::from_millis(4)).await;
        assert!(blocks.draw(&named(), CALL, Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn caches_missing_limit_until_it_changes() {
        let blocks = LocalAllotments::default();
        _ = blocks.record_call(&named(), CALL, Instant::now());
        assert_eq!(blocks.record_call(&named(), CALL, Instant::now()), [purse()]);
        let grant = |limitless: bool, amount| {
            let wish = blocks.pending_requests(&[purse()])[0];
            blocks.apply_grants(
                &[AllotmentGrant { request: wish, amount, is_covered: true, is_limitless: limitless }],
                Instant::now(),
            );
        };
        grant(true, MicroCredits::ZERO);
        let (held, due) = blocks.draw(&named(), CALL, Instant::now()).unwrap();
        assert!(held.holds.iter().all(Option::is_none) && due.is_empty());
        assert_eq!(blocks.close(|_| true), [purse()]);
        assert!(blocks.draw(&named(), CALL, Instant::now()).is_none());
        grant(false, MicroCredits(150));
        assert!(blocks.draw(&named(), CALL, Instant::now()).is_some());
        blocks.finish(&held, CALL);
        assert!(blocks.draw(&named(), CALL, Instant::now()).is_none(), "an earlier call changes nothing");
    }
}
