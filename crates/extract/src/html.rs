//! Web pages, converted to Markdown. Scripts and layout are dropped.

use htmd::HtmlToMarkdown;

use crate::{ExtractError, Section, markdown, tags::limit_tags};

/// Elements that contain no text for readers.
const SKIPPED_ELEMENTS: [&str; 8] = ["script", "style", "noscript", "template", "svg", "iframe", "nav", "form"];

pub(crate) fn read(text: &str) -> Result<Vec<Section>, ExtractError> {
    let converter = HtmlToMarkdown::builder().skip_tags(SKIPPED_ELEMENTS.to_vec()).build();
    let converted = converter.convert(&limit_tags(text)).map_err(|_| ExtractError::Damaged)?;
    // Drops the line numbers: those of the converted text don't match the lines of the file.
    Ok(markdown::sections(&converted).into_iter().map(|section| Section { line: None, ..section }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_scripts() {
        let page = "<title>T</title><script>steal()</script><h1>Leave</h1><p>25 <b>days</b>&amp; more</p>";
        let found = read(page).unwrap();
        let last = found.last().unwrap();
        assert_eq!(last.heading.as_deref(), Some("Leave"));
        assert!(last.text.contains("25 **days**& more"), "{found:?}");
        assert!(found.iter().all(|section| !section.text.contains("steal") && section.line.is_none()));
    }

    #[test]
    fn limits_the_attributes_of_a_tag() {
        let attributes: String = (0..100_000).map(|n| format!(" a{n}")).collect();
        let found = read(&format!("<p{attributes}>25 days</p>")).unwrap();
        assert_eq!(found[0].text.trim(), "25 days");
    }
}
