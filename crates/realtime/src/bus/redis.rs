//! Bus of a cluster: delivers to this process directly and to the other instances through Redis.
//!
//! All waiting messages are published over one connection, in one pipeline. While Redis is
//! unavailable, nothing is queued: publishers get an error (the outbox publisher retries later),
//! but the listeners in this process have received the messages. [`PubSubService`] is the receiving
//! side.

use std::{fmt::Display, sync::Arc, time::Duration};

use actix::Actor as _;
use appcore::{
    InstanceId,
    breaker::{Breaker, Policy},
    event::{BusError, BusMessage, EventBus, Listener, MemoryBus, PublishAck},
};
use redis::{AsyncConnectionConfig, Client, Pipeline, RedisError, aio::MultiplexedConnection};
use tokio::sync::{mpsc, oneshot};

use super::wire_message::{CONTROL_CHANNEL, WireMessage, channel};
use crate::pubsub::PubSubService;

/// Connect timeout for Redis.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Response timeout for Redis.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Circuit breaker: after a failure, publishing is refused for a moment.
const BREAKER_POLICY: Policy =
    Policy { failures: 1, pause: Duration::from_millis(250), longest_pause: Duration::from_millis(500) };
/// Maximum number of publications per pipeline.
const MAX_PIPELINED: usize = 256;
/// Interval of the heartbeats that an instance sends to itself through Redis, to check the path.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Publishes messages to all instances that use the same Redis.
pub struct RedisBus {
    local: Arc<MemoryBus>,
    outgoing: mpsc::UnboundedSender<Publication>,
}

struct Publication {
    messages: Vec<BusMessage>,
    /// Trace context of the publisher.
    traceparent: Option<String>,
    done: oneshot::Sender<Result<(), BusError>>,
}

impl RedisBus {
    /// Starts the bus within the caller's actix system. Redis doesn't have to be available yet.
    pub fn start(url: &str, instance: InstanceId) -> Result<Arc<Self>, RedisError> {
        let client = Client::open(url)?;
        let local = Arc::new(MemoryBus::new());
        let (outgoing, publications) = mpsc::unbounded_channel();
        actix_rt::spawn(
            Publisher {
                client: client.clone(),
                instance,
                connection: None,
                breaker: Breaker::new("redis bus", BREAKER_POLICY),
            }
            .run(publications),
        );
        PubSubService::new(client, instance, Arc::clone(&local)).start();
        Ok(Arc::new(Self { local, outgoing }))
    }
}

impl EventBus for RedisBus {
    fn publish(&self, messages: Vec<BusMessage>) -> PublishAck {
        self.local.deliver(&messages);
        let (done, left) = oneshot::channel();
        // If the publisher task has ended, `done` is dropped and the caller gets an error.
        let _ = self.outgoing.send(Publication { messages, traceparent: telemetry::traceparent(), done });
        left
    }

    fn subscribe(&self) -> Listener {
        self.local.subscribe()
    }
}

struct Publisher {
    client: Client,
    instance: InstanceId,
    connection: Option<MultiplexedConnection>,
    breaker: Breaker,
}

impl Publisher {
    async fn run(mut self, mut publications: mpsc::UnboundedReceiver<Publication>) {
        let mut batch = Vec::new();
        let mut signs = tokio::time::interval(HEARTBEAT_INTERVAL);
        signs.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let sign = tokio::select! {
                taken = publications.recv_many(&mut batch, MAX_PIPELINED) => {
                    if taken == 0 {
                        break;
                    }
                    false
                }
                _ = signs.tick() => true,
            };
            let result = self.publish(&batch, sign).await;
            for publication in batch.drain(..) {
                let _ = publication.done.send(result.clone());
            }
        }
    }

    async fn publish(&mut self, batch: &[Publication], sign: bool) -> Result<(), BusError> {
        let mut pipe = redis::pipe();
        for Publication { messages, traceparent, .. } in batch {
            for message in messages {
                let wire_message = WireMessage::encode(self.instance, Some(message), traceparent.as_deref())
                    .map_err(|error| BusError::Unavailable(error.to_string()))?;
                pipe.publish(channel(message), wire_message).ignore();
            }
        }
        if sign {
            let wire_message = WireMessage::encode(self.instance, None, None)
                .map_err(|error| BusError::Unavailable(error.to_string()))?;
            pipe.publish(CONTROL_CHANNEL, wire_message).ignore();
        }
        let away = |error: &dyn Display| BusError::Unavailable(error.to_string());
        let admitted = self.breaker.admit().map_err(|error| away(&error))?;
        // The connection is taken out of the struct, so that it isn't used again after a failure.
        match send(&self.client, self.connection.take(), &pipe).await {
            Ok(connection) => {
                admitted.record_success();
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                admitted.record_failure(&error);
                Err(away(&error))
            }
        }
    }
}

/// Sends over the given connection, or over a new one if there is none, and returns the connection.
async fn send(
    client: &Client,
    connection: Option<MultiplexedConnection>,
    pipe: &Pipeline,
) -> Result<MultiplexedConnection, RedisError> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(RESPONSE_TIMEOUT));
            client.get_multiplexed_async_connection_with_config(&config).await?
        }
    };
    pipe.query_async::<()>(&mut connection).await?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use appcore::{SessionId, event::Signal};

    use super::*;

    fn signal() -> BusMessage {
        BusMessage::Signal(Signal::SessionsEnded(vec![SessionId::new()]))
    }

    /// Waits for the expected message. Skips gap signals and messages of other tests.
    async fn next(listener: &mut Listener, expected: &BusMessage) {
        let arrives = async { while listener.recv().await.as_ref() != Some(expected) {} };
        tokio::time::timeout(Duration::from_secs(10), arrives).await.expect("the message arrives");
    }

    #[actix_rt::test]
    async fn delivers_locally_and_reports_an_error_without_redis() {
        let bus = RedisBus::start("redis://127.0.0.1:1", InstanceId::new()).unwrap();
        let (mut listener, message) = (bus.subscribe(), signal());
        let left = bus.publish(vec![message.clone()]);
        next(&mut listener, &message).await;
        assert!(matches!(left.await, Ok(Err(BusError::Unavailable(_)))));
        next(&mut listener, &BusMessage::Signal(Signal::Gap)).await;
    }

    /// The test runs only if `NATTER_TEST_REDIS` is set.
    #[actix_rt::test]
    async fn delivers_once_to_each_instance_through_redis() {
        let Ok(url) = std::env::var("NATTER_TEST_REDIS") else {
            assert!(std::env::var_os("NATTER_TEST_REQUIRE_SERVICES").is_none(), "NATTER_TEST_REDIS names no server");
            return;
        };
        let (one, two) =
            (RedisBus::start(&url, InstanceId::new()).unwrap(), RedisBus::start(&url, InstanceId::new()).unwrap());
        let (mut own, mut other) = (one.subscribe(), two.subscribe());
        // Each instance reports a gap when its subscription starts.
        next(&mut own, &BusMessage::Signal(Signal::Gap)).await;
        next(&mut other, &BusMessage::Signal(Signal::Gap)).await;
        let (first, second) = (signal(), signal());
        assert!(matches!(one.publish(vec![first.clone()]).await, Ok(Ok(()))));
        assert!(matches!(one.publish(vec![second.clone()]).await, Ok(Ok(()))));
        next(&mut other, &first).await;
        next(&mut other, &second).await;
        next(&mut own, &first).await;
        next(&mut own, &second).await;
        let third = signal();
        let _ = two.publish(vec![third.clone()]).await;
        loop {
            let message = own.recv().await.unwrap();
            assert!(message != first && message != second, "an instance gets its own messages once");
            if message == third {
                break;
            }
        }
    }
}
