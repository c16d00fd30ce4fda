//! Text encodings: UTF-8, UTF-16 and Windows-1252.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::{ExtractError, MAX_TEXT};

/// Maximum number of consecutive non-ASCII bytes in Windows-1252. Longer runs indicate another
/// script, in which whole words consist of non-ASCII bytes.
const MAX_NON_ASCII_RUN: usize = 3;

/// Decodes a text and drops its byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, ExtractError> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let bytes = &bytes[mark..];
    if bytes.len() > MAX_TEXT {
        return Err(ExtractError::TooLong);
    }
    let text = match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        None if encoding == UTF_8 => decode_windows_1252(bytes),
        text => text,
    };
    text.ok_or(ExtractError::Damaged)
}

/// Decodes UTF-16. Returns `None` if there is no byte order mark. A truncated character becomes
/// U+FFFD.
#[must_use]
pub fn decode_utf16(bytes: &[u8]) -> Option<String> {
    let (encoding, mark) = Encoding::for_bom(bytes).filter(|(encoding, _)| *encoding != UTF_8)?;
    let whole_units = bytes[mark..].as_chunks::<2>().0.as_flattened();
    let (text, _) = encoding.decode_without_bom_handling(whole_units);
    Some(text.into_owned())
}

/// Decodes Windows-1252, if the result is plausible as a text.
fn decode_windows_1252(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if bytes.split(u8::is_ascii).any(|run| run.len() > MAX_NON_ASCII_RUN) {
        return None;
    }
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
    // Bytes that are undefined in Windows-1252 become control characters, as in browsers.
    let is_control = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{c}');
    (!text.contains(is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_windows_texts() {
        for (bytes, expected) in [
            (&b"\xef\xbb\xbfplain"[..], "plain"),
            (b"Stra\xdfe in K\xf6ln; 12 \x80 \x96 \x84so\x93", "Straße in Köln; 12 € – „so“"),
            (b"\xff\xfeH\0\xe0\0 \0N\0\xd9\x1ei\0", "Hà Nội"),
            (b"\xfe\xff\0H\0\xe0", "Hà"),
            ("Hà Nội".as_bytes(), "Hà Nội"),
            (b"", ""),
        ] {
            assert_eq!(text(bytes).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn detects_utf_16_by_its_mark() {
        for (bytes, found) in [
            (&b"\xff\xfeh\0i\0"[..], Some("hi")),
            (b"\xfe\xff\0h\0i", Some("hi")),
            (b"\xff\xfe=\xd8\0\xde", Some("😀")),
            (b"\xff\xfeh\0=\xd8", Some("h\u{fffd}")),
            (b"\xff\xfeh\0i", Some("h")),
            (b"\xff\xfe", Some("")),
            (b"h\0i\0", None),
            (b"\xef\xbb\xbfhi", None),
            (b"\xff", None),
            (b"hi", None),
        ] {
            assert_eq!(decode_utf16(bytes).as_deref(), found, "{bytes:?}");
        }
    }

    #[test]
    fn rejects_binary_data_and_unknown_encodings() {
        for bytes in [
            &b"\0\x01\xff"[..],
            b"caf\xe9\0",
            b"\x81\xe9",
            b"a\x8d",
            b"a\x8f",
            b"a\x90",
            b"a\x9d",
            // The first text ends with half a code unit, the second with a lone surrogate.
            b"\xff\xfeH\0x",
            b"\xff\xfe\0\xd8",
            // "Привет" in Windows-1251, and "港口" in GBK.
            b"\xcf\xf0\xe8\xe2\xe5\xf2",
            b"\xb8\xdb\xbf\xda",
        ] {
            assert_eq!(text(bytes), Err(ExtractError::Damaged), "{bytes:?}");
        }
        assert_eq!(text(&vec![b'a'; MAX_TEXT + 1]), Err(ExtractError::TooLong));
    }
}
