//! What goes through Redis: who sent it, then the message in MessagePack.
//!
//! The sender stands in front so that an instance can drop what is its own without reading it. A parcel without a message is a sign
//! of life that an instance sends to itself: as long as it comes back, the way through Redis is whole.

use appcore::{
    InstanceId,
    event::{Audience, BusMessage},
};
use bytes::{BufMut, BytesMut};
use uuid::Uuid;

/// Channels that conversations are spread over.
pub(crate) const SHARDS: u8 = 64;

/// Where signals, signs of life and what belongs to no conversation go.
pub(crate) const CONTROL: &str = "natter:control";

const ORIGIN: usize = 16;

/// A message from some instance.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WireMessage {
    pub origin: InstanceId,
    /// None: a sign of life.
    pub message: Option<BusMessage>,
}

impl WireMessage {
    pub(crate) fn seal(origin: InstanceId, message: Option<&BusMessage>) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        let mut bytes = BytesMut::with_capacity(512);
        bytes.put_slice(origin.0.as_bytes());
        if let Some(message) = message {
            rmp_serde::encode::write(&mut (&mut bytes).writer(), message)?;
        }
        Ok(bytes.into())
    }

    /// Reads who sent it.
    pub(crate) fn origin(bytes: &[u8]) -> Option<InstanceId> {
        Some(InstanceId(Uuid::from_slice(bytes.get(..ORIGIN)?).ok()?))
    }

    /// Reads a parcel; none if it is not one, or one of another version.
    pub(crate) fn open(bytes: &[u8]) -> Option<Self> {
        let origin = Self::origin(bytes)?;
        let message = match &bytes[ORIGIN..] {
            [] => None,
            message => Some(rmp_serde::from_slice(message).ok()?),
        };
        Some(Self { origin, message })
    }
}

/// All channels of a cluster.
pub(crate) fn channels() -> Vec<String> {
    (0..SHARDS).map(shard).chain([CONTROL.to_owned()]).collect()
}

fn shard(number: u8) -> String {
    format!("natter:events:{number}")
}

/// The channel that a message goes to: all of one conversation go the same way.
pub(crate) fn channel(message: &BusMessage) -> String {
    let BusMessage::Envelope(envelope) = message else { return CONTROL.to_owned() };
    let conversation = match (&envelope.position, &envelope.audience) {
        (Some(position), _) => position.conversation_id,
        (None, Audience::Conversation(id)) => *id,
        (None, Audience::Conversations(_) | Audience::Users(_)) => return CONTROL.to_owned(),
    };
    // The last byte of a UUIDv7 is random.
    shard(conversation.0.as_bytes()[15] % SHARDS)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use appcore::{
        ConversationId, EventId, MessageId, SessionId, Timestamp, UserId,
        event::{Effect, Envelope, Position, Signal},
    };
    use proptest::prelude::*;

    use super::*;

    fn messages() -> Vec<BusMessage> {
        let conversation_id = ConversationId::new();
        let envelope = |audience, position, effect| {
            BusMessage::Envelope(Arc::new(Envelope {
                id: EventId::new(),
                kind: "message.created".into(),
                timestamp: Timestamp(1_234_567),
                audience,
                position,
                effect,
                payload: "{\"a\":\"ơ\"}".into(),
            }))
        };
        vec![
            envelope(Audience::Conversation(conversation_id), Some(Position { conversation_id, seq: 9 }), Effect::None),
            envelope(Audience::Users(vec![UserId::new()]), None, Effect::Follow(vec![UserId::new()])),
            envelope(Audience::Conversations(vec![conversation_id]), None, Effect::UnfollowAll),
            BusMessage::Signal(Signal::SessionsEnded(vec![SessionId::new()])),
            BusMessage::Signal(Signal::StopGeneration(MessageId::new())),
            BusMessage::Signal(Signal::JobsWaiting),
        ]
    }

    #[test]
    fn what_is_sealed_opens_as_it_was() {
        let origin = InstanceId::new();
        for message in messages() {
            let bytes = WireMessage::seal(origin, Some(&message)).unwrap();
            assert_eq!(WireMessage::origin(&bytes), Some(origin));
            assert_eq!(WireMessage::open(&bytes), Some(WireMessage { origin, message: Some(message) }));
        }
        assert_eq!(
            WireMessage::open(&WireMessage::seal(origin, None).unwrap()),
            Some(WireMessage { origin, message: None })
        );
    }

    #[test]
    fn every_channel_is_one_that_is_listened_to() {
        let all = channels();
        assert_eq!(all.len(), 65);
        assert!(messages().iter().all(|message| all.contains(&channel(message))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = WireMessage::open(&bytes);
        }
    }
}
