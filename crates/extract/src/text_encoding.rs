//! Text encodings: a byte order mark, the declared charset, or else detection.

use std::{borrow::Cow, str::Utf8Error};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::{ExtractError, MAX_TEXT};

/// Number of bytes at the start of a page in which browsers look for its charset.
const DECLARATION_BYTES: usize = 1_024;
/// Number of bytes that the detection examines.
pub const DETECTION_BYTES: usize = 64 * 1024;
/// Maximum length of a character in a legacy encoding, in bytes.
const MAX_CHARACTER_BYTES: usize = 4;

/// Decodes a text from the web, which may be truncated. `charset` is the one of its `Content-Type`. Undecodable bytes
/// become U+FFFD.
#[must_use]
pub fn decode<'a>(bytes: &'a [u8], charset: Option<&str>) -> Cow<'a, str> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0;
    }
    let declared = charset.and_then(|label| Encoding::for_label(label.as_bytes())).or_else(|| declared_in(bytes));
    // Many pages that declare UTF-8 are not in UTF-8.
    let declared = declared.filter(|encoding| *encoding != UTF_8 || is_utf8(bytes));
    let encoding = declared.unwrap_or_else(|| if is_utf8(bytes) { UTF_8 } else { detect(bytes) });
    encoding.decode_without_bom_handling(bytes).0
}

/// Value of the parameter `charset` of a `Content-Type`.
#[must_use]
pub fn charset_of(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// Decodes a text file and drops its byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, ExtractError> {
    decode_file(bytes, |_| None)
}

/// Decodes an HTML file, which may declare its charset.
pub(crate) fn markup(bytes: &[u8]) -> Result<Cow<'_, str>, ExtractError> {
    decode_file(bytes, declared_in)
}

fn decode_file(
    bytes: &[u8],
    declared: impl Fn(&[u8]) -> Option<&'static Encoding>,
) -> Result<Cow<'_, str>, ExtractError> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let bytes = &bytes[mark..];
    if bytes.len() > MAX_TEXT {
        return Err(ExtractError::TooLong);
    }
    let text = match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        None if encoding == UTF_8 && is_utf8(bytes) => Some(encoding.decode_without_bom_handling(bytes).0),
        None if encoding == UTF_8 => decode_legacy(bytes, declared(bytes).filter(|encoding| *encoding != UTF_8)),
        text => text,
    };
    text.ok_or(ExtractError::Damaged)
}

/// Name of the encoding of a text, by its first bytes, as browsers know it.
#[must_use]
pub fn text_charset(head: &[u8]) -> &'static str {
    let marked = Encoding::for_bom(head).map(|(encoding, _)| encoding);
    marked.unwrap_or_else(|| if is_utf8(head) { UTF_8 } else { detect(head) }).name()
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

/// True if the start of a file is a text in another encoding than Unicode. If `is_cut`, its last character may be
/// truncated.
#[must_use]
pub fn is_legacy_text(head: &[u8], is_cut: bool) -> bool {
    let cuts = if is_cut { MAX_CHARACTER_BYTES } else { 1 };
    Encoding::for_bom(head).is_none()
        && (0..cuts.min(head.len())).any(|cut| decode_legacy(&head[..head.len() - cut], None).is_some())
}

/// Decodes a text that is not UTF-8, in the declared or the detected encoding. Returns `None` for binary data.
fn decode_legacy<'a>(bytes: &'a [u8], declared: Option<&'static Encoding>) -> Option<Cow<'a, str>> {
    if bytes.iter().any(|byte| is_control(char::from(*byte)) && byte.is_ascii()) {
        return None;
    }
    let encoding = declared.unwrap_or_else(|| detect(bytes));
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    // Undefined bytes of single-byte encodings become control characters, as in browsers.
    (!text.contains(is_control)).then_some(text)
}

/// True for control characters that texts don't contain.
fn is_control(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}')
}

/// True for UTF-8 whose last character may be truncated. If that is the only non-ASCII character, it is more likely one
/// of another encoding.
fn is_utf8(bytes: &[u8]) -> bool {
    let is_truncated = |error: Utf8Error| error.error_len().is_none() && !bytes[..error.valid_up_to()].is_ascii();
    std::str::from_utf8(bytes).map_or_else(is_truncated, |_| true)
}

/// Detects the encoding of a text that is not Unicode.
fn detect(bytes: &[u8]) -> &'static Encoding {
    // The start of a page may be ASCII only.
    let first = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or_default();
    let part = &bytes[first.saturating_sub(1)..];
    let part = &part[..part.len().min(DETECTION_BYTES)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(part, part.len() < DETECTION_BYTES);
    detector.guess(None, Utf8Detection::Deny)
}

/// Encoding that the start of a page declares in `<meta>` or in an XML declaration.
fn declared_in(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION_BYTES)]).to_ascii_lowercase();
    let declaration = head.trim_start().strip_prefix("<?xml").and_then(|rest| label(rest, "encoding"));
    let label = declaration.or_else(|| head.split("<meta").skip(1).find_map(|tag| label(tag, "charset")))?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    // A declaration that could be read as ASCII is not in UTF-16.
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

/// Value after `name=` in a tag.
fn label<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let tag = tag.split('>').next()?;
    let (_, value) = tag.split_once(name)?;
    let value = value.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    value.split(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | ';' | '?' | '/')).next()
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, EUC_JP, EUC_KR, GBK, SHIFT_JIS, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253};

    use super::*;

    fn texts() -> [(&'static Encoding, &'static str); 8] {
        [
            (GBK, "本公司年度预算报告已经发布，请各部门负责人仔细阅读并在下周之前提出意见。"),
            (BIG5, "本公司年度預算報告已經發佈，請各部門負責人仔細閱讀並在下週之前提出意見。"),
            (SHIFT_JIS, "来年度の予算報告を公開しました。各部署の担当者はよく読んで、来週までに意見を出してください。"),
            (EUC_JP, "来年度の予算報告を公開しました。各部署の担当者はよく読んで、来週までに意見を出してください。"),
            (EUC_KR, "내년도 예산 보고서를 공개했습니다. 각 부서 담당자는 잘 읽고 다음 주까지 의견을 내 주세요."),
            (WINDOWS_1251, "Смета расходов на следующий год опубликована. Просим всех прочитать её до конца недели."),
            (WINDOWS_1252, "Größe und Straßenliste für Köln: die Bücher müssen über den Verlag geprüft werden."),
            (WINDOWS_1253, "Ο προϋπολογισμός της επόμενης χρονιάς δημοσιεύθηκε και πρέπει να διαβαστεί από όλους."),
        ]
    }

    #[test]
    fn detects_the_encoding_of_files_and_pages() {
        for (encoding, expected) in texts() {
            let (bytes, _, is_lossy) = encoding.encode(expected);
            assert!(!is_lossy, "{}", encoding.name());
            assert_eq!(text(&bytes).as_deref(), Ok(expected), "{}", encoding.name());
            assert_eq!(decode(&bytes, None), expected, "{}", encoding.name());
            assert!(is_legacy_text(&bytes, false), "{}", encoding.name());
            assert_eq!(text_charset(&bytes), encoding.name());
        }
        assert_eq!(
            text_charset("nửa chữ".as_bytes().split_last().unwrap().1),
            "UTF-8",
            "the last character is cut off"
        );
        assert_eq!(text_charset(b"\xff\xfeh\0"), "UTF-16LE");
        assert!(is_legacy_text(&GBK.encode(texts()[0].1).0[..31], true), "the last character is cut off");
    }

    #[test]
    fn declared_charsets_decide() {
        let (bytes, ..) = EUC_KR.encode("예산");
        assert_eq!(decode(&bytes, Some("euc-kr")), "예산");
        let page = |head: &str| [head.as_bytes(), &bytes, b"</title>"].concat();
        for head in [
            "<meta charset=euc-kr><title>",
            "<META CHARSET='EUC-KR'/><title>",
            r#"<meta http-equiv="Content-Type" content="text/html; charset=euc-kr"><title>"#,
            r#"<?xml version="1.0" encoding="euc-kr"?><title>"#,
        ] {
            assert!(decode(&page(head), None).ends_with("<title>예산</title>"), "{head}");
            assert!(markup(&page(head)).unwrap().ends_with("<title>예산</title>"), "{head}");
        }
        assert_eq!(
            decode(&page("<meta charset=big5><title>"), Some("EUC-KR")),
            "<meta charset=big5><title>예산</title>"
        );
        assert_eq!(decode("Straße".as_bytes(), Some("utf-8")), "Straße");
        assert_eq!(decode("Straße".as_bytes(), Some("no such charset")), "Straße");
        let latin = WINDOWS_1252.encode(texts()[6].1).0;
        assert_eq!(decode(&latin, Some("utf-8")), texts()[6].1, "a wrong declaration");
        assert_eq!(decode(&"Hà Nội".as_bytes()[..7], None), "Hà N\u{fffd}");
        assert_eq!(decode(b"Caf\xe9", None), "Café");
    }

    #[test]
    fn parses_the_charset_of_a_content_type() {
        for (content_type, charset) in [
            ("text/html; charset=GBK", Some("GBK")),
            ("text/html;boundary=x; Charset=\"windows-1251\"", Some("windows-1251")),
            ("text/html", None),
            ("charset=GBK", None),
        ] {
            assert_eq!(charset_of(content_type), charset, "{content_type}");
        }
    }

    #[test]
    fn reads_unicode_texts() {
        for (bytes, expected) in [
            (&b"\xef\xbb\xbfplain"[..], "plain"),
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
    fn rejects_binary_data() {
        for bytes in [
            &b"\0\x01\xff"[..],
            b"caf\xe9\0",
            // The first text ends with half a code unit, the second with a lone surrogate.
            b"\xff\xfeH\0x",
            b"\xff\xfe\0\xd8",
        ] {
            assert_eq!(text(bytes), Err(ExtractError::Damaged), "{bytes:?}");
            assert!(!is_legacy_text(bytes, false), "{bytes:?}");
        }
        assert_eq!(text(&vec![b'a'; MAX_TEXT + 1]), Err(ExtractError::TooLong));
    }
}
