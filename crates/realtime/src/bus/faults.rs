//! Faults of a bus, for tests: received messages are lost, repeated and reordered, whatever server carries them. Part of
//! builds with debug assertions only.
//!
//! Messages about conversations are lost silently. The loss of a control message is reported as a gap, as all servers do
//! when they or the connection drop messages.

use std::{collections::VecDeque, env, time::Duration};

use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::time::timeout;

use super::{
    transport::{Incoming, Subscribe, Subscription},
    wire_message::channel_kind,
};

/// Environment variable with the seed of the faults. Without it, there are none.
const SEED_VARIABLE: &str = "NATTER_TEST_BUS_FAULTS";
/// Maximum time for which a message is held back while no other arrives.
const MAX_DELAY: Duration = Duration::from_millis(20);
/// Maximum number of messages that overtake a message.
const MAX_OVERTAKING: u64 = 5;
/// Number of faults after which they are logged.
const LOG_INTERVAL: u64 = 50;

/// Numbers of messages, of a hundred, with each fault.
struct Rates {
    lost: u64,
    repeated: u64,
    delayed: u64,
}

const CONVERSATION_RATES: Rates = Rates { lost: 10, repeated: 15, delayed: 25 };
const CONTROL_RATES: Rates = Rates { lost: 2, repeated: 15, delayed: 25 };

/// Adds faults to a subscriber if the environment demands it.
pub(super) fn inject(subscriber: Box<dyn Subscribe>) -> Box<dyn Subscribe> {
    match env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => {
            tracing::warn!(seed, "bus loses, repeats and reorders messages");
            Box::new(FaultySubscriber { subscriber, seed })
        }
        None => subscriber,
    }
}

struct FaultySubscriber {
    subscriber: Box<dyn Subscribe>,
    seed: u64,
}

#[async_trait]
impl Subscribe for FaultySubscriber {
    async fn subscribe(&self, channels: Vec<String>) -> anyhow::Result<Subscription> {
        let Subscription { channels, messages } = self.subscriber.subscribe(channels).await?;
        let messages = stream::unfold(FaultyMessages::new(messages, self.seed), async |mut messages| {
            let incoming = messages.next().await?;
            Some((incoming, messages))
        });
        Ok(Subscription { channels, messages: messages.boxed() })
    }
}

struct FaultyMessages {
    messages: BoxStream<'static, Incoming>,
    random: u64,
    ready: VecDeque<Incoming>,
    /// Messages that are held back until this number of other messages has arrived.
    held: Vec<(u64, Incoming)>,
    faults: u64,
}

impl FaultyMessages {
    fn new(messages: BoxStream<'static, Incoming>, seed: u64) -> Self {
        Self { messages, random: seed, ready: VecDeque::new(), held: Vec::new(), faults: 0 }
    }

    async fn next(&mut self) -> Option<Incoming> {
        loop {
            if let Some(incoming) = self.ready.pop_front() {
                return Some(incoming);
            }
            let delay = if self.held.is_empty() { Duration::MAX } else { MAX_DELAY };
            match timeout(delay, self.messages.next()).await {
                Ok(incoming) => self.receive(incoming?),
                Err(_) => self.ready.extend(self.held.drain(..).map(|(_, incoming)| incoming)),
            }
        }
    }

    fn receive(&mut self, incoming: Incoming) {
        let Incoming::Message { channel, .. } = &incoming else {
            self.ready.push_back(incoming);
            return;
        };
        for (others, _) in &mut self.held {
            *others -= 1;
        }
        let rates = match channel_kind(channel) {
            "conversation" => CONVERSATION_RATES,
            "control" => CONTROL_RATES,
            _ => Rates { lost: 0, repeated: 0, delayed: 0 },
        };
        let is_control = channel_kind(channel) == "control";
        let drawn = self.draw(100);
        if drawn < rates.lost {
            self.record_fault();
            if is_control {
                self.ready.push_back(Incoming::Gap);
            }
        } else if drawn < rates.lost + rates.repeated {
            self.record_fault();
            self.hold(incoming.clone());
            self.ready.push_back(incoming);
        } else if drawn < rates.lost + rates.repeated + rates.delayed {
            self.record_fault();
            self.hold(incoming);
        } else {
            self.ready.push_back(incoming);
        }
        self.ready.extend(self.held.extract_if(.., |(others, _)| *others == 0).map(|(_, incoming)| incoming));
    }

    fn hold(&mut self, incoming: Incoming) {
        let others = 1 + self.draw(MAX_OVERTAKING);
        self.held.push((others, incoming));
    }

    fn record_fault(&mut self) {
        self.faults += 1;
        if self.faults.is_multiple_of(LOG_INTERVAL) {
            tracing::info!(faults = self.faults, "bus faults injected");
        }
    }

    /// Draws a random number below `limit` (SplitMix64).
    const fn draw(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.random;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (drawn ^ (drawn >> 31)) % limit
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bytes::Bytes;

    use super::*;

    async fn received(channel: &str, count: u32) -> (HashMap<Bytes, u32>, bool, u32) {
        let sent: Vec<Incoming> = (0..count)
            .map(|n| Incoming::Message { channel: channel.to_owned(), payload: Bytes::from(n.to_string()) })
            .collect();
        let endless = stream::iter(sent).chain(stream::pending());
        let mut messages = FaultyMessages::new(endless.boxed(), 7);
        let (mut times, mut order, mut gaps) = (HashMap::new(), Vec::new(), 0);
        while let Ok(Some(incoming)) = timeout(MAX_DELAY * 10, messages.next()).await {
            match incoming {
                Incoming::Message { payload, .. } => {
                    order.push(String::from_utf8_lossy(&payload).parse::<u32>().unwrap());
                    *times.entry(payload).or_insert(0) += 1;
                }
                Incoming::Gap => gaps += 1,
            }
        }
        (times, order.is_sorted(), gaps)
    }

    #[tokio::test(start_paused = true)]
    async fn loses_repeats_and_reorders_messages_about_conversations() {
        let (times, is_sorted, gaps) = received("natter:events:7", 1_000).await;
        assert!((850..950).contains(&times.len()), "{} of 1,000 arrived", times.len());
        assert!((100..200).contains(&times.values().filter(|times| **times == 2).count()));
        assert!(times.values().all(|times| *times <= 2) && !is_sorted);
        assert_eq!(gaps, 0, "the loss is silent");
    }

    #[tokio::test(start_paused = true)]
    async fn reports_lost_control_messages_and_leaves_heartbeats_alone() {
        let (times, is_sorted, gaps) = received("natter:control", 1_000).await;
        assert_eq!(times.len() + usize::try_from(gaps).unwrap(), 1_000);
        assert!(gaps > 0 && !is_sorted);
        let (times, is_sorted, gaps) = received("natter:heartbeat:7", 1_000).await;
        assert_eq!((times.len(), is_sorted, gaps), (1_000, true, 0));
    }
}
