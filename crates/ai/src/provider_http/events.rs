//! Splits a byte stream into Server-Sent Events without altering them.
//!
//! Incomplete events are held back, so that an event is passed on complete or not at all, however
//! the network splits it. Events are slices of the received chunks unless they straddle two reads.
//! An event that arrives in many chunks is assembled once and scanned once.

use bytes::{Bytes, BytesMut};
use memchr::{memchr2, memrchr};

/// Splits a stream of bytes into events.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// Unprocessed bytes of the last chunk, if nothing was pending before it.
    rest: Bytes,
    /// Incomplete event, assembled from several chunks. If not empty, `rest` is empty.
    joined: BytesMut,
    /// Position before which no event ends.
    scanned: usize,
    /// Position before which no event ends with the usual blank line.
    searched: usize,
}

impl Splitter {
    /// Adds a chunk. Returns a lower bound of the incomplete event's size, in bytes.
    pub fn push(&mut self, chunk: Bytes) -> usize {
        let held = self.bytes().len();
        if held == 0 {
            self.rest = chunk;
            return held;
        }
        if self.joined.is_empty() {
            self.joined.reserve(held + chunk.len());
            self.joined.extend_from_slice(&std::mem::take(&mut self.rest));
        }
        self.joined.extend_from_slice(&chunk);
        held
    }

    /// Removes and returns all complete events.
    pub fn drain_events(&mut self) -> Option<Bytes> {
        if let Some(end) = self.last_usual_end() {
            return Some(self.cut(end));
        }
        let bytes = self.bytes();
        let (mut end, mut from) = (0, self.scanned);
        let scanned = loop {
            match event_end(bytes, end, from) {
                Ok(next) => (end, from) = (next, next),
                Err(scanned) => break scanned,
            }
        };
        self.scanned = scanned;
        (end > 0).then(|| self.cut(end))
    }

    /// Removes and returns the next complete event with its blank line.
    pub fn next(&mut self) -> Option<Bytes> {
        match event_end(self.bytes(), 0, self.scanned) {
            Ok(end) => Some(self.cut(end)),
            Err(scanned) => {
                self.scanned = scanned;
                None
            }
        }
    }

    /// Removes and returns the rest, when no more bytes arrive.
    pub fn drain_rest(&mut self) -> Bytes {
        self.cut(self.bytes().len())
    }

    fn bytes(&self) -> &[u8] {
        if self.joined.is_empty() { &self.rest } else { &self.joined }
    }

    fn cut(&mut self, end: usize) -> Bytes {
        if !self.joined.is_empty() {
            self.rest = std::mem::take(&mut self.joined).freeze();
        }
        (self.scanned, self.searched) = (0, 0);
        self.rest.split_to(end)
    }

    /// End of the last event that ends with the usual blank line.
    fn last_usual_end(&mut self) -> Option<usize> {
        let bytes = self.bytes();
        let mut until = bytes.len();
        while let Some(at) = memrchr(b'\n', &bytes[self.searched..until]) {
            let at = self.searched + at;
            if bytes[..at].ends_with(b"\n") || bytes[..at].ends_with(b"\r\n\r") {
                return Some(at + 1);
            }
            until = at;
        }
        self.searched = bytes.len();
        None
    }
}

/// End of the event that starts at `start` and has no end before `from`; the error is the position
/// at which to resume the search.
fn event_end(bytes: &[u8], start: usize, mut from: usize) -> Result<usize, usize> {
    while let Some(at) = memchr2(b'\n', b'\r', &bytes[from..]) {
        let at = from + at;
        let Some(next) = line_end(bytes, at) else { return Err(at) };
        match bytes.get(next) {
            Some(b'\n' | b'\r') => return Ok(line_end(bytes, next).unwrap_or(next + 1)),
            // A blank line at the very start ends no event, but can be cut off.
            _ if at == start => return Ok(next),
            Some(_) => from = next,
            None => return Err(at),
        }
    }
    Err(bytes.len())
}

/// Position after the line end at `at`; `None` if that can't be decided yet.
fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes[at], bytes.get(at + 1)) {
        (b'\r', Some(b'\n')) => Some(at + 2),
        (b'\r', None) => None,
        _ => Some(at + 1),
    }
}

/// Content of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Content of the data field.
    Data(Bytes),
    /// Data of an event named `error`.
    Error(Bytes),
    /// JSON document without `data:`; some servers write errors so.
    Bare(Bytes),
    /// Comment, or event without data.
    Nothing,
}

/// True if a whole answer is in fact a stream: some relays send one unasked, or label it as JSON.
pub(crate) fn is_stream(body: &[u8]) -> bool {
    let body = without_bom(body).trim_ascii_start();
    [&b"data:"[..], b"event:", b":", b"id:", b"retry:"].iter().any(|beginning| body.starts_with(beginning))
}

/// Returns the text without a byte order mark.
pub(crate) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// Parses an event. The data is copied only if it has several lines.
pub(crate) fn read(event: &Bytes) -> Event {
    let mut data: Option<Bytes> = None;
    let mut is_error = false;
    let mut start = 0;
    let bytes = without_bom(event);
    let offset = event.len() - bytes.len();
    while start < bytes.len() {
        let end = memchr2(b'\n', b'\r', &bytes[start..]).map_or(bytes.len(), |at| start + at);
        let line = &bytes[start..end];
        match field(line) {
            Some(("data", value)) => {
                let more = event.slice(offset + end - value..offset + end);
                data = Some(match data {
                    None => more,
                    Some(before) => [before.as_ref(), b"\n", more.as_ref()].concat().into(),
                });
            }
            Some(("event", value)) => is_error = &bytes[end - value..end] == b"error",
            Some(_) => {}
            None if data.is_none() && matches!(line.first(), Some(b'{' | b'[')) => {
                return Event::Bare(event.slice(offset + start..));
            }
            None => {}
        }
        start = end + 1;
    }
    match data {
        Some(data) if is_error => Event::Error(data),
        Some(data) => Event::Data(data),
        None => Event::Nothing,
    }
}

/// Name of a field and the length of its value.
fn field(line: &[u8]) -> Option<(&'static str, usize)> {
    let named = |name: &'static str| {
        let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
        Some((name, value.strip_prefix(b" ").unwrap_or(value).len()))
    };
    named("data").or_else(|| named("event"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(chunks: &[&[u8]]) -> Vec<Event> {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = splitter.next() {
                events.push(read(&event));
            }
        }
        events.push(read(&splitter.drain_rest()));
        events.retain(|event| *event != Event::Nothing);
        events
    }

    /// Parses events block by block, each as an independent slice.
    fn read_blocks(chunks: &[&[u8]]) -> Vec<Event> {
        let mut splitter = Splitter::default();
        let mut blocks = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            blocks.extend(splitter.drain_events());
        }
        blocks.push(splitter.drain_rest());
        blocks.iter().flat_map(|block| read_all(&[block.as_ref()])).collect()
    }

    fn data(texts: &[&str]) -> Vec<Event> {
        texts.iter().map(|text| Event::Data(Bytes::copy_from_slice(text.as_bytes()))).collect()
    }

    #[test]
    fn parses_events_independently_of_chunks_and_line_ends() {
        let whole =
            "\u{feff}: ping\n\ndata: xin chào\n\n\ndata:two\ndata: lines\n\nid: 7\nretry: 10\n\ndata: [DONE]\n\n";
        let expected = data(&["xin chào", "two\nlines", "[DONE]"]);
        for line_end in ["\n", "\r\n", "\r"] {
            let bytes = whole.replace('\n', line_end).into_bytes();
            for at in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(at);
                assert_eq!(read_all(&[head, tail]), expected, "split at {at} of {line_end:?}");
                assert_eq!(read_blocks(&[head, tail]), expected, "blocks split at {at} of {line_end:?}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read_all(&single), expected, "{line_end:?}");
            assert_eq!(read_blocks(&single), expected, "blocks of {line_end:?}");
        }
    }

    /// Feeds `count` pieces, then the end of the event. Returns how often each byte was moved and
    /// scanned.
    fn effort(piece: &'static [u8], count: usize) -> (usize, usize) {
        let mut splitter = Splitter::default();
        let (mut moved, mut looked_at) = (0, 0);
        for _ in 0..count {
            let (held, room) = (splitter.bytes().len(), splitter.joined.capacity());
            splitter.push(Bytes::from_static(piece));
            let length = splitter.bytes().len();
            moved += piece.len() + if splitter.joined.capacity() == room { 0 } else { held };
            looked_at += (length - splitter.searched) + (length - splitter.scanned);
            assert_eq!(splitter.drain_events(), None);
        }
        splitter.push(Bytes::from_static(b"\n\n"));
        let length = piece.len() * count;
        assert_eq!(splitter.drain_events().map(|block| block.len()), Some(length + 2));
        (moved.div_ceil(length), looked_at.div_ceil(length))
    }

    #[test]
    fn scans_events_in_many_chunks_once() {
        // Pieces without line ends, and pieces with lines that end no event.
        for piece in [b"x".repeat(64), b"data: x\n".repeat(8), b"data: x\r\n".repeat(7)] {
            let (moved, looked_at) = effort(Box::leak(piece.into_boxed_slice()), 16_384);
            assert!(moved <= 3 && looked_at <= 3, "{moved} {looked_at}");
        }
    }

    #[test]
    fn does_not_copy_complete_events() {
        let mut splitter = Splitter::default();
        for line_end in ["\n", "\r\n", "\r"] {
            let chunk = Bytes::from(format!("data: 1{line_end}{line_end}data: 2{line_end}{line_end}"));
            splitter.push(chunk.clone());
            let block = splitter.drain_events().expect("whole events");
            assert_eq!((block.as_ptr(), block.len()), (chunk.as_ptr(), chunk.len()), "{line_end:?}");
        }
    }

    #[test]
    fn blocks_hold_complete_events_only() {
        let mut splitter = Splitter::default();
        splitter.push(Bytes::from_static(b"data: 1\n\ndata: 2\n\ndata: 3"));
        assert_eq!(splitter.drain_events().as_deref(), Some(b"data: 1\n\ndata: 2\n\n".as_slice()));
        assert_eq!(splitter.drain_events(), None);
        assert_eq!(splitter.push(Bytes::from_static(b"\r\n\r\n")), 7);
        assert_eq!(splitter.drain_events().as_deref(), Some(b"data: 3\r\n\r\n".as_slice()));
        assert_eq!(splitter.drain_rest(), Bytes::new());
    }

    #[test]
    fn recognises_errors_and_bare_documents() {
        let read = |text: &'static str| read(&Bytes::from_static(text.as_bytes()));
        assert_eq!(read("event: error\ndata: oh\n\n"), Event::Error(Bytes::from_static(b"oh")));
        assert_eq!(read("event: message_stop\ndata: {}\n\n"), Event::Data(Bytes::from_static(b"{}")));
        assert_eq!(read("{\n  \"error\": 1\n}\n"), Event::Bare(Bytes::from_static(b"{\n  \"error\": 1\n}\n")));
        assert_eq!(read("dataset: 1\n\n"), Event::Nothing);
    }

    proptest! {
        #[test]
        fn round_trips_events_in_any_chunks(
            texts in prop::collection::vec("[^\r\n\u{feff}]{1,40}", 0..20),
            cuts in prop::collection::vec(1_usize..60, 1..40),
        ) {
            let wire: String = texts.iter().map(|text| format!("data: {text}\r\n\r\n")).collect();
            let mut rest = wire.as_bytes();
            let mut chunks = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                chunks.push(head);
                rest = tail;
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            prop_assert_eq!(read_all(&chunks), data(&texts));
        }

        #[test]
        fn garbage_never_panics(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let _ = read_all(&chunks);
        }
    }
}
