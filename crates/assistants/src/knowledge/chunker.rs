//! Chunking of documents for retrieval and citation.

mod chunk;

use appcore::{AppError, KnowledgeFileId};
use dbcontext::query::knowledge::PieceRow;
use extract::Section;

/// Maximum length of a stored heading, in characters.
const MAX_HEADING: usize = 300;

/// Splits a file into chunks, in order. Returns `None` if there are more than `most`. The same text
/// always yields the same chunks.
pub(super) fn split(
    file_id: KnowledgeFileId,
    sections: &[Section],
    most: usize,
) -> Result<Option<Vec<PieceRow>>, AppError> {
    let mut pieces = Vec::new();
    for section in sections {
        let (mut counted, mut line) = (0, section.line.and_then(|line| i32::try_from(line).ok()));
        for (at, text) in chunk::chunks(&section.text) {
            if pieces.len() >= most {
                return Ok(None);
            }
            // Chunks overlap, but their starts increase, so each line break is counted once.
            let passed = section.text.get(counted..at).unwrap_or_default().matches('\n').count();
            counted = at.max(counted);
            line = line.map(|line| line.saturating_add(i32::try_from(passed).unwrap_or(i32::MAX)));
            pieces.push(PieceRow {
                file_id,
                number: i32::try_from(pieces.len()).map_err(AppError::internal)?,
                text: text.to_owned(),
                page: section.page.and_then(|page| i32::try_from(page).ok()),
                heading: section.heading.as_ref().map(|heading| heading.chars().take(MAX_HEADING).collect()),
                line,
            });
        }
    }
    Ok(Some(pieces))
}

/// Returns the text to embed: the chunk preceded by its file name and heading, which the chunk
/// itself may not contain.
pub(super) fn embedding_text(name: &str, piece: &PieceRow) -> String {
    match &piece.heading {
        Some(heading) => format!("{name}, {heading}\n\n{}", piece.text),
        None => format!("{name}\n\n{}", piece.text),
    }
}

#[cfg(test)]
mod tests {
    use ai::estimate_tokens;

    use super::{chunk::TOKENS, *};

    fn section(text: &str) -> Section {
        Section { text: text.to_owned(), line: Some(1), ..Section::default() }
    }

    #[test]
    fn chunks_have_a_limited_length_and_cover_the_text() {
        let text: String = (1..=500).map(|n| format!("Line {n} says that the number is {n}, and no more.\n")).collect();
        let pieces = split(KnowledgeFileId::new(), &[section(&text)], 1_000).unwrap().unwrap();
        assert!(pieces.len() > 5);
        for (number, piece) in pieces.iter().enumerate() {
            assert_eq!(piece.number, i32::try_from(number).unwrap());
            assert!(estimate_tokens(&piece.text) <= TOKENS.end, "{}", estimate_tokens(&piece.text));
            let first: i32 = piece.text.split(' ').nth(1).unwrap().parse().unwrap();
            assert_eq!(piece.line, Some(first), "{}", piece.text);
        }
        for n in 1..=500 {
            assert!(pieces.iter().any(|piece| piece.text.contains(&format!("number is {n},"))), "{n}");
        }
        assert!(split(KnowledgeFileId::new(), &[section(&text)], 3).unwrap().is_none());
    }

    #[test]
    fn splits_text_without_boundaries() {
        let text = "ơ".repeat(10_000);
        let pieces = split(KnowledgeFileId::new(), &[section(&text)], 1_000).unwrap().unwrap();
        assert!(pieces.len() >= 12 && pieces.iter().all(|piece| estimate_tokens(&piece.text) <= TOKENS.end));
    }

    #[test]
    fn chunks_stay_within_pages_and_headings() {
        let page = |page, text: &str| Section { page: Some(page), line: None, ..section(text) };
        let headed = Section { heading: Some("Leave".to_owned()), is_markdown: true, ..section("# Leave\n\n25 days") };
        let pieces = split(KnowledgeFileId::new(), &[page(1, "One."), page(2, "Two."), headed], 10).unwrap().unwrap();
        let places: Vec<_> = pieces.iter().map(|piece| (piece.page, piece.heading.as_deref(), piece.line)).collect();
        assert_eq!(places, [(Some(1), None, None), (Some(2), None, None), (None, Some("Leave"), Some(1))]);
        assert_eq!(embedding_text("a.md", &pieces[2]), "a.md, Leave\n\n# Leave\n\n25 days");
    }
}
