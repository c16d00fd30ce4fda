//! Markdown: one section per heading.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::Section;

/// Maximum length of a heading, in characters; longer ones are truncated.
const MAX_HEADING: usize = 120;

/// Splits a text into sections, each with its path of headings.
pub(crate) fn sections(text: &str) -> Vec<Section> {
    let mut open: Vec<(HeadingLevel, String)> = Vec::new();
    let mut found = Vec::new();
    let (mut begins, mut lines) = (0, Lines::new(text));
    let mut heading: Option<(HeadingLevel, usize, String)> = None;
    let mut push = |from: usize, to: usize, open: &[(HeadingLevel, String)]| {
        let part = text.get(from..to).unwrap_or_default();
        if !part.trim().is_empty() {
            let line = Some(lines.at(from));
            found.push(Section {
                text: part.to_owned(),
                heading: heading_path(open),
                line,
                is_markdown: true,
                page: None,
            });
        }
    };
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => heading = Some((level, range.start, String::new())),
            Event::Text(said) | Event::Code(said) => {
                if let Some((_, _, title)) = &mut heading {
                    title.push_str(&said);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let Some((level, start, title)) = heading.take() else { continue };
                push(begins, start, &open);
                begins = start;
                open.retain(|(above, _)| *above < level);
                let title: String = title.trim().chars().take(MAX_HEADING).collect();
                if !title.is_empty() {
                    open.push((level, title));
                }
            }
            _ => {}
        }
    }
    push(begins, text.len(), &open);
    found
}

fn heading_path(open: &[(HeadingLevel, String)]) -> Option<String> {
    let names: Vec<&str> = open.iter().map(|(_, name)| name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(" › "))
}

/// Computes the line numbers of positions, which must be ascending.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    fn at(&mut self, place: usize) -> u32 {
        let passed = self.text.get(self.at..place).unwrap_or_default().matches('\n').count();
        self.line = self.line.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.at = place;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_their_heading_path() {
        let text = "Intro\n\n# House\n\nRules\n\n```\n# no heading\n```\n\n## Leave `days`\n\n25\n\n# End\nbye\n";
        let found: Vec<_> = sections(text)
            .into_iter()
            .map(|section| (section.heading, section.line, section.text.lines().count()))
            .collect();
        assert_eq!(
            found,
            [
                (None, Some(1), 2),
                (Some("House".to_owned()), Some(3), 8),
                (Some("House › Leave days".to_owned()), Some(11), 4),
                (Some("End".to_owned()), Some(15), 2),
            ]
        );
    }
}
