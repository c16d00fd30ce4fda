//! permessage-deflate (RFC 7692), in a form that costs an idle connection nothing.
//!
//! Neither side keeps its window from one message to the next (`no_context_takeover`), so a compressed event is the same bytes for every
//! reader and is made once, and one compressor and one decompressor for each thread serve all its connections. What ratio that
//! costs is little: without it each connection would hold a window of its own, some 100 KB, and each event would be compressed for each
//! reader. The window of what is sent is small (see [`WINDOW_BITS`]); an offer that asks for a smaller one still is declined.

use std::cell::RefCell;

use actix_http::header::{HeaderMap, SEC_WEBSOCKET_EXTENSIONS};
use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::close::Close;

/// The window of what the server compresses, as a power of two: 4 KiB, which is what a message has at most, and what clients
/// that ask for a limit ask for.
const WINDOW_BITS: u8 = 12;
/// What a flush ends with; it is left out on the wire.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// What is compressed may at first be longer than it was by an eighth, and by this.
const ROOM: usize = 1024;
/// The first guess at an inflated message.
const FIRST_GUESS: usize = 4;

thread_local! {
    static COMPRESS: RefCell<Compress> = RefCell::new(compressor());
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

fn compressor() -> Compress {
    Compress::new_with_window_bits(Compression::fast(), false, WINDOW_BITS)
}

/// permessage-deflate as it was agreed on with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The largest window that the client has for what it is sent, where it said so.
    window: Option<u8>,
}

impl Agreement {
    /// Takes the first offer that can be kept.
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
                // Both are kept in any case.
                ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
                // What clients send may have any window.
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

    /// What the answer to the handshake says.
    #[must_use]
    pub fn header(self) -> String {
        let base = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        match self.window {
            Some(_) => format!("{base}; server_max_window_bits={WINDOW_BITS}"),
            None => base.to_owned(),
        }
    }
}

/// A window as the RFC writes it: no sign, no leading zero.
fn window_bits(text: &str) -> Option<u8> {
    let bits = text.parse().ok()?;
    ((8..=15).contains(&bits) && !text.starts_with(['0', '+'])).then_some(bits)
}

/// A message's payload, compressed.
#[must_use]
pub fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    // So much that it is always done in one go: zlib-rs 0.6.8 keeps what it could not write across a reset, and then writes garbage.
    let mut out = vec![0; payload.len() + payload.len() / 8 + ROOM];
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
    out.ends_with(&TAIL).then(|| {
        out.truncate(written - TAIL.len());
        out
    })
}

/// What a client compressed. Over the limit nothing more is inflated.
pub fn inflate(compressed: &[u8], limit: usize) -> Result<Bytes, Close> {
    DECOMPRESS.with_borrow_mut(|decompress| {
        decompress.reset(false);
        let mut out = Vec::with_capacity((compressed.len() * FIRST_GUESS).max(64).min(limit + 1));
        for mut rest in [compressed, &TAIL] {
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
                    // A last block may be followed by more: by what pads it at least.
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
        Agreement::negotiate(&headers).map(Agreement::header)
    }

    #[test]
    fn the_first_offer_that_can_be_kept_is_taken() {
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
    fn the_examples_of_the_rfc_are_read() {
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
        fn no_bytes_make_it_panic_or_pass_the_limit(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(inflated) = inflate(&bytes, 1_000) {
                prop_assert!(inflated.len() <= 1_000);
            }
        }
    }
}
