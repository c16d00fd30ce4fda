//! Resequencer of one conversation's events for the readers on this thread.
//!
//! Two instances may publish events of one conversation out of order, the outbox publisher repeats
//! some, and some are lost with a connection. A [`Resequencer`] nevertheless yields each event once, by
//! `seq`, and without gaps: events at or below the last one passed are dropped, early events are
//! held, and its owner fills persistent gaps from the log. It has no clock, socket or database.

use std::collections::BTreeMap;

/// Maximum number of early events held per conversation. Events beyond that are dropped and later
/// read from the log.
const MAX_HELD: usize = 1_024;

/// Resequencer of one conversation's events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resequencer<T> {
    last: i64,
    held: BTreeMap<i64, T>,
    /// Highest `seq` that is known to exist.
    last_known: i64,
}

impl<T> Resequencer<T> {
    /// Creates a resequencer that passes on events after `last`.
    #[must_use]
    pub fn after(last: i64) -> Self {
        Self { last, held: BTreeMap::new(), last_known: last }
    }

    /// Sequence number of the last event that was passed on.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.last
    }

    /// True if events are known to exist that were not passed on yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.last_known > self.last
    }

    /// Records that an event exists, whether or not it arrives.
    pub fn announce(&mut self, seq: i64) {
        self.last_known = self.last_known.max(seq);
    }

    /// Accepts an event and appends all events that are now in order to `passed`.
    pub fn push(&mut self, seq: i64, item: T, passed: &mut Vec<T>) {
        if seq <= self.last {
            return;
        }
        self.announce(seq);
        if seq == self.last + 1 {
            self.last = seq;
            passed.push(item);
            self.release_held(passed);
        } else if self.held.len() < MAX_HELD {
            self.held.entry(seq).or_insert(item);
        }
    }

    /// Skips the gap before the first held event and continues from there. If no event is held,
    /// continues after the last known event. Readers must have been told to resync.
    pub fn skip_gap(&mut self, passed: &mut Vec<T>) {
        self.last = self.held.first_key_value().map_or(self.last_known, |(seq, _)| seq - 1);
        self.release_held(passed);
    }

    fn release_held(&mut self, passed: &mut Vec<T>) {
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

    fn offer_all(order: &mut Resequencer<i64>, seqs: &[i64]) -> Vec<i64> {
        let mut passed = Vec::new();
        for seq in seqs {
            order.push(*seq, *seq, &mut passed);
        }
        passed
    }

    #[test]
    fn holds_early_events_and_drops_late_ones() {
        let mut order = Resequencer::after(5);
        assert_eq!(offer_all(&mut order, &[7, 8, 5, 4]), Vec::<i64>::new());
        assert!(order.is_waiting());
        assert_eq!(offer_all(&mut order, &[6, 6, 7]), [6, 7, 8]);
        assert!(!order.is_waiting());
    }

    #[test]
    fn skips_an_unfillable_gap_once() {
        let mut order = Resequencer::after(0);
        offer_all(&mut order, &[3, 4, 9]);
        let mut passed = Vec::new();
        order.skip_gap(&mut passed);
        assert_eq!((passed, order.last(), order.is_waiting()), (vec![3, 4], 4, true));
        assert_eq!(offer_all(&mut order, &[1, 2]), Vec::<i64>::new(), "skipped events are not delivered out of order");
    }

    #[test]
    fn waits_for_an_announced_event() {
        let mut order = Resequencer::after(1);
        order.announce(2);
        assert!(order.is_waiting());
        assert_eq!(offer_all(&mut order, &[2]), [2]);
        assert!(!order.is_waiting());
    }

    #[test]
    fn waits_for_events_beyond_the_held_limit() {
        let mut order = Resequencer::after(0);
        let early: Vec<i64> = (2..=MAX_HELD as i64 + 10).collect();
        assert!(offer_all(&mut order, &early).is_empty());
        assert_eq!(offer_all(&mut order, &[1]).len(), MAX_HELD + 1);
        assert!(order.is_waiting(), "the log must deliver the rest");
    }

    proptest! {
        /// The bus duplicates, reorders and loses events. The log fills gaps whenever it is read,
        /// and once at the end.
        #[test]
        fn passes_events_in_order_and_without_gaps(
            first in 0_i64..5,
            count in 1_i64..60,
            arrivals in proptest::collection::vec((0_i64..60, proptest::bool::weighted(0.1)), 0..200),
        ) {
            let newest = first + count;
            let mut order = Resequencer::after(first);
            let mut passed = Vec::new();
            let fill = |order: &mut Resequencer<i64>, passed: &mut Vec<i64>| {
                for seq in order.last() + 1..=newest {
                    order.push(seq, seq, passed);
                }
            };
            for (offset, looks_at_log) in arrivals {
                let seq = (first + 1 + offset).min(newest);
                order.push(seq, seq, &mut passed);
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
