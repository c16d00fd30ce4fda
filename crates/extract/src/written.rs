//! How texts are written: in UTF-8, and as programs for Windows still do.

use std::borrow::Cow;

use crate::{MAX_TEXT, Unreadable};

/// What stands at 0x80 to 0x9f in Windows-1252. At five places there is nothing.
const HIGH: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”', '•',
    '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];
/// So many letters beyond ASCII, with marks, or signs follow each other at most. Where more do, whole words consist of them: that is another script.
const LONGEST_RUN: usize = 3;

/// The text that these bytes are, without the mark that may stand before it.
pub(crate) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.len() > MAX_TEXT {
        return Err(Unreadable::TooLong);
    }
    if let Some(units) = units(bytes) {
        let text = char::decode_utf16(units).collect::<Result<String, _>>().ok();
        return text.filter(|_| bytes.len().is_multiple_of(2)).map(Cow::Owned).ok_or(Unreadable::Damaged);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => western(bytes).map(Cow::Owned).ok_or(Unreadable::Damaged),
    }
}

/// A text in UTF-16, as Windows writes it; `None` without the mark that it begins with. Half a character, where it was cut, is U+FFFD.
#[must_use]
pub fn utf16(bytes: &[u8]) -> Option<String> {
    let letters = char::decode_utf16(units(bytes)?);
    Some(letters.map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

/// The units of UTF-16 behind its mark.
fn units(bytes: &[u8]) -> Option<impl Iterator<Item = u16>> {
    let (mark, rest) = bytes.split_first_chunk::<2>()?;
    let unit: fn([u8; 2]) -> u16 = match mark {
        [0xff, 0xfe] => u16::from_le_bytes,
        [0xfe, 0xff] => u16::from_be_bytes,
        _ => return None,
    };
    Some(rest.as_chunks::<2>().0.iter().copied().map(unit))
}

/// Windows-1252, as far as it looks like that.
fn western(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(bytes.len());
    let mut run = 0;
    for byte in bytes {
        run = if byte.is_ascii() { 0 } else { run + 1 };
        let letter = match *byte {
            high @ 0x80..=0x9f => HIGH[usize::from(high - 0x80)],
            other => char::from(other),
        };
        let is_none = letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{c}');
        if is_none || run > LONGEST_RUN {
            return None;
        }
        text.push(letter);
    }
    Some(text)
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
