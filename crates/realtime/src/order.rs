//! The order of one conversation's events, as its readers on this thread see it.
//!
//! Two instances may publish one conversation's events out of order, the relay repeats some, and some are lost with a
//! connection. What comes out of an [`Order`] is nevertheless each event once, by `seq`, without a gap: what is not above the
//! last one passed is dropped, what comes early is held, and who owns the `Order` fills a gap that lasts from the log.
//! It knows no clock, no socket and no database.

use std::collections::BTreeMap;

/// Early events that one conversation holds at most. What comes on top is left to the log, which has it all.
const HELD: usize = 1_024;

/// Puts the events of one conversation in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order<T> {
    last: i64,
    held: BTreeMap<i64, T>,
    /// The highest `seq` that is known to exist.
    known: i64,
}

impl<T> Order<T> {
    /// Passes on what comes after `last`.
    #[must_use]
    pub fn after(last: i64) -> Self {
        Self { last, held: BTreeMap::new(), known: last }
    }

    /// The last `seq` that was passed on.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Whether there are events that have not come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.known > self.last
    }

    /// Records that an event exists, whether or not it arrives.
    pub fn announce(&mut self, seq: i64) {
        self.known = self.known.max(seq);
    }

    /// Takes an event, and appends to `passed` everything that is in order now.
    pub fn offer(&mut self, seq: i64, item: T, passed: &mut Vec<T>) {
        if seq <= self.last {
            return;
        }
        self.announce(seq);
        if seq == self.last + 1 {
            self.last = seq;
            passed.push(item);
            self.release(passed);
        } else if self.held.len() < HELD {
            self.held.entry(seq).or_insert(item);
        }
    }

    /// Gives up on what is missing before the first held event, and passes on from there. Without a held event it goes on
    /// after all that is known. The readers must have been told to resync.
    pub fn skip_gap(&mut self, passed: &mut Vec<T>) {
        self.last = self.held.first_key_value().map_or(self.known, |(seq, _)| seq - 1);
        self.release(passed);
    }

    fn release(&mut self, passed: &mut Vec<T>) {
        while let Some(entry) = self.held.first_entry() {
            if *entry.key() != self.last + 1 {
                break;
            }
            self.last += 1;
            passed.push(entry.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer_all(order: &mut Order<i64>, seqs: &[i64]) -> Vec<i64> {
        let mut passed = Vec::new();
        for seq in seqs {
            order.offer(*seq, *seq, &mut passed);
        }
        passed
    }

    #[test]
    fn early_ones_wait_and_late_ones_are_dropped() {
        let mut order = Order::after(5);
        assert_eq!(offer_all(&mut order, &[7, 8, 5, 4]), Vec::<i64>::new());
        assert!(order.is_waiting());
        assert_eq!(offer_all(&mut order, &[6, 6, 7]), [6, 7, 8]);
        assert!(!order.is_waiting());
    }

    #[test]
    fn a_gap_that_nobody_can_fill_is_skipped_once() {
        let mut order = Order::after(0);
        offer_all(&mut order, &[3, 4, 9]);
        let mut passed = Vec::new();
        order.skip_gap(&mut passed);
        assert_eq!((passed, order.last(), order.is_waiting()), (vec![3, 4], 4, true));
        assert_eq!(
            offer_all(&mut order, &[1, 2]),
            Vec::<i64>::new(),
            "what was skipped does not come back out of order"
        );
    }

    #[test]
    fn an_event_that_is_only_known_of_is_waited_for() {
        let mut order = Order::after(1);
        order.announce(2);
        assert!(order.is_waiting());
        assert_eq!(offer_all(&mut order, &[2]), [2]);
        assert!(!order.is_waiting());
    }

    #[test]
    fn what_can_not_be_held_is_still_waited_for() {
        let mut order = Order::after(0);
        let early: Vec<i64> = (2..=HELD as i64 + 10).collect();
        assert!(offer_all(&mut order, &early).is_empty());
        assert_eq!(offer_all(&mut order, &[1]).len(), HELD + 1);
        assert!(order.is_waiting(), "the log must give the rest");
    }

    proptest! {
        /// The bus doubles, reorders and loses; the log fills what is missing whenever the owner looks, and once at the end.
        #[test]
        fn what_passes_is_gapless_and_in_order(
            first in 0_i64..5,
            count in 1_i64..60,
            arrivals in proptest::collection::vec((0_i64..60, proptest::bool::weighted(0.1)), 0..200),
        ) {
            let newest = first + count;
            let mut order = Order::after(first);
            let mut passed = Vec::new();
            let fill = |order: &mut Order<i64>, passed: &mut Vec<i64>| {
                for seq in order.last() + 1..=newest {
                    order.offer(seq, seq, passed);
                }
            };
            for (offset, looks_at_log) in arrivals {
                let seq = (first + 1 + offset).min(newest);
                order.offer(seq, seq, &mut passed);
                if looks_at_log && order.is_waiting() {
                    fill(&mut order, &mut passed);
                }
                let expected: Vec<i64> = (first + 1..=order.last()).collect();
                prop_assert_eq!(&passed, &expected);
            }
            fill(&mut order, &mut passed);
            let all: Vec<i64> = (first + 1..=newest).collect();
            prop_assert_eq!(passed, all);
            prop_assert!(!order.is_waiting());
        }
    }
}
