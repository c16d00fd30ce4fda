//! Users that are connecting: changes are buffered while their conversations are read from the
//! database, and then both are merged.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use appcore::{
    ConversationId, UserId,
    event::{FollowChange, LogPosition},
};
use conversations::{ConnectionSubscriptions, SubscribedConversation};
use tokio::time::Instant;

use super::{Person, Subscription, Subscriptions, viewers};
use crate::connection_handle::ConnectionHandle;

impl Person {
    /// Returns the last buffered join or leave of the conversation.
    fn change_of(&self, conversation: ConversationId) -> Option<(i64, bool)> {
        self.joining.as_ref()?.changes.get(&conversation).copied()
    }
}

impl Subscriptions {
    /// Starts to buffer changes that affect this user, until [`Subscriptions::settle`] or
    /// [`Subscriptions::abandon`].
    pub fn start_joining(&mut self, user: UserId) {
        self.joining_count += 1;
        self.people.entry(user).or_default().joining.get_or_insert_default().count += 1;
    }

    /// Stops buffering, because the connection wasn't opened.
    pub fn abandon(&mut self, user: UserId) {
        self.finish_joining(user);
        self.remove_if_disconnected(user);
    }

    /// True if `following` may lack a conversation that the user has joined since it was read. It
    /// must then be read again.
    #[must_use]
    pub fn is_outdated(&self, user: UserId, following: &ConnectionSubscriptions) -> bool {
        let Some(arriving) = self.people.get(&user).and_then(|person| person.joining.as_ref()) else { return false };
        let mut joins = arriving.changes.iter().filter(|(_, (_, is_join))| *is_join);
        joins.any(|(id, _)| !following.conversations.iter().any(|followed| followed.conversation_id == *id))
    }

    /// Merges the memberships read from the database with the buffered changes, and updates the
    /// user's subscriptions. `new` is the connection being opened. Returns the conversations with
    /// the sequence number after which all events arrive live.
    pub fn merge_memberships(
        &mut self,
        user: UserId,
        following: &ConnectionSubscriptions,
        new: Option<&Rc<ConnectionHandle>>,
    ) -> Vec<(ConversationId, i64)> {
        let now = Instant::now();
        self.settle_workspaces(user, &following.workspaces);
        let Some(person) = self.people.get_mut(&user) else { return Vec::new() };
        let stands = following.conversations.iter().filter(|followed| {
            !matches!(person.change_of(followed.conversation_id), Some((seq, false)) if seq > followed.last_seq)
        });
        let stands: Vec<SubscribedConversation> = stands.copied().collect();
        let mut answer: Vec<(ConversationId, i64)> =
            stands.iter().map(|followed| (followed.conversation_id, followed.last_seq)).collect();
        let current: HashSet<ConversationId> = answer.iter().map(|(id, _)| *id).collect();
        let left: Vec<ConversationId> = person.follows.iter().filter(|id| !current.contains(id)).copied().collect();
        let mut found = Vec::new();
        for ((id, last), followed) in answer.iter_mut().zip(&stands) {
            *last = (*last).max(self.seen.get(id).copied().unwrap_or(0));
            let create = || Subscription::after(*id, *last, self.channels.as_ref());
            let subscription = self.subscriptions.entry(*id).or_insert_with(create);
            subscription.recount(followed.last_seq, followed.member_count);
            if !person.follows(*id) {
                subscription.readers.extend(person.connections.iter().cloned());
                if followed.reads_after > subscription.order.last() {
                    person.connections.iter().for_each(|out| out.skip_at_least(*id, followed.reads_after));
                }
                for out in person.connections.iter().filter(|out| out.displays(*id)) {
                    viewers::add(&mut self.viewers, *id, out);
                }
                found.push(*id);
            }
            subscription.order.announce(*last);
            *last = (*last).max(subscription.order.last());
            if let Some(new) = new {
                subscription.readers.push(Rc::clone(new));
                if *last > subscription.order.last() {
                    new.skip_until(*id, *last);
                }
            }
            subscription.record_gap(*id, now, &mut self.gaps);
        }
        if !found.is_empty() {
            person.follows.reserve_exact(found.len());
            person.follows.extend(&found);
            person.follows.sort_unstable();
        }
        let others = person.connections.clone();
        if let Some(new) = new {
            person.connections.reserve_exact(1);
            person.connections.push(Rc::clone(new));
        }
        self.finish_joining(user);
        for id in left {
            self.unfollow(id, &[user]);
        }
        // The user's other connections didn't follow these conversations and may lack past events.
        if !found.is_empty() {
            self.send_resync(&others, Some(&found));
        }
        self.remove_if_disconnected(user);
        answer
    }

    fn finish_joining(&mut self, user: UserId) {
        self.joining_count = self.joining_count.saturating_sub(1);
        if self.joining_count == 0 {
            self.seen = HashMap::new();
        }
        if let Some(person) = self.people.get_mut(&user)
            && let Some(arriving) = &mut person.joining
        {
            arriving.count -= 1;
            if arriving.count == 0 {
                person.joining = None;
            }
        }
    }

    pub(super) fn buffer_change(&mut self, position: LogPosition, effect: &FollowChange) {
        let LogPosition { conversation_id, seq } = position;
        let seen = self.seen.entry(conversation_id).or_default();
        *seen = (*seen).max(seq);
        let (users, is_join): (Vec<UserId>, bool) = match effect {
            FollowChange::Follow(users) => (users.clone(), true),
            FollowChange::Unfollow(users) => (users.clone(), false),
            FollowChange::UnfollowAll => (self.people.keys().copied().collect(), false),
            _ => return,
        };
        for user in users {
            if let Some(arriving) = self.people.get_mut(&user).and_then(|person| person.joining.as_mut()) {
                let change = arriving.changes.entry(conversation_id).or_insert((seq, is_join));
                if seq >= change.0 {
                    *change = (seq, is_join);
                }
            }
        }
    }

    /// Buffers a join or leave without a sequence number. It counts as later than everything that
    /// was read before.
    pub(super) fn buffer_unnumbered_change(&mut self, conversation: ConversationId, user: UserId, is_join: bool) {
        if let Some(arriving) = self.people.get_mut(&user).and_then(|person| person.joining.as_mut()) {
            arriving.changes.insert(conversation, (i64::MAX, is_join));
        }
    }
}
