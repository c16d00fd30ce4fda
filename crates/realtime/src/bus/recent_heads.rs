//! Conversations whose events this instance has published, with their last sequence numbers, until all instances know
//! them.

use std::collections::HashMap;

use appcore::{
    ConversationId,
    event::{BusMessage, Signal},
};

/// Number of times that each sequence number is announced, because the bus may lose an announcement.
const ANNOUNCEMENTS: u8 = 2;
/// Maximum number of conversations in one announcement.
const MAX_HEADS: usize = 5_000;
/// Maximum number of conversations that wait to be announced. Further ones are found by sweeps of the log.
const MAX_WAITING: usize = 100_000;

/// Sequence numbers to announce, and how many more times each.
#[derive(Default)]
pub(super) struct RecentHeads(HashMap<ConversationId, (i64, u8)>);

impl RecentHeads {
    /// Adds the durable events among published messages.
    pub fn record(&mut self, messages: &[BusMessage]) {
        for message in messages {
            let BusMessage::Envelope(envelope) = message else { continue };
            let Some(position) = envelope.position.filter(|position| position.seq > 0) else { continue };
            if self.0.len() >= MAX_WAITING && !self.0.contains_key(&position.conversation_id) {
                continue;
            }
            let head = self.0.entry(position.conversation_id).or_insert((position.seq, ANNOUNCEMENTS));
            if position.seq > head.0 {
                *head = (position.seq, ANNOUNCEMENTS);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the announcements that are due.
    pub fn announcements(&self) -> Vec<BusMessage> {
        let heads: Vec<(ConversationId, i64)> = self.0.iter().map(|(id, (seq, _))| (*id, *seq)).collect();
        heads.chunks(MAX_HEADS).map(|heads| BusMessage::Signal(Signal::LogAdvanced { heads: heads.to_vec() })).collect()
    }

    /// Records that the announcements have been published.
    pub fn mark_announced(&mut self) {
        self.0.retain(|_, (_, announcements)| {
            *announcements -= 1;
            *announcements > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use appcore::{
        EventId, Timestamp,
        event::{Envelope, FollowChange, LogPosition, Topic},
    };

    use super::*;

    fn event(conversation_id: ConversationId, seq: i64) -> BusMessage {
        let position = LogPosition { conversation_id, seq };
        BusMessage::Envelope(
            Envelope {
                id: EventId::for_position(position),
                kind: "message.created".to_owned(),
                timestamp: Timestamp(0),
                topic: Topic::Conversation(conversation_id),
                position: Some(position),
                effect: FollowChange::None,
                payload: "{}".into(),
            }
            .into(),
        )
    }

    fn announced(heads: &RecentHeads) -> Vec<(ConversationId, i64)> {
        let announcements = heads.announcements();
        let all = announcements.into_iter().flat_map(|announcement| match announcement {
            BusMessage::Signal(Signal::LogAdvanced { heads }) => heads,
            other => panic!("{other:?} is not an announcement"),
        });
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn announces_the_last_number_of_each_conversation_twice() {
        let (mut heads, one, two) = (RecentHeads::default(), ConversationId::new(), ConversationId::new());
        heads.record(&[event(one, 7), event(two, 1), event(one, 6), BusMessage::Signal(Signal::JobsWaiting)]);
        assert_eq!(announced(&heads), [(one, 7), (two, 1)]);
        heads.mark_announced();
        heads.record(&[event(one, 8)]);
        assert_eq!(announced(&heads), [(one, 8), (two, 1)]);
        heads.mark_announced();
        assert_eq!(announced(&heads), [(one, 8)], "a new number counts from the start");
        heads.mark_announced();
        assert!(heads.announcements().is_empty());
    }

    #[test]
    fn splits_long_announcements() {
        let mut heads = RecentHeads::default();
        let events: Vec<_> = (0..=MAX_HEADS).map(|_| event(ConversationId::new(), 1)).collect();
        heads.record(&events);
        assert_eq!((heads.announcements().len(), announced(&heads).len()), (2, MAX_HEADS + 1));
    }
}
