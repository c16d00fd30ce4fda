//! The text of an answer while it grows: what readers were told of it, and what is stored.

/// The longest answer that is kept, in bytes. What a model writes beyond it is cut off.
const MAX_BYTES: usize = 200_000;

#[derive(Debug, Default)]
pub(super) struct Draft {
    text: String,
    units: u64,
    /// What readers have from a worker who died; it stays on the screen until the text here is longer.
    before: String,
    before_units: u64,
    /// Bytes of `text` that readers were told, and the same in UTF-16 code units, as the wire counts.
    told: usize,
    told_units: u64,
    stored: usize,
    /// What is written next is a part of its own.
    is_parted: bool,
}

/// Text that readers have not been told yet, and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub offset: u64,
    pub text: String,
}

impl Draft {
    /// Of an answer of which readers have this text already. Its first bytes are kept, the rest will be written again.
    pub fn after(before: String, kept: usize) -> Self {
        let text = before[..before.floor_char_boundary(kept)].to_owned();
        let (units, kept) = (text.encode_utf16().count() as u64, text.len());
        let before = if before.len() > kept { before } else { String::new() };
        Self {
            before_units: before.encode_utf16().count() as u64,
            before,
            text,
            units,
            told: kept,
            told_units: units,
            stored: kept,
            is_parted: false,
        }
    }

    /// What is written from here on stands apart from what is there.
    pub fn part(&mut self) {
        self.is_parted = !self.text.is_empty() && !self.text.ends_with("\n\n");
    }

    /// Adds what the model wrote. NUL, which PostgreSQL can't store, is left out.
    pub fn push(&mut self, text: &str) {
        if std::mem::take(&mut self.is_parted) {
            self.push("\n\n");
        }
        let room = MAX_BYTES.saturating_sub(self.text.len());
        let text = &text[..text.floor_char_boundary(room)];
        for char in text.chars().filter(|&char| char != '\0') {
            self.text.push(char);
            self.units += char.len_utf16() as u64;
        }
    }

    /// The text is not longer yet than what readers have from before.
    pub fn is_behind(&self) -> bool {
        self.units < self.before_units
    }

    /// The text is as long now as what readers have from before, and they see that still.
    pub fn overtakes(&self) -> bool {
        !self.before.is_empty() && !self.is_behind()
    }

    /// Readers see the whole text as it is now.
    pub fn overtook(&mut self) {
        self.before.clear();
        self.before_units = 0;
        (self.told, self.told_units, self.stored) = (self.text.len(), self.units, self.text.len());
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The answer as it was written.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The longer of what was written and what readers have from before.
    pub fn into_longer(self) -> String {
        if self.is_behind() { self.before } else { self.text }
    }

    /// No more will be added, so the model need not go on.
    pub fn is_full(&self) -> bool {
        // A last character may not have fitted.
        self.text.len() + 4 > MAX_BYTES
    }

    pub fn has_untold(&self) -> bool {
        self.told < self.text.len() && !self.is_behind()
    }

    /// What readers have not been told; it counts as told from here on.
    pub fn tell(&mut self) -> Piece {
        let text = self.text[self.told..].to_owned();
        let offset = self.told_units;
        self.told = self.text.len();
        self.told_units = self.units;
        Piece { offset, text }
    }

    pub fn has_unstored(&self) -> bool {
        self.stored < self.text.len() && !self.is_behind()
    }

    /// The text as it is now has been stored.
    pub fn stored(&mut self) {
        self.stored = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_each_other_in_utf_16_code_units() {
        let mut draft = Draft::default();
        draft.push("à😀");
        assert_eq!(draft.tell(), Piece { offset: 0, text: "à😀".to_owned() });
        assert!(!draft.has_untold());
        draft.push("b\0c");
        draft.push("d");
        assert_eq!(draft.tell(), Piece { offset: 3, text: "bcd".to_owned() });
        assert_eq!(draft.text(), "à😀bcd");
    }

    #[test]
    fn readers_keep_what_they_have_until_it_is_overtaken() {
        let mut draft = Draft::after("Một hai 😀".to_owned(), 0);
        draft.push("Một hai");
        assert!(draft.is_behind() && !draft.overtakes() && !draft.has_untold() && !draft.has_unstored());
        draft.push(" ba!");
        assert!(draft.overtakes());
        draft.overtook();
        assert!(!draft.overtakes() && !draft.has_untold());
        draft.push(" 👋");
        assert_eq!(draft.tell(), Piece { offset: 11, text: " 👋".to_owned() });
        let mut shorter = Draft::after("Một hai".to_owned(), 0);
        shorter.push("Một");
        assert_eq!(shorter.into_longer(), "Một hai");
    }

    #[test]
    fn what_is_kept_of_an_earlier_text_is_not_told_again() {
        let mut draft = Draft::after("à😀\n\nhalf".to_owned(), "à😀".len());
        assert!(draft.is_behind() && draft.text() == "à😀");
        draft.part();
        draft.push("halfway");
        assert!(draft.overtakes() && draft.text() == "à😀\n\nhalfway");
        let mut whole = Draft::after("à😀".to_owned(), 100);
        assert!(!whole.is_behind() && !whole.overtakes() && !whole.has_untold());
        whole.part();
        whole.push("b");
        assert_eq!(whole.tell(), Piece { offset: 3, text: "\n\nb".to_owned() });
    }

    #[test]
    fn an_answer_is_cut_off_between_characters() {
        let mut draft = Draft::default();
        draft.push(&"a".repeat(MAX_BYTES - 2));
        draft.push("😀😀");
        assert!(draft.is_full());
        assert_eq!(draft.into_text().len(), MAX_BYTES - 2);
    }
}
