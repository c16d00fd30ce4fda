//! Builds Markdown from the paragraphs and tables of a document.

/// Separator between two cells of a row.
const CELL_SEPARATOR: &str = " | ";

#[derive(Default)]
pub(crate) struct MarkdownBuilder {
    text: String,
    line: String,
    /// Number of table rows that are open; a cell may contain a table.
    rows: usize,
}

impl MarkdownBuilder {
    pub fn push(&mut self, said: &str) {
        self.line.push_str(said);
    }

    /// Ends a paragraph. With a level other than 0, the paragraph is a heading.
    pub fn finish_paragraph(&mut self, level: usize) {
        if self.rows > 0 {
            self.line.push(' ');
            return;
        }
        let said = std::mem::take(&mut self.line);
        if said.trim().is_empty() {
            return;
        }
        let marks = "######".get(..level.min(6)).unwrap_or_default();
        self.text.push_str(marks);
        self.text.push_str(if marks.is_empty() { "" } else { " " });
        self.text.push_str(said.trim());
        self.text.push_str("\n\n");
    }

    pub fn start_row(&mut self) {
        self.rows += 1;
    }

    pub fn finish_cell(&mut self) {
        self.line.truncate(self.line.trim_end().len());
        self.line.push_str(CELL_SEPARATOR);
    }

    pub fn finish_row(&mut self) {
        self.rows = self.rows.saturating_sub(1);
        if self.rows > 0 {
            return;
        }
        let said = std::mem::take(&mut self.line);
        let is_between = |char: char| char == '|' || char.is_whitespace();
        let is_blank = said.chars().all(is_between);
        if !is_blank {
            self.text.push_str(said.trim_start().trim_end_matches(is_between));
            self.text.push('\n');
        }
    }

    pub fn finish_table(&mut self) {
        if self.rows == 0 {
            self.text.push('\n');
        }
    }

    /// Returns the text built so far and clears it.
    pub fn drain_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}
