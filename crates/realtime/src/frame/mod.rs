//! WebSocket frames: [`Reader`] parses client frames, [`Writer`] writes server frames.
//!
//! Headers are encoded here rather than by a library. Frames from the server aren't masked, so one
//! encoding of an event, including its header, serves every connection.

mod compressed;
mod reader;

use bytes::{BufMut, Bytes, BytesMut};

pub use compressed::{compress, shrink};
pub use reader::{Incoming, Reader, Text};

use crate::close::Close;

/// Maximum length of a client message, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Maximum length of a server frame's header, in bytes.
const MAX_HEADER_LEN: usize = 10;

const FINAL: u8 = 0x80;
/// Flag of permessage-deflate in the first frame of a message.
const COMPRESSED: u8 = 0x40;

/// Opcode of a server frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// Frame under construction, with space reserved for the header.
pub struct Writer {
    first: u8,
    buffer: BytesMut,
}

impl Writer {
    #[must_use]
    pub fn new(kind: Kind, expected: usize) -> Self {
        Self::with_first_byte(FINAL | kind as u8, expected)
    }

    /// Starts the compressed version of a frame.
    #[must_use]
    fn compressed(frame: &[u8], expected: usize) -> Self {
        Self::with_first_byte(frame.first().copied().unwrap_or_default() | COMPRESSED, expected)
    }

    fn with_first_byte(first: u8, expected: usize) -> Self {
        let mut buffer = BytesMut::with_capacity(MAX_HEADER_LEN + expected);
        buffer.put_bytes(0, MAX_HEADER_LEN);
        Self { first, buffer }
    }

    pub fn payload(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Writes the header directly before the payload, and returns the frame.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        let length = self.buffer.len() - MAX_HEADER_LEN;
        let mut header = [0; MAX_HEADER_LEN];
        let used = write_header(&mut header, self.first, length);
        let start = MAX_HEADER_LEN - used;
        self.buffer[start..MAX_HEADER_LEN].copy_from_slice(&header[..used]);
        self.buffer.freeze().slice(start..)
    }
}

/// Encodes a whole frame.
#[must_use]
pub fn frame(kind: Kind, payload: &[u8]) -> Bytes {
    let mut writer = Writer::new(kind, payload.len());
    writer.payload().put_slice(payload);
    writer.finish()
}

/// Encodes a close frame with code and reason.
#[must_use]
pub fn close_frame(close: Close) -> Bytes {
    let mut writer = Writer::new(Kind::Close, 2 + close.reason.len());
    writer.payload().put_u16(close.code);
    writer.payload().put_slice(close.reason.as_bytes());
    writer.finish()
}

/// Returns the payload of a frame written by this module.
#[must_use]
pub(crate) fn payload(frame: &[u8]) -> &[u8] {
    let header = match frame.get(1) {
        Some(126) => 4,
        Some(127) => MAX_HEADER_LEN,
        _ => 2,
    };
    frame.get(header..).unwrap_or_default()
}

fn write_header(header: &mut [u8; MAX_HEADER_LEN], first: u8, length: usize) -> usize {
    header[0] = first;
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

/// Applies a client's mask, or removes it (XOR).
fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_headers_in_the_three_lengths_of_the_rfc() {
        assert_eq!(frame(Kind::Text, b"hi")[..], [0x81, 2, b'h', b'i']);
        assert_eq!(frame(Kind::Binary, &[7; 126])[..4], [0x82, 126, 0, 126]);
        assert_eq!(frame(Kind::Text, &[7; 65_536])[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(frame(Kind::Ping, b"")[..], [0x89, 0]);
        assert_eq!(close_frame(Close::TOO_SLOW)[..], *b"\x88\x0a\x11\x9ctoo slow");
    }

    #[test]
    fn finds_the_payload_of_a_written_frame() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            assert_eq!(payload(&frame(Kind::Text, &vec![7; length])), vec![7; length]);
        }
    }

    proptest! {
        #[test]
        fn masking_twice_restores_the_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40), key: [u8; 4]) {
            let mut masked = bytes.clone();
            mask(&mut masked, key);
            for (at, byte) in masked.iter().enumerate() {
                prop_assert_eq!(*byte, bytes[at] ^ key[at % 4]);
            }
            mask(&mut masked, key);
            prop_assert_eq!(masked, bytes);
        }
    }
}
