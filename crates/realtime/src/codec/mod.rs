//! Wire formats of events and frames, as pure functions.
//!
//! Payloads arrive here as compact JSON text, the form in which events are stored in their
//! envelopes. JSON and SSE copy the text, Socket.IO wraps it, MessagePack transcodes it. The output
//! is ready for the socket: WebSocket formats include the frame header.

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

/// Wire format of a connection.
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

    /// Label of this format in the connection metrics.
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
            Self::Sse => sse::encode(envelope, sse::Cursor::from_envelope(envelope).as_ref()),
        }
    }

    /// Returns the heartbeat frame, or `None` if the shard doesn't send heartbeats in this format.
    #[must_use]
    pub fn heartbeat(self) -> Option<Bytes> {
        match self {
            Self::Json | Self::MessagePack => Some(Bytes::from_static(&[0x80 | Kind::Ping as u8, 0])),
            // The Socket.IO engine sends pings of its own. An SSE client can't answer a heartbeat.
            Self::SocketIo | Self::Sse => None,
        }
    }
}

/// Content of an outgoing frame.
#[derive(Clone, Copy, Debug)]
pub struct FrameBody<'a> {
    pub id: EventId,
    /// Value of the frame's `type`.
    pub kind: &'a str,
    pub timestamp: Timestamp,
    /// Payload in compact JSON.
    pub payload: &'a [u8],
    /// Id of the request frame that this one answers, as the client wrote it.
    pub reply_to: Option<&'a str>,
    /// Position of the event in the log, if it is durable.
    pub position: Option<appcore::event::LogPosition>,
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

    /// Creates a frame that isn't an event.
    #[must_use]
    pub fn control(kind: &'a str, timestamp: Timestamp, payload: &'a [u8], reply_to: Option<&'a str>) -> Self {
        Self { id: EventId::new(), kind, timestamp, payload, reply_to, position: None }
    }

    /// Upper bound of the frame's length in JSON without its payload, in bytes.
    fn overhead(&self) -> usize {
        160 + self.kind.len() + self.reply_to.map_or(0, |id| 20 + 6 * id.len())
    }

    /// Writes the envelope as compact JSON.
    fn write_json(&self, out: &mut BytesMut) {
        use std::fmt::Write as _;
        // Writing into a growing buffer can't fail.
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

/// Parsed frame of a client.
#[derive(Debug)]
pub struct Request {
    pub answer_to: AnswerTo,
    pub command: Result<Command, AppError>,
}

/// Address of an answer: the request that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AnswerTo {
    /// No request: the frame had no id, or its id couldn't be parsed.
    #[default]
    Nobody,
    /// The `id` of a native frame.
    Frame(Box<str>),
    /// Number of a Socket.IO acknowledgement.
    Acknowledgement(i64),
}

/// Maximum length of a frame id that is repeated in answers, in bytes.
const MAX_FRAME_ID_LEN: usize = 128;

impl AnswerTo {
    fn frame(id: Option<Cow<'_, str>>) -> Self {
        match id {
            Some(id) if id.len() <= MAX_FRAME_ID_LEN => Self::Frame(id.into()),
            _ => Self::Nobody,
        }
    }
}

/// Payload that hasn't been parsed yet.
pub enum Payload<'a> {
    Text(&'a RawValue),
    Value(serde_json::Value),
    /// Missing payload, equivalent to `{}`.
    Absent,
}

impl Payload<'_> {
    /// Deserialises the payload, which must be an object. Unknown fields are ignored for forward
    /// compatibility.
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

/// Encodes an answer. A native client gets an envelope with `reply_to`. A Socket.IO client gets the
/// acknowledgement that it requested, or else an event.
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
