//! Conversations that connections display, sizes of conversations, and watches of users' presence.

use std::{collections::HashMap, rc::Rc, slice};

use appcore::{ConversationId, UserId, event::LogPosition};

use super::{Subscription, Subscriptions};
use crate::connection_handle::ConnectionHandle;

type Index<K> = HashMap<K, Vec<Rc<ConnectionHandle>>>;

impl Subscriptions {
    /// Replaces the conversations that the connection displays. The connection gets their ephemeral
    /// events as long as its user follows them.
    pub fn set_displayed(&mut self, out: &Rc<ConnectionHandle>, mut conversations: Vec<ConversationId>) {
        if !conversations.is_empty() && !self.is_here(out) {
            return;
        }
        conversations.sort_unstable();
        conversations.dedup();
        for id in &conversations {
            if !out.displays(*id) && self.follows(out.user_id, *id) {
                add(&mut self.viewers, *id, out);
            }
        }
        for id in out.replace_displayed(conversations) {
            if !out.displays(id) {
                remove(&mut self.viewers, id, out);
            }
        }
    }

    /// True if a connection of the user displays the conversation.
    #[must_use]
    pub fn is_displayed(&self, user: UserId, conversation: ConversationId) -> bool {
        self.people.get(&user).is_some_and(|person| person.connections.iter().any(|out| out.displays(conversation)))
    }

    /// Replaces the users whose changes of presence the connection gets. The caller must have
    /// checked that the connection's user may see them.
    pub fn watch(&mut self, out: &Rc<ConnectionHandle>, mut people: Vec<UserId>) {
        if !people.is_empty() && !self.is_here(out) {
            return;
        }
        people.sort_unstable();
        people.dedup();
        for user in out.replace_watched(people.clone()) {
            remove(&mut self.watchers, user, out);
        }
        for user in people {
            add(&mut self.watchers, user, out);
        }
    }

    /// True if the conversation has so few members that all followers count as viewers.
    #[must_use]
    pub fn is_small(&self, conversation: ConversationId) -> bool {
        self.subscriptions.get(&conversation).is_none_or(|subscription| subscription.is_small(self.small_conversation))
    }

    /// Schedules a check of the user's watches and of others' watches of the user, because
    /// visibility between users may have changed.
    pub(super) fn schedule_watch_check(&mut self, user: UserId) {
        let own = self.people.get(&user).into_iter().flat_map(|person| &person.connections);
        let own = own.filter(|out| out.watches_presence());
        self.unchecked_watchers.extend(own.chain(self.watchers.get(&user).into_iter().flatten()).cloned());
    }

    /// Removes and returns the connections whose watches are to be checked again.
    #[must_use]
    pub fn take_unchecked_watchers(&mut self) -> Vec<Rc<ConnectionHandle>> {
        let mut doubtful = std::mem::take(&mut self.unchecked_watchers);
        doubtful.sort_unstable_by_key(Rc::as_ptr);
        doubtful.dedup_by(|one, other| Rc::ptr_eq(one, other));
        doubtful
    }

    /// Adds the members who joined with this event. The creation of a conversation lists its
    /// members, possibly in several parts.
    pub(super) fn count_joins(&mut self, position: LogPosition, joined: usize) {
        let joined = u32::try_from(joined).unwrap_or(u32::MAX);
        if position.seq > 0 {
            self.count(position, |members| members.saturating_add(joined));
        } else if let Some(subscription) = self.subscriptions.get_mut(&position.conversation_id) {
            subscription.members = subscription.members.max(Some(joined));
        }
    }

    /// Subtracts the members who left with this event.
    pub(super) fn count_leaves(&mut self, position: LogPosition, left: usize) {
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        self.count(position, |members| members.saturating_sub(left));
    }

    fn count(&mut self, LogPosition { conversation_id, seq }: LogPosition, change: impl Fn(u32) -> u32) {
        let subscription = self.subscriptions.get_mut(&conversation_id);
        if let Some(subscription) = subscription.filter(|subscription| seq > subscription.counted_at) {
            subscription.members = subscription.members.map(change);
            subscription.counted_at = seq;
        }
    }

    /// True if the connection is still open.
    fn is_here(&self, out: &Rc<ConnectionHandle>) -> bool {
        let person = self.people.get(&out.user_id);
        person.is_some_and(|person| person.connections.iter().any(|other| Rc::ptr_eq(other, out)))
    }
}

impl Subscription {
    fn is_small(&self, small_conversation: u32) -> bool {
        self.members.is_none_or(|members| members <= small_conversation)
    }

    /// Sets the number of members as of this event.
    pub(super) fn recount(&mut self, seq: i64, members: u32) {
        if seq >= self.counted_at || self.members.is_none() {
            self.members = Some(members);
            self.counted_at = seq;
        }
    }
}

/// Returns the viewers of a conversation. In a small conversation these are all followers.
pub(super) fn viewers_of<'a>(
    subscriptions: &'a HashMap<ConversationId, Subscription>,
    viewers: &'a Index<ConversationId>,
    conversation: ConversationId,
    small_conversation: u32,
) -> slice::Iter<'a, Rc<ConnectionHandle>> {
    match subscriptions.get(&conversation) {
        Some(subscription) if subscription.is_small(small_conversation) => subscription.readers.iter(),
        Some(_) => viewers.get(&conversation).map_or_else(|| [].iter(), |viewers| viewers.iter()),
        None => [].iter(),
    }
}

pub(super) fn add<K: std::hash::Hash + Eq>(index: &mut Index<K>, key: K, out: &Rc<ConnectionHandle>) {
    index.entry(key).or_default().push(Rc::clone(out));
}

pub(super) fn remove<K: std::hash::Hash + Eq>(index: &mut Index<K>, key: K, out: &Rc<ConnectionHandle>) {
    if let Some(outs) = index.get_mut(&key) {
        if let Some(at) = outs.iter().position(|other| Rc::ptr_eq(other, out)) {
            outs.swap_remove(at);
        }
        if outs.is_empty() {
            index.remove(&key);
        }
    }
}
