//! Decompresses answers. The gateway asks for none to be compressed, but some servers and relays do
//! so unasked.
//!
//! The other HTTP clients of the workspace don't decompress, and `reqwest`'s own support would be
//! enabled for all of them.

use std::{error::Error, io, pin::Pin};

use async_compression::{
    tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder},
    zstd::DParameter,
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use reqwest::{
    Body, Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::AiError;

/// Maximum number of bytes that are decompressed at once, so that limits on the size of an answer
/// apply before more is decompressed.
const CHUNK_BYTES: usize = 16 * 1024;
/// Maximum window of zstd as a power of two, in bytes: 8 MiB, as RFC 9659 requires of servers.
const MAX_ZSTD_WINDOW_LOG: u32 = 23;

type CompressedBody = StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>;

/// The body isn't in the announced encoding.
#[derive(Debug, thiserror::Error)]
#[error("the body can't be decompressed")]
struct CorruptBody(#[source] io::Error);

/// Replaces a compressed body by the decompressed one. Fails if the encoding is unknown.
pub(super) fn decompress(response: &mut Response) -> Result<(), AiError> {
    let Some(encoding) = encoding_of(response) else { return Ok(()) };
    let decoder: fn(CompressedBody) -> Pin<Box<dyn AsyncRead + Send>> = match encoding.as_str() {
        "gzip" | "x-gzip" => |body| {
            let mut decoder = GzipDecoder::new(body);
            decoder.multiple_members(true);
            Box::pin(decoder)
        },
        "deflate" => |body| Box::pin(ZlibDecoder::new(body)),
        "br" => |body| Box::pin(BrotliDecoder::new(body)),
        "zstd" => |body| {
            let window = DParameter::window_log_max(MAX_ZSTD_WINDOW_LOG);
            let mut decoder = ZstdDecoder::with_params(body, &[window]);
            decoder.multiple_members(true);
            Box::pin(decoder)
        },
        _ => {
            let encoding = encoding.get(..40).unwrap_or(&encoding);
            tracing::warn!(encoding, "provider answer rejected, unknown content encoding");
            return Err(AiError::Garbled);
        }
    };
    let mut compressed = std::mem::replace(response, Response::from(http::Response::new("")));
    let mut head = http::Response::new(());
    *head.status_mut() = compressed.status();
    *head.version_mut() = compressed.version();
    *head.headers_mut() = std::mem::take(compressed.headers_mut());
    *head.extensions_mut() = std::mem::take(compressed.extensions_mut());
    head.headers_mut().remove(CONTENT_ENCODING);
    head.headers_mut().remove(CONTENT_LENGTH);
    let body = StreamReader::new(compressed.bytes_stream().map_err(io::Error::other).boxed());
    let body = ReaderStream::with_capacity(decoder(body), CHUNK_BYTES).map_err(body_error);
    *response = Response::from(head.map(|()| Body::wrap_stream(body)));
    Ok(())
}

/// Content encoding of a response; `None` if it is not compressed.
fn encoding_of(response: &Response) -> Option<String> {
    let encodings = response.headers().get_all(CONTENT_ENCODING).iter();
    let encodings = encodings.map(|value| value.to_str().unwrap_or("?")).collect::<Vec<_>>().join(",");
    let encodings = encodings.to_ascii_lowercase();
    let encodings = encodings.split(',').map(str::trim).filter(|name| !matches!(*name, "" | "identity"));
    Some(encodings.collect::<Vec<_>>().join(",")).filter(|encoding| !encoding.is_empty())
}

/// Distinguishes a corrupt body from a failed connection.
fn body_error(error: io::Error) -> Box<dyn Error + Send + Sync> {
    let is_connection = error.get_ref().is_some_and(|inner| inner.is::<reqwest::Error>());
    if is_connection || error.kind() == io::ErrorKind::UnexpectedEof { error.into() } else { CorruptBody(error).into() }
}

/// True if an answer couldn't be read because its body is corrupt.
pub(super) fn is_corrupt(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        if inner.is::<CorruptBody>() {
            return true;
        }
        source = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use async_compression::tokio::{
        bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder},
        write,
    };
    use futures_util::stream;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::{Instant, timeout},
    };

    use super::*;
    use crate::{
        Limits,
        provider_http::{Http, Opened},
    };

    const ENCODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

    async fn compressed(encoding: &str, text: &[u8]) -> Vec<u8> {
        let mut encoder: Pin<Box<dyn AsyncRead + Send + '_>> = match encoding {
            "gzip" => Box::pin(GzipEncoder::new(text)),
            "deflate" => Box::pin(ZlibEncoder::new(text)),
            "br" => Box::pin(BrotliEncoder::new(text)),
            _ => Box::pin(ZstdEncoder::new(text)),
        };
        let mut out = Vec::new();
        encoder.read_to_end(&mut out).await.unwrap();
        out
    }

    fn answer(encoding: &str, content_type: &str, body: impl Into<Body>) -> Response {
        let head = http::Response::builder().header("content-encoding", encoding).header("content-type", content_type);
        Response::from(head.body(body).unwrap())
    }

    fn http(max_answer_bytes: usize) -> Http {
        Http::of(reqwest::Client::new(), Arc::new(Limits { max_answer_bytes, ..Limits::default() }))
    }

    async fn read(mut response: Response, max_answer_bytes: usize) -> Result<Bytes, AiError> {
        decompress(&mut response)?;
        http(max_answer_bytes).read_whole(response, Instant::now() + Duration::from_secs(9)).await
    }

    #[tokio::test]
    async fn decompresses_known_encodings() {
        let text = "xin chào ".repeat(9_000);
        for encoding in ENCODINGS {
            let body = compressed(encoding, text.as_bytes()).await;
            assert!(body.len() < text.len(), "{encoding}");
            let mut response = answer(&encoding.to_ascii_uppercase(), "application/json", body.clone());
            decompress(&mut response).unwrap();
            let names: Vec<&str> = response.headers().keys().map(|name| name.as_str()).collect();
            assert_eq!(names, ["content-type"], "{encoding}");
            assert_eq!(read(answer(encoding, "", body), usize::MAX).await.unwrap(), text, "{encoding}");
        }
        for plain in ["", "identity", "identity, "] {
            assert_eq!(read(answer(plain, "", "text"), usize::MAX).await.unwrap(), "text", "{plain}");
        }
    }

    #[tokio::test]
    async fn rejects_unknown_and_corrupt_bodies() {
        for encoding in ["compress", "gzip, br", "?"] {
            assert_eq!(read(answer(encoding, "", "text"), usize::MAX).await, Err(AiError::Garbled), "{encoding}");
        }
        for encoding in ENCODINGS {
            let corrupt = read(answer(encoding, "", "this is no compressed text at all"), usize::MAX).await;
            assert_eq!(corrupt, Err(AiError::Garbled), "{encoding}");
        }
        let mut cut = compressed("gzip", "xin chào ".repeat(9_000).as_bytes()).await;
        cut.truncate(cut.len() / 2);
        assert_eq!(read(answer("gzip", "", cut), usize::MAX).await, Err(AiError::Truncated));
    }

    #[tokio::test]
    async fn limits_the_decompressed_size() {
        const LIMIT: usize = 100_000;
        let zeros = vec![0; 20_000_000];
        for encoding in ENCODINGS {
            let bomb = compressed(encoding, &zeros).await;
            assert!(bomb.len() < LIMIT, "{encoding}");
            assert_eq!(read(answer(encoding, "", bomb.clone()), LIMIT).await, Err(AiError::TooLarge), "{encoding}");
            let mut response = answer(encoding, "", bomb);
            decompress(&mut response).unwrap();
            assert!(response.chunk().await.unwrap().unwrap().len() <= CHUNK_BYTES, "{encoding}");
        }
    }

    #[tokio::test]
    async fn passes_on_what_has_arrived_of_a_stream() {
        let mut encoder = write::GzipEncoder::new(Vec::new());
        encoder.write_all(b"data: 1\n\n").await.unwrap();
        encoder.flush().await.unwrap();
        let first: Result<_, io::Error> = Ok(Bytes::copy_from_slice(encoder.get_ref()));
        let body = Body::wrap_stream(stream::iter([first]).chain(stream::pending()));
        let mut response = answer("gzip", "text/event-stream", body);
        decompress(&mut response).unwrap();
        let opened = http(usize::MAX).open(response, Instant::now() + Duration::from_secs(9)).await.unwrap();
        let Opened::Stream(mut frames) = opened else { panic!("a whole answer") };
        let frame = timeout(Duration::from_secs(5), frames.next()).await.unwrap();
        assert_eq!(frame.unwrap().unwrap(), "data: 1\n\n");
    }
}
