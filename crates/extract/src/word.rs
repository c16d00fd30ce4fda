//! Word documents: an archive, in which the text is one XML file.

use std::io::{Cursor, Read as _};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use zip::ZipArchive;

use crate::{MAX_TEXT, Section, Unreadable, markdown};

/// Bytes of the unpacked document at most: there is more markup than text.
const MAX_DOCUMENT: u64 = 8 * MAX_TEXT as u64;

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Section>, Unreadable> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Unreadable::Damaged)?;
    let document = archive.by_name("word/document.xml").map_err(|_| Unreadable::Damaged)?;
    let mut xml = Vec::new();
    document.take(MAX_DOCUMENT + 1).read_to_end(&mut xml).map_err(|_| Unreadable::Damaged)?;
    if xml.len() as u64 > MAX_DOCUMENT {
        return Err(Unreadable::TooLong);
    }
    let text = paragraphs(&xml)?;
    // Word has no lines, and its pages are made when it is shown.
    Ok(markdown::sections(&text).into_iter().map(|section| Section { line: None, ..section }).collect())
}

/// The paragraphs, with headings as Markdown has them.
fn paragraphs(xml: &[u8]) -> Result<String, Unreadable> {
    let mut reader = Reader::from_reader(xml);
    let mut text = String::new();
    let (mut line, mut level, mut is_text) = (String::new(), 0_usize, false);
    loop {
        match reader.read_event().map_err(|_| Unreadable::Damaged)? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == b"pStyle" => {
                level = heading_level(&tag);
            }
            Event::Start(tag) => is_text = tag.local_name().as_ref() == b"t",
            Event::Empty(tag) => match tag.local_name().as_ref() {
                b"tab" => line.push('\t'),
                b"br" | b"cr" => line.push('\n'),
                _ => {}
            },
            Event::Text(said) if is_text => line.push_str(&said.decode().map_err(|_| Unreadable::Damaged)?),
            Event::GeneralRef(name) if is_text => {
                let named: &[u8] = &name;
                let character = name.resolve_char_ref().map_err(|_| Unreadable::Damaged)?;
                let character = character.or(match named {
                    b"amp" => Some('&'),
                    b"lt" => Some('<'),
                    b"gt" => Some('>'),
                    b"quot" => Some('"'),
                    b"apos" => Some('\''),
                    _ => None,
                });
                line.extend(character);
            }
            Event::End(tag) => match tag.local_name().as_ref() {
                b"t" => is_text = false,
                b"p" => {
                    let said = std::mem::take(&mut line);
                    if !said.trim().is_empty() {
                        let marks = "######".get(..std::mem::take(&mut level).min(6)).unwrap_or_default();
                        text.push_str(marks);
                        text.push_str(if marks.is_empty() { "" } else { " " });
                        text.push_str(said.trim());
                        text.push_str("\n\n");
                    }
                    level = 0;
                }
                _ => {}
            },
            Event::Eof => return Ok(text),
            _ => {}
        }
    }
}

/// `Heading2`, in whatever language Word writes the number behind it; 0 for other styles.
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
pub(crate) mod tests {
    use std::io::Write as _;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn document(body: &str) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("word/document.xml", SimpleFileOptions::default()).unwrap();
        write!(archive, "<?xml version=\"1.0\"?><w:document><w:body>{body}</w:body></w:document>").unwrap();
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn paragraphs_stand_below_their_headings() {
        let found = read(&document(
            "<w:p><w:pPr><w:pStyle w:val=\"Heading1\"/></w:pPr><w:r><w:t>Leave</w:t></w:r></w:p>\
             <w:p><w:r><w:t>25 &amp; </w:t></w:r><w:r><w:t xml:space=\"preserve\">more&#33;</w:t></w:r></w:p>",
        ))
        .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].heading.as_deref(), found[0].text.trim()), (Some("Leave"), "# Leave\n\n25 & more!"));
    }

    #[test]
    fn a_document_that_is_none_is_refused() {
        assert_eq!(read(b"PK"), Err(Unreadable::Damaged));
        assert_eq!(read(&document("<w:p><w:r></w:p>")), Err(Unreadable::Damaged));
    }
}
