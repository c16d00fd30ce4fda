//! WebSocket frames: reading what a client sends, writing what it gets.
//!
//! Reading leaves the framing to `actix_http::ws::Codec` (masks, reserved bits, control frames, continuation order) and adds
//! what it leaves open: the announced length is looked at before a byte of the payload is kept, since the codec would collect
//! all of an oversized frame first; fragments are joined under one limit for the whole message; text is checked for UTF-8.
//!
//! Writing makes the header by hand: frames from the server are not masked, so one encoding of an event, header included,
//! serves every connection.

use actix_http::ws;
use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::Decoder;

use crate::close::Close;

/// The most bytes that a message from a client may have.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Room for the longest header that the server writes.
const LONGEST_HEADER: usize = 10;

const FINAL: u8 = 0x80;

/// What a frame that the server writes is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// A frame of which only the payload is still to be written.
pub struct Writer {
    kind: Kind,
    buffer: BytesMut,
}

impl Writer {
    #[must_use]
    pub fn new(kind: Kind, expected: usize) -> Self {
        let mut buffer = BytesMut::with_capacity(LONGEST_HEADER + expected);
        buffer.put_bytes(0, LONGEST_HEADER);
        Self { kind, buffer }
    }

    pub fn payload(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Puts the header right before the payload.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        let length = self.buffer.len() - LONGEST_HEADER;
        let mut header = [0; LONGEST_HEADER];
        let used = write_header(&mut header, self.kind, length);
        let start = LONGEST_HEADER - used;
        self.buffer[start..LONGEST_HEADER].copy_from_slice(&header[..used]);
        self.buffer.freeze().slice(start..)
    }
}

/// One whole frame.
#[must_use]
pub fn frame(kind: Kind, payload: &[u8]) -> Bytes {
    let mut writer = Writer::new(kind, payload.len());
    writer.payload().put_slice(payload);
    writer.finish()
}

/// The frame that says why the connection ends.
#[must_use]
pub fn close_frame(close: Close) -> Bytes {
    let mut writer = Writer::new(Kind::Close, 2 + close.reason.len());
    writer.payload().put_u16(close.code);
    writer.payload().put_slice(close.reason.as_bytes());
    writer.finish()
}

fn write_header(header: &mut [u8; LONGEST_HEADER], kind: Kind, length: usize) -> usize {
    header[0] = FINAL | kind as u8;
    if length <= 125 {
        header[1] = length as u8;
        2
    } else if let Ok(length) = u16::try_from(length) {
        header[1] = 126;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        4
    } else {
        header[1] = 127;
        header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
        10
    }
}

/// Text that was checked to be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(Bytes);

impl Text {
    fn check(bytes: Bytes) -> Result<Self, Close> {
        if std::str::from_utf8(&bytes).is_ok() { Ok(Self(bytes)) } else { Err(Close::NOT_UTF8) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A message from the client, its fragments joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Text(Text),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    Close,
}

/// Takes messages out of a connection's bytes.
pub struct Reader {
    codec: ws::Codec,
    /// A message of which the end has not come yet.
    partial: Option<Box<Partial>>,
}

struct Partial {
    is_text: bool,
    payload: BytesMut,
}

impl Default for Reader {
    fn default() -> Self {
        Self { codec: ws::Codec::new().max_size(MAX_MESSAGE), partial: None }
    }
}

impl Reader {
    /// The next message in `buffer`, or none yet. An error ends the connection.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Incoming>, Close> {
        loop {
            if announced_length(buffer) > MAX_MESSAGE as u64 {
                return Err(Close::TOO_LARGE);
            }
            let Some(frame) = self.codec.decode(buffer).map_err(|error| close_for(&error))? else { return Ok(None) };
            let message = match frame {
                ws::Frame::Text(bytes) => Incoming::Text(Text::check(bytes)?),
                ws::Frame::Binary(bytes) => Incoming::Binary(bytes),
                ws::Frame::Ping(bytes) => Incoming::Ping(bytes),
                ws::Frame::Pong(_) => Incoming::Pong,
                ws::Frame::Close(_) => Incoming::Close,
                ws::Frame::Continuation(item) => match self.join(item)? {
                    Some(message) => message,
                    None => continue,
                },
            };
            return Ok(Some(message));
        }
    }

    fn join(&mut self, item: ws::Item) -> Result<Option<Incoming>, Close> {
        let (bytes, is_last) = match item {
            ws::Item::FirstText(bytes) => return self.begin(true, &bytes),
            ws::Item::FirstBinary(bytes) => return self.begin(false, &bytes),
            ws::Item::Continue(bytes) => (bytes, false),
            ws::Item::Last(bytes) => (bytes, true),
        };
        let mut partial = self.partial.take().ok_or(Close::PROTOCOL)?;
        if partial.payload.len() + bytes.len() > MAX_MESSAGE {
            return Err(Close::TOO_LARGE);
        }
        partial.payload.put_slice(&bytes);
        if !is_last {
            self.partial = Some(partial);
            return Ok(None);
        }
        let payload = partial.payload.freeze();
        Ok(Some(if partial.is_text { Incoming::Text(Text::check(payload)?) } else { Incoming::Binary(payload) }))
    }

    fn begin(&mut self, is_text: bool, bytes: &[u8]) -> Result<Option<Incoming>, Close> {
        self.partial = Some(Box::new(Partial { is_text, payload: BytesMut::from(bytes) }));
        Ok(None)
    }
}

/// The payload length that the header at the front of `buffer` announces; 0 while it has not all come.
fn announced_length(buffer: &[u8]) -> u64 {
    match buffer {
        [_, second, high, low, ..] if second & 0x7F == 126 => u64::from(u16::from_be_bytes([*high, *low])),
        [_, second, a, b, c, d, e, f, g, h, ..] if second & 0x7F == 127 => {
            u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])
        }
        _ => 0,
    }
}

fn close_for(error: &ws::ProtocolError) -> Close {
    match error {
        ws::ProtocolError::Overflow => Close::TOO_LARGE,
        _ => Close::PROTOCOL,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as a client sends it: masked.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = [0; LONGEST_HEADER];
        let used = write_header(&mut header, Kind::Text, payload.len());
        header[0] = first;
        header[1] |= 0x80;
        let mask = [1, 2, 3, 4];
        let mut bytes = header[..used].to_vec();
        bytes.extend(mask);
        bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Incoming>, Close> {
        let (mut reader, mut buffer, mut messages) = (Reader::default(), BytesMut::from(bytes), Vec::new());
        while let Some(message) = reader.next(&mut buffer)? {
            messages.push(message);
        }
        Ok(messages)
    }

    #[test]
    fn headers_are_written_in_the_three_lengths_of_the_rfc() {
        assert_eq!(frame(Kind::Text, b"hi")[..], [0x81, 2, b'h', b'i']);
        assert_eq!(frame(Kind::Binary, &[7; 126])[..4], [0x82, 126, 0, 126]);
        assert_eq!(frame(Kind::Text, &[7; 65_536])[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(frame(Kind::Ping, b"")[..], [0x89, 0]);
        assert_eq!(close_frame(Close::TOO_SLOW)[..], *b"\x88\x0a\x11\x9ctoo slow");
    }

    #[test]
    fn fragments_are_joined_and_control_frames_may_come_between_them() {
        let bytes = [masked(0x01, b"he"), masked(0x89, b"?"), masked(0x00, b"ll"), masked(0x80, b"o")].concat();
        let messages = read(&bytes).unwrap();
        assert_eq!(messages[0], Incoming::Ping(Bytes::from_static(b"?")));
        assert!(matches!(&messages[1], Incoming::Text(text) if text.as_str() == "hello"));
    }

    #[test]
    fn a_text_may_be_cut_within_a_character_but_must_be_utf8_in_the_end() {
        assert!(read(&[masked(0x01, &[0xC6]), masked(0x80, &[0xA1])].concat()).is_ok());
        assert_eq!(read(&masked(0x81, &[0xC6])), Err(Close::NOT_UTF8));
        assert_eq!(read(&[masked(0x01, &[0xC6]), masked(0x80, b"x")].concat()), Err(Close::NOT_UTF8));
    }

    #[test]
    fn what_breaks_the_protocol_is_told_apart() {
        assert_eq!(read(&[0x81, 1, b'x']), Err(Close::PROTOCOL), "not masked");
        assert_eq!(read(&masked(0xC1, b"x")), Err(Close::PROTOCOL), "reserved bit");
        assert_eq!(read(&masked(0x83, b"x")), Err(Close::PROTOCOL), "unknown opcode");
        assert_eq!(read(&masked(0x80, b"x")), Err(Close::PROTOCOL), "continuation of nothing");
        assert_eq!(read(&masked(0x09, b"x")), Err(Close::PROTOCOL), "ping in fragments");
        assert_eq!(read(&masked(0x89, &[0; 126])), Err(Close::PROTOCOL), "long ping");
        assert_eq!(read(&masked(0x88, &[0])), Err(Close::PROTOCOL), "half a close code");
    }

    #[test]
    fn an_oversized_frame_is_refused_by_its_header_alone() {
        let header = [0x82, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 1];
        assert_eq!(read(&header), Err(Close::TOO_LARGE));
        assert_eq!(read(&[0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Err(Close::TOO_LARGE));
        assert!(read(&masked(0x82, &vec![0; MAX_MESSAGE])).is_ok());
    }

    #[test]
    fn many_small_fragments_have_the_same_limit() {
        let half = vec![b'x'; MAX_MESSAGE / 2];
        let bytes = [masked(0x01, &half), masked(0x00, &half), masked(0x80, b"x")].concat();
        assert_eq!(read(&bytes), Err(Close::TOO_LARGE));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_is_cut_anywhere_reads_the_same(payload in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
            let bytes = masked(0x82, &payload);
            let cut = cut.min(bytes.len());
            let (mut reader, mut buffer) = (Reader::default(), BytesMut::from(&bytes[..cut]));
            let mut message = reader.next(&mut buffer).unwrap();
            buffer.put_slice(&bytes[cut..]);
            if message.is_none() {
                message = reader.next(&mut buffer).unwrap();
            }
            prop_assert_eq!(message, Some(Incoming::Binary(payload.into())));
        }
    }
}
