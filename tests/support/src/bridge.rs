//! Bridge that forwards bus messages between two Redis servers with a foreign version byte.
//!
//! If two instances of the same build communicate only through this bridge, they behave like two
//! releases in a rolling upgrade: each publishes messages that the other can't read, about changes
//! that are in the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use redis::Client;
use tokio::task::JoinHandle;

use crate::redis::RedisServer;

/// Position of the version byte, which follows the sender id. A message without it is a heartbeat,
/// which isn't forwarded.
const VERSION_AT: usize = 16;
/// Version byte that no build uses.
const FOREIGN: u8 = 0xEE;

/// Bridge that runs until it is dropped.
pub struct Bridge {
    carried: Arc<AtomicU64>,
    tasks: [JoinHandle<()>; 2],
}

impl Bridge {
    pub async fn start(one: &RedisServer, other: &RedisServer) -> Self {
        let carried = Arc::default();
        let tasks = [carry(one, other, &carried).await, carry(other, one, &carried).await];
        Self { carried, tasks }
    }

    /// Number of messages that were forwarded.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn carry(from: &RedisServer, to: &RedisServer, carried: &Arc<AtomicU64>) -> JoinHandle<()> {
    let listener = Client::open(from.url()).expect("an address of a Redis");
    let speaker = Client::open(to.url()).expect("an address of a Redis");
    let (mut sink, mut messages) = listener.get_async_pubsub().await.expect("present").split();
    sink.psubscribe("natter:*").await.expect("port bound");
    let mut speaker = speaker.get_multiplexed_async_connection().await.expect("present");
    let carried = Arc::clone(carried);
    tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            let mut bytes = message.get_payload_bytes().to_vec();
            match bytes.get_mut(VERSION_AT) {
                // Messages that the opposite direction has forwarded arrive here too; they are
                // skipped.
                None | Some(&mut FOREIGN) => continue,
                Some(version) => *version = FOREIGN,
            }
            let published =
                redis::cmd("PUBLISH").arg(message.get_channel_name()).arg(bytes).exec_async(&mut speaker).await;
            published.expect("bus connected");
            carried.fetch_add(1, Ordering::Relaxed);
        }
        drop(sink);
    })
}
