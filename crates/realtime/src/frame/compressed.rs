//! Frames with a compressed payload.

use bytes::{BufMut as _, Bytes};

use super::{Writer, payload};
use crate::deflate;

/// Compresses a message frame. Returns it unchanged if the compressed frame isn't shorter.
#[must_use]
pub fn shrink(plain: &Bytes) -> Bytes {
    compress(plain).filter(|compressed| compressed.len() < plain.len()).unwrap_or_else(|| plain.clone())
}

/// Compresses a message frame. Returns `None` if compression fails.
#[must_use]
pub fn compress(plain: &[u8]) -> Option<Bytes> {
    let compressed = deflate::compress(payload(plain))?;
    let mut writer = Writer::compressed(plain, compressed.len());
    writer.payload().put_slice(&compressed);
    Some(writer.finish())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        deflate::inflate,
        frame::{Kind, MAX_MESSAGE, frame},
    };

    #[test]
    fn shrinks_a_message_and_keeps_its_kind_and_content() {
        for kind in [Kind::Text, Kind::Binary] {
            let content = b"{\"type\":\"message.created\"}".repeat(100);
            let plain = frame(kind, &content);
            let small = shrink(&plain);
            assert_eq!(small[0], plain[0] | 0x40);
            assert!(small.len() < plain.len() / 10);
            assert_eq!(inflate(payload(&small), MAX_MESSAGE).unwrap(), content);
            assert_eq!(shrink(&plain), small, "no state is left from the first");
        }
    }

    #[test]
    fn leaves_incompressible_frames_unchanged() {
        for content in [&b""[..], b"x", b"short", &[7, 99, 3, 250, 12, 0, 81, 45]] {
            let plain = frame(Kind::Text, content);
            assert_eq!(shrink(&plain), plain);
        }
    }

    /// Compresses incompressible data first, because it leaves the most state in the compressor. If
    /// any remained, the second frame would be garbage.
    #[test]
    fn incompressible_data_leaves_no_state() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        let noise = (0..20_000).map(|_| noise()).collect::<Vec<_>>();
        for length in [100, 1_000, 20_000] {
            assert_eq!(shrink(&frame(Kind::Binary, &noise[..length]))[0], 0x82);
            let content = b"to be or not to be, ".repeat(50);
            let small = shrink(&frame(Kind::Binary, &content));
            assert_eq!(inflate(payload(&small), MAX_MESSAGE).unwrap(), content);
        }
    }

    proptest! {
        #[test]
        fn shrunk_messages_inflate_to_their_original(seed in proptest::collection::vec(any::<u8>(), 1..400), times in 1_usize..200) {
            let content = seed.repeat(times);
            let small = shrink(&frame(Kind::Binary, &content));
            let back = if small[0] & 0x40 == 0 { Bytes::copy_from_slice(payload(&small)) } else { inflate(payload(&small), content.len()).unwrap() };
            prop_assert_eq!(back, content);
        }
    }
}
