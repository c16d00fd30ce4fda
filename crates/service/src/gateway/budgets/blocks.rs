//! Blocks: parts of budgets that this instance has reserved, so that the calls of a busy key wait for no transaction.
//!
//! In the database a block is a hold like any other. Calls take from it here, and what they cost is taken off it there. A block is small
//! beside what its budget has left, and none is reserved where little is left: then each call has a hold of its own. What is not used is
//! given back after a moment.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use appcore::credits::MicroCredits;
use dbcontext::query::budgets::BudgetId;
use tokio::time::Instant;
use uuid::Uuid;

use super::{HeldFor, Named, Origin};

/// A budget is busy when its calls follow each other within this time.
const BUSY: Duration = Duration::from_millis(200);
/// A block that was not used for so long is given back.
const IDLE: Duration = Duration::from_secs(1);
/// A block is confirmed by the database after this time, so that a budget's change is seen also where the news of it was lost.
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
pub(super) struct Blocks(Mutex<HashMap<BudgetId, Block>>);

#[derive(Debug)]
struct Block {
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
}

/// What is to be reserved for one budget.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub budget: BudgetId,
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
pub(super) struct Grant {
    pub wish: Wish,
    pub amount: MicroCredits,
    /// Whether the budget has that much.
    pub is_covered: bool,
}

impl Block {
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
        }
    }

    fn needed(&self) -> MicroCredits {
        self.in_use + self.owed
    }

    fn free(&self) -> MicroCredits {
        self.amount - self.needed()
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

impl Blocks {
    // The state is consistent between any two statements, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, HashMap<BudgetId, Block>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an amount from the blocks of all of these budgets, or from none. With those that are to be reserved anew.
    pub fn take(&self, budgets: &Named, amount: MicroCredits, now: Instant) -> Option<(HeldFor, Vec<BudgetId>)> {
        let mut blocks = self.lock();
        let has_room = |budget: &BudgetId| {
            blocks
                .get(budget)
                .is_some_and(|block| block.is_good(now) && block.free() >= amount && block.free() > MicroCredits::ZERO)
        };
        if !budgets.iter().flatten().all(has_room) {
            return None;
        }
        let (mut due, mut held) = (Vec::new(), HeldFor { holds: [None; super::MOST], amount, origin: Origin::Blocks });
        for (place, budget) in held.holds.iter_mut().zip(budgets.iter().flatten()) {
            let block = blocks.get_mut(budget)?;
            block.in_use += amount;
            (block.usual, block.used_at) = (amount, now);
            *place = Some((*budget, block.id));
            if block.free().0 < block.capacity.0 / 2 && block.claim(now) {
                due.push(*budget);
            }
        }
        Some((held, due))
    }

    /// A call has got a hold of its own. Those budgets that are busy, and for which blocks are to be reserved.
    pub fn note(&self, budgets: &Named, amount: MicroCredits, now: Instant) -> Vec<BudgetId> {
        let mut blocks = self.lock();
        let mut busy = Vec::new();
        for budget in budgets.iter().flatten() {
            let Some(block) = blocks.get_mut(budget) else {
                blocks.insert(*budget, Block::new(amount, now));
                continue;
            };
            let is_busy = now.duration_since(block.used_at) < BUSY;
            (block.usual, block.used_at) = (amount, now);
            if is_busy && block.claim(now) {
                busy.push(*budget);
            }
        }
        busy
    }

    /// A call that took from blocks is over, and cost this.
    pub fn end(&self, held: &HeldFor, cost: MicroCredits) {
        self.change(held, |block| {
            block.in_use = block.in_use - held.amount;
            block.owed += cost;
        });
    }

    /// What a call cost stands in the database.
    pub fn booked(&self, held: &HeldFor, cost: MicroCredits) {
        self.change(held, |block| {
            block.owed = block.owed - cost;
            block.amount = (block.amount - cost).max(MicroCredits::ZERO);
        });
    }

    /// What a call cost will never stand there.
    pub fn forgotten(&self, held: &HeldFor, cost: MicroCredits) {
        self.change(held, |block| block.owed = block.owed - cost);
    }

    fn change(&self, held: &HeldFor, change: impl Fn(&mut Block)) {
        let mut blocks = self.lock();
        for (budget, id) in held.holds.iter().flatten() {
            if let Some(block) = blocks.get_mut(budget).filter(|block| block.id == *id) {
                change(block);
            }
        }
    }

    /// What is to be reserved for these budgets.
    pub fn wishes(&self, budgets: &[BudgetId]) -> Vec<Wish> {
        let blocks = self.lock();
        let wish = |budget: &BudgetId| {
            let block = blocks.get(budget)?;
            let calls = |calls: i64| MicroCredits(block.usual.0.max(1).saturating_mul(calls));
            Some(Wish {
                budget: *budget,
                id: block.id,
                needed: block.needed(),
                extra: calls(block.calls),
                least: calls(LEAST_CALLS),
                is_closed: block.is_closed,
            })
        };
        budgets.iter().filter_map(wish).collect()
    }

    pub fn granted(&self, grants: &[Grant], now: Instant) {
        let mut blocks = self.lock();
        for Grant { wish, amount, is_covered } in grants {
            let Some(block) = blocks.get_mut(&wish.budget) else { continue };
            (block.amount, block.is_due) = (*amount, false);
            block.capacity = block.free();
            let is_reserved = block.capacity > MicroCredits::ZERO;
            block.calls = if is_reserved { (block.calls * 2).min(MOST_CALLS) } else { FIRST_CALLS };
            block.reserved_at = is_reserved.then_some(now);
            block.rests_until = (!is_reserved).then(|| now + REST);
            if wish.is_closed {
                block.is_closed = false;
            }
            // The budget was made smaller.
            block.is_closed |= !is_covered;
        }
    }

    /// Nothing could be reserved.
    pub fn not_granted(&self, wishes: &[Wish], now: Instant) {
        let mut blocks = self.lock();
        for wish in wishes {
            if let Some(block) = blocks.get_mut(&wish.budget) {
                (block.is_due, block.rests_until) = (false, Some(now + REST));
            }
        }
    }

    /// The blocks that are to be reserved anew: what was closed or is idle is given back, what is used is confirmed.
    pub fn due(&self, now: Instant) -> Vec<BudgetId> {
        let mut blocks = self.lock();
        blocks.retain(|_, block| {
            let is_empty = block.amount == MicroCredits::ZERO && block.needed() == MicroCredits::ZERO;
            !is_empty || block.is_due || now.duration_since(block.used_at) < IDLE
        });
        let mut due = Vec::new();
        for (budget, block) in blocks.iter_mut() {
            let is_idle = now.duration_since(block.used_at) >= IDLE && block.free() > MicroCredits::ZERO;
            let is_old = block.reserved_at.is_some_and(|at| now.duration_since(at) >= CONFIRM);
            block.is_closed |= is_idle;
            if (block.is_closed || is_old) && block.claim(now) {
                due.push(*budget);
            }
        }
        due
    }

    /// Closes the blocks that have something free, of these budgets. They come back, to be given back.
    pub fn close(&self, is_meant: impl Fn(&BudgetId) -> bool) -> Vec<BudgetId> {
        let mut blocks = self.lock();
        let meant = blocks.iter_mut().filter(|(budget, block)| is_meant(budget) && block.amount > block.needed());
        meant
            .map(|(budget, block)| {
                (block.is_closed, block.is_due) = (true, true);
                *budget
            })
            .collect()
    }

    /// The holds in the database.
    pub fn ids(&self) -> Vec<Uuid> {
        self.lock().values().filter(|block| block.amount > MicroCredits::ZERO).map(|block| block.id).collect()
    }

    /// What is held for a budget's block without a call that has taken it, and what was spent but is not booked yet.
    pub fn unseen(&self, budget: BudgetId) -> (MicroCredits, MicroCredits) {
        let blocks = self.lock();
        blocks.get(&budget).map_or_else(Default::default, |block| (block.amount - block.in_use, block.owed))
    }

    #[cfg(test)]
    pub fn forget_all(&self) {
        self.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use appcore::view::BudgetScope;

    use super::*;

    const CALL: MicroCredits = MicroCredits(100);

    fn budget() -> BudgetId {
        BudgetId { scope: BudgetScope::Key, id: Uuid::nil() }
    }

    fn named() -> Named {
        [Some(budget()), None, None]
    }

    /// A block with room for so many calls.
    fn reserved(calls: i64) -> Blocks {
        let (blocks, now) = (Blocks::default(), Instant::now());
        assert!(blocks.take(&named(), CALL, now).is_none());
        assert!(blocks.note(&named(), CALL, now).is_empty(), "one call alone is not busy");
        assert_eq!(blocks.note(&named(), CALL, now), [budget()]);
        assert!(blocks.note(&named(), CALL, now).is_empty(), "it is being reserved");
        let wish = blocks.wishes(&[budget()])[0];
        assert_eq!((wish.extra, wish.needed), (MicroCredits(100 * FIRST_CALLS), MicroCredits::ZERO));
        blocks.granted(&[Grant { wish, amount: MicroCredits(100 * calls), is_covered: true }], now);
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
        let cost = MicroCredits(30);
        blocks.end(&held, cost);
        assert_eq!(blocks.unseen(budget()), (CALL, cost));
        assert!(blocks.take(&named(), MicroCredits(71), Instant::now()).is_none());
        blocks.booked(&held, cost);
        assert_eq!(blocks.unseen(budget()), (MicroCredits(70), MicroCredits::ZERO));
        assert!(blocks.take(&named(), MicroCredits(70), Instant::now()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_or_closed_block_is_given_back_but_for_what_is_under_way() {
        let blocks = reserved(4);
        let (held, _) = blocks.take(&named(), CALL, Instant::now()).unwrap();
        assert!(blocks.due(Instant::now()).is_empty());
        tokio::time::advance(IDLE).await;
        assert_eq!(blocks.due(Instant::now()), [budget()]);
        assert!(blocks.take(&named(), CALL, Instant::now()).is_none(), "it is closed meanwhile");
        let wish = blocks.wishes(&[budget()])[0];
        assert!(wish.is_closed && wish.needed == CALL);
        blocks.granted(&[Grant { wish, amount: CALL, is_covered: true }], Instant::now());
        assert_eq!(blocks.ids().len(), 1, "the call that is under way keeps its part");
        blocks.end(&held, MicroCredits::ZERO);
        assert_eq!(blocks.close(|_| true), [budget()]);
        let wish = blocks.wishes(&[budget()])[0];
        blocks.granted(&[Grant { wish, amount: MicroCredits::ZERO, is_covered: true }], Instant::now());
        assert!(blocks.ids().is_empty() && blocks.due(Instant::now()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_that_the_database_does_not_confirm_counts_no_more() {
        let blocks = reserved(100);
        for _ in 0..4 {
            assert!(blocks.take(&named(), CALL, Instant::now()).is_some());
            tokio::time::advance(Duration::from_secs(1) - Duration::from_millis(1)).await;
        }
        assert_eq!(blocks.due(Instant::now()), [budget()]);
        tokio::time::advance(Duration::from_millis(4)).await;
        assert!(blocks.take(&named(), CALL, Instant::now()).is_none());
    }
}
