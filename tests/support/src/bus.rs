//! Listener on the bus of the instances in Redis.

use futures_util::StreamExt;
use redis::{Client, aio::PubSub};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::place::PATIENCE;
use crate::redis::RedisServer;

/// Listener that receives all messages in the order in which they were published.
pub struct Bus {
    messages: PubSub,
}

impl Bus {
    /// Starts listening.
    pub async fn listen(redis: &RedisServer) -> Self {
        let client = Client::open(redis.url()).expect("an address of a Redis");
        let mut messages = client.get_async_pubsub().await.expect("present");
        messages.psubscribe("natter:*").await.expect("port bound");
        Self { messages }
    }

    /// Sends the heartbeats of an instance of an earlier release, which subscribes to all channels and expects the same of
    /// others. Runs until the task is aborted.
    pub async fn imitate_earlier_release(url: &str) -> JoinHandle<()> {
        let client = Client::open(url).expect("an address of a Redis");
        let mut connection = client.get_multiplexed_async_connection().await.expect("present");
        tokio::spawn(async move {
            let mut heartbeats = tokio::time::interval(std::time::Duration::from_secs(1));
            let origin = [7_u8; 16].as_slice();
            loop {
                heartbeats.tick().await;
                let sent = redis::cmd("PUBLISH").arg("natter:control").arg(origin).exec_async(&mut connection).await;
                sent.expect("bus connected");
            }
        })
    }

    /// Returns the messages up to the first one that contains `word`, converted to text.
    pub async fn until(&mut self, word: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut messages = self.messages.on_message();
        let mut heard = Vec::new();
        loop {
            let next = timeout_at(deadline, messages.next()).await;
            let message =
                next.unwrap_or_else(|_| panic!("no message contains {word}: {heard:?}")).expect("Redis is running");
            let text = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
            let is_last = text.contains(word);
            heard.push(text);
            if is_last {
                return heard;
            }
        }
    }
}
