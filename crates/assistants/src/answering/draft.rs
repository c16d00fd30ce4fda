//! Growing text of an answer, with the parts that were published and stored.

/// Maximum length of an answer, in bytes. Longer answers are truncated.
const MAX_BYTES: usize = 200_000;

#[derive(Debug, Default)]
pub(super) struct Draft {
    text: String,
    units: u64,
    /// Text published by a previous worker. It stays visible until the new text is longer.
    before: String,
    before_units: u64,
    /// Length of the published part of `text`, in bytes and in the UTF-16 code units that events
    /// use.
    published: usize,
    published_units: u64,
    stored: usize,
    /// True if a paragraph break is inserted before the next text.
    needs_paragraph_break: bool,
}

/// Unpublished text with its offset, in UTF-16 code units.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextDelta {
    pub offset: u64,
    pub text: String,
}

impl Draft {
    /// Creates the draft of an answer of which `before` is already published. The first `kept`
    /// bytes of that text are kept, the rest is generated again.
    pub fn resume(before: String, kept: usize) -> Self {
        let text = before[..before.floor_char_boundary(kept)].to_owned();
        let (units, kept) = (text.encode_utf16().count() as u64, text.len());
        let before = if before.len() > kept { before } else { String::new() };
        Self {
            before_units: before.encode_utf16().count() as u64,
            before,
            text,
            units,
            published: kept,
            published_units: units,
            stored: kept,
            needs_paragraph_break: false,
        }
    }

    /// Starts a new paragraph for the text that follows.
    pub fn start_paragraph(&mut self) {
        self.needs_paragraph_break = !self.text.is_empty() && !self.text.ends_with("\n\n");
    }

    /// Appends text of the model, without NUL characters, which PostgreSQL can't store.
    pub fn push(&mut self, text: &str) {
        if std::mem::take(&mut self.needs_paragraph_break) {
            self.push("\n\n");
        }
        let room = MAX_BYTES.saturating_sub(self.text.len());
        let text = &text[..text.floor_char_boundary(room)];
        for char in text.chars().filter(|&char| char != '\0') {
            self.text.push(char);
            self.units += char.len_utf16() as u64;
        }
    }

    /// True while the text is shorter than the one published by a previous worker.
    pub fn is_shorter_than_previous(&self) -> bool {
        self.units < self.before_units
    }

    /// True if the text has become as long as that of the previous worker, which is still visible.
    pub fn has_caught_up(&self) -> bool {
        !self.before.is_empty() && !self.is_shorter_than_previous()
    }

    /// Marks the whole text as published and stored, after it replaced the previous one.
    pub fn mark_replaced(&mut self) {
        self.before.clear();
        self.before_units = 0;
        (self.published, self.published_units, self.stored) = (self.text.len(), self.units, self.text.len());
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn into_text(self) -> String {
        self.text
    }

    /// Returns the longer one of the new text and the text of the previous worker.
    pub fn into_longer(self) -> String {
        if self.is_shorter_than_previous() { self.before } else { self.text }
    }

    /// True if no more text fits, so that the generation can stop.
    pub fn is_full(&self) -> bool {
        // The last character may have been left out, because it has up to 4 bytes.
        self.text.len() + 4 > MAX_BYTES
    }

    pub fn has_unpublished(&self) -> bool {
        self.published < self.text.len() && !self.is_shorter_than_previous()
    }

    /// Takes the unpublished text and marks it as published.
    pub fn take_unpublished(&mut self) -> TextDelta {
        let text = self.text[self.published..].to_owned();
        let offset = self.published_units;
        self.published = self.text.len();
        self.published_units = self.units;
        TextDelta { offset, text }
    }

    pub fn has_unstored(&self) -> bool {
        self.stored < self.text.len() && !self.is_shorter_than_previous()
    }

    /// Marks the text as stored.
    pub fn mark_stored(&mut self) {
        self.stored = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_in_utf16_code_units() {
        let mut draft = Draft::default();
        draft.push("à😀");
        assert_eq!(draft.take_unpublished(), TextDelta { offset: 0, text: "à😀".to_owned() });
        assert!(!draft.has_unpublished());
        draft.push("b\0c");
        draft.push("d");
        assert_eq!(draft.take_unpublished(), TextDelta { offset: 3, text: "bcd".to_owned() });
        assert_eq!(draft.text(), "à😀bcd");
    }

    #[test]
    fn keeps_previous_text_until_it_is_overtaken() {
        let mut draft = Draft::resume("Một hai 😀".to_owned(), 0);
        draft.push("Một hai");
        assert!(
            draft.is_shorter_than_previous()
                && !draft.has_caught_up()
                && !draft.has_unpublished()
                && !draft.has_unstored()
        );
        draft.push(" ba!");
        assert!(draft.has_caught_up());
        draft.mark_replaced();
        assert!(!draft.has_caught_up() && !draft.has_unpublished());
        draft.push(" 👋");
        assert_eq!(draft.take_unpublished(), TextDelta { offset: 11, text: " 👋".to_owned() });
        let mut shorter = Draft::resume("Một hai".to_owned(), 0);
        shorter.push("Một");
        assert_eq!(shorter.into_longer(), "Một hai");
    }

    #[test]
    fn does_not_republish_kept_text() {
        let mut draft = Draft::resume("à😀\n\nhalf".to_owned(), "à😀".len());
        assert!(draft.is_shorter_than_previous() && draft.text() == "à😀");
        draft.start_paragraph();
        draft.push("halfway");
        assert!(draft.has_caught_up() && draft.text() == "à😀\n\nhalfway");
        let mut whole = Draft::resume("à😀".to_owned(), 100);
        assert!(!whole.is_shorter_than_previous() && !whole.has_caught_up() && !whole.has_unpublished());
        whole.start_paragraph();
        whole.push("b");
        assert_eq!(whole.take_unpublished(), TextDelta { offset: 3, text: "\n\nb".to_owned() });
    }

    #[test]
    fn truncates_between_characters() {
        let mut draft = Draft::default();
        draft.push(&"a".repeat(MAX_BYTES - 2));
        draft.push("😀😀");
        assert!(draft.is_full());
        assert_eq!(draft.into_text().len(), MAX_BYTES - 2);
    }
}
