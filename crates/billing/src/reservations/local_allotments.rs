//! Blocks: parts of budgets, quotas and credits that this instance has reserved, so that busy calls wait for no transaction.
//!
//! In the database a block is a hold like any other. Calls take from it here, and what they cost is taken off it there. A block is small
//! beside what its purse has left, and none is reserved where little is left: then each call has a hold of its own. What is not used is
//! given back after a moment. That a purse has no limit is remembered likewise, and for no longer.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use appcore::credits::MicroCredits;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Amounts, Reservation, CallLimits, Origin, SpendingLimit};

/// A purse is busy when its calls follow each other within this time.
const BUSY: Duration = Duration::from_millis(200);
/// A block that was not used for so long is given back.
const IDLE: Duration = Duration::from_secs(1);
/// A block is confirmed by the database after this time, so that a purse's change is seen also where the news of it was lost.
const CONFIRM: Duration = Duration::from_secs(2);
/// Without being confirmed it counts no more.
const GOOD: Duration = Duration::from_secs(4);
/// Where nothing could be reserved, that is tried again after this time.
const REST: Duration = Duration::from_secs(1);
/// How many calls a first block is for; each one that follows soon is for twice as many.
const FIRST_CALLS: i64 = 16;
const MOST_CALLS: i64 = 512;
/// A smaller block is not worth its transaction.
const LEAST_CALLS: i64 = 4;

#[derive(Default)]
pub(super) struct LocalAllotments(Mutex<HashMap<SpendingLimit, Allotment>>);

#[derive(Debug)]
struct Allotment {
    /// The hold's.
    id: Uuid,
    /// What the database holds for it.
    amount: MicroCredits,
    /// The worst cases of those calls under way that were taken from it.
    in_use: MicroCredits,
    /// What ended calls cost, until that is booked.
    owed: MicroCredits,
    /// What was free when it was last reserved.
    capacity: MicroCredits,
    /// What a call may cost at most.
    usual: MicroCredits,
    calls: i64,
    used_at: Instant,
    reserved_at: Option<Instant>,
    rests_until: Option<Instant>,
    /// Nothing is taken from it until it was reserved anew.
    is_closed: bool,
    /// Somebody is about to reserve it anew.
    is_due: bool,
    /// Nothing is limited there, so that nothing has to be taken.
    is_limitless: bool,
}

/// What is to be reserved of one purse.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllotmentRequest {
    pub purse: SpendingLimit,
    pub id: Uuid,
    /// What calls have taken already.
    pub needed: MicroCredits,
    /// What they may still take.
    pub extra: MicroCredits,
    pub least: MicroCredits,
    pub is_closed: bool,
}

/// What was reserved.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllotmentGrant {
    pub request: AllotmentRequest,
    pub amount: MicroCredits,
    /// Whether the purse has that much.
    pub is_covered: bool,
    /// There is no limit, or none any more.
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
            calls: FIRST_CALLS,
            used_at: now,
            reserved_at: None,
            rests_until: None,
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

    /// Whether a call may take this much.
    fn has_room(&self, amount: MicroCredits, now: Instant) -> bool {
        let has_enough = self.free() >= amount && self.free() > MicroCredits::ZERO;
        self.is_good(now) && (self.is_limitless || has_enough)
    }

    fn is_good(&self, now: Instant) -> bool {
        !self.is_closed && self.reserved_at.is_some_and(|at| now.duration_since(at) < GOOD)
    }

    /// Whether it is now for the caller to reserve it anew.
    fn claim(&mut self, now: Instant) -> bool {
        let rests = self.rests_until.is_some_and(|until| now < until);
        !rests && !std::mem::replace(&mut self.is_due, true)
    }
}

impl LocalAllotments {
    // The state is consistent between any two statements, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, HashMap<SpendingLimit, Allotment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes amounts from the blocks of all of these purses, or from none. With those that are to be reserved anew.
    pub fn take(&self, purses: &CallLimits, amounts: Amounts, now: Instant) -> Option<(Reservation, Vec<SpendingLimit>)> {
        let mut blocks = self.lock();
        let has_room = |purse: &SpendingLimit| blocks.get(purse).is_some_and(|block| block.has_room(amounts.of(*purse), now));
        if !purses.iter().flatten().all(has_room) {
            return None;
        }
        let (mut due, mut held) = (Vec::new(), Reservation { holds: [None; super::MOST], amounts, origin: Origin::Blocks });
        for (place, purse) in held.holds.iter_mut().zip(purses.iter().flatten()) {
            let block = blocks.get_mut(purse)?;
            let amount = amounts.of(*purse);
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

    /// A call was let in without blocks. Those purses that are busy, and of which blocks are to be reserved.
    pub fn note(&self, purses: &CallLimits, amounts: Amounts, now: Instant) -> Vec<SpendingLimit> {
        let mut blocks = self.lock();
        let mut busy = Vec::new();
        for purse in purses.iter().flatten() {
            let amount = amounts.of(*purse);
            let Some(block) = blocks.get_mut(purse) else {
                blocks.insert(*purse, Allotment::new(amount, now));
                continue;
            };
            let is_busy = now.duration_since(block.used_at) < BUSY;
            (block.usual, block.used_at) = (amount, now);
            if is_busy && block.claim(now) {
                busy.push(*purse);
            }
        }
        busy
    }

    /// A call that took from blocks is over, and cost this.
    pub fn end(&self, held: &Reservation, cost: Amounts) {
        self.change(held, |purse, block| {
            block.in_use = block.in_use - held.amounts.of(purse);
            block.owed += cost.of(purse);
        });
    }

    /// What a call cost stands in the database.
    pub fn booked(&self, held: &Reservation, cost: Amounts) {
        self.change(held, |purse, block| {
            let cost = cost.of(purse);
            block.owed = block.owed - cost;
            block.amount = (block.amount - cost).max(MicroCredits::ZERO);
        });
    }

    /// What a call cost will never stand there.
    pub fn forgotten(&self, held: &Reservation, cost: Amounts) {
        self.change(held, |purse, block| block.owed = block.owed - cost.of(purse));
    }

    fn change(&self, held: &Reservation, change: impl Fn(SpendingLimit, &mut Allotment)) {
        let mut blocks = self.lock();
        for (purse, id) in held.holds.iter().flatten() {
            if let Some(block) = blocks.get_mut(purse).filter(|block| block.id == *id) {
                change(*purse, block);
            }
        }
    }

    /// What is to be reserved of these purses.
    pub fn wishes(&self, purses: &[SpendingLimit]) -> Vec<AllotmentRequest> {
        let blocks = self.lock();
        let wish = |purse: &SpendingLimit| {
            let block = blocks.get(purse)?;
            let calls = |calls: i64| MicroCredits(block.usual.0.max(1).saturating_mul(calls));
            Some(AllotmentRequest {
                purse: *purse,
                id: block.id,
                needed: block.needed(),
                extra: calls(block.calls),
                least: calls(LEAST_CALLS),
                is_closed: block.is_closed,
            })
        };
        purses.iter().filter_map(wish).collect()
    }

    pub fn granted(&self, grants: &[AllotmentGrant], now: Instant) {
        let mut blocks = self.lock();
        for AllotmentGrant { request: wish, amount, is_covered, is_limitless } in grants {
            let Some(block) = blocks.get_mut(&wish.purse) else { continue };
            (block.amount, block.is_due, block.is_limitless) = (*amount, false, *is_limitless);
            block.capacity = block.free();
            let is_reserved = *is_limitless || block.capacity > MicroCredits::ZERO;
            block.calls = if is_reserved { (block.calls * 2).min(MOST_CALLS) } else { FIRST_CALLS };
            block.reserved_at = is_reserved.then_some(now);
            block.rests_until = (!is_reserved).then(|| now + REST);
            if wish.is_closed {
                block.is_closed = false;
            }
            // The purse was made smaller.
            block.is_closed |= !is_covered;
        }
    }

    /// Nothing could be reserved.
    pub fn not_granted(&self, wishes: &[AllotmentRequest], now: Instant) {
        let mut blocks = self.lock();
        for wish in wishes {
            if let Some(block) = blocks.get_mut(&wish.purse) {
                (block.is_due, block.rests_until) = (false, Some(now + REST));
            }
        }
    }

    /// The blocks that are to be reserved anew: what was closed or is idle is given back, what is used is confirmed.
    pub fn due(&self, now: Instant) -> Vec<SpendingLimit> {
        let mut blocks = self.lock();
        blocks.retain(|_, block| {
            let is_empty = block.amount == MicroCredits::ZERO && block.needed() == MicroCredits::ZERO;
            !is_empty || block.is_due || now.duration_since(block.used_at) < IDLE
        });
        let mut due = Vec::new();
        for (purse, block) in blocks.iter_mut() {
            let is_idle = now.duration_since(block.used_at) >= IDLE && block.free() > MicroCredits::ZERO;
            let is_old = block.reserved_at.is_some_and(|at| now.duration_since(at) >= CONFIRM);
            block.is_closed |= is_idle;
            if (block.is_closed || is_old) && block.claim(now) {
                due.push(*purse);
            }
        }
        due
    }

    /// Closes the blocks that have something free, or no limit, of these purses. They come back, to be given back.
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

    /// The holds in the database.
    pub fn holds(&self) -> Vec<(SpendingLimit, Uuid)> {
        let blocks = self.lock();
        let reserved = blocks.iter().filter(|(_, block)| block.amount > MicroCredits::ZERO);
        reserved.map(|(purse, block)| (*purse, block.id)).collect()
    }

    /// What is held for a purse's block without a call that has taken it, and what was spent but is not booked yet.
    pub fn unseen(&self, purse: SpendingLimit) -> (MicroCredits, MicroCredits) {
        let blocks = self.lock();
        blocks.get(&purse).map_or_else(Default::default, |block| (block.amount - block.in_use, block.owed))
    }

    #[cfg(test)]
    pub fn forget_all(&self) {
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
        [Some(purse()), None, None, None, None, None]
    }

    /// A block with room for so many calls.
    fn reserved(calls: i64) -> LocalAllotments {
        let (blocks, now) = (LocalAllotments::default(), Instant::now());
        assert!(blocks.take(&named(), CALL, now).is_none());
        assert!(blocks.note(&named(), CALL, now).is_empty(), "one call alone is not busy");
        assert_eq!(blocks.note(&named(), CALL, now), [purse()]);
        assert!(blocks.note(&named(), CALL, now).is_empty(), "it is being reserved");
        let wish = blocks.wishes(&[purse()])[0];
        assert_eq!((wish.extra, wish.needed), (MicroCredits(100 * FIRST_CALLS), MicroCredits::ZERO));
        blocks
            .granted(&[AllotmentGrant { request: wish, amount: MicroCredits(100 * calls), is_covered: true, is_limitless: false }], now);
        blocks
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_taken_than_was_reserved_and_the_half_is_asked_for_again_once() {
        let blocks = reserved(4);
        let due: Vec<usize> = (0..4).map(|_| blocks.take(&named(), CALL, Instant::now()).unwrap().1.len()).collect();
        assert_eq!(due, [0, 0, 1, 0]);
        assert!(blocks.take(&named(), CALL, Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_call_did_not_need_is_free_at_once_and_its_cost_leaves_the_block_when_it_is_booked() {
        let blocks = reserved(1);
        let (held, _) = blocks.take(&named(), CALL, Instant::now()).unwrap();
        let cost = Amounts::cost(MicroCredits(30));
        blocks.end(&held, cost);
        assert_eq!(blocks.unseen(purse()), (MicroCredits(100), MicroCredits(30)));
        assert!(blocks.take(&named(), Amounts::cost(MicroCredits(71)), Instant::now()).is_none());
        blocks.booked(&held, cost);
        assert_eq!(blocks.unseen(purse()), (MicroCredits(70), MicroCredits::ZERO));
        assert!(blocks.take(&named(), Amounts::cost(MicroCredits(70)), Instant::now()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_or_closed_block_is_given_back_but_for_what_is_under_way() {
        let blocks = reserved(4);
        let (held, _) = blocks.take(&named(), CALL, Instant::now()).unwrap();
        assert!(blocks.due(Instant::now()).is_empty());
        tokio::time::advance(IDLE).await;
        assert_eq!(blocks.due(Instant::now()), [purse()]);
        assert!(blocks.take(&named(), CALL, Instant::now()).is_none(), "it is closed meanwhile");
        let wish = blocks.wishes(&[purse()])[0];
        assert!(wish.is_closed && wish.needed == MicroCredits(100));
        blocks.granted(
            &[AllotmentGrant { request, amount: MicroCredits(100), is_covered: true, is_limitless: false }],
            Instant::now(),
        );
        assert_eq!(blocks.holds().len(), 1, "the call that is under way keeps its part");
        blocks.end(&held, Amounts::default());
        assert_eq!(blocks.close(|_| true), [purse()]);
        let wish = blocks.wishes(&[purse()])[0];
        blocks.granted(
            &[AllotmentGrant { request, amount: MicroCredits::ZERO, is_covered: true, is_limitless: false }],
            Instant::now(),
        );
        assert!(blocks.holds().is_empty() && blocks.due(Instant::now()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_that_the_database_does_not_confirm_counts_no_more() {
        let blocks = reserved(100);
        for _ in 0..4 {
            assert!(blocks.take(&named(), CALL, Instant::now()).is_some());
            tokio::time::advance(Duration::from_secs(1) - Duration::from_millis(1)).await;
        }
        assert_eq!(blocks.due(Instant::now()), [purse()]);
        tokio::time::advance(Duration::from_millis(4)).await;
        assert!(blocks.take(&named(), CALL, Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn that_there_is_no_limit_is_remembered_until_news_of_one() {
        let blocks = LocalAllotments::default();
        _ = blocks.note(&named(), CALL, Instant::now());
        assert_eq!(blocks.note(&named(), CALL, Instant::now()), [purse()]);
        let grant = |limitless: bool, amount| {
            let wish = blocks.wishes(&[purse()])[0];
            blocks.granted(&[AllotmentGrant { request, amount, is_covered: true, is_limitless: limitless }], Instant::now());
        };
        grant(true, MicroCredits::ZERO);
        let (held, due) = blocks.take(&named(), CALL, Instant::now()).unwrap();
        assert!(held.holds.iter().all(Option::is_none) && due.is_empty());
        assert_eq!(blocks.close(|_| true), [purse()]);
        assert!(blocks.take(&named(), CALL, Instant::now()).is_none());
        grant(false, MicroCredits(150));
        assert!(blocks.take(&named(), CALL, Instant::now()).is_some());
        blocks.end(&held, CALL);
        assert!(blocks.take(&named(), CALL, Instant::now()).is_none(), "a call from before changes nothing");
    }
}
