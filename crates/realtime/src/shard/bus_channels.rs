//! Conversations whose channel of the bus was not open, so that some of their events have not arrived.
//!
//! A channel is opened when the first reader of one of its conversations arrives on this instance. Connections wait for
//! that before they are accepted, so they usually miss nothing. A user who joins a conversation while connected, or whose
//! channel takes too long, may miss events. The shard then reads the last sequence numbers and fills the gaps from the
//! log, as after a bus outage.

use std::{rc::Rc, sync::Arc, time::Duration};

use appcore::{
    AppError, ConversationId,
    event::{
        ChannelInterest, ChannelSet,
        channels::{channel_of, channels_of},
    },
};
use conversations::ConnectionSubscriptions;
use event_log::events;
use tokio::time::Instant;

use super::Shard;

/// Maximum time that a new connection waits for its channels.
const OPEN_TIMEOUT: Duration = Duration::from_millis(500);
/// Number of comparisons with the log. Servers of a cluster may learn of a subscription after the one that confirmed it.
const CHECKS: u32 = 2;
/// Delay after each comparison, and after a failure.
const CHECK_DELAY: Duration = Duration::from_secs(1);
/// Maximum number of conversations per query.
const MAX_IDS_PER_QUERY: usize = 500;

impl Shard {
    /// Returns the channels, as long as messages of other instances arrive at all. During an outage, all conversations
    /// are compared with the log anyway.
    pub(super) fn channel_interest(&self) -> Option<&Arc<ChannelInterest>> {
        self.services.bus.channel_interest().filter(|_| self.services.bus.is_connected())
    }

    /// Number of times that channels were opened.
    pub(super) fn channel_openings(&self) -> u64 {
        self.services.bus.channel_interest().map_or(0, |channels| channels.openings())
    }

    /// Returns the channels of these conversations that have not been open all the time since this number of openings.
    pub(super) fn unopened_channels(&self, following: &ConnectionSubscriptions, openings: u64) -> ChannelSet {
        let Some(channels) = self.channel_interest() else { return 0 };
        channels_of(following.conversations.iter().map(|followed| followed.conversation_id))
            & !channels.open_since(openings)
    }

    /// Waits until these channels are open. Returns false if that takes too long.
    pub(super) async fn wait_until_open(&self, channels: ChannelSet) -> bool {
        match self.channel_interest() {
            Some(interest) => tokio::time::timeout(OPEN_TIMEOUT, interest.wait_until_open(channels)).await.is_ok(),
            None => true,
        }
    }

    /// Catches up with the conversations of these channels, which have just been opened.
    pub(super) fn read_opened_channels(self: &Rc<Self>, channels: ChannelSet) {
        let ids = self.subscriptions.borrow().conversations_on(channels);
        // Ephemeral events are lost.
        self.subscriptions.borrow_mut().resync(&ids);
        self.read_missed_events(ids);
    }

    /// Catches up with those of these conversations whose channel is in the set.
    pub(super) fn read_unopened(self: &Rc<Self>, following: &ConnectionSubscriptions, channels: ChannelSet) {
        let ids = following.conversations.iter().map(|followed| followed.conversation_id);
        self.read_missed_events(ids.filter(|id| (channels >> channel_of(*id)) & 1 == 1).collect());
    }

    fn read_missed_events(self: &Rc<Self>, ids: Vec<ConversationId>) {
        if ids.is_empty() {
            return;
        }
        let shard = Rc::clone(self);
        actix_rt::spawn(async move {
            let (mut checks, mut has_failed) = (0, false);
            while checks < CHECKS {
                match shard.compare_with_log(&ids).await {
                    Ok(()) => checks += 1,
                    Err(error) if !has_failed => {
                        tracing::warn!(%error, "failed to read events from before the bus channel was open");
                        has_failed = true;
                    }
                    Err(_) => {}
                }
                tokio::time::sleep(CHECK_DELAY).await;
            }
        });
    }

    async fn compare_with_log(&self, ids: &[ConversationId]) -> Result<(), AppError> {
        for ids in ids.chunks(MAX_IDS_PER_QUERY) {
            let heads = events::heads(&self.services.events, ids).await?;
            self.subscriptions.borrow_mut().announce_lost(&heads, Instant::now());
        }
        self.flush_requested.notify_one();
        Ok(())
    }
}
