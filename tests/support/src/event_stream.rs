//! Client for server-sent events.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::RequestBuilder;
use tokio::time::timeout;

use crate::place::PATIENCE;
use crate::socket::Frame;

/// Event stream that is open.
pub struct EventStream {
    chunks: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    /// Received bytes of an event that is incomplete.
    bytes: Vec<u8>,
    /// `id` of the last event that had an id.
    pub last_event_id: Option<String>,
}

/// Removes the first complete event or comment and returns it. Works on bytes, because the network
/// may split a character.
pub fn take_block(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = bytes.windows(2).position(|two| two == b"\n\n")?;
    Some(bytes.drain(..end + 2).collect())
}

/// Returns a field of an event, such as `data`.
#[must_use]
pub fn block_field<'a>(block: &'a str, name: &str) -> Option<&'a str> {
    block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

impl EventStream {
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the server answers");
        assert_eq!(response.status().as_u16(), 200, "{:?}", response.headers());
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        assert!(kind.starts_with("text/event-stream"), "the stream is {kind:?}");
        let chunks = response.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec())).boxed();
        Self { chunks, bytes: Vec::new(), last_event_id: None }
    }

    /// Returns the next event; comments are skipped.
    pub async fn next(&mut self) -> Frame {
        self.try_next().await.expect("the stream continues")
    }

    /// Returns the next event; `None` at the end of the stream.
    pub async fn try_next(&mut self) -> Option<Frame> {
        loop {
            while let Some(block) = take_block(&mut self.bytes) {
                let block = String::from_utf8(block).expect("an event is UTF-8");
                if let Some(frame) = self.parse(&block) {
                    return Some(frame);
                }
            }
            let chunk = timeout(PATIENCE, self.chunks.next()).await.expect("data expected")?.ok()?;
            self.bytes.extend(chunk);
        }
    }

    /// Returns the next event of this type; earlier events are dropped.
    pub async fn expect(&mut self, kind: &str) -> Frame {
        loop {
            let frame = self.next().await;
            if frame.kind == kind {
                return frame;
            }
        }
    }

    fn parse(&mut self, block: &str) -> Option<Frame> {
        let field = |name| block_field(block, name);
        if let Some(id) = field("id") {
            self.last_event_id = Some(id.to_owned());
        }
        let frame = Frame::of(&serde_json::from_str(field("data")?).expect("an envelope"));
        assert_eq!(field("event"), Some(frame.kind.as_str()), "{block}");
        Some(frame)
    }
}
