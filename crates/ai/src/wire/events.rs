//! Server-Sent Events as the bytes they came in.
//!
//! A splitter holds back what is no whole event yet, so that an event is passed on whole or not at all however the network cut it.
//! Events stay slices of what came wherever they did not straddle two reads. What straddles is put together in one place and gone
//! through once, in however many pieces it comes.

use bytes::{Bytes, BytesMut};
use memchr::{memchr2, memrchr};

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// What came last, where nothing waited before it.
    rest: Bytes,
    /// An event that is not whole, of the pieces that it came in. Where it holds something, `rest` is empty.
    joined: BytesMut,
    /// Up to here no line could be an event's last.
    scanned: usize,
    /// Up to here no event ends as nearly all servers end theirs.
    searched: usize,
}

impl Splitter {
    /// Takes what came. Returns the number of bytes of the event that is not whole yet, at the least.
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

    /// All whole events at once.
    pub fn block(&mut self) -> Option<Bytes> {
        if let Some(end) = self.usual_end() {
            return Some(self.cut(end));
        }
        let bytes = self.bytes();
        let (mut end, mut from) = (0, self.scanned);
        let scanned = loop {
            match end_of_event(bytes, end, from) {
                Ok(next) => (end, from) = (next, next),
                Err(scanned) => break scanned,
            }
        };
        self.scanned = scanned;
        (end > 0).then(|| self.cut(end))
    }

    /// The next whole event with the blank line after it.
    pub fn next(&mut self) -> Option<Bytes> {
        match end_of_event(self.bytes(), 0, self.scanned) {
            Ok(end) => Some(self.cut(end)),
            Err(scanned) => {
                self.scanned = scanned;
                None
            }
        }
    }

    /// What is left when no more bytes come.
    pub fn rest(&mut self) -> Bytes {
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

    /// Where the last event ends that ends as nearly all servers end theirs.
    fn usual_end(&mut self) -> Option<usize> {
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

/// Where the event ends that begins at `start` and has no end before `from`; else from where on to look when more has come.
fn end_of_event(bytes: &[u8], start: usize, mut from: usize) -> Result<usize, usize> {
    while let Some(at) = memchr2(b'\n', b'\r', &bytes[from..]) {
        let at = from + at;
        let Some(next) = line_end(bytes, at) else { return Err(at) };
        match bytes.get(next) {
            Some(b'\n' | b'\r') => return Ok(line_end(bytes, next).unwrap_or(next + 1)),
            // A blank line at the very start ends nothing, but can be cut off.
            _ if at == start => return Ok(next),
            Some(_) => from = next,
            None => return Err(at),
        }
    }
    Err(bytes.len())
}

/// Where the line end at `at` is over; `None` if that can't be told yet.
fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes[at], bytes.get(at + 1)) {
        (b'\r', Some(b'\n')) => Some(at + 2),
        (b'\r', None) => None,
        _ => Some(at + 1),
    }
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Its `data`, without the field's name.
    Data(Bytes),
    /// The event's name says that it is an error.
    Error(Bytes),
    /// A JSON document that stands in the stream without `data:`. Some servers write an error so.
    Bare(Bytes),
    /// A comment, or an event without data.
    Nothing,
}

/// Whether what is to be an answer in one piece is a stream: some relays send one unasked, or call it JSON.
pub(crate) fn is_stream(body: &[u8]) -> bool {
    let body = without_mark(body).trim_ascii_start();
    [&b"data:"[..], b"event:", b":", b"id:", b"retry:"].iter().any(|beginning| body.starts_with(beginning))
}

/// A text without the mark of its encoding.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// Reads an event. The data is copied only where it stands on several lines.
pub(crate) fn read(event: &Bytes) -> Event {
    let mut data: Option<Bytes> = None;
    let mut is_error = false;
    let mut start = 0;
    let bytes = without_mark(event);
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

/// A field's name and the length of its value.
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
        events.push(read(&splitter.rest()));
        events.retain(|event| *event != Event::Nothing);
        events
    }

    /// Reads the events by blocks, each by itself, as what was passed on is.
    fn read_blocks(chunks: &[&[u8]]) -> Vec<Event> {
        let mut splitter = Splitter::default();
        let mut blocks = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            blocks.extend(splitter.block());
        }
        blocks.push(splitter.rest());
        blocks.iter().flat_map(|block| read_all(&[block.as_ref()])).collect()
    }

    fn data(texts: &[&str]) -> Vec<Event> {
        texts.iter().map(|text| Event::Data(Bytes::copy_from_slice(text.as_bytes()))).collect()
    }

    #[test]
    fn any_split_and_any_line_end_gives_the_same_events() {
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

    /// Feeds so many of these pieces, then the end of the event. Returns how many bytes were moved, and how many looked at, for each byte.
    fn effort(piece: &'static [u8], count: usize) -> (usize, usize) {
        let mut splitter = Splitter::default();
        let (mut moved, mut looked_at) = (0, 0);
        for _ in 0..count {
            let (held, room) = (splitter.bytes().len(), splitter.joined.capacity());
            splitter.push(Bytes::from_static(piece));
            let length = splitter.bytes().len();
            moved += piece.len() + if splitter.joined.capacity() == room { 0 } else { held };
            looked_at += (length - splitter.searched) + (length - splitter.scanned);
            assert_eq!(splitter.block(), None);
        }
        splitter.push(Bytes::from_static(b"\n\n"));
        let length = piece.len() * count;
        assert_eq!(splitter.block().map(|block| block.len()), Some(length + 2));
        (moved.div_ceil(length), looked_at.div_ceil(length))
    }

    #[test]
    fn an_event_in_many_small_pieces_is_gone_through_once() {
        // Without the end of a line, and with lines that end no event.
        for piece in [b"x".repeat(64), b"data: x\n".repeat(8), b"data: x\r\n".repeat(7)] {
            let (moved, looked_at) = effort(Box::leak(piece.into_boxed_slice()), 16_384);
            assert!(moved <= 3 && looked_at <= 3, "{moved} {looked_at}");
        }
    }

    #[test]
    fn what_came_as_whole_events_is_not_copied() {
        let mut splitter = Splitter::default();
        for line_end in ["\n", "\r\n", "\r"] {
            let chunk = Bytes::from(format!("data: 1{line_end}{line_end}data: 2{line_end}{line_end}"));
            splitter.push(chunk.clone());
            let block = splitter.block().expect("whole events");
            assert_eq!((block.as_ptr(), block.len()), (chunk.as_ptr(), chunk.len()), "{line_end:?}");
        }
    }

    #[test]
    fn a_block_holds_whole_events_only() {
        let mut splitter = Splitter::default();
        splitter.push(Bytes::from_static(b"data: 1\n\ndata: 2\n\ndata: 3"));
        assert_eq!(splitter.block().as_deref(), Some(b"data: 1\n\ndata: 2\n\n".as_slice()));
        assert_eq!(splitter.block(), None);
        assert_eq!(splitter.push(Bytes::from_static(b"\r\n\r\n")), 7);
        assert_eq!(splitter.block().as_deref(), Some(b"data: 3\r\n\r\n".as_slice()));
        assert_eq!(splitter.rest(), Bytes::new());
    }

    #[test]
    fn errors_and_documents_without_data_are_seen() {
        let read = |text: &'static str| read(&Bytes::from_static(text.as_bytes()));
        assert_eq!(read("event: error\ndata: oh\n\n"), Event::Error(Bytes::from_static(b"oh")));
        assert_eq!(read("event: message_stop\ndata: {}\n\n"), Event::Data(Bytes::from_static(b"{}")));
        assert_eq!(read("{\n  \"error\": 1\n}\n"), Event::Bare(Bytes::from_static(b"{\n  \"error\": 1\n}\n")));
        assert_eq!(read("dataset: 1\n\n"), Event::Nothing);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_split(
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
