//! URLs in user content: links in the text of messages, and paths of this server as redirect
//! targets.

use url::{Position, Url};

/// Maximum number of links per message that get a preview.
const MAX_LINKS: usize = 3;
const SCHEMES: [&str; 2] = ["https://", "http://"];
/// Common prefix of [`SCHEMES`].
const SCHEME: &str = "http";
/// Maximum length of a URL, in bytes.
const MAX_URL_LEN: usize = 2_000;

/// True if the text may contain a link. This is a cheap check before [`of`].
pub fn may_contain_link(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.contains(scheme))
}

/// Extracts the first links, without duplicates and without those in code.
pub fn extract_links(text: &str) -> Vec<Url> {
    let mut found: Vec<Url> = Vec::new();
    let mut is_fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        if is_fenced {
            continue;
        }
        // Text between backticks is code: only every second part is outside of it.
        for part in line.split('`').step_by(2) {
            for url in extract_from_segment(part) {
                if !found.contains(&url) {
                    found.push(url);
                }
                if found.len() == MAX_LINKS {
                    return found;
                }
            }
        }
    }
    found
}

fn extract_from_segment(text: &str) -> Vec<Url> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(SCHEME) {
        let address = &rest[at..];
        if !SCHEMES.iter().any(|scheme| address.starts_with(scheme)) {
            rest = &address[SCHEME.len()..];
            continue;
        }
        let before = &text[..text.len() - address.len()];
        let is_begun = before.chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        let end =
            address.find(|char: char| char.is_whitespace() || matches!(char, '<' | '>' | '"')).unwrap_or(address.len());
        let written = trim_punctuation(&address[..end]);
        if is_begun && written.len() <= MAX_URL_LEN {
            found.extend(Url::parse(written).ok().filter(|url| url.host().is_some()));
        }
        rest = &address[end.max(1)..];
    }
    found
}

/// Removes the punctuation of the surrounding sentence from the end of a URL. A closing bracket is
/// a part of the URL if the URL has the opening one.
fn trim_punctuation(mut text: &str) -> &str {
    let count = |char: char| text.matches(char).count();
    let opened = [count('('), count('[')];
    let mut closed = [count(')'), count(']')];
    loop {
        let Some(last) = text.chars().next_back() else { return text };
        let bracket = match last {
            ')' => Some(0),
            ']' => Some(1),
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' => None,
            _ => return text,
        };
        if let Some(kind) = bracket {
            if opened[kind] >= closed[kind] {
                return text;
            }
            closed[kind] -= 1;
        }
        text = &text[..text.len() - last.len_utf8()];
    }
}

/// Parses a path on this server; `None` for targets elsewhere. Browsers interpret `//host`,
/// `/\host` and `/<tab>/host` as another server.
pub fn own_path(text: &str) -> Option<String> {
    let is_other = |character: char| character.is_control() || character == '\\' || character == ' ';
    if text.len() > MAX_URL_LEN || !text.starts_with('/') || text.contains(is_other) {
        return None;
    }
    let here = Url::parse("https://natter.invalid").ok()?;
    let there = here.join(text).ok().filter(|there| there.origin() == here.origin())?;
    let path = &there[Position::BeforePath..];
    // After normalisation, a path with `..` segments may start with two slashes.
    (!path.starts_with("//")).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_paths_never_lead_to_another_server() {
        for own in ["/", "/c/1?x=y#z", "/a%2F%2Fevil.example", "/@evil.example", "/https://evil.example"] {
            assert_eq!(own_path(own).as_deref(), Some(own));
        }
        assert_eq!(own_path("/a/../b").as_deref(), Some("/b"));
        for foreign in [
            "",
            "https://evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/ /evil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/%2e%2e//evil.example",
            "//natter.invalid//evil.example",
            "javascript:alert(1)",
            " /x",
            "x",
            "\u{0}/x",
            &format!("/{}", "x".repeat(3_000)),
        ] {
            assert_eq!(own_path(foreign), None, "{foreign:?}");
        }
    }

    fn found(text: &str) -> Vec<String> {
        extract_links(text).into_iter().map(String::from).collect()
    }

    #[test]
    fn links_exclude_surrounding_punctuation() {
        assert_eq!(
            found("see https://example.org/a, or (http://b.test/x_(y))."),
            ["https://example.org/a", "http://b.test/x_(y)"]
        );
        assert_eq!(
            found("[here](https://example.org/a) <https://b.test/>"),
            ["https://example.org/a", "https://b.test/"]
        );
        assert_eq!(found("https://a.test https://a.test/ https://b.test https://c.test https://d.test").len(), 3);
    }

    #[test]
    fn trailing_brackets_are_handled_in_linear_time() {
        let brackets = "([".repeat(100);
        let closing = "])".repeat(100);
        assert_eq!(trim_punctuation(&format!("https://a.test/{brackets}x{closing}")).len(), 15 + 401);
        assert_eq!(trim_punctuation(&format!("https://a.test/{brackets}x{closing}]).")).len(), 15 + 401);
        assert_eq!(trim_punctuation(&format!("https://a.test/{}", "])".repeat(50_000))), "https://a.test/");
        let many = format!("{} https://a.test/", "https://<http ".repeat(20_000));
        assert_eq!(found(&many), ["https://a.test/"]);
    }

    #[test]
    fn ignores_text_that_is_no_link() {
        for text in [
            "",
            "xhttps://a.test",
            "`https://a.test`",
            "```\nhttps://a.test\n```",
            "https://",
            "http://[x",
            "https:// a.test",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
        assert!(found(&format!("https://a.test/{}", "x".repeat(2_000))).is_empty());
        assert_eq!(found("```\ncode\n```\nhttps://a.test/").len(), 1);
    }
}
