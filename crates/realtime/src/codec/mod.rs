//! The envelope in its wire forms. Pure functions: bytes in, bytes out.
//!
//! Payloads reach this module as compact JSON text, since events are sealed with theirs. The JSON form and the SSE form copy it,
//! Socket.IO wraps it, MessagePack transcodes it. What leaves is ready for the socket: WebSocket forms carry their frame header.

pub mod json;
pub mod msgpack;
pub mod socketio;
pub mod sse;

use std::borrow::Cow;

use appcore::{AppError, EventId, Timestamp, event::Envelope};
use bytes::{BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    command::Command,
    frame::{self, Kind},
};

/// The form that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Native WebSocket, text frames.
    Json,
    /// Native WebSocket, binary frames.
    MessagePack,
    /// Socket.IO v4 over WebSocket.
    SocketIo,
    /// Server-Sent Events.
    Sse,
}

impl Wire {
    pub const COUNT: usize = 4;

    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// What connections are counted by.
    #[must_use]
    pub const fn transport(self) -> &'static str {
        match self {
            Self::Json => "websocket",
            Self::MessagePack => "websocket_msgpack",
            Self::SocketIo => "socket_io",
            Self::Sse => "sse",
        }
    }

    /// Encodes a frame for the socket.
    #[must_use]
    pub fn encode(self, envelope: &FrameBody<'_>) -> Bytes {
        match self {
            Self::Json => json::encode(envelope),
            Self::MessagePack => msgpack::encode(envelope),
            Self::SocketIo => socketio::encode_event(envelope.kind, envelope.payload),
            Self::Sse => sse::encode(envelope, sse::Cursor::of(envelope).as_ref()),
        }
    }

    /// The frame that asks the client whether it is still there; none where that is not the shard's to ask.
    #[must_use]
    pub fn heartbeat(self) -> Option<Bytes> {
        match self {
            Self::Json | Self::MessagePack => Some(Bytes::from_static(&[0x80 | Kind::Ping as u8, 0])),
            // The engine of Socket.IO asks by itself; from a stream nothing can come back.
            Self::SocketIo | Self::Sse => None,
        }
    }
}

/// One frame's content on its way out.
#[derive(Clone, Copy, Debug)]
pub struct FrameBody<'a> {
    pub id: EventId,
    /// The frame's `type`.
    pub kind: &'a str,
    pub timestamp: Timestamp,
    /// Compact JSON.
    pub payload: &'a [u8],
    /// The id of the frame that this one answers, as the client wrote it.
    pub reply_to: Option<&'a str>,
    /// Where in the log it stands.
    pub position: Option<appcore::event::Position>,
}

impl<'a> FrameBody<'a> {
    #[must_use]
    pub fn of(envelope: &'a Envelope) -> Self {
        Self {
            id: envelope.id,
            kind: &envelope.kind,
            timestamp: envelope.timestamp,
            payload: &envelope.payload,
            reply_to: None,
            position: envelope.position,
        }
    }

    /// A frame that is not an event.
    #[must_use]
    pub fn control(kind: &'a str, timestamp: Timestamp, payload: &'a [u8], reply_to: Option<&'a str>) -> Self {
        Self { id: EventId::new(), kind, timestamp, payload, reply_to, position: None }
    }

    /// Bytes that everything but the payload takes at most, in JSON.
    fn overhead(&self) -> usize {
        160 + self.kind.len() + self.reply_to.map_or(0, |id| 20 + 6 * id.len())
    }

    /// The whole envelope as compact JSON.
    fn write_json(&self, out: &mut BytesMut) {
        use std::fmt::Write as _;
        // Writing into a growing buffer does not fail.
        let _ = write!(
            out,
            "{{\"id\":\"{}\",\"type\":\"{}\",\"timestamp\":\"{}\",\"payload\":",
            self.id, self.kind, self.timestamp
        );
        out.put_slice(self.payload);
        if let Some(id) = self.reply_to {
            out.put_slice(b",\"reply_to\":");
            let _ = serde_json::to_writer(out.writer(), id);
        }
        out.put_u8(b'}');
    }
}

/// What a client asks for, once its frame could be read.
#[derive(Debug)]
pub struct Request {
    pub answer_to: AnswerTo,
    pub command: Result<Command, AppError>,
}

/// How the answer names its question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AnswerTo {
    /// The frame had no id, or could not be read as far as that.
    #[default]
    Nobody,
    /// The `id` of a native frame.
    Frame(Box<str>),
    /// The number of a Socket.IO acknowledgement.
    Acknowledgement(i64),
}

/// The longest frame id that is repeated in answers.
const LONGEST_ID: usize = 128;

impl AnswerTo {
    fn frame(id: Option<Cow<'_, str>>) -> Self {
        match id {
            Some(id) if id.len() <= LONGEST_ID => Self::Frame(id.into()),
            _ => Self::Nobody,
        }
    }
}

/// A payload that has not been looked at.
pub enum Payload<'a> {
    Text(&'a RawValue),
    Value(serde_json::Value),
    /// Left out: the same as `{}`.
    Absent,
}

impl Payload<'_> {
    /// Reads the fields of an object. Fields that are not known are left for later versions.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        let is_object = match &self {
            Self::Text(text) => text.get().starts_with('{'),
            Self::Value(value) => value.is_object(),
            Self::Absent => true,
        };
        if !is_object {
            return Err(serde::de::Error::custom("it is not an object"));
        }
        match self {
            Self::Text(text) => serde_json::from_str(text.get()),
            Self::Value(value) => serde_json::from_value(value),
            Self::Absent => serde_json::from_str("{}"),
        }
    }
}

/// An answer on its way out: to a native client an envelope with `reply_to`, to a Socket.IO client the acknowledgement that it
/// asked for, or an event.
#[must_use]
pub fn encode_answer(wire: Wire, kind: &str, timestamp: Timestamp, payload: &[u8], answer_to: &AnswerTo) -> Bytes {
    match answer_to {
        AnswerTo::Acknowledgement(number) => socketio::encode_acknowledgement(*number, payload),
        AnswerTo::Frame(id) => wire.encode(&FrameBody::control(kind, timestamp, payload, Some(id))),
        AnswerTo::Nobody => wire.encode(&FrameBody::control(kind, timestamp, payload, None)),
    }
}

fn text_frame(expected: usize, write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut writer = frame::Writer::new(Kind::Text, expected);
    write(writer.payload());
    writer.finish()
}
