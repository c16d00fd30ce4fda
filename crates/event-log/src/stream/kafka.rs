//! Apache Kafka as the broker, through librdkafka. Events of conversations are stored in the topic `chat.messages`, those
//! of accounts in `user-events`, each with the id of the conversation or of the account as its key.
//!
//! Delivery is at least once. librdkafka's producer is idempotent, but it gets another producer id at each connection, so
//! events that are sent again after a crash are stored twice. Consumers recognise them by the header with the event id. The
//! order holds nevertheless: a message is stored only after all earlier ones of its partition.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context as _, bail};
use appcore::{
    Secret,
    config::{Events, split_hosts},
};
use async_trait::async_trait;
use dbcontext::query::event_stream::Progress;
use rdkafka::{
    ClientConfig, ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::{FromClientConfigAndContext as _, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _},
};

use super::{
    Broker, EVENT_ID,
    message::{Key, SHARDS, StreamMessage},
};

/// Timeout of connecting, and of a confirmation.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a message with its headers, in bytes. Brokers accept this size unless they are configured otherwise.
const MAX_MESSAGE_BYTES: usize = 1_000_000;
/// Maximum number of bytes that the key, the header and the framing of a message take.
const OVERHEAD_BYTES: usize = 512;

pub(super) struct Kafka {
    /// `None` only while it is dropped.
    producer: Option<FutureProducer<Connection>>,
    connection: Connection,
    messages_topic: String,
    users_topic: String,
}

/// State of the connection, as librdkafka reports it.
#[derive(Clone, Default)]
struct Connection {
    /// First error that the connection doesn't survive.
    failure: Arc<OnceLock<KafkaError>>,
}

impl ClientContext for Connection {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, detail = message, "librdkafka wrote a log line");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let is_fatal = matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Authentication | RDKafkaErrorCode::Fatal)
        );
        // Only the first one counts: refused credentials are followed by the loss of all brokers, many times.
        if !is_fatal || self.failure.set(error.clone()).is_ok() {
            tracing::debug!(%error, reason, "librdkafka reported an error");
        }
    }
}

impl Kafka {
    /// Connects, and creates the topics that don't exist.
    pub(super) async fn connect(url: &Secret, settings: &Events) -> anyhow::Result<Self> {
        let config = client_config(url)?;
        let connection = Connection::default();
        let producer: FutureProducer<Connection> =
            FutureProducer::from_config_and_context(&config, connection.clone())?;
        let prefix = settings.topic_prefix.as_ref().map(|prefix| format!("{prefix}.")).unwrap_or_default();
        let kafka = Self {
            producer: Some(producer.clone()),
            connection,
            messages_topic: format!("{prefix}chat.messages"),
            users_topic: format!("{prefix}user-events"),
        };
        // Lists all topics, because a request that names one creates it on some brokers, with another number of partitions.
        let listed = tokio::task::spawn_blocking(move || {
            let metadata = producer.client().fetch_metadata(None, TIMEOUT)?;
            Ok::<_, KafkaError>(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect::<Vec<_>>())
        });
        let existing = listed.await?.map_err(|error| explain(kafka.connection.failure.get().unwrap_or(&error)))?;
        for topic in [&kafka.messages_topic, &kafka.users_topic] {
            if !existing.contains(topic) {
                create_topic(&config, topic).await?;
            }
        }
        Ok(kafka)
    }

    fn topic(&self, key: Key) -> (&str, String) {
        match key {
            Key::Conversation(id) => (&self.messages_topic, id.to_string()),
            Key::User(id) => (&self.users_topic, id.to_string()),
        }
    }
}

/// Settings of librdkafka. A user in the URL authenticates by SASL PLAIN.
fn client_config(url: &Secret) -> anyhow::Result<ClientConfig> {
    let servers = split_hosts(url.expose()).context("events.url is not a valid address")?;
    let hosts = servers.iter().map(|server| {
        let host = server.host_str().unwrap_or_default();
        format!("{host}:{}", server.port().unwrap_or(9092))
    });
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", hosts.collect::<Vec<_>>().join(","))
        .set("client.id", "natter")
        .set("enable.idempotence", "true")
        // After a failure, no later message of the partition is stored.
        .set("enable.gapless.guarantee", "true")
        // None: a later message could overtake one that has timed out. `publish` discards all messages instead.
        .set("message.timeout.ms", "0")
        .set("message.max.bytes", MAX_MESSAGE_BYTES.to_string())
        // The same partition as Kafka's own client chooses for the key.
        .set("partitioner", "murmur2")
        .set("socket.keepalive.enable", "true");
    if let Some(server) = servers.first().filter(|server| !server.username().is_empty()) {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        config
            .set("security.protocol", "SASL_PLAINTEXT")
            .set("sasl.mechanism", "PLAIN")
            .set("sasl.username", decode(server.username()))
            .set("sasl.password", decode(server.password().unwrap_or_default()));
    }
    Ok(config)
}

async fn create_topic(config: &ClientConfig, name: &str) -> anyhow::Result<()> {
    let admin = AdminClient::from_config_and_context(config, Connection::default())?;
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    // Replicas as the broker is configured.
    let topic = NewTopic::new(name, i32::from(SHARDS), TopicReplication::Fixed(-1));
    let created = admin.create_topics([&topic], &options).await;
    // Its thread is joined.
    tokio::task::spawn_blocking(move || drop(admin)).await?;
    for result in created.map_err(|error| explain(&error))? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => bail!("the broker doesn't create the topic {topic}: {code}"),
        }
    }
    Ok(())
}

/// Returns the reason of a failure in a sentence for the administrator.
fn explain(error: &KafkaError) -> anyhow::Error {
    use RDKafkaErrorCode as Code;
    let reason = match error.rdkafka_error_code() {
        Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
            "the broker doesn't allow its user to write to the topic"
        }
        Some(Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism) => {
            "the broker refuses user and password"
        }
        Some(Code::MessageSizeTooLarge) => {
            "the broker refuses the size of an event: set max.message.bytes of the topic to at least 1000000"
        }
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) => "the topic doesn't exist",
        Some(Code::AllBrokersDown | Code::BrokerTransportFailure | Code::MessageTimedOut | Code::OperationTimedOut) => {
            "the broker doesn't answer"
        }
        _ => return anyhow::anyhow!("the broker doesn't store events: {error}"),
    };
    anyhow::anyhow!(reason)
}

#[async_trait]
impl Broker for Kafka {
    async fn publish(&mut self, messages: Vec<StreamMessage>) -> anyhow::Result<Progress> {
        let producer = self.producer.as_ref().context("the producer is closed")?;
        let count = messages.len();
        let mut deliveries = Vec::with_capacity(count);
        for mut message in messages {
            if message.body.len() + OVERHEAD_BYTES > MAX_MESSAGE_BYTES {
                message.shorten()?;
            }
            let (topic, key) = self.topic(message.key);
            let id = message.event_id.to_string();
            let headers = OwnedHeaders::new().insert(Header { key: EVENT_ID, value: Some(&id) });
            let record = FutureRecord::to(topic).key(&key).payload(&message.body).headers(headers);
            deliveries.push(producer.send_result(record).map_err(|(error, _)| explain(&error))?);
        }
        let confirmed = async {
            for delivery in deliveries {
                let delivered = delivery.await.context("the producer is closed")?;
                delivered.map_err(|(error, _)| explain(&error))?;
            }
            Ok::<_, anyhow::Error>(())
        };
        let timed_out = || KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        let confirmed = tokio::time::timeout(TIMEOUT, confirmed).await;
        confirmed.unwrap_or_else(|_| Err(explain(self.connection.failure.get().unwrap_or(&timed_out()))))?;
        Ok(Progress::Added(i64::try_from(count)?))
    }

    fn is_connected(&self) -> bool {
        self.connection.failure.get().is_none()
    }
}

impl Drop for Kafka {
    /// Discards unconfirmed messages and joins the threads of librdkafka, which takes up to half a second.
    fn drop(&mut self) {
        if let Some(producer) = self.producer.take() {
            tokio::task::spawn_blocking(move || drop(producer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_and_user_from_the_url() {
        let config = |url: &str| client_config(&Secret::new(url)).unwrap();
        let plain = config("kafka://one:9092,two");
        assert_eq!(plain.get("bootstrap.servers"), Some("one:9092,two:9092"));
        assert_eq!(plain.get("sasl.mechanism"), None);
        let known = config("kafka://natter:p%23ss@one:9093,two:9093");
        assert_eq!(known.get("bootstrap.servers"), Some("one:9093,two:9093"));
        assert_eq!((known.get("sasl.username"), known.get("sasl.password")), (Some("natter"), Some("p#ss")));
        known.create_native_config().unwrap();
    }

    #[test]
    fn explains_what_an_administrator_must_do() {
        let explained = |code| explain(&KafkaError::MessageProduction(code)).to_string();
        assert!(explained(RDKafkaErrorCode::TopicAuthorizationFailed).contains("doesn't allow"));
        assert!(explained(RDKafkaErrorCode::MessageSizeTooLarge).contains("max.message.bytes"));
        assert!(explained(RDKafkaErrorCode::UnknownTopicOrPartition).contains("doesn't exist"));
        assert!(explained(RDKafkaErrorCode::InvalidMessage).contains("doesn't store events"));
    }
}
