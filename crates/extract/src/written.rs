//! How texts are written: in UTF-8, and as programs for Windows still do.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::{MAX_TEXT, Unreadable};

/// So many letters beyond ASCII, with marks, or signs follow each other at most. Where more do, whole words consist of them: that is another script.
const LONGEST_RUN: usize = 3;

/// The text that these bytes are, without the mark that may stand before it.
pub(crate) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let bytes = &bytes[mark..];
    if bytes.len() > MAX_TEXT {
        return Err(Unreadable::TooLong);
    }
    let text = match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        None if encoding == UTF_8 => western(bytes),
        text => text,
    };
    text.ok_or(Unreadable::Damaged)
}

/// A text in UTF-16, as Windows writes it; `None` without the mark that it begins with. Half a character, where it was cut, is U+FFFD.
#[must_use]
pub fn utf16(bytes: &[u8]) -> Option<String> {
    let (encoding, mark) = Encoding::for_bom(bytes).filter(|(encoding, _)| *encoding != UTF_8)?;
    let whole_units = bytes[mark..].as_chunks::<2>().0.as_flattened();
    let (text, _) = encoding.decode_without_bom_handling(whole_units);
    Some(text.into_owned())
}

/// Windows-1252, as far as it looks like that.
fn western(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if bytes.split(u8::is_ascii).any(|run| run.len() > LONGEST_RUN) {
        return None;
    }
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
    // Bytes without a letter in Windows-1252 become some, as in browsers.
    let is_control = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{c}');
    (!text.contains(is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_windows_are_read() {
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
    fn utf_16_is_known_by_its_mark() {
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
            assert_eq!(utf16(bytes).as_deref(), found, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_text_or_in_a_script_that_is_not_known_is_none() {
        for bytes in [
            &b"\0\x01\xff"[..],
            b"caf\xe9\0",
            b"\x81\xe9",
            b"a\x8d",
            b"a\x8f",
            b"a\x90",
            b"a\x9d",
            // Half a unit, and half a character.
            b"\xff\xfeH\0x",
            b"\xff\xfe\0\xd8",
            // "Привет" in Windows-1251, "港口" in GBK.
            b"\xcf\xf0\xe8\xe2\xe5\xf2",
            b"\xb8\xdb\xbf\xda",
        ] {
            assert_eq!(text(bytes), Err(Unreadable::Damaged), "{bytes:?}");
        }
        assert_eq!(text(&vec![b'a'; MAX_TEXT + 1]), Err(Unreadable::TooLong));
    }
}
