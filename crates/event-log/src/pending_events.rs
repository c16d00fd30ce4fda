//! Announced events of a conversation that a consumer of the log has not processed yet.

use std::sync::Arc;

use appcore::event::Envelope;

/// Announced events of a conversation. Those that are known need not be read from the log.
#[derive(Clone, Debug)]
pub struct PendingEvents {
    /// Sequence number of the last event.
    pub head: i64,
    /// The last events, as far as they are consecutive.
    known: Vec<Arc<Envelope>>,
}

impl PendingEvents {
    /// Events up to `head`, to be read from the log.
    #[must_use]
    pub const fn until(head: i64) -> Self {
        Self { head, known: Vec::new() }
    }

    /// Adds the event with this sequence number, which is to be read from the log if it isn't
    /// given. Events that arrive after later ones are ignored.
    pub fn push(&mut self, seq: i64, event: Option<Arc<Envelope>>) {
        if seq <= self.head {
            return;
        }
        if event.is_none() || seq != self.head + 1 {
            self.known.clear();
        }
        self.known.extend(event);
        self.head = seq;
    }

    /// Merges the events of an earlier or a later announcement.
    pub fn merge(&mut self, other: Self) {
        if self.head < other.head {
            *self = other;
        }
    }

    /// Returns the events after this position, or `None` if some must be read from the log.
    #[must_use]
    pub fn known_after(&self, position: i64) -> Option<&[Arc<Envelope>]> {
        let count = usize::try_from(self.head - position).ok()?;
        self.known.get(self.known.len().checked_sub(count)?..)
    }
}

#[cfg(test)]
mod tests {
    use appcore::{
        ConversationId, EventId, Timestamp,
        event::{FollowChange, LogPosition, Topic},
    };

    use super::*;

    fn event(seq: i64) -> Arc<Envelope> {
        let conversation_id = ConversationId(uuid::Uuid::from_u128(1));
        let position = LogPosition { conversation_id, seq };
        Arc::new(Envelope {
            id: EventId::for_position(position),
            kind: "message.created".to_owned(),
            timestamp: Timestamp(0),
            topic: Topic::Conversation(conversation_id),
            position: Some(position),
            effect: FollowChange::None,
            payload: "{}".into(),
        })
    }

    #[test]
    fn only_consecutive_events_are_known() {
        let known = |announced: &[(i64, bool)], position: i64| {
            let mut events = PendingEvents::until(announced[0].0 - 1);
            for (seq, is_given) in announced {
                events.push(*seq, is_given.then(|| event(*seq)));
            }
            let known = events.known_after(position)?;
            Some(known.iter().filter_map(|event| event.position).map(|position| position.seq).collect::<Vec<_>>())
        };
        assert_eq!(known(&[(4, true), (5, true)], 3), Some(vec![4, 5]));
        assert_eq!(known(&[(4, true), (5, true)], 4), Some(vec![5]));
        assert_eq!(known(&[(4, true), (5, true)], 5), Some(vec![]));
        assert_eq!(known(&[(5, true)], 3), None);
        assert_eq!(known(&[(4, true), (6, true)], 3), None);
        assert_eq!(known(&[(4, true), (6, true)], 5), Some(vec![6]));
        assert_eq!(known(&[(5, true), (4, true)], 3), None);
        assert_eq!(known(&[(4, true), (5, false)], 3), None);
        assert_eq!(known(&[(4, false), (5, true)], 4), Some(vec![5]));
    }
}
