//! Gaps in subscriptions: scheduling of log reads and handling of their results.

use std::{collections::VecDeque, time::Duration};

use appcore::{ConversationId, event::SharedEnvelope};
use tokio::time::Instant;

use super::{Subscription, Subscriptions};

/// Time that a gap must last before the log is read.
pub(super) const GAP_TOLERANCE: Duration = Duration::from_millis(100);

impl Subscriptions {
    /// Records the last sequence numbers of conversations, regardless of what the bus has
    /// delivered.
    pub fn announce(&mut self, heads: &[(ConversationId, i64)], now: Instant) {
        for (id, last) in heads {
            if let Some(subscription) = self.subscriptions.get_mut(id) {
                subscription.order.announce(*last);
                subscription.record_gap(*id, now, &mut self.gaps);
            }
        }
    }

    /// Like [`Self::announce`], but missing events are known not to arrive, so the log is read at once.
    pub fn announce_lost(&mut self, heads: &[(ConversationId, i64)], now: Instant) {
        for (id, last) in heads {
            let Some(subscription) = self.subscriptions.get_mut(id) else { continue };
            subscription.order.announce(*last);
            if subscription.order.is_waiting() && !subscription.is_late {
                subscription.is_late = true;
                self.gaps.push_front((now, *id));
            }
        }
    }

    /// Time of the next log read.
    #[must_use]
    pub fn next_gap(&self) -> Option<Instant> {
        self.gaps.front().map(|(at, _)| *at)
    }

    /// Returns the conversations whose gap is to be filled now, with the last sequence number
    /// delivered.
    pub fn due_gaps(&mut self, now: Instant) -> Vec<(ConversationId, i64)> {
        let mut due = Vec::new();
        while let Some((at, id)) = self.gaps.front().copied() {
            if at > now {
                break;
            }
            self.gaps.pop_front();
            let Some(subscription) = self.subscriptions.get_mut(&id) else { continue };
            if subscription.order.is_waiting() {
                due.push((id, subscription.order.last()));
            } else {
                subscription.is_late = false;
            }
        }
        due
    }

    /// Processes events read from the log after the last one that the subscription delivered.
    pub fn receive_logged(&mut self, conversation: ConversationId, logged: &[SharedEnvelope]) {
        let Some(subscription) = self.subscriptions.get_mut(&conversation) else { return };
        let mut passed = Vec::new();
        for envelope in logged {
            if let Some(position) = envelope.position {
                subscription.order.push(position.seq, SharedEnvelope::clone(envelope), &mut passed);
            }
        }
        self.deliver_in_order(&passed);
    }

    /// Ends a read of the log that started after `last`. If it did not close the gap, readers are
    /// told to synchronise again, and delivery continues after the gap.
    pub fn finish_gap(&mut self, conversation: ConversationId, last: i64, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(&conversation) else { return };
        subscription.is_late = false;
        if !subscription.order.is_waiting() {
            return;
        }
        if subscription.order.last() == last {
            let mut passed = Vec::new();
            subscription.order.skip_gap(&mut passed);
            let readers = subscription.readers.clone();
            self.send_resync(&readers, Some(&[conversation]));
            self.deliver_in_order(&passed);
        }
        // The log contains more events, or there is another gap behind this one.
        if let Some(subscription) =
            self.subscriptions.get_mut(&conversation).filter(|subscription| subscription.order.is_waiting())
        {
            subscription.is_late = true;
            self.gaps.push_front((now, conversation));
        }
    }
}

impl Subscription {
    pub(super) fn record_gap(
        &mut self,
        id: ConversationId,
        now: Instant,
        gaps: &mut VecDeque<(Instant, ConversationId)>,
    ) {
        if self.order.is_waiting() && !self.is_late {
            self.is_late = true;
            gaps.push_back((now + GAP_TOLERANCE, id));
        }
    }
}
