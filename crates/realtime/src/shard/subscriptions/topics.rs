//! Routing of envelopes to the connections of their topic.

use appcore::{
    UserId,
    event::{FollowChange, LogPosition, SharedEnvelope, Topic},
    view::Audience,
};

use super::{Subscriptions, viewers};
use crate::{codec::FrameBody, shard::delivery::FrameEncodings};

impl Subscriptions {
    /// Processes an envelope without a sequence number.
    pub(super) fn receive_ephemeral(&mut self, envelope: &SharedEnvelope) {
        match &envelope.effect {
            FollowChange::Join { conversation_id, user_id, last_seq } => {
                self.buffer_unnumbered_change(*conversation_id, *user_id, true);
                let joined_at = LogPosition { conversation_id: *conversation_id, seq: *last_seq };
                self.add_follower(joined_at, &[*user_id]);
            }
            FollowChange::Leave { user_id, conversation_id } => {
                self.buffer_unnumbered_change(*conversation_id, *user_id, false)
            }
            FollowChange::EnterWorkspace { user_id, workspace_id } => self.enter_workspace(*workspace_id, *user_id),
            _ => {}
        }
        self.deliver(envelope);
        match &envelope.effect {
            FollowChange::Leave { user_id, conversation_id } => {
                self.unfollow(*conversation_id, &[*user_id]);
                // A leave has no sequence number here and may have arrived after a later join, so
                // the database has to be asked.
                self.unverified_joins.push(*user_id);
            }
            FollowChange::LeaveWorkspace { user_id, workspace_id } => self.leave_workspace(*workspace_id, *user_id),
            FollowChange::EndWorkspace(workspace_id) => self.end_workspace(*workspace_id),
            _ => {}
        }
    }

    /// Returns the connected users who may be recipients of a broadcast, as far as this can be
    /// decided without the database.
    #[must_use]
    pub fn candidates(&self, audience: &Audience) -> Vec<UserId> {
        let is_in = |user: &UserId| {
            audience.workspace_ids.is_empty()
                || audience
                    .workspace_ids
                    .iter()
                    .any(|id| self.workspaces.get(id).is_some_and(|people| people.contains(user)))
        };
        let is_here = |user: &UserId| self.people.get(user).is_some_and(|person| !person.connections.is_empty());
        if audience.user_ids.is_empty() {
            self.people().into_iter().filter(is_in).collect()
        } else {
            audience.user_ids.iter().copied().filter(|user| is_here(user) && is_in(user)).collect()
        }
    }

    /// Delivers an envelope to the connections of these users, who must be distinct.
    pub fn deliver_to(&mut self, users: &[UserId], envelope: &SharedEnvelope) {
        let forms = FrameEncodings::of(FrameBody::of(envelope));
        let people = users.iter().filter_map(|user| self.people.get(user));
        self.deliveries.deliver(people.flat_map(|person| &person.connections), &forms);
    }

    pub(super) fn deliver(&mut self, envelope: &SharedEnvelope) {
        let forms = FrameEncodings::of(FrameBody::of(envelope));
        match &envelope.topic {
            Topic::Conversation(id) => {
                let Some(subscription) = self.subscriptions.get(id) else { return };
                let seq = envelope.position.map(|position| position.seq);
                let readers =
                    subscription.readers.iter().filter(|out| seq.is_none_or(|seq| out.is_deliverable(*id, seq)));
                self.deliveries.deliver(readers, &forms);
            }
            Topic::Viewers(id) => self
                .deliveries
                .deliver(viewers::viewers_of(&self.subscriptions, &self.viewers, *id, self.small_conversation), &forms),
            Topic::Conversations(ids) => {
                self.stamp += 1;
                let subscriptions = ids.iter().filter_map(|id| self.subscriptions.get(id));
                let readers = subscriptions
                    .flat_map(|subscription| &subscription.readers)
                    .filter(|out| out.claim_stamp(self.stamp));
                self.deliveries.deliver(readers, &forms);
            }
            Topic::Contacts { user_id, conversation_ids } => {
                self.stamp += 1;
                let subscriptions = conversation_ids.iter().filter_map(|id| self.subscriptions.get(id));
                let followers = subscriptions.flat_map(|subscription| &subscription.readers);
                let watchers = self.watchers.get(user_id).into_iter().flatten();
                let readers = followers.chain(watchers).filter(|out| out.claim_stamp(self.stamp));
                self.deliveries.deliver(readers, &forms);
            }
            Topic::Workspace(id) => {
                let people = self.workspaces.get(id).into_iter().flatten().filter_map(|user| self.people.get(user));
                self.deliveries.deliver(people.flat_map(|person| &person.connections), &forms);
            }
            Topic::User(user) => {
                let Some(person) = self.people.get(user) else { return };
                self.deliveries.deliver(&person.connections, &forms);
            }
            Topic::Users(users) => {
                self.stamp += 1;
                let people = users.iter().filter_map(|user| self.people.get(user));
                let readers = people.flat_map(|person| &person.connections).filter(|out| out.claim_stamp(self.stamp));
                self.deliveries.deliver(readers, &forms);
            }
            // Nothing to do: the shard resolves the recipients first and delivers to them.
            Topic::AnnouncementAudience { .. } => {}
            Topic::Everyone => {
                self.deliveries.deliver(self.people.values().flat_map(|person| &person.connections), &forms);
            }
        }
    }
}
