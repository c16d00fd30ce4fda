//! Streamed answer as a JSON array, which Gemini's API sends unless the client asks for
//! Server-Sent Events.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use appcore::AppError;
use bytes::Bytes;
use futures_util::Stream;

const DATA: &[u8] = b"data:";

/// Converts a stream of Server-Sent Events, whose data is JSON of one line each. Chunks without
/// data, such as heartbeats, are passed on: white space may be between the items of an array.
pub(super) struct JsonArrayStream<S> {
    events: S,
    has_items: bool,
    is_closed: bool,
}

impl<S> JsonArrayStream<S> {
    pub fn new(events: S) -> Self {
        Self { events, has_items: false, is_closed: false }
    }

    fn convert(&mut self, events: &Bytes) -> Bytes {
        let mut out = Vec::with_capacity(events.len());
        for line in events.split(|byte| *byte == b'\n') {
            let Some(data) = line.strip_prefix(DATA) else { continue };
            out.extend_from_slice(if self.has_items { b",\r\n" } else { b"[" });
            out.extend_from_slice(data.trim_ascii());
            self.has_items = true;
        }
        if out.is_empty() { events.clone() } else { out.into() }
    }
}

impl<S: Stream<Item = Result<Bytes, AppError>> + Unpin> Stream for JsonArrayStream<S> {
    type Item = Result<Bytes, AppError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match ready!(Pin::new(&mut self.events).poll_next(context)) {
            Some(Ok(events)) => Poll::Ready(Some(Ok(self.convert(&events)))),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None if std::mem::replace(&mut self.is_closed, true) => Poll::Ready(None),
            None => Poll::Ready(Some(Ok(Bytes::from_static(if self.has_items { b"]" } else { b"[]" })))),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{TryStreamExt as _, stream};
    use serde_json::{Value, json};

    use super::*;

    #[actix_web::test]
    async fn converts_events_to_an_array() {
        for (chunks, expected) in [
            (&[][..], json!([])),
            (
                &["\n\n", "data: {\"a\":1}\n\ndata: {\"a\":2}\r\n\r\n", "\n\n", "data:{\"a\":3}\n\n"],
                json!([{"a": 1}, {"a": 2}, {"a": 3}]),
            ),
        ] {
            let events =
                stream::iter(chunks.iter().map(|chunk| Ok::<_, AppError>(Bytes::from_static(chunk.as_bytes()))));
            let converted: Vec<Bytes> = JsonArrayStream::new(events).try_collect().await.unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&converted.concat()).unwrap(), expected);
        }
    }
}
