//! What instances tell each other, as it goes through their Redis.

use futures_util::StreamExt;
use redis::{Client, aio::PubSub};
use tokio::time::{Instant, timeout_at};

use crate::place::PATIENCE;
use crate::redis::RedisServer;

/// Hears everything in the order in which it is published.
pub struct Bus {
    messages: PubSub,
}

impl Bus {
    /// From now on.
    pub async fn listen(redis: &RedisServer) -> Self {
        let client = Client::open(redis.url()).expect("an address of a Redis");
        let mut messages = client.get_async_pubsub().await.expect("it is there");
        messages.psubscribe("natter:*").await.expect("it can be listened to");
        Self { messages }
    }

    /// What comes up to the first message in which this word stands, and that one; as text, as far as it is any.
    pub async fn until(&mut self, word: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut messages = self.messages.on_message();
        let mut heard = Vec::new();
        loop {
            let next = timeout_at(deadline, messages.next()).await;
            let message = next.unwrap_or_else(|_| panic!("nobody says {word}: {heard:?}")).expect("Redis is there");
            let text = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
            let is_last = text.contains(word);
            heard.push(text);
            if is_last {
                return heard;
            }
        }
    }
}
