//! Metadata in the head of a web page, for link previews.

use std::cell::RefCell;

use html5ever::{
    tendril::StrTendril,
    tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states},
};
use serde::{Deserialize, Serialize};

use crate::tags::limit_tags;

const TITLE_CHARS: usize = 200;
const DESCRIPTION_CHARS: usize = 400;
const SITE_CHARS: usize = 80;

/// Title, description, site name and image of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub title: Option<String>,
    pub description: Option<String>,
    pub site: Option<String>,
    /// URL of the image, possibly relative to the URL of the page.
    pub image: Option<String>,
}

/// Parses a page up to the end of its head.
pub(crate) fn read(html: &str) -> Page {
    let sink = HeadSink::default();
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(&limit_tags(head_of(html))));
    // The tokenizer stops only for scripts, which are not run here, so it reads the whole input.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let found = tokenizer.sink.found.into_inner();
    let first =
        |values: [Option<String>; 3], most| values.into_iter().flatten().find_map(|text| normalize_text(&text, most));
    Page {
        title: first([found.og_title, found.twitter_title, found.title], TITLE_CHARS),
        description: first([found.og_description, found.twitter_description, found.description], DESCRIPTION_CHARS),
        site: first([found.site, None, None], SITE_CHARS),
        image: found.og_image.or(found.twitter_image).or(found.icon).map(|text| text.trim().to_owned()),
    }
}

/// Returns the text up to the end of the head.
fn head_of(html: &str) -> &str {
    let end = html.as_bytes().windows(7).position(|part| part.eq_ignore_ascii_case(b"</head>"));
    end.map_or(html, |end| &html[..end])
}

/// Collapses white space and control characters into single spaces and truncates the text to `most`
/// characters. `None` if nothing remains.
fn normalize_text(text: &str, most: usize) -> Option<String> {
    let words: Vec<&str> =
        text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    if line.is_empty() {
        return None;
    }
    if line.chars().count() <= most {
        return Some(line);
    }
    let cut: String = line.chars().take(most - 1).collect();
    Some(format!("{}…", cut.trim_end()))
}

#[derive(Default)]
struct FoundTags {
    title: Option<String>,
    description: Option<String>,
    og_title: Option<String>,
    og_description: Option<String>,
    og_image: Option<String>,
    twitter_title: Option<String>,
    twitter_description: Option<String>,
    twitter_image: Option<String>,
    site: Option<String>,
    icon: Option<String>,
}

#[derive(Default)]
struct HeadSink {
    found: RefCell<FoundTags>,
    /// True while the content of the title element is being read.
    is_in_title: RefCell<bool>,
}

impl TokenSink for HeadSink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) => return self.tag(&tag),
            Token::CharacterTokens(text) if *self.is_in_title.borrow() => {
                self.found.borrow_mut().title.get_or_insert_default().push_str(&text);
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl HeadSink {
    fn tag(&self, tag: &Tag) -> TokenSinkResult<()> {
        let is_start = tag.kind == TagKind::StartTag;
        match &*tag.name {
            "title" => {
                let is_first = self.found.borrow().title.is_none();
                *self.is_in_title.borrow_mut() = is_start && is_first;
                if is_start {
                    return TokenSinkResult::RawData(states::RawKind::Rcdata);
                }
            }
            "script" if is_start => return TokenSinkResult::RawData(states::RawKind::ScriptData),
            "style" | "noscript" if is_start => return TokenSinkResult::RawData(states::RawKind::Rawtext),
            "meta" if is_start => self.meta(tag),
            "link" if is_start => self.link(tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }

    fn meta(&self, tag: &Tag) {
        let Some(content) = attribute(tag, "content") else { return };
        let name = attribute(tag, "property").or_else(|| attribute(tag, "name")).unwrap_or_default();
        let mut found = self.found.borrow_mut();
        let place = match name.to_ascii_lowercase().as_str() {
            "og:title" => &mut found.og_title,
            "og:description" => &mut found.og_description,
            "og:image" | "og:image:url" | "og:image:secure_url" => &mut found.og_image,
            "og:site_name" => &mut found.site,
            "twitter:title" => &mut found.twitter_title,
            "twitter:description" => &mut found.twitter_description,
            "twitter:image" => &mut found.twitter_image,
            "description" => &mut found.description,
            _ => return,
        };
        if place.is_none() {
            *place = Some(content);
        }
    }

    fn link(&self, tag: &Tag) {
        let is_icon = attribute(tag, "rel").is_some_and(|rel| {
            rel.split_ascii_whitespace()
                .any(|rel| rel.eq_ignore_ascii_case("icon") || rel.eq_ignore_ascii_case("apple-touch-icon"))
        });
        let mut found = self.found.borrow_mut();
        if is_icon && found.icon.is_none() {
            found.icon = attribute(tag, "href");
        }
    }
}

fn attribute(tag: &Tag, name: &str) -> Option<String> {
    let found = tag.attrs.iter().find(|attribute| &*attribute.name.local == name)?;
    Some(found.value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_metadata_of_a_page() {
        let page = read(
            "<!doctype html><html><head><title>Plain &amp; simple</title><meta name=description content='About it'>\
             <meta property=\"og:title\" content=\"The &quot;real&quot; title\"><meta property=og:site_name content=Harbour>\
             <meta property=og:image content=/a.png><script>\"<meta property=og:title content=no>\"</script></head>\
             <body><meta property=og:description content=late></body>",
        );
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            page,
            Page {
                title: text("The \"real\" title"),
                description: text("About it"),
                site: text("Harbour"),
                image: text("/a.png")
            }
        );
    }

    #[test]
    fn tolerates_malformed_pages() {
        assert_eq!(read(""), Page::default());
        // An incomplete end tag counts as text, as in browsers.
        assert_eq!(read("\u{0}<title>\n a\t b </title").title.as_deref(), Some("a b </title"));
        assert_eq!(read("<link rel='shortcut icon' href='i.ico'>").image.as_deref(), Some("i.ico"));
        let long = read(&format!("<title>{}</title>", "x ".repeat(500))).title.unwrap();
        assert!(long.chars().count() <= TITLE_CHARS && long.ends_with('…'));
        assert_eq!(read("<title>ü</TITLE><HEAD></HEAD><title>no").title.as_deref(), Some("ü"));
        assert_eq!(read(&"<meta property=og:title content=".repeat(10_000)).description, None);
    }

    #[test]
    fn limits_the_attributes_of_a_tag() {
        let attributes: String = (0..100_000).map(|n| format!(" a{n}")).collect();
        let page = read(&format!("<title>Before</title><p{attributes}><meta property=og:title content=After>"));
        assert_eq!(page.title.as_deref(), Some("After"));
    }
}
