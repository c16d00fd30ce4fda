//! [`PubSubService`], the actor that listens to what the other instances tell.
//!
//! It has a connection to Redis of its own, follows all channels, drops what its own instance sent, and hands the rest to the bus of
//! this process, from which every shard takes it. Pub/Sub forgets: what is told while nobody listens is gone. So whenever the connection is
//! lost, and every second until it is back, and once more when it is, this process tells itself [`Signal::Gap`], upon which the shards read
//! the log. A connection that looks open and is not is found out by the instance's own signs of life, which no longer come back.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorFutureExt as _, Context, ContextFutureSpawner as _, WrapFuture as _};
use appcore::{
    InstanceId,
    event::{BusMessage, MemoryBus, Signal},
};
use futures_util::{Stream, StreamExt as _};
use redis::{Client, Msg};

use crate::bus::{SIGN_OF_LIFE, WireMessage, channels};

/// How long connecting and subscribing may take.
const CONNECT: Duration = Duration::from_secs(1);
/// Pauses between attempts grow up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// Silence after which the connection counts as lost.
const SILENCE: Duration = SIGN_OF_LIFE.saturating_mul(4);

/// Listens to the other instances.
pub struct PubSubService {
    client: Client,
    instance: InstanceId,
    local: Arc<MemoryBus>,
}

impl PubSubService {
    #[must_use]
    pub fn new(client: Client, instance: InstanceId, local: Arc<MemoryBus>) -> Self {
        Self { client, instance, local }
    }
}

impl Actor for PubSubService {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let subscriber =
            Subscriber { client: self.client.clone(), instance: self.instance, local: Arc::clone(&self.local) };
        subscriber.listen().into_actor(self).map(|(), _, _| ()).spawn(context);
    }
}

struct Subscriber {
    client: Client,
    instance: InstanceId,
    local: Arc<MemoryBus>,
}

impl Subscriber {
    async fn listen(self) {
        let mut pause = SHORTEST_PAUSE;
        let mut was_away = false;
        loop {
            match tokio::time::timeout(CONNECT, self.subscribe()).await {
                Ok(Ok(messages)) => {
                    if was_away {
                        tracing::info!("redis is back: listening to the other instances");
                    }
                    self.tell_gap();
                    pause = SHORTEST_PAUSE;
                    self.pass_on(messages).await;
                    tracing::warn!(
                        "the connection to redis is lost: envelope of other instances comes from the database until it is back"
                    );
                }
                Ok(Err(error)) if !was_away => {
                    tracing::warn!(%error, "redis is away: envelope of other instances comes from the database")
                }
                Ok(Err(_)) | Err(_) => {}
            }
            was_away = true;
            self.tell_gap();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn subscribe(&self) -> Result<impl Stream<Item = Msg> + use<>, redis::RedisError> {
        let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
        sink.subscribe(channels()).await?;
        // The subscription ends with its sink, so the two stay together.
        Ok(stream.map(move |message| {
            let _ = &sink;
            message
        }))
    }

    async fn pass_on(&self, messages: impl Stream<Item = Msg>) {
        tokio::pin!(messages);
        while let Ok(Some(message)) = tokio::time::timeout(SILENCE, messages.next()).await {
            let bytes = message.get_payload_bytes();
            if WireMessage::origin(bytes) == Some(self.instance) {
                continue;
            }
            match WireMessage::open(bytes) {
                Some(WireMessage { message: Some(message), .. }) => self.local.deliver(&[message]),
                Some(WireMessage { message: None, .. }) => {}
                None => tracing::warn!(
                    channel = message.get_channel_name(),
                    "something that is not ours came through redis"
                ),
            }
        }
    }

    fn tell_gap(&self) {
        self.local.deliver(&[BusMessage::Signal(Signal::Gap)]);
    }
}
