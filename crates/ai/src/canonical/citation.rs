//! Web pages that an answer cites.

use super::Event;

/// Web page that a text cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Citation {
    pub url: String,
    pub title: String,
    /// Range of the citing text within the choice's text, in characters.
    pub start: usize,
    pub end: usize,
}

impl Citation {
    /// Creates a citation by the whole text so far, whose length is `end`. The URL replaces a
    /// missing title.
    pub fn new(url: &str, title: Option<&str>, end: usize) -> Self {
        let title = title.filter(|title| !title.trim().is_empty()).unwrap_or(url);
        Self { url: url.to_owned(), title: title.to_owned(), start: 0, end }
    }
}

/// Citations of an answer so far, by choice. Some servers repeat them in each chunk.
#[derive(Debug, Default)]
pub(crate) struct Citations(Vec<(u32, Citation)>);

impl Citations {
    /// Maximum number of citations in an answer. Further ones are dropped, because each is compared
    /// with all earlier ones.
    pub const MAX: usize = 1_000;

    /// True if the choice cites this page.
    pub fn has_url(&self, choice: u32, url: &str) -> bool {
        self.0.iter().any(|(of, known)| *of == choice && known.url == url)
    }

    /// Adds a citation to the answer, unless it is known.
    pub fn add(&mut self, choice: u32, citation: Citation, out: &mut Vec<Event>) {
        let cited = (choice, citation);
        if self.0.len() < Self::MAX && !self.0.contains(&cited) {
            out.push(Event::Citation { choice, citation: cited.1.clone() });
            self.0.push(cited);
        }
    }
}
