//! NATS JetStream as the broker. Events are stored in the stream `NATTER`, in the subjects `natter.chat.messages.{0-15}`
//! and `natter.user_events`.
//! The server drops a message whose `Nats-Msg-Id` it has stored within [`DUPLICATE_WINDOW`].
//!
//! Messages are sent without waiting for each other. Each names the sequence number that it follows, so that the server
//! refuses all messages after a lost one, and those of a publisher that has lost its lease. After a failure, it is unknown
//! which messages are stored; then they are sent one by one once.

use std::time::Duration;

use anyhow::Context as _;
use appcore::{
    Secret,
    config::{Events, split_hosts},
};
use async_nats::{
    ConnectOptions, HeaderMap, ServerAddr,
    connection::State,
    jetstream::{
        self,
        stream::{Config, StorageType},
    },
};
use async_trait::async_trait;
use dbcontext::query::event_stream::Progress;

use super::{
    Broker, EVENT_ID,
    message::{Key, SHARDS, StreamMessage},
};

/// Name of the stream.
const STREAM: &str = "NATTER";
/// Time for which the server remembers the ids of messages. Longer than an outage after which events are sent again.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(2 * 3_600);
/// Timeout of connecting, and of a confirmation.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of bytes that the headers of a message take.
const HEADER_BYTES: usize = 256;

pub(super) struct JetStream {
    context: jetstream::Context,
    prefix: String,
    /// Sequence number of the last message in the stream; `None` after connecting.
    last: Option<u64>,
}

impl JetStream {
    /// Connects, and creates the stream if it doesn't exist.
    pub(super) async fn connect(url: &Secret, settings: &Events) -> anyhow::Result<Self> {
        let servers = split_hosts(url.expose()).context("events.url is not a valid address")?;
        let servers: Vec<ServerAddr> = servers.into_iter().map(ServerAddr::from_url).collect::<Result<_, _>>()?;
        let connecting = ConnectOptions::new().name("natter").connection_timeout(TIMEOUT).connect(&servers[..]);
        let client = tokio::time::timeout(TIMEOUT, connecting).await.context("the broker doesn't answer")??;
        let mut context = jetstream::new(client);
        context.set_timeout(TIMEOUT);
        let prefix = settings.subject_prefix.clone();
        let subjects =
            (0..SHARDS).map(|shard| messages_subject(&prefix, shard)).chain([user_subject(&prefix)]).collect();
        let config = Config {
            name: STREAM.to_owned(),
            subjects,
            storage: StorageType::File,
            duplicate_window: DUPLICATE_WINDOW,
            ..Config::default()
        };
        context.get_or_create_stream(config).await.context("the stream NATTER can't be created")?;
        Ok(Self { context, prefix, last: None })
    }
}

impl JetStream {
    /// Returns the sequence number of the last message in the stream. A message that was dropped as a duplicate has an
    /// earlier one.
    async fn last_sequence(&self) -> anyhow::Result<u64> {
        Ok(self.context.get_stream(STREAM).await?.cached_info().state.last_sequence)
    }
}

fn messages_subject(prefix: &str, shard: u8) -> String {
    format!("{prefix}.chat.messages.{shard}")
}

fn user_subject(prefix: &str) -> String {
    format!("{prefix}.user_events")
}

#[async_trait]
impl Broker for JetStream {
    async fn publish(&mut self, messages: Vec<StreamMessage>) -> anyhow::Result<Progress> {
        let max_payload = self.context.client().server_info().max_payload;
        let mut confirmations = Vec::with_capacity(messages.len());
        let (mut expected, mut last) = (self.last.take(), 0);
        let is_known = expected.is_some();
        for mut message in messages {
            if message.body.len() + HEADER_BYTES > max_payload {
                message.shorten()?;
            }
            let mut headers = HeaderMap::new();
            let id = message.event_id.to_string();
            headers.insert(async_nats::header::NATS_MESSAGE_ID, id.as_str());
            headers.insert(EVENT_ID, id.as_str());
            if let Some(expected) = &mut expected {
                headers.insert(async_nats::header::NATS_EXPECTED_LAST_SEQUENCE, expected.to_string().as_str());
                *expected += 1;
            }
            let subject = match message.key {
                Key::Conversation(id) => messages_subject(&self.prefix, Key::shard(id)),
                Key::User(_) => user_subject(&self.prefix),
            };
            let confirmation = self.context.publish_with_headers(subject, headers, message.body.into()).await?;
            if expected.is_some() {
                confirmations.push(confirmation);
            } else {
                last = confirmation.await?.sequence;
            }
        }
        for confirmation in confirmations {
            last = confirmation.await?.sequence;
        }
        self.last = if is_known { Some(last) } else { Some(self.last_sequence().await?) };
        Ok(Progress::Position(i64::try_from(last)?))
    }

    fn is_connected(&self) -> bool {
        self.context.client().connection_state() == State::Connected
    }
}
