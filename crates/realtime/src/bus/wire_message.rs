//! Wire format of messages between instances: the origin instance, a version, the message in MessagePack,
//! and optionally the `traceparent` as text.
//!
//! The origin comes first, so that an instance can drop its own messages without decoding them. A
//! message that consists of the origin only is a heartbeat that an instance sends to itself: as
//! long as it comes back, the path through the server works.
//!
//! **Channels.** Messages for the readers of a conversation use one of 64 channels. All instances
//! subscribe to the control channel: it carries signals, messages that belong to no conversation,
//! and all changes of who follows a conversation, because they concern instances that have no
//! readers of it yet. Earlier releases subscribe to all channels and send such changes on the
//! conversation's channel. They are recognised by their heartbeats on the control channel.
//!
//! **Versions.** Fields are named, so a later release may add fields with a default without a new
//! version. A change that an older release would misread needs a new version. An instance that
//! can't decode a message (another version, an unknown event or signal) delivers
//! [`Signal::Gap`](appcore::event::Signal::Gap) to itself and reads the log, so that two releases
//! can run side by side without losing durable events.

use appcore::{
    InstanceId,
    event::{
        BusMessage, ChannelSet, Coalesced, FollowChange, Topic,
        channels::{channel_of, numbers},
    },
};
use bytes::{BufMut, BytesMut};
use uuid::Uuid;

/// Channel that all instances subscribe to.
pub(crate) const CONTROL_CHANNEL: &str = "natter:control";
const HEARTBEAT_PREFIX: &str = "natter:heartbeat:";

const ORIGIN_LEN: usize = 16;

/// Version of the format of the bytes that follow it. The first releases had no version byte: their
/// messages continue with 0x81, a MessagePack map of one entry. In version 1, envelopes had an
/// audience instead of a topic.
const VERSION: u8 = 2;
/// Version of a message that was too large for the server. No release decodes it, so its receivers read the log.
const TOO_LARGE: u8 = 0;

/// Message as it is sent between instances.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WireMessage {
    pub origin: InstanceId,
    /// Message; `None` for a heartbeat.
    pub message: Option<BusMessage>,
    /// Trace context of the publisher.
    pub traceparent: Option<String>,
}

/// Reason why a message can't be decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("no origin instance")]
    Foreign,
    #[error("unsupported version {0}")]
    Version(u8),
    #[error("malformed message")]
    Malformed,
}

impl WireMessage {
    pub(crate) fn encode(
        origin: InstanceId,
        message: Option<&BusMessage>,
        traceparent: Option<&str>,
    ) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        let mut bytes = BytesMut::with_capacity(512);
        bytes.put_slice(origin.0.as_bytes());
        if let Some(message) = message {
            bytes.put_u8(VERSION);
            rmp_serde::encode::write_named(&mut (&mut bytes).writer(), message)?;
            // Releases without the `traceparent` read no further than the message.
            bytes.put_slice(traceparent.unwrap_or_default().as_bytes());
        }
        Ok(bytes.into())
    }

    /// Returns what is sent in place of an encoded message that is too large for the server.
    pub(crate) fn too_large(encoded: &[u8]) -> Vec<u8> {
        encoded.iter().copied().take(ORIGIN_LEN).chain([TOO_LARGE]).collect()
    }

    /// Returns the origin of an encoded message without decoding the message.
    pub(crate) fn origin(bytes: &[u8]) -> Option<InstanceId> {
        Some(InstanceId(Uuid::from_slice(bytes.get(..ORIGIN_LEN)?).ok()?))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let origin = Self::origin(bytes).ok_or(DecodeError::Foreign)?;
        let mut rest = match &bytes[ORIGIN_LEN..] {
            [] => return Ok(Self { origin, message: None, traceparent: None }),
            [VERSION, rest @ ..] => rest,
            [version, ..] => return Err(DecodeError::Version(*version)),
        };
        let message = rmp_serde::from_read(&mut rest).map_err(|_| DecodeError::Malformed)?;
        let traceparent = str::from_utf8(rest).ok().filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self { origin, message: Some(message), traceparent })
    }
}

/// Returns the names of the conversation channels in a set.
pub(crate) fn conversation_channels(channels: ChannelSet) -> Vec<String> {
    numbers(channels).map(conversation_channel).collect()
}

/// Returns the channels that this instance always subscribes to.
pub(crate) fn own_channels(instance: InstanceId) -> Vec<String> {
    vec![CONTROL_CHANNEL.to_owned(), heartbeat_channel(instance)]
}

/// Returns the channel of an instance's heartbeats, which only that instance subscribes to.
pub(crate) fn heartbeat_channel(instance: InstanceId) -> String {
    format!("{HEARTBEAT_PREFIX}{}", instance.0.simple())
}

fn conversation_channel(number: u8) -> String {
    format!("natter:events:{number}")
}

/// Returns the kind of a channel, for metrics.
pub(crate) fn channel_kind(channel: &str) -> &'static str {
    match channel {
        CONTROL_CHANNEL => "control",
        _ if channel.starts_with(HEARTBEAT_PREFIX) => "heartbeat",
        _ => "conversation",
    }
}

/// Returns the channel of a message. Messages for the readers of one conversation use the same one.
pub(crate) fn channel(message: &BusMessage) -> String {
    let conversation = match message {
        BusMessage::Envelope(envelope) => match (&envelope.effect, &envelope.position, &envelope.topic) {
            (FollowChange::None, Some(position), _) => position.conversation_id,
            (FollowChange::None, None, Topic::Conversation(id) | Topic::Viewers(id)) => *id,
            _ => return CONTROL_CHANNEL.to_owned(),
        },
        BusMessage::Coalesced(gathered) => match &**gathered {
            Coalesced::Receipts { conversation_id, .. } | Coalesced::MemberCount { conversation_id, .. } => {
                *conversation_id
            }
            Coalesced::Presence(_) => return CONTROL_CHANNEL.to_owned(),
        },
        BusMessage::Signal(_) => return CONTROL_CHANNEL.to_owned(),
    };
    conversation_channel(channel_of(conversation))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use appcore::{
        ConversationId, EventId, MessageId, SessionId, Timestamp, UserId, WorkspaceId,
        event::{Envelope, LogPosition, ReadPosition, Signal},
        view::{Presence, PresenceStatus},
    };
    use proptest::prelude::*;

    use super::*;

    fn messages() -> Vec<BusMessage> {
        let (conversation_id, user_id, workspace_id) = (ConversationId::new(), UserId::new(), WorkspaceId::new());
        let gathered = |gathered| BusMessage::Coalesced(Arc::new(gathered));
        let envelope = |topic, position, effect| {
            BusMessage::Envelope(Arc::new(Envelope {
                id: EventId::new(),
                kind: "message.created".into(),
                timestamp: Timestamp(1_234_567),
                topic,
                position,
                effect,
                payload: "{\"a\":\"ơ\"}".into(),
            }))
        };
        vec![
            envelope(
                Topic::Conversation(conversation_id),
                Some(LogPosition { conversation_id, seq: 9 }),
                FollowChange::None,
            ),
            envelope(
                Topic::Viewers(conversation_id),
                None,
                FollowChange::Join { conversation_id, user_id, last_seq: 9 },
            ),
            envelope(Topic::Workspace(workspace_id), None, FollowChange::EndWorkspace(workspace_id)),
            envelope(Topic::User(user_id), None, FollowChange::LeaveWorkspace { user_id, workspace_id }),
            envelope(Topic::Everyone, None, FollowChange::None),
            gathered(Coalesced::Receipts { conversation_id, items: vec![ReadPosition { user_id, read_seq: 7 }] }),
            gathered(Coalesced::MemberCount { conversation_id, member_count: 10_000 }),
            gathered(Coalesced::Presence(vec![Presence {
                user_id,
                status: PresenceStatus::Away,
                last_seen: None,
                custom_status: None,
            }])),
            envelope(Topic::Users(vec![UserId::new()]), None, FollowChange::Follow(vec![UserId::new()])),
            envelope(Topic::Conversations(vec![conversation_id]), None, FollowChange::UnfollowAll),
            envelope(Topic::Contacts { user_id, conversation_ids: vec![conversation_id] }, None, FollowChange::None),
            BusMessage::Signal(Signal::SessionsEnded(vec![SessionId::new()])),
            BusMessage::Signal(Signal::StopGeneration(MessageId::new())),
            BusMessage::Signal(Signal::JobsWaiting),
            BusMessage::Signal(Signal::LogAdvanced { heads: vec![(conversation_id, 9)] }),
        ]
    }

    #[test]
    fn opens_what_was_sealed() {
        let origin = InstanceId::new();
        for message in messages() {
            let bytes = WireMessage::encode(origin, Some(&message), None).unwrap();
            assert_eq!(WireMessage::origin(&bytes), Some(origin));
            assert_eq!(
                WireMessage::decode(&bytes),
                Ok(WireMessage { origin, message: Some(message), traceparent: None })
            );
        }
        assert_eq!(
            WireMessage::decode(&WireMessage::encode(origin, None, None).unwrap()),
            Ok(WireMessage { origin, message: None, traceparent: None })
        );
    }

    #[test]
    fn appends_the_trace_context_to_the_message() {
        let (origin, message) = (InstanceId::new(), messages().remove(0));
        let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let bytes = WireMessage::encode(origin, Some(&message), traceparent).unwrap();
        let opened = WireMessage::decode(&bytes).unwrap();
        assert_eq!((opened.traceparent.as_deref(), opened.message.as_ref()), (traceparent, Some(&message)));
        // Decodes the message as a release does that doesn't know the `traceparent`.
        assert_eq!(rmp_serde::from_slice::<BusMessage>(&bytes[ORIGIN_LEN + 1..]).unwrap(), message);
    }

    /// Tests messages of other releases: without a version byte, with a later version, and with an
    /// unknown signal.
    #[test]
    fn rejects_messages_of_incompatible_releases() {
        let origin = InstanceId::new();
        let with = |rest: &[u8]| WireMessage::decode(&[origin.0.as_bytes().as_slice(), rest].concat());
        let unversioned = rmp_serde::to_vec(&messages()[0]).unwrap();
        assert_eq!(with(&unversioned), Err(DecodeError::Version(0x81)));
        let too_large = WireMessage::too_large(&WireMessage::encode(origin, Some(&messages()[0]), None).unwrap());
        assert_eq!(WireMessage::origin(&too_large), Some(origin));
        assert_eq!(WireMessage::decode(&too_large), Err(DecodeError::Version(TOO_LARGE)));
        assert_eq!(with(&[VERSION + 1]), Err(DecodeError::Version(VERSION + 1)));
        let unknown = rmp_serde::to_vec_named(&serde_json::json!({"Signal": "SomethingNew"})).unwrap();
        assert_eq!(with(&[&[VERSION], unknown.as_slice()].concat()), Err(DecodeError::Malformed));
        assert_eq!(WireMessage::decode(b"PING"), Err(DecodeError::Foreign));
    }

    /// Tests that fields added by later releases are ignored.
    #[test]
    fn ignores_unknown_fields() {
        #[derive(serde::Serialize)]
        struct Newer<'a> {
            #[serde(flatten)]
            envelope: &'a Envelope,
            priority: &'a str,
        }
        #[derive(serde::Serialize)]
        enum NewerMessage<'a> {
            Envelope(Newer<'a>),
        }
        let message = messages().remove(0);
        let BusMessage::Envelope(envelope) = &message else { panic!("the first one is an envelope") };
        let newer = NewerMessage::Envelope(Newer { envelope, priority: "high" });
        let origin = InstanceId::new();
        let bytes = [origin.0.as_bytes().as_slice(), &[VERSION], &rmp_serde::to_vec_named(&newer).unwrap()].concat();
        assert_eq!(WireMessage::decode(&bytes), Ok(WireMessage { origin, message: Some(message), traceparent: None }));
    }

    #[test]
    fn only_messages_for_readers_use_the_channel_of_their_conversation() {
        let all = conversation_channels(ChannelSet::MAX);
        assert_eq!(all.len(), 64);
        let messages = messages();
        let (of_readers, of_all): (Vec<_>, Vec<_>) = messages.iter().partition(|message| match message {
            BusMessage::Envelope(envelope) => {
                let is_for_readers = matches!(envelope.topic, Topic::Conversation(_) | Topic::Viewers(_));
                envelope.effect == FollowChange::None && is_for_readers
            }
            BusMessage::Coalesced(gathered) => !matches!(**gathered, Coalesced::Presence(_)),
            BusMessage::Signal(_) => false,
        });
        assert_eq!((of_readers.len(), of_all.len()), (3, messages.len() - 3));
        let first = channel(of_readers[0]);
        assert!(all.contains(&first));
        assert!(of_readers.iter().all(|message| channel(message) == first), "they are about one conversation");
        assert!(of_all.iter().all(|message| channel(message) == CONTROL_CHANNEL));
    }

    proptest! {
        #[test]
        fn never_panics_on_arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = WireMessage::decode(&bytes);
        }
    }
}
