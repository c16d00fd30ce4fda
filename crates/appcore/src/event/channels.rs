//! Channels of the bus. Each conversation belongs to one of them, and an instance subscribes only to those that have
//! readers on it.
//!
//! [`ChannelInterest`] connects the two sides. Readers hold a [`ChannelGuard`] for the channels of their conversations.
//! The receiver of the bus subscribes to channels that have readers, and unsubscribes from those that have had none for
//! a while. A channel is *open* from the server's confirmation of the subscription until the instance unsubscribes or
//! loses the connection. What is published while a channel isn't open doesn't arrive, so readers must compare their
//! positions with the log when it [opens](super::Signal::ChannelsOpened).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::{Notify, watch},
    time::{Duration, Instant},
};

use crate::ConversationId;

/// Number of channels that conversations are distributed over.
pub const CHANNELS: u8 = 64;

/// Set of channels. Bit 0 stands for channel 0.
pub type ChannelSet = u64;

/// Returns the channel of a conversation.
#[must_use]
pub fn channel_of(conversation: ConversationId) -> u8 {
    // The last byte of a UUIDv7 is random, so conversations are distributed evenly.
    conversation.0.as_bytes()[15] % CHANNELS
}

/// Returns the channels of these conversations.
#[must_use]
pub fn channels_of(conversations: impl IntoIterator<Item = ConversationId>) -> ChannelSet {
    conversations.into_iter().fold(0, |set, conversation| set | (1 << channel_of(conversation)))
}

/// Returns the numbers of the channels in a set, in ascending order.
pub fn numbers(set: ChannelSet) -> impl Iterator<Item = u8> {
    (0..CHANNELS).filter(move |number| (set >> number) & 1 == 1)
}

/// Readers of each channel on this instance, and the channels that are open.
#[derive(Debug)]
pub struct ChannelInterest {
    channels: Mutex<[Channel; CHANNELS as usize]>,
    /// Signalled when a channel gets its first reader or loses its last one.
    changed: Notify,
    /// Number of openings so far.
    openings: watch::Sender<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    readers: u32,
    /// Time at which the last reader left. `None` if the channel has readers or never had any.
    unread_since: Option<Instant>,
    /// Number of the opening since which the channel is open; 0 if it isn't.
    opened: u64,
}

impl Default for ChannelInterest {
    fn default() -> Self {
        Self {
            channels: Mutex::new([Channel::default(); CHANNELS as usize]),
            changed: Notify::new(),
            openings: watch::Sender::new(0),
        }
    }
}

impl ChannelInterest {
    /// Adds a reader of these channels until the guard is dropped.
    #[must_use]
    pub fn acquire(self: &Arc<Self>, channels: ChannelSet) -> ChannelGuard {
        let mut is_first = false;
        let mut state = self.state();
        for number in numbers(channels) {
            let channel = &mut state[usize::from(number)];
            is_first |= channel.readers == 0;
            channel.readers += 1;
            channel.unread_since = None;
        }
        drop(state);
        if is_first {
            self.changed.notify_one();
        }
        ChannelGuard { interest: Arc::clone(self), channels }
    }

    /// Number of openings so far, for [`Self::open_since`].
    #[must_use]
    pub fn openings(&self) -> u64 {
        *self.openings.borrow()
    }

    /// Returns the channels that are open, and have been open continuously since this number of openings.
    #[must_use]
    pub fn open_since(&self, openings: u64) -> ChannelSet {
        self.matching(|channel| (1..=openings).contains(&channel.opened))
    }

    /// Waits until these channels are open.
    pub async fn wait_until_open(&self, channels: ChannelSet) {
        let mut openings = self.openings.subscribe();
        while channels & !self.open() != 0 && openings.changed().await.is_ok() {}
    }

    /// Channels that have readers.
    #[must_use]
    pub fn wanted(&self) -> ChannelSet {
        self.matching(|channel| channel.readers > 0)
    }

    /// Channels that are open.
    #[must_use]
    pub fn open(&self) -> ChannelSet {
        self.matching(|channel| channel.opened > 0)
    }

    /// Waits until [`Self::wanted`] may have changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Marks channels as open, once the server has confirmed their subscription.
    pub fn mark_open(&self, channels: ChannelSet) {
        let opening = self.openings() + 1;
        let mut state = self.state();
        numbers(channels).for_each(|number| state[usize::from(number)].opened = opening);
        drop(state);
        self.openings.send_replace(opening);
    }

    /// Marks all channels as not open, because the connection was lost.
    pub fn mark_all_closed(&self) {
        self.state().iter_mut().for_each(|channel| channel.opened = 0);
    }

    /// Marks the open channels that have had no readers for the grace period as not open, and returns them. A reader that
    /// arrives afterwards finds its channel closed, so it is opened again.
    #[must_use]
    pub fn close_unread(&self, now: Instant, grace: Duration) -> ChannelSet {
        let mut closed = 0;
        for (channel, bit) in self.state().iter_mut().zip(0..) {
            if channel.expires_at(now, grace).is_some_and(|at| at <= now) {
                channel.opened = 0;
                closed |= 1_u64 << bit;
            }
        }
        closed
    }

    /// Time at which [`Self::close_unread`] closes the next channel, unless it gets a reader.
    #[must_use]
    pub fn next_expiry(&self, now: Instant, grace: Duration) -> Option<Instant> {
        self.state().iter().filter_map(|channel| channel.expires_at(now, grace)).min()
    }

    fn matching(&self, condition: impl Fn(&Channel) -> bool) -> ChannelSet {
        let state = self.state();
        state.iter().zip(0..).filter(|(channel, _)| condition(channel)).fold(0, |set, (_, bit)| set | (1_u64 << bit))
    }

    fn state(&self) -> MutexGuard<'_, [Channel; CHANNELS as usize]> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    fn expires_at(&self, now: Instant, grace: Duration) -> Option<Instant> {
        let is_unread = self.opened > 0 && self.readers == 0;
        is_unread.then(|| self.unread_since.map_or(now, |since| since + grace))
    }
}

/// Reader of channels until it is dropped.
#[derive(Debug)]
pub struct ChannelGuard {
    interest: Arc<ChannelInterest>,
    channels: ChannelSet,
}

impl Drop for ChannelGuard {
    fn drop(&mut self) {
        let mut is_last = false;
        let mut state = self.interest.state();
        for number in numbers(self.channels) {
            let channel = &mut state[usize::from(number)];
            channel.readers -= 1;
            if channel.readers == 0 {
                channel.unread_since = Some(Instant::now());
                is_last = true;
            }
        }
        drop(state);
        if is_last {
            self.interest.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn set(numbers: &[u8]) -> ChannelSet {
        numbers.iter().fold(0, |set, number| set | (1 << number))
    }

    #[test]
    fn conversations_use_all_channels() {
        let all = channels_of((0..256).map(|number| ConversationId(Uuid::from_u128(number))));
        assert_eq!(all, ChannelSet::MAX);
        assert_eq!(numbers(set(&[0, 7, 63])).collect::<Vec<_>>(), [0, 7, 63]);
    }

    #[tokio::test(start_paused = true)]
    async fn unread_channels_close_after_the_grace_period() {
        let interest = Arc::new(ChannelInterest::default());
        let (one, two) = (interest.acquire(set(&[1, 2])), interest.acquire(set(&[2])));
        assert_eq!((interest.wanted(), interest.open()), (set(&[1, 2]), 0));
        interest.mark_open(set(&[1, 2, 3]));
        assert_eq!(interest.close_unread(Instant::now(), GRACE), set(&[3]), "a channel that never had a reader");
        drop(one);
        assert_eq!((interest.wanted(), interest.open()), (set(&[2]), set(&[1, 2])));
        tokio::time::advance(GRACE / 2).await;
        let again = interest.acquire(set(&[1]));
        tokio::time::advance(GRACE).await;
        assert_eq!(interest.close_unread(Instant::now(), GRACE), 0, "the channel has a reader again");
        drop(again);
        assert_eq!(interest.next_expiry(Instant::now(), GRACE), Some(Instant::now() + GRACE));
        tokio::time::advance(GRACE).await;
        assert_eq!(interest.close_unread(Instant::now(), GRACE), set(&[1]));
        assert_eq!((interest.open(), interest.next_expiry(Instant::now(), GRACE)), (set(&[2]), None));
        drop(two);
    }

    #[tokio::test]
    async fn reports_channels_that_have_been_open_all_the_time() {
        let interest = Arc::new(ChannelInterest::default());
        interest.mark_open(set(&[1, 2]));
        let openings = interest.openings();
        interest.mark_open(set(&[3]));
        assert_eq!(interest.open_since(openings), set(&[1, 2]), "3 was opened later");
        assert_eq!(interest.close_unread(Instant::now(), GRACE), set(&[1, 2, 3]));
        interest.mark_open(set(&[2]));
        assert_eq!(interest.open_since(openings), 0, "2 was closed in between");
        interest.mark_all_closed();
        assert_eq!(interest.open_since(interest.openings()), 0);
    }

    #[tokio::test]
    async fn waits_until_all_channels_are_open() {
        let interest = Arc::new(ChannelInterest::default());
        let mut waiting = Box::pin(interest.wait_until_open(set(&[1, 2])));
        let mut is_ready = async || tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_ok();
        assert!(!is_ready().await);
        interest.mark_open(set(&[1]));
        assert!(!is_ready().await);
        interest.mark_open(set(&[2]));
        assert!(is_ready().await);
    }

    #[tokio::test]
    async fn first_and_last_readers_wake_the_receiver() {
        let interest = Arc::new(ChannelInterest::default());
        let is_woken = async || tokio::time::timeout(Duration::ZERO, interest.changed()).await.is_ok();
        let first = interest.acquire(set(&[5]));
        assert!(is_woken().await);
        let second = interest.acquire(set(&[5]));
        drop(first);
        assert!(!is_woken().await, "the channel had a reader all the time");
        drop(second);
        assert!(is_woken().await);
    }

    proptest! {
        /// Readers come and go while the receiver opens and closes channels. A channel with a reader is either open, or
        /// wanted and not open, so that the receiver opens it.
        #[test]
        fn channels_with_readers_are_never_closed(steps in proptest::collection::vec((0_u8..4, 0_u8..4), 0..100)) {
            let interest = Arc::new(ChannelInterest::default());
            let mut guards: Vec<(u8, ChannelGuard)> = Vec::new();
            for (step, number) in steps {
                match step {
                    0 => guards.push((number, interest.acquire(set(&[number])))),
                    1 if !guards.is_empty() => drop(guards.swap_remove(usize::from(number) % guards.len())),
                    2 => interest.mark_open(interest.wanted() & !interest.open()),
                    _ => {
                        let before = interest.open();
                        let closed = interest.close_unread(Instant::now(), Duration::ZERO);
                        prop_assert_eq!(closed & interest.wanted(), 0);
                        prop_assert_eq!(interest.open(), before & !closed);
                    }
                }
                let read = guards.iter().fold(0, |read, (number, _)| read | (1 << number));
                prop_assert_eq!(interest.wanted(), read);
            }
        }
    }
}
