//! PDF files: one section per page, including blank pages.

use std::{
    iter,
    panic::{AssertUnwindSafe, catch_unwind},
};

use pdf_extract::{Dictionary, Document, Error, Object, ObjectId, OutputError, PlainTextOutput, output_doc_page};
use unicode_normalization::UnicodeNormalization;

use crate::{ExtractError, Section};

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Section>, ExtractError> {
    let mut document = Document::load_mem(bytes).map_err(|error| unreadable(&error))?;
    if document.is_encrypted() {
        // Tries the empty password: many files have an empty user password, and a password only for
        // making changes.
        document.decrypt("").map_err(|error| unreadable(&error))?;
    }
    let ids: Vec<ObjectId> = document.page_iter().collect();
    let mut alone = SinglePageDocument::of(document).map_err(|error| unreadable(&error))?;
    // A page that the parser can't read, or on which it panics, doesn't affect the other pages.
    let page = |id| catch_unwind(AssertUnwindSafe(|| alone.text(id))).ok().and_then(Result::ok);
    let pages: Vec<Option<String>> = ids.into_iter().map(page).collect();
    if pages.iter().all(Option::is_none) {
        return Err(ExtractError::Damaged);
    }
    let sections = pages.into_iter().zip(1..).map(|(text, page)| Section {
        text: join_lines(&normalise_glyphs(&text.unwrap_or_default())),
        page: Some(page),
        ..Section::default()
    });
    Ok(sections.collect())
}

fn unreadable(error: &Error) -> ExtractError {
    match error {
        Error::Decryption(_) | Error::AlreadyEncrypted => ExtractError::Protected,
        _ => ExtractError::Damaged,
    }
}

/// Document reduced to one page at a time, because the parser would otherwise walk all pages for
/// each page that it reads.
struct SinglePageDocument {
    document: Document,
    tree: ObjectId,
}

impl SinglePageDocument {
    fn of(mut document: Document) -> Result<Self, Error> {
        let tree = document.add_object(Dictionary::new());
        document.catalog_mut()?.set("Pages", Object::Reference(tree));
        Ok(Self { document, tree })
    }

    /// Extracts the text of a page. The parser finds inherited attributes through the page's
    /// reference to its parent.
    fn text(&mut self, page: ObjectId) -> Result<String, OutputError> {
        let fields =
            [("Type", Object::Name(b"Pages".to_vec())), ("Kids", Object::Array(vec![Object::Reference(page)]))];
        self.document.set_object(self.tree, Dictionary::from_iter(fields));
        let mut text = String::new();
        output_doc_page(&self.document, &mut PlainTextOutput::new(&mut text), 1)?;
        Ok(text)
    }
}

/// Replaces ligatures by their letters, and CJK radicals (U+2E80 to U+2FD5) by the characters that
/// look the same, so that searches find the text. If a font has one glyph for a radical and a
/// character, Chromium writes the radical to the PDF.
fn normalise_glyphs(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for char in page.chars() {
        match char {
            '\u{fb00}'..='\u{fb06}' | '\u{2e80}'..='\u{2fd5}' => text.extend(iter::once(char).nfkc()),
            _ => text.push(char),
        }
    }
    text
}

/// Joins the lines of each paragraph, which are separate in the file.
fn join_lines(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for paragraph in page.split("\n\n") {
        for line in paragraph.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match text.chars().last() {
                // A hyphenated word continues on the next line.
                Some('-') if line.starts_with(char::is_lowercase) => _ = text.pop(),
                Some('\n') | None => {}
                Some(_) => text.push(' '),
            }
            text.push_str(line);
        }
        if !text.is_empty() && !text.ends_with("\n\n") {
            text.push_str("\n\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a document with two pages that have these fields.
    fn document(pages: [&str; 2]) -> Vec<u8> {
        let words = |words: &str| {
            let content = format!("BT /F1 24 Tf 72 700 Td ({words}) Tj ET");
            format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len())
        };
        let page = |fields: &str, content: u32| {
            format!(
                "<< /Type /Page /Parent 2 0 R {fields} /Contents {content} 0 R /Resources << /Font << /F1 7 0 R >> >> >>"
            )
        };
        let objects = [
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>".to_owned(),
            page(pages[0], 5),
            page(pages[1], 6),
            words("First"),
            words("Second"),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        ];
        let mut file = "%PDF-1.4\n".to_owned();
        let mut table = String::new();
        for (number, object) in objects.iter().enumerate() {
            table.push_str(&format!("{:010} 00000 n \n", file.len()));
            file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
        }
        let (start, size) = (file.len(), objects.len() + 1);
        file.push_str(&format!("xref\n0 {size}\n0000000000 65535 f \n{table}"));
        file.push_str(&format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"));
        file.into_bytes()
    }

    #[test]
    fn isolates_pages_that_break_the_parser() {
        let whole = "/MediaBox [0 0 612 792]";
        let texts = |pages: [&str; 2]| {
            let read = read(&document(pages));
            read.map(|sections| sections.iter().map(|section| section.text.trim().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(texts([whole, whole]), Ok(vec!["First".to_owned(), "Second".to_owned()]));
        // The first page has no size.
        assert_eq!(texts(["", whole]), Ok(vec![String::new(), "Second".to_owned()]));
        assert_eq!(texts(["", ""]), Err(ExtractError::Damaged));
    }

    #[test]
    fn replaces_ligatures() {
        assert_eq!(normalise_glyphs("an eﬃcient oﬀice, ﬁve ﬂuﬀy waﬄes"), "an efficient office, five fluffy waffles");
    }

    #[test]
    fn replaces_radicals() {
        assert_eq!(normalise_glyphs("港⼝ 百分之⼗⼀ ⻳"), "港口 百分之十一 龟");
        assert_eq!(normalise_glyphs("⺀"), "⺀");
    }

    #[test]
    fn joins_the_lines_of_a_paragraph() {
        assert_eq!(
            join_lines("Leave is twen-\nty five\ndays.\n\n\n\nNext-\nWord"),
            "Leave is twenty five days.\n\nNext- Word\n\n"
        );
    }
}
