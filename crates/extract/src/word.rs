//! Word documents: a ZIP archive with the text in one XML file.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use crate::{
    ExtractError, Section,
    archive::{Archive, resolve_reference},
    markdown,
    paragraphs::MarkdownBuilder,
};

/// Files of footnotes and endnotes in the archive.
const NOTES: [&str; 2] = ["word/footnotes.xml", "word/endnotes.xml"];

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Section>, ExtractError> {
    let mut archive = Archive::open(bytes)?;
    let mut said = text(&archive.read("word/document.xml")?)?;
    for part in NOTES {
        if archive.has(part) {
            match archive.read(part).and_then(|xml| text(&xml)) {
                Ok(notes) => said.push_str(&notes),
                // If only the notes are damaged, the text of the document is still used.
                Err(ExtractError::Damaged) => {}
                Err(error) => return Err(error),
            }
        }
    }
    // Drops the line numbers, because Word has no lines. There are no page numbers either: pages
    // exist only when the document is rendered.
    Ok(markdown::sections(&said).into_iter().map(|section| Section { line: None, ..section }).collect())
}

/// Converts paragraphs, headings and tables to Markdown.
fn text(xml: &[u8]) -> Result<String, ExtractError> {
    let mut reader = Reader::from_reader(xml);
    let mut paragraphs = MarkdownBuilder::default();
    let (mut level, mut is_text) = (0, false);
    loop {
        match reader.read_event().map_err(|_| ExtractError::Damaged)? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == b"pStyle" => {
                level = heading_level(&tag);
            }
            Event::Start(tag) => {
                is_text = tag.local_name().as_ref() == b"t";
                if tag.local_name().as_ref() == b"tr" {
                    paragraphs.start_row();
                }
            }
            Event::Empty(tag) => match tag.local_name().as_ref() {
                b"tab" => paragraphs.push("\t"),
                b"br" | b"cr" => paragraphs.push("\n"),
                _ => {}
            },
            Event::Text(said) if is_text => paragraphs.push(&said.decode().map_err(|_| ExtractError::Damaged)?),
            Event::GeneralRef(name) if is_text => {
                if let Some(resolve_reference) = resolve_reference(&name)? {
                    paragraphs.push(resolve_reference.encode_utf8(&mut [0; 4]));
                }
            }
            Event::End(tag) => match tag.local_name().as_ref() {
                b"t" => is_text = false,
                b"p" => paragraphs.finish_paragraph(std::mem::take(&mut level)),
                b"tc" => paragraphs.finish_cell(),
                b"tr" => paragraphs.finish_row(),
                b"tbl" => paragraphs.finish_table(),
                _ => {}
            },
            Event::Eof => return Ok(paragraphs.drain_text()),
            _ => {}
        }
    }
}

/// Returns the level of a heading style such as `Heading2`, in any language of Word; 0 for other
/// styles.
fn heading_level(tag: &BytesStart<'_>) -> usize {
    let style = tag.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == b"val");
    let Some(style) = style else { return 0 };
    match style.value.as_ref() {
        b"Title" => 1,
        [.., digit @ b'1'..=b'6'] if style.value.to_ascii_lowercase().starts_with(b"head") => usize::from(digit - b'0'),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::packed;

    fn document(body: &str) -> Vec<u8> {
        let xml = format!("<?xml version=\"1.0\"?><w:document><w:body>{body}</w:body></w:document>");
        packed(&[("word/document.xml", &xml)])
    }

    #[test]
    fn assigns_paragraphs_to_headings() {
        let found = read(&document(
            "<w:p><w:pPr><w:pStyle w:val=\"Heading1\"/></w:pPr><w:r><w:t>Leave</w:t></w:r></w:p>\
             <w:p><w:r><w:t>25 &amp; </w:t></w:r><w:r><w:t xml:space=\"preserve\">more&#33;</w:t></w:r></w:p>",
        ))
        .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].heading.as_deref(), found[0].text.trim()), (Some("Leave"), "# Leave\n\n25 & more!"));
    }

    #[test]
    fn appends_notes() {
        let paragraph = |text: &str| format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>");
        let part = |name: &str, text: &str| format!("<w:{name}>{}</w:{name}>", paragraph(text));
        let document = format!("<w:document><w:body>{}</w:body></w:document>", paragraph("Built in 1974."));
        let found = read(&packed(&[
            ("word/document.xml", &document),
            ("word/endnotes.xml", &part("endnotes", "Ask Anna.")),
            ("word/footnotes.xml", &part("footnotes", "Painted in 2019.")),
        ]))
        .unwrap();
        assert_eq!(found[0].text.trim(), "Built in 1974.\n\nPainted in 2019.\n\nAsk Anna.");
    }

    #[test]
    fn ignores_damaged_notes() {
        let paragraph = |text: &str| format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>");
        let document = format!("<w:document><w:body>{}</w:body></w:document>", paragraph("Built in 1974."));
        let footnotes = format!("<w:footnotes>{}</w:endnotes>", paragraph("Painted in 2019."));
        let endnotes = format!("<w:endnotes>{}</w:endnotes>", paragraph("Ask Anna."));
        let mut bytes = packed(&[
            ("word/document.xml", &document),
            ("word/footnotes.xml", &footnotes),
            ("word/endnotes.xml", &endnotes),
        ]);
        assert_eq!(read(&bytes).unwrap()[0].text.trim(), "Built in 1974.\n\nAsk Anna.");
        // The same applies to a part that can't be unpacked because its header is damaged.
        let name = b"word/endnotes.xml";
        let at = bytes.windows(name.len()).position(|part| part == name).unwrap();
        bytes[at - 30] = b'X';
        assert_eq!(read(&bytes).unwrap()[0].text.trim(), "Built in 1974.");
    }

    #[test]
    fn keeps_table_rows_together() {
        let cell = |text: &str| format!("<w:tc><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>");
        let row = |cells: [&str; 2]| format!("<w:tr>{}{}</w:tr>", cell(cells[0]), cell(cells[1]));
        let table = format!("<w:tbl>{}{}{}</w:tbl>", row(["Day", "Who"]), row(["", ""]), row(["Monday", ""]));
        let found = read(&document(&format!("{table}<w:p><w:r><w:t>Behind</w:t></w:r></w:p>"))).unwrap();
        assert_eq!(found[0].text.trim(), "Day | Who\nMonday\n\nBehind");
    }

    #[test]
    fn rejects_other_files() {
        assert_eq!(read(b"PK"), Err(ExtractError::Damaged));
        assert_eq!(read(&document("<w:p><w:r></w:p>")), Err(ExtractError::Damaged));
    }
}
