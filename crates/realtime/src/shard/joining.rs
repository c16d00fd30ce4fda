//! Users that are connecting: reading their memberships, and opening the channels of their conversations.

use std::rc::Rc;

use appcore::{
    AppError, ConversationId, UserId,
    event::{ChannelGuard, channels::channels_of},
};
use conversations::ConnectionSubscriptions;

use super::Shard;
use crate::connection_handle::ConnectionHandle;

/// Maximum number of times that memberships are read for a connection. They are read again if
/// concurrent joins, a bus outage, or a channel that was not open have made the result outdated.
const MAX_MEMBERSHIP_READS: usize = 3;

impl Shard {
    /// Starts to buffer membership changes of this user while their conversations are read.
    pub(super) fn start_joining(self: &Rc<Self>, user: UserId) -> PendingJoin {
        self.subscriptions.borrow_mut().start_joining(user);
        let openings = self.channel_openings();
        PendingJoin { shard: Rc::clone(self), user, openings, channels: None, is_settled: false }
    }

    /// Reads the conversations and workspaces of a user. The result can be used until
    /// [`PendingJoin::settle`], because changes in the meantime are buffered.
    pub async fn load_subscriptions(
        self: &Rc<Self>,
        user: UserId,
    ) -> Result<(PendingJoin, ConnectionSubscriptions), AppError> {
        let mut arrival = self.start_joining(user);
        let mut reads = 0;
        loop {
            arrival.openings = self.channel_openings();
            let reports = self.outage.reports();
            let following = conversations::subscriptions(&self.services.conversations, user).await?;
            reads += 1;
            arrival.acquire_channels(&following);
            let unopened = self.unopened_channels(&following, arrival.openings);
            // Changes that were buffered are merged later, but those that the bus has lost are not.
            let is_from_before_a_gap = reports != self.outage.reports();
            let is_outdated =
                unopened != 0 || is_from_before_a_gap || self.subscriptions.borrow().is_outdated(user, &following);
            // If the channels don't open in time, the events are read from the log later.
            if !is_outdated || reads == MAX_MEMBERSHIP_READS || !self.wait_until_open(unopened).await {
                return Ok((arrival, following));
            }
        }
    }
}

/// User whose membership changes are buffered until [`PendingJoin::settle`].
pub struct PendingJoin {
    shard: Rc<Shard>,
    pub(super) user: UserId,
    /// Number of times that channels had been opened when the memberships were read.
    openings: u64,
    /// Keeps the channels of the user's conversations open until the subscriptions do.
    channels: Option<ChannelGuard>,
    is_settled: bool,
}

impl PendingJoin {
    fn acquire_channels(&mut self, following: &ConnectionSubscriptions) {
        let wanted = channels_of(following.conversations.iter().map(|followed| followed.conversation_id));
        let channels = self.shard.services.bus.channel_interest();
        self.channels = channels.map(|channels| channels.acquire(wanted));
    }

    /// Merges the memberships read from the database with the buffered changes; see
    /// [`Subscriptions::settle`]. The caller must push `hello` before anything else runs on this
    /// thread.
    pub fn merge_memberships(
        mut self,
        following: &ConnectionSubscriptions,
        new: Option<&Rc<ConnectionHandle>>,
    ) -> Vec<(ConversationId, i64)> {
        self.is_settled = true;
        let merged = self.shard.subscriptions.borrow_mut().merge_memberships(self.user, following, new);
        let unopened = self.shard.unopened_channels(following, self.openings);
        self.shard.read_unopened(following, unopened);
        drop(self.channels.take());
        merged
    }
}

impl Drop for PendingJoin {
    fn drop(&mut self) {
        if !self.is_settled {
            self.shard.subscriptions.borrow_mut().abandon(self.user);
        }
    }
}
