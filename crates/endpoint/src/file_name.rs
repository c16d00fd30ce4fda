//! Parsing of file names in headers. Browsers, mail programs and scripts encode names that aren't
//! ASCII in different ways.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;

/// Decodes a header as UTF-8. If it isn't valid UTF-8, decodes it as Latin-1, the historical
/// encoding of HTTP headers.
pub(crate) fn header_text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| decode_latin1(bytes), str::to_owned)
}

fn decode_latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Decodes a file name that is the whole value of a header. It may be percent-encoded or in one of
/// the other encodings.
pub(crate) fn decode(name: &str) -> String {
    let other = decode_extended(name).or_else(|| decode_words(name));
    other.unwrap_or_else(|| percent_decode_str(name).decode_utf8_lossy().into_owned())
}

/// File name of a form field. Browsers send the plain parameter, in which they escape three
/// characters. Some programs send an extended parameter (RFC 5987) or an encoded word (RFC 2047).
/// `plain` is used if none of them can be decoded.
pub(crate) fn from_disposition(disposition: &[u8], plain: Option<&str>) -> Option<String> {
    let disposition = header_text(disposition);
    let all = parameters(&disposition);
    let value = |wanted: &str| all.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let usual = |name: &str| {
        decode_words(name).unwrap_or_else(|| name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
    };
    value("filename*").and_then(decode_extended).or_else(|| value("filename").or(plain).map(usual))
}

/// Parameters after the first `;`, with lower-case names.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(';') {
        let Some((name, value)) = after.split_once('=') else { break };
        let name = name.rsplit(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let value = value.trim_start();
        let (value, behind) = if let Some(quoted) = value.strip_prefix('"') {
            split_quoted(quoted)
        } else {
            let (value, behind) = value.split_at(value.find(';').unwrap_or(value.len()));
            (value.trim_end().to_owned(), behind)
        };
        found.push((name, value));
        rest = behind;
    }
    found
}

/// Splits at the closing quotation mark. A backslash is an escape only before a quotation mark,
/// since other backslashes belong to Windows paths.
fn split_quoted(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (text, &quoted[at + 1..]),
            '\\' if letters.peek().is_some_and(|(_, next)| *next == '"') => {
                letters.next();
                text.push('"');
            }
            _ => text.push(letter),
        }
    }
    (text, "")
}

/// Decodes an RFC 5987 value such as `UTF-8'en'na%C3%AFve.txt`.
fn decode_extended(value: &str) -> Option<String> {
    let (charset, rest) = value.trim().split_once('\'')?;
    let (_, written) = rest.split_once('\'')?;
    decode_charset(charset, percent_decode_str(written).collect()).filter(|name| !name.is_empty())
}

/// Decodes one or more RFC 2047 encoded words, such as `=?UTF-8?B?bmHDr3ZlLnR4dA==?=`, without other text.
fn decode_words(name: &str) -> Option<String> {
    let words: Option<String> = name.split_ascii_whitespace().map(decode_word).collect();
    words.filter(|name| !name.is_empty())
}

fn decode_word(word: &str) -> Option<String> {
    let mut parts = word.strip_prefix("=?")?.strip_suffix("?=")?.splitn(3, '?');
    let (charset, form, written) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = match form {
        "B" | "b" => STANDARD.decode(written).ok()?,
        "Q" | "q" => {
            let written = written.replace('%', "%25").replace('=', "%").replace('_', "%20");
            percent_decode_str(&written).collect()
        }
        _ => return None,
    };
    decode_charset(charset, bytes)
}

fn decode_charset(charset: &str, bytes: Vec<u8>) -> Option<String> {
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => String::from_utf8(bytes).ok(),
        "iso-8859-1" | "latin1" | "us-ascii" => Some(decode_latin1(&bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_form_file_names() {
        for (disposition, plain, name) in [
            ("form-data; name=file; filename=\"a.csv\"", Some("a.csv"), Some("a.csv")),
            // https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
            ("form-data; filename=\"a %22b%22.csv\"", Some("a %22b%22.csv"), Some("a \"b\".csv")),
            ("form-data; filename=\"100%25.csv\"", Some("100%25.csv"), Some("100%25.csv")),
            // https://www.rfc-editor.org/rfc/rfc5987
            ("form-data; filename=\"a.csv\"; filename*=UTF-8''k%E1%BA%BF.csv", Some("a.csv"), Some("kế.csv")),
            ("form-data; filename*=utf-8'vi'k%E1%BA%BF.csv", None, Some("kế.csv")),
            ("form-data; filename*=UTF-8''k%E1%BA%BF.csv; filename=\"a.csv\"", Some("a.csv"), Some("kế.csv")),
            ("form-data; filename*=iso-8859-1'en'na%EFve.csv", None, Some("naïve.csv")),
            ("form-data; filename=\"a.csv\"; filename*=UTF-8''%FF.csv", Some("a.csv"), Some("a.csv")),
            ("form-data; filename=\"a.csv\"; filename*=koi8-r''%C1.csv", Some("a.csv"), Some("a.csv")),
            ("form-data; filename=\"a.csv\"; filename*=UTF-8''", Some("a.csv"), Some("a.csv")),
            // https://www.rfc-editor.org/rfc/rfc2047
            ("form-data; filename=\"=?UTF-8?B?a+G6vy5jc3Y=?=\"", None, Some("kế.csv")),
            ("form-data; filename=\"=?utf-8?Q?k=E1=BA=BF_1?= =?utf-8?q?.csv?=\"", None, Some("kế 1.csv")),
            ("form-data; filename=\"=?UTF-8?X?a?=\"", None, Some("=?UTF-8?X?a?=")),
            ("form-data; FileName = \"a;b.csv\" ; name=\"file\"", None, Some("a;b.csv")),
            ("form-data; flag; filename=a.csv", None, Some("a.csv")),
            ("form-data; filename=\"a\\\"b\\c.csv\"", None, Some("a\"b\\c.csv")),
            ("form-data; filename=\"a", None, Some("a")),
            ("form-data; name=\"filename=x\"", Some("a.csv"), Some("a.csv")),
            ("form-data; name=file", None, None),
            ("", None, None),
        ] {
            assert_eq!(from_disposition(disposition.as_bytes(), plain).as_deref(), name, "{disposition}");
        }
        assert_eq!(from_disposition(b"form-data; filename=\"na\xefve.csv\"", None).as_deref(), Some("naïve.csv"));
    }

    #[test]
    fn decodes_file_name_headers() {
        for (text, name) in [
            ("k%E1%BA%BF.csv", "kế.csv"),
            ("100%.csv", "100%.csv"),
            ("UTF-8''k%E1%BA%BF.csv", "kế.csv"),
            ("=?UTF-8?B?a+G6vy5jc3Y=?=", "kế.csv"),
            ("it's 'x'.csv", "it's 'x'.csv"),
            ("", ""),
        ] {
            assert_eq!(decode(text), name);
        }
        assert_eq!((header_text("ế".as_bytes()), header_text(b"na\xefve")), ("ế".to_owned(), "naïve".to_owned()));
    }
}
