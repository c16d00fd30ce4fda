//! Coalesced events, of which only the latest state counts. They are delivered at most once a
//! second.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use appcore::{
    ConversationId, UserId,
    event::{Coalesced, Envelope, Event, ReadPosition, Topic},
    view::Presence,
};

use super::Subscriptions;
use crate::{codec::FrameBody, connection_handle::ConnectionHandle, shard::delivery::FrameEncodings};

/// Changes since the last delivery.
#[derive(Default)]
pub(super) struct Pending {
    receipts: HashMap<ConversationId, BTreeMap<UserId, i64>>,
    member_counts: HashMap<ConversationId, u32>,
    presence: HashMap<UserId, Presence>,
}

impl Subscriptions {
    /// Records changes that connections on this thread are subscribed to.
    pub fn coalesce(&mut self, gathered: &Coalesced) {
        match gathered {
            Coalesced::Receipts { conversation_id, items } => {
                if self.is_viewed(*conversation_id) {
                    let positions = self.coalesced.receipts.entry(*conversation_id).or_default();
                    for ReadPosition { user_id, read_seq } in items {
                        let position = positions.entry(*user_id).or_default();
                        *position = (*position).max(*read_seq);
                    }
                }
            }
            Coalesced::MemberCount { conversation_id, member_count } => {
                if let Some(subscription) = self.subscriptions.get_mut(conversation_id) {
                    subscription.members = Some(*member_count);
                }
                if self.is_viewed(*conversation_id) {
                    self.coalesced.member_counts.insert(*conversation_id, *member_count);
                }
            }
            Coalesced::Presence(changes) => {
                for presence in changes.iter().filter(|presence| self.watchers.contains_key(&presence.user_id)) {
                    self.coalesced.presence.insert(presence.user_id, presence.clone());
                }
            }
        }
    }

    /// True if there are changes to publish.
    #[must_use]
    pub fn has_coalesced(&self) -> bool {
        let Pending { receipts, member_counts, presence } = &self.coalesced;
        !(receipts.is_empty() && member_counts.is_empty() && presence.is_empty())
    }

    /// Delivers the recorded changes.
    pub fn deliver_coalesced(&mut self) {
        let Pending { receipts, member_counts, presence } = std::mem::take(&mut self.coalesced);
        for (conversation_id, positions) in receipts {
            let items = positions.into_iter().map(|(user_id, read_seq)| ReadPosition { user_id, read_seq }).collect();
            self.deliver_event(&Event::Receipts { conversation_id, items }, Topic::Viewers(conversation_id));
        }
        for (conversation_id, member_count) in member_counts {
            self.deliver_event(
                &Event::ConversationCount { conversation_id, member_count },
                Topic::Viewers(conversation_id),
            );
        }
        self.deliver_presence(&presence);
    }

    fn deliver_event(&mut self, event: &Event, topic: Topic) {
        match Envelope::seal(event, topic, self.clock.now()) {
            Ok(envelope) => self.deliver(&envelope.into()),
            Err(error) => tracing::error!(%error, "failed to encode coalesced event"),
        }
    }

    /// Delivers one frame per watching connection, with all changes of users that it watches.
    fn deliver_presence(&mut self, changes: &HashMap<UserId, Presence>) {
        let mut told: HashMap<*const ConnectionHandle, (Rc<ConnectionHandle>, Vec<Presence>)> = HashMap::new();
        for (user, presence) in changes {
            for out in self.watchers.get(user).into_iter().flatten() {
                let (_, items) = told.entry(Rc::as_ptr(out)).or_insert_with(|| (Rc::clone(out), Vec::new()));
                items.push(presence.clone());
            }
        }
        for (out, items) in told.into_values() {
            match Envelope::seal(&Event::Presences { items }, Topic::User(out.user_id), self.clock.now()) {
                Ok(envelope) => self.deliveries.deliver([&out], &FrameEncodings::of(FrameBody::of(&envelope))),
                Err(error) => tracing::error!(%error, "failed to encode presence"),
            }
        }
    }

    fn is_viewed(&self, conversation: ConversationId) -> bool {
        self.viewers.contains_key(&conversation)
            || self.subscriptions.contains_key(&conversation) && self.is_small(conversation)
    }
}
