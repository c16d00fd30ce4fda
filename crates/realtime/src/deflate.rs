//! permessage-deflate (RFC 7692) without per-connection state.
//!
//! Neither side keeps its window between messages (`no_context_takeover`). A compressed event
//! therefore has the same bytes for all readers and is compressed only once. One compressor and one
//! decompressor per thread serve all its connections. The compression ratio is only slightly worse.
//! With context takeover, each connection would need about 100 KB for its window, and each event
//! would be compressed for each reader. The server compresses with a small window (see
//! [`WINDOW_BITS`]). Offers that request an even smaller window are declined.

use std::cell::RefCell;

use actix_http::header::{HeaderMap, SEC_WEBSOCKET_EXTENSIONS};
use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::close::Close;

/// Window size of the server's compressor, as a power of two. 4 KiB is about the maximum length of a
/// message, and the limit that clients commonly request.
const WINDOW_BITS: u8 = 12;
/// Last bytes of a sync flush. They are omitted on the wire.
const FLUSH_TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// Slack of the output buffer in bytes, in addition to an eighth of the input length.
const OUTPUT_SLACK: usize = 1024;
/// Initial estimate of a message's size when decompressed, as a multiple of its compressed size.
const INFLATION_ESTIMATE: usize = 4;

thread_local! {
    static COMPRESS: RefCell<Compress> = RefCell::new(compressor());
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

fn compressor() -> Compress {
    Compress::new_with_window_bits(Compression::fast(), false, WINDOW_BITS)
}

/// Negotiated permessage-deflate parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    /// Maximum window for messages to the client, as a power of two, if the client specified one.
    window: Option<u8>,
}

impl DeflateParams {
    /// Accepts the first offer that can be satisfied.
    #[must_use]
    pub fn negotiate(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(SEC_WEBSOCKET_EXTENSIONS)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(','))
            .find_map(Self::accept)
    }

    fn accept(offer: &str) -> Option<Self> {
        let mut parts = offer.split(';').map(str::trim);
        if parts.next() != Some("permessage-deflate") {
            return None;
        }
        let mut seen = Vec::new();
        let mut window = None;
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim().trim_matches('"'))),
                None => (part, None),
            };
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name, value) {
                // The server fulfils these requests in any case.
                ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
                // The server accepts any window in messages from the client.
                ("client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(bits)) => drop(window_bits(bits)?),
                ("server_max_window_bits", Some(bits)) => {
                    window = Some(window_bits(bits).filter(|bits| *bits >= WINDOW_BITS)?);
                }
                _ => return None,
            }
        }
        Some(Self { window })
    }

    /// Returns the value of the `Sec-WebSocket-Extensions` response header.
    #[must_use]
    pub fn header(self) -> String {
        let base = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        match self.window {
            Some(_) => format!("{base}; server_max_window_bits={WINDOW_BITS}"),
            None => base.to_owned(),
        }
    }
}

/// Parses a window size as RFC 7692 specifies it: without sign or leading zeros.
fn window_bits(text: &str) -> Option<u8> {
    let bits = text.parse().ok()?;
    ((8..=15).contains(&bits) && !text.starts_with(['0', '+'])).then_some(bits)
}

/// Compresses a message's payload. Returns `None` if compression fails.
#[must_use]
pub fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    // The buffer is large enough to compress in one call. This is required because zlib-rs 0.6.8
    // keeps unwritten output across a reset and then produces garbage.
    let mut out = vec![0; payload.len() + payload.len() / 8 + OUTPUT_SLACK];
    let written = COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        match compress.compress(payload, &mut out, FlushCompress::Sync) {
            Ok(Status::Ok) if compress.total_in() == payload.len() as u64 => {
                usize::try_from(compress.total_out()).ok().filter(|written| *written < out.len())
            }
            _ => None,
        }
        .or_else(|| {
            *compress = compressor();
            None
        })
    })?;
    out.truncate(written);
    out.ends_with(&FLUSH_TAIL).then(|| {
        out.truncate(written - FLUSH_TAIL.len());
        out
    })
}

/// Decompresses a client's payload. Fails as soon as the output exceeds `limit` bytes.
pub fn inflate(compressed: &[u8], limit: usize) -> Result<Bytes, Close> {
    DECOMPRESS.with_borrow_mut(|decompress| {
        decompress.reset(false);
        let mut out = Vec::with_capacity((compressed.len() * INFLATION_ESTIMATE).max(64).min(limit + 1));
        for mut rest in [compressed, &FLUSH_TAIL] {
            loop {
                if out.len() == out.capacity() {
                    out.reserve(out.len().min(limit + 1 - out.len()));
                }
                let (taken, given) = (decompress.total_in(), out.len());
                let status = decompress.decompress_vec(rest, &mut out, FlushDecompress::Sync);
                let taken = usize::try_from(decompress.total_in() - taken).unwrap_or(usize::MAX);
                rest = rest.get(taken..).unwrap_or_default();
                if out.len() > limit {
                    return Err(Close::TOO_LARGE);
                }
                match status {
                    // The final block may be followed by more data, at least by padding.
                    Ok(Status::StreamEnd) => decompress.reset(false),
                    Ok(_) if taken > 0 || out.len() > given => {}
                    Ok(_) if rest.is_empty() => {}
                    _ => return Err(Close::PROTOCOL),
                }
                if rest.is_empty() && out.len() < out.capacity() {
                    break;
                }
            }
        }
        Ok(Bytes::from(out))
    })
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn negotiated(offers: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for offer in offers {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(offer).unwrap());
        }
        DeflateParams::negotiate(&headers).map(DeflateParams::header)
    }

    #[test]
    fn accepts_the_first_offer_that_can_be_satisfied() {
        let base = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let with = |bits: u8| Some(format!("{base}; server_max_window_bits={bits}"));
        assert_eq!(negotiated(&["permessage-deflate; client_max_window_bits"]), Some(base.into()));
        assert_eq!(
            negotiated(&["permessage-deflate;server_max_window_bits=\"15\" ; client_max_window_bits=9"]),
            with(12)
        );
        assert_eq!(negotiated(&["permessage-deflate; server_max_window_bits=12"]), with(12));
        assert_eq!(
            negotiated(&["other, permessage-deflate; wish", "permessage-deflate; server_max_window_bits=14"]),
            with(12)
        );
        for nothing in [
            "",
            "other",
            "permessage-deflate; wish",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=11",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; client_max_window_bits=x",
            "permessage-deflate; client_no_context_takeover=1",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
        ] {
            assert_eq!(negotiated(&[nothing]), None, "{nothing}");
        }
    }

    #[test]
    fn inflates_the_examples_of_rfc_7692() {
        let hello: [&[u8]; 4] = [
            &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
            &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
            &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
            &[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
        ];
        for bytes in hello {
            assert_eq!(inflate(bytes, 5).unwrap(), "Hello");
            assert_eq!(inflate(bytes, 4), Err(Close::TOO_LARGE));
        }
        assert_eq!(inflate(&[0x00], 5).unwrap(), "");
    }

    proptest! {
        #[test]
        fn never_panics_and_respects_the_limit(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(inflated) = inflate(&bytes, 1_000) {
                prop_assert!(inflated.len() <= 1_000);
            }
        }
    }
}
