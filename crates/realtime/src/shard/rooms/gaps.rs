//! Rooms that wait for news: when the log is asked for them, and what it gives.

use std::{collections::VecDeque, time::Duration};

use appcore::{ConversationId, event::SharedNews};
use tokio::time::Instant;

use super::{Room, Rooms};

/// How long a gap may last before the log is asked.
pub(super) const GAP: Duration = Duration::from_millis(100);

impl Rooms {
    /// How far conversations have come, whatever the bus has told.
    pub fn expect(&mut self, heads: &[(ConversationId, i64)], now: Instant) {
        for (id, last) in heads {
            if let Some(room) = self.rooms.get_mut(id) {
                room.order.expect(*last);
                room.note_gap(*id, now, &mut self.gaps);
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
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            if room.order.is_waiting() {
                due.push((id, room.order.last()));
            } else {
                room.is_late = false;
            }
        }
        due
    }

    /// What the log has after the last number that a room passed on, or a part of it.
    pub fn offer(&mut self, conversation: ConversationId, logged: &[SharedNews]) {
        let Some(room) = self.rooms.get_mut(&conversation) else { return };
        let mut passed = Vec::new();
        for news in logged {
            if let Some(position) = news.position {
                room.order.offer(position.seq, SharedNews::clone(news), &mut passed);
            }
        }
        self.pass(&passed);
    }

    /// The log has been offered from `last` on. If that did not help the room, its readers are told to resync and it goes on with
    /// what it has.
    pub fn conclude(&mut self, conversation: ConversationId, last: i64, now: Instant) {
        let Some(room) = self.rooms.get_mut(&conversation) else { return };
        room.is_late = false;
        if !room.order.is_waiting() {
            return;
        }
        if room.order.last() == last {
            let mut passed = Vec::new();
            room.order.skip_gap(&mut passed);
            let readers = room.readers.clone();
            self.tell_to_resync(&readers, Some(&[conversation]));
            self.pass(&passed);
        }
        // The log has more, or there is another gap behind this one.
        if let Some(room) = self.rooms.get_mut(&conversation).filter(|room| room.order.is_waiting()) {
            room.is_late = true;
            self.gaps.push_front((now, conversation));
        }
    }
}

impl Room {
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
