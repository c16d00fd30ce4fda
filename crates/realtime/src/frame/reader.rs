//! Parser of client frames: RFC 6455, and the extension of RFC 7692 (permessage-deflate).
//!
//! A header is validated as soon as it is complete. The length that it announces is checked before
//! any payload is buffered. A message that arrives in one piece isn't copied. A fragmented message
//! is reassembled under one limit for all fragments, and its text is validated incrementally, so
//! that invalid text is rejected before the end of the message.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{COMPRESSED, FINAL, mask};
use crate::{close::Close, deflate};

const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Maximum payload of a control frame, in bytes (RFC 6455).
const MAX_CONTROL: u64 = 125;
/// Maximum number of bytes by which compression enlarges an incompressible message.
const DEFLATE_OVERHEAD: usize = 1024;

/// Text that was validated as UTF-8.
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

/// Complete message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Text(Text),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    /// Close frame with its code, if it has one.
    Close(Option<u16>),
}

/// Incremental parser of a connection's messages.
pub struct Reader {
    /// Maximum length of a message, in bytes.
    limit: usize,
    /// True if permessage-deflate was negotiated.
    inflates: bool,
    /// Number of frames since the last call of [`Self::take_frames`].
    frames: u32,
    /// Message that isn't complete yet.
    partial: Option<Box<Partial>>,
}

struct Partial {
    is_text: bool,
    is_compressed: bool,
    payload: BytesMut,
    /// Length of the part that was already validated as UTF-8, in bytes.
    checked: usize,
    /// Frame whose payload is not complete yet.
    open: Option<OpenFrame>,
}

struct OpenFrame {
    left: usize,
    key: [u8; 4],
    is_final: bool,
}

struct Header {
    is_final: bool,
    is_compressed: bool,
    opcode: u8,
    length: u64,
    key: [u8; 4],
    /// Length of the header in bytes; 0 while the masking key is incomplete.
    size: usize,
}

impl Header {
    /// Parses a header. Returns `None` while it is incomplete. An invalid header is rejected at the
    /// first byte that shows it.
    fn parse(bytes: &[u8], inflates: bool) -> Result<Option<Self>, Close> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = first & 0x0F;
        let is_control = opcode >= CLOSE;
        let is_final = first & FINAL != 0;
        let allowed = if inflates && matches!(opcode, TEXT | BINARY) { COMPRESSED } else { 0 };
        if first & RESERVED & !allowed != 0 || !matches!(opcode, CONTINUATION..=BINARY | CLOSE..=PONG) {
            return Err(Close::PROTOCOL);
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let short = u64::from(second & !MASKED);
        if second & MASKED == 0 || is_control && (!is_final || short > MAX_CONTROL) {
            return Err(Close::PROTOCOL);
        }
        let (length, start) = match short {
            126 => match bytes.get(2..4) {
                Some(&[high, low]) => (u64::from(u16::from_be_bytes([high, low])), 4),
                _ => return Ok(None),
            },
            127 => match bytes.get(2..10).and_then(|bytes| bytes.first_chunk()) {
                Some(bytes) => (u64::from_be_bytes(*bytes), 10),
                None => return Ok(None),
            },
            short => (short, 2),
        };
        let is_compressed = first & COMPRESSED != 0;
        let key = bytes.get(start..).and_then(|bytes| bytes.first_chunk()).copied();
        Ok(Some(Self {
            is_final,
            is_compressed,
            opcode,
            length,
            // The masking key is still incomplete, but the announced length can be checked.
            size: if key.is_some() { start + 4 } else { 0 },
            key: key.unwrap_or_default(),
        }))
    }
}

impl Reader {
    #[must_use]
    pub fn new(limit: usize, inflates: bool) -> Self {
        Self { limit, inflates, frames: 0, partial: None }
    }

    /// Returns the number of frames since the last call.
    pub fn take_frames(&mut self) -> u32 {
        std::mem::take(&mut self.frames)
    }

    /// Returns the next message in `buffer`, or `None` if it is incomplete. An error closes the
    /// connection.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Incoming>, Close> {
        loop {
            if let Some(partial) = &mut self.partial
                && partial.open.is_some()
            {
                if !partial.fill(buffer)? {
                    return Ok(None);
                }
                if partial.is_whole()
                    && let Some(partial) = self.partial.take()
                {
                    return partial.finish(self.limit).map(Some);
                }
            }
            let Some(header) = Header::parse(buffer, self.inflates)? else { return Ok(None) };
            let length = self.check(&header)?;
            if header.size == 0 {
                return Ok(None);
            }
            let is_there = buffer.len() >= header.size + length;
            if header.opcode >= CLOSE {
                if !is_there {
                    return Ok(None);
                }
                self.frames += 1;
                return control(header.opcode, take(buffer, &header, length)).map(Some);
            }
            self.frames += 1;
            if is_there && header.is_final && self.partial.is_none() {
                let payload = take(buffer, &header, length);
                return finish(header.opcode == TEXT, header.is_compressed, payload, self.limit).map(Some);
            }
            buffer.advance(header.size);
            let partial = self.partial.get_or_insert_with(|| Box::new(Partial::start(&header)));
            partial.open = Some(OpenFrame { left: length, key: header.key, is_final: header.is_final });
        }
    }

    /// Checks that the frame may follow the previous ones and isn't too long. Returns its length.
    fn check(&self, header: &Header) -> Result<usize, Close> {
        let (so_far, is_compressed) = match (&self.partial, header.opcode) {
            (_, CLOSE..) => (0, false),
            (Some(partial), CONTINUATION) => (partial.payload.len(), partial.is_compressed),
            (None, TEXT | BINARY) => (0, header.is_compressed),
            _ => return Err(Close::PROTOCOL),
        };
        let limit = if is_compressed { self.limit.saturating_add(DEFLATE_OVERHEAD) } else { self.limit };
        match usize::try_from(header.length) {
            Ok(length) if length <= limit.saturating_sub(so_far) => Ok(length),
            _ => Err(Close::TOO_LARGE),
        }
    }
}

impl Partial {
    fn start(header: &Header) -> Self {
        Self {
            is_text: header.opcode == TEXT,
            is_compressed: header.is_compressed,
            payload: BytesMut::new(),
            checked: 0,
            open: None,
        }
    }

    /// Consumes the available payload of the current frame. Returns true if the frame is complete.
    fn fill(&mut self, buffer: &mut BytesMut) -> Result<bool, Close> {
        let Some(open) = &mut self.open else { return Ok(true) };
        let mut piece = buffer.split_to(open.left.min(buffer.len()));
        mask(&mut piece, open.key);
        open.key.rotate_left(piece.len() % 4);
        open.left -= piece.len();
        let (is_all, is_last) = (open.left == 0, open.left == 0 && open.is_final);
        self.payload.extend_from_slice(&piece);
        if self.is_text && !self.is_compressed {
            self.check(is_last)?;
        }
        if is_all && !is_last {
            self.open = None;
        }
        Ok(is_all)
    }

    /// Validates the text received so far. A character may be split between two fragments, but must
    /// be complete at the end of the message.
    fn check(&mut self, is_last: bool) -> Result<(), Close> {
        match std::str::from_utf8(&self.payload[self.checked..]) {
            Ok(_) => self.checked = self.payload.len(),
            Err(error) if error.error_len().is_none() && !is_last => self.checked += error.valid_up_to(),
            Err(_) => return Err(Close::NOT_UTF8),
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_final && open.left == 0)
    }

    fn finish(self, limit: usize) -> Result<Incoming, Close> {
        if self.is_text && !self.is_compressed {
            return Ok(Incoming::Text(Text(self.payload.freeze())));
        }
        finish(self.is_text, self.is_compressed, self.payload.freeze(), limit)
    }
}

/// Removes a complete frame from the buffer and returns its unmasked payload.
fn take(buffer: &mut BytesMut, header: &Header, length: usize) -> Bytes {
    buffer.advance(header.size);
    let mut payload = buffer.split_to(length);
    mask(&mut payload, header.key);
    payload.freeze()
}

fn finish(is_text: bool, is_compressed: bool, payload: Bytes, limit: usize) -> Result<Incoming, Close> {
    let payload = if is_compressed { deflate::inflate(&payload, limit)? } else { payload };
    Ok(if is_text { Incoming::Text(Text::check(payload)?) } else { Incoming::Binary(payload) })
}

fn control(opcode: u8, payload: Bytes) -> Result<Incoming, Close> {
    match opcode {
        PING => Ok(Incoming::Ping(payload)),
        PONG => Ok(Incoming::Pong),
        _ => match payload[..] {
            [] => Ok(Incoming::Close(None)),
            [high, low, ref reason @ ..] => match u16::from_be_bytes([high, low]) {
                _ if std::str::from_utf8(reason).is_err() => Err(Close::NOT_UTF8),
                code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Incoming::Close(Some(code))),
                _ => Err(Close::PROTOCOL),
            },
            [_] => Err(Close::PROTOCOL),
        },
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
