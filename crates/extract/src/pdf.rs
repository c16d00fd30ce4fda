//! PDF files: a section for each page.

use pdf_extract::OutputError;

use crate::{Section, Unreadable};

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Section>, Unreadable> {
    let pages = pdf_extract::extract_text_from_mem_by_pages(bytes).map_err(|error| match error {
        OutputError::PdfError(pdf_extract::Error::Decryption(_) | pdf_extract::Error::AlreadyEncrypted) => {
            Unreadable::Protected
        }
        _ => Unreadable::Damaged,
    })?;
    let sections = pages.into_iter().zip(1..).map(|(text, page)| Section {
        text: joined(&text),
        page: Some(page),
        ..Section::default()
    });
    Ok(sections.collect())
}

/// Paragraphs in one piece: in the file each line stands by itself.
fn joined(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for paragraph in page.split("\n\n") {
        for line in paragraph.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match text.chars().last() {
                // A word that goes on in the next line.
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

    #[test]
    fn lines_of_a_paragraph_are_joined() {
        assert_eq!(
            joined("Leave is twen-\nty five\ndays.\n\n\n\nNext-\nWord"),
            "Leave is twenty five days.\n\nNext- Word\n\n"
        );
    }
}
