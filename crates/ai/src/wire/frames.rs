//! Server-Sent Events with limits, and detection of errors that are no events.
//!
//! The parsing is the `sse-stream` crate's. Around it: a limit on the bytes of one frame and of the whole body, and a look at
//! lines that are not SSE at all. Some servers (vLLM, Gemini) write a bare JSON error into a stream that began well; an SSE
//! parser takes that for a field it does not know and skips it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, ready};
use sse_stream::SseByteStream;

use crate::{
    AiError, Limits,
    wire::{Body, failure},
};

/// One event of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub data: String,
    /// The event's name says that it is an error.
    pub is_error: bool,
}

/// The events of a body.
pub(super) struct Frames {
    events: SseByteStream<Metered>,
    since_frame: Arc<AtomicUsize>,
}

impl Frames {
    pub(super) fn new(body: Body, limits: &Limits) -> Self {
        let since_frame = Arc::new(AtomicUsize::new(0));
        let body = Metered {
            body,
            since_frame: Arc::clone(&since_frame),
            total: 0,
            max_frame: limits.max_frame_bytes,
            max_total: limits.max_answer_bytes,
            bare: Bare::default(),
            failed: None,
        };
        Self { events: SseByteStream::new(body), since_frame }
    }

    /// The next event that carries data; `None` at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, AiError> {
        while let Some(event) = self.events.next().await {
            let event = event.map_err(of_parser)?;
            self.since_frame.store(0, Ordering::Relaxed);
            if let Some(data) = event.data {
                return Ok(Some(Frame { data, is_error: event.event.as_deref() == Some("error") }));
            }
        }
        Ok(None)
    }
}

fn of_parser(error: sse_stream::Error) -> AiError {
    match error {
        sse_stream::Error::Body(error) => error.downcast::<AiError>().map_or(AiError::Garbled, |error| *error),
        _ => AiError::Garbled,
    }
}

/// A body that counts itself and looks for what is no event.
struct Metered {
    body: Body,
    since_frame: Arc<AtomicUsize>,
    total: usize,
    max_frame: usize,
    max_total: usize,
    bare: Bare,
    /// A bare error, told after the chunk that it stands in: there may be whole frames before it.
    failed: Option<AiError>,
}

impl Stream for Metered {
    type Item = Result<Bytes, AiError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let chunk = match ready!(self.body.poll_next_unpin(cx)) {
            Some(Ok(chunk)) => chunk,
            other => return Poll::Ready(other),
        };
        self.total += chunk.len();
        let since = self.since_frame.fetch_add(chunk.len(), Ordering::Relaxed);
        if self.total > self.max_total {
            return Poll::Ready(Some(Err(AiError::TooLarge)));
        }
        // A frame may end within this chunk, so only what came before it is surely one frame's.
        if since > self.max_frame {
            return Poll::Ready(Some(Err(AiError::Garbled)));
        }
        self.failed = self.bare.look_at(&chunk);
        Poll::Ready(Some(Ok(chunk)))
    }
}

/// A JSON document that stands in the stream without `data:`.
struct Bare {
    at_line_start: bool,
    document: Option<Vec<u8>>,
}

/// A bare error is never longer.
const MAX_BARE_BYTES: usize = 16 * 1024;

impl Default for Bare {
    fn default() -> Self {
        Self { at_line_start: true, document: None }
    }
}

impl Bare {
    fn look_at(&mut self, chunk: &[u8]) -> Option<AiError> {
        let start = match &self.document {
            Some(_) => Some(0),
            None => self.start_of_document(chunk),
        };
        self.at_line_start = chunk.last().map_or(self.at_line_start, |&last| is_line_end(last));
        let start = start?;
        let document = self.document.get_or_insert_default();
        let room = MAX_BARE_BYTES.saturating_sub(document.len());
        document.extend(chunk[start..].iter().take(room));
        let whole = matches!(document.trim_ascii_end().last(), Some(b'}' | b']'));
        let value = whole.then(|| serde_json::from_slice(document).ok()).flatten();
        value.as_ref().and_then(failure::of_value).map(|failure| failure.error)
    }

    fn start_of_document(&self, chunk: &[u8]) -> Option<usize> {
        let mut at_line_start = self.at_line_start;
        chunk.iter().position(|&byte| {
            let found = at_line_start && matches!(byte, b'{' | b'[');
            at_line_start = is_line_end(byte);
            found
        })
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};
    use proptest::prelude::*;

    use super::*;

    fn read_all(chunks: Vec<Vec<u8>>) -> Result<Vec<Frame>, AiError> {
        let body = stream::iter(chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk)))).boxed();
        let limits = Limits { max_frame_bytes: 4_096, max_answer_bytes: 65_536, ..Limits::default() };
        let mut frames = Frames::new(body, &limits);
        let reading = async {
            let mut read = Vec::new();
            while let Some(frame) = frames.next().await? {
                read.push(frame);
            }
            Ok(read)
        };
        reading.now_or_never().expect("a body that is all there needs no waiting")
    }

    fn data(texts: &[&str]) -> Vec<Frame> {
        texts.iter().map(|&text| Frame { data: text.to_owned(), is_error: false }).collect()
    }

    #[test]
    fn any_split_and_any_line_end_gives_the_same_frames() {
        let whole = "\u{feff}: ping\n\ndata: xin chào\n\ndata:two\ndata: lines\n\nid: 7\nretry: 10\n\ndata: [DONE]\n\n";
        let expected = data(&["xin chào", "two\nlines", "[DONE]"]);
        for line_end in ["\n", "\r\n", "\r"] {
            let bytes = whole.replace('\n', line_end).into_bytes();
            for at in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(at);
                assert_eq!(
                    read_all(vec![head.to_vec(), tail.to_vec()]),
                    Ok(expected.clone()),
                    "split at {at} of {line_end:?}"
                );
            }
            assert_eq!(read_all(bytes.iter().map(|&byte| vec![byte]).collect()), Ok(expected.clone()));
        }
    }

    #[test]
    fn a_bare_json_error_is_seen_wherever_it_is_split() {
        let bytes = b"data: {\"a\":1}\n\n{\n  \"error\": {\"code\": 429, \"status\": \"RESOURCE_EXHAUSTED\"}\n}\n";
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(
                read_all(vec![head.to_vec(), tail.to_vec()]),
                Err(AiError::Busy { retry_after: None }),
                "split at {at}"
            );
        }
    }

    #[test]
    fn a_frame_without_end_and_a_body_without_end_are_refused() {
        let endless_frame = std::iter::repeat_with(|| b"data: aaaaaaaaaaaaaaaa\n".to_vec()).take(1_000).collect();
        assert_eq!(read_all(endless_frame), Err(AiError::Garbled));
        let endless_body = std::iter::repeat_with(|| b"data: aaaaaaaaaaaaaaaa\n\n".to_vec()).take(5_000).collect();
        assert_eq!(read_all(endless_body), Err(AiError::TooLarge));
    }

    #[test]
    fn bytes_that_are_no_text_are_garbled() {
        assert_eq!(read_all(vec![b"data: \xff\xfe\n\n".to_vec()]), Err(AiError::Garbled));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_split(
            texts in prop::collection::vec("[^\r\n\u{feff}]{0,40}", 0..20),
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
                chunks.push(head.to_vec());
                rest = tail;
            }
            let expected: Vec<Frame> = texts.iter().map(|text| Frame { data: text.clone(), is_error: false }).collect();
            prop_assert_eq!(read_all(chunks), Ok(expected));
        }

        #[test]
        fn garbage_never_panics(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let _ = read_all(chunks);
        }
    }
}
