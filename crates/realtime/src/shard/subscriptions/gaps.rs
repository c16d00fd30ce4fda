//! Rooms that wait for news: when the log is asked for them, and what it gives.

use std::{collections::VecDeque, time::Duration};

use appcore::{ConversationId, event::SharedEnvelope};
use tokio::time::Instant;

use super::{Subscription, Subscriptions};

/// How long a gap may last before the log is asked.
pub(super) const GAP: Duration = Duration::from_millis(100);

impl Subscriptions {
    /// How far conversations have come, whatever the bus has told.
    pub fn announce(&mut self, heads: &[(ConversationId, i64)], now: Instant) {
        for (id, last) in heads {
            if let Some(subscription) = self.subscriptions.get_mut(id) {
                subscription.order.announce(*last);
                subscription.note_gap(*id, now, &mut self.gaps);
            }
        }
    }

    /// When the log is to be asked next.
    #[must_use]
    pub fn next_gap(&self) -> Option<Instant> {
        self.gaps.front().map(|(at, _)| *at)
    }

    /// Rooms whose gap has lasted too long, with the last number that they passed on.
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

    /// What the log has after the last number that a room passed on, or a part of it.
    pub fn offer(&mut self, conversation: ConversationId, logged: &[SharedEnvelope]) {
        let Some(subscription) = self.subscriptions.get_mut(&conversation) else { return };
        let mut passed = Vec::new();
        for envelope in logged {
            if let Some(position) = envelope.position {
                subscription.order.offer(position.seq, SharedEnvelope::clone(envelope), &mut passed);
            }
        }
        self.pass(&passed);
    }

    /// The log has been offered from `last` on. If that did not help the room, its readers are told to resync and it goes on with
    /// what it has.
    pub fn conclude(&mut self, conversation: ConversationId, last: i64, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(&conversation) else { return };
        subscription.is_late = false;
        if !subscription.order.is_waiting() {
            return;
        }
        if subscription.order.last() == last {
            let mut passed = Vec::new();
            subscription.order.skip_gap(&mut passed);
            let readers = subscription.readers.clone();
            self.tell_to_resync(&readers, Some(&[conversation]));
            self.pass(&passed);
        }
        // The log has more, or there is another gap behind this one.
        if let Some(subscription) =
            self.subscriptions.get_mut(&conversation).filter(|subscription| subscription.order.is_waiting())
        {
            subscription.is_late = true;
            self.gaps.push_front((now, conversation));
        }
    }
}

impl Subscription {
    pub(super) fn note_gap(
        &mut self,
        id: ConversationId,
        now: Instant,
        gaps: &mut VecDeque<(Instant, ConversationId)>,
    ) {
        if self.order.is_waiting() && !self.is_late {
            self.is_late = true;
            gaps.push_back((now + GAP, id));
        }
    }
}
