//! Limits the size of the tags in an HTML text before it is parsed.
//!
//! The tokenizer compares each attribute of a tag with all earlier ones, so that one tag with
//! 100,000 attributes takes half a minute.

use std::borrow::Cow;

/// Maximum number of attributes of a tag.
const MAX_ATTRIBUTES: usize = 128;
/// Maximum length of a tag, in bytes.
const MAX_TAG: usize = 32 * 1024;

/// Drops the attributes of a tag beyond [`MAX_ATTRIBUTES`] or [`MAX_TAG`], in linear time.
///
/// Comments are skipped. Scripts and styles are treated like markup, so text in them that looks
/// like an oversized tag is cut too.
pub(crate) fn limit_tags(html: &str) -> Cow<'_, str> {
    let bytes = html.as_bytes();
    let (mut limited, mut copied) = (String::new(), 0);
    let (mut at, mut has_comment_end) = (0, true);
    while let Some(start) = find(bytes, at, b'<') {
        at = start + 1;
        let rest = &bytes[at..];
        if rest.starts_with(b"!--") && has_comment_end {
            match comment_end(bytes, at + 1) {
                Some(end) => at = end,
                // Searches for the end only once; otherwise a text full of unterminated comments
                // would take quadratic time.
                None => has_comment_end = false,
            }
        } else if matches!(rest, [b'/', letter, ..] | [letter, ..] if letter.is_ascii_alphabetic()) {
            let tag = Tag::scan(bytes, start);
            if let Some(cut) = tag.cut {
                limited.push_str(html.get(copied..cut).unwrap_or_default());
                limited.push('>');
                copied = tag.end;
            }
            at = tag.end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(html);
    }
    limited.push_str(html.get(copied..).unwrap_or_default());
    Cow::Owned(limited)
}

/// Position and limits of a tag.
struct Tag {
    /// Position after the end of the tag.
    end: usize,
    /// Position of the first attribute that is dropped.
    cut: Option<usize>,
}

impl Tag {
    fn scan(bytes: &[u8], start: usize) -> Self {
        let is_space = |byte: u8| byte.is_ascii_whitespace() || byte == b'/';
        let skip = |from: usize, is_skipped: &dyn Fn(u8) -> bool| {
            let rest = bytes.get(from..).unwrap_or_default();
            rest.iter().position(|byte| !is_skipped(*byte)).map_or(bytes.len(), |length| from + length)
        };
        // Skips the slash of an end tag, which doesn't count as a space.
        let mut at = skip(start + 2, &|byte| !is_space(byte) && byte != b'>');
        let (mut attributes, mut cut) = (0_usize, None);
        loop {
            at = skip(at, &is_space);
            let attribute = at;
            match bytes.get(at) {
                None => return Self { end: bytes.len(), cut },
                Some(b'>') => return Self { end: at + 1, cut },
                Some(_) => {}
            }
            attributes += 1;
            // The name of an attribute may start with an equals sign.
            at = skip(at + 1, &|byte| !is_space(byte) && byte != b'>' && byte != b'=');
            let value = skip(at, &|byte| byte.is_ascii_whitespace());
            if bytes.get(value) == Some(&b'=') {
                at = skip(value + 1, &|byte| byte.is_ascii_whitespace());
                at = match bytes.get(at) {
                    Some(quote @ (b'"' | b'\'')) => find(bytes, at + 1, *quote).map_or(bytes.len(), |end| end + 1),
                    _ => skip(at, &|byte| !byte.is_ascii_whitespace() && byte != b'>'),
                };
            }
            if cut.is_none() && (attributes > MAX_ATTRIBUTES || at - start > MAX_TAG) {
                cut = Some(attribute);
            }
        }
    }
}

fn find(bytes: &[u8], from: usize, wanted: u8) -> Option<usize> {
    bytes.get(from..)?.iter().position(|byte| *byte == wanted).map(|at| from + at)
}

/// Returns the position after a comment whose dashes start at `from`. `<!-->` is a comment too.
fn comment_end(bytes: &[u8], from: usize) -> Option<usize> {
    let end = |rest: &[u8]| match rest {
        [b'-', b'-', b'>', ..] => Some(3),
        [b'-', b'-', b'!', b'>', ..] => Some(4),
        _ => None,
    };
    (from..bytes.len()).find_map(|at| end(&bytes[at..]).map(|length| at + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_markup_is_unchanged() {
        for html in [
            "",
            "a < b <",
            "</",
            "<!-- <a x=\" --> <b>",
            "<!--><a>",
            "<a href='x>y' b=\"<c>\" d = e/f g/>é</a >",
            "<script>if (a<b && c>d) \"</script>",
            "<é>",
        ] {
            assert!(matches!(limit_tags(html), Cow::Borrowed(same) if same == html), "{html}");
        }
        let many: String = (0..MAX_ATTRIBUTES).map(|n| format!(" a{n}='é'")).collect();
        assert!(matches!(limit_tags(&format!("<p{many}>")), Cow::Borrowed(_)));
    }

    #[test]
    fn attributes_beyond_the_limit_are_dropped() {
        let attributes = |count: usize| (0..count).map(|n| format!(" a{n}=\"é>\"")).collect::<String>();
        let html = format!("<i>x</i><p{}>é</p><br{}", attributes(5_000), attributes(5_000));
        let expected = format!("<i>x</i><p{0} >é</p><br{0} >", attributes(MAX_ATTRIBUTES));
        assert_eq!(limit_tags(&html), expected);
        let long = format!("<img alt=é src='data:{}'>é", "x".repeat(MAX_TAG));
        assert_eq!(limit_tags(&long), "<img alt=é >é");
        assert_eq!(limit_tags(&format!("</p{}>é", attributes(200))), format!("</p{} >é", attributes(MAX_ATTRIBUTES)));
    }
}
