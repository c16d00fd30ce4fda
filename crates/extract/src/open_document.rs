//! OpenDocument texts and presentations (.odt, .odp): a ZIP archive with the text in one XML file.

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

pub(crate) const CONTENT: &str = "content.xml";
const MANIFEST: &str = "META-INF/manifest.xml";
/// Maximum number of spaces that one space element stands for.
const MAX_SPACES: usize = 100;

/// Reads a text document: one section per heading.
pub(crate) fn text(bytes: &[u8]) -> Result<Vec<Section>, ExtractError> {
    let pages = pages(&content(bytes)?)?;
    let text: String = pages.into_iter().map(|page| page.text).collect();
    // Drops the line numbers. There are no page numbers either: pages exist only when the document
    // is rendered.
    Ok(markdown::sections(&text).into_iter().map(|section| Section { line: None, ..section }).collect())
}

/// Reads a presentation: one section per slide, with the number of the slide as page.
pub(crate) fn slides(bytes: &[u8]) -> Result<Vec<Section>, ExtractError> {
    let pages = pages(&content(bytes)?)?;
    Ok((0..).zip(pages).map(|(number, page)| page.section(number)).collect())
}

/// Rejects documents with a password. In these, each file of the archive is encrypted.
pub(crate) fn reject_encrypted(archive: &mut Archive<'_>) -> Result<(), ExtractError> {
    let mark = b"encryption-data";
    let is_sealed =
        archive.has(MANIFEST) && archive.read(MANIFEST)?.windows(mark.len()).any(|part| part == mark.as_slice());
    if is_sealed { Err(ExtractError::Protected) } else { Ok(()) }
}

fn content(bytes: &[u8]) -> Result<Vec<u8>, ExtractError> {
    let mut archive = Archive::open(bytes)?;
    reject_encrypted(&mut archive)?;
    archive.read(CONTENT)
}

/// Slide, or the text outside of all slides.
#[derive(Default)]
struct Page {
    title: Option<String>,
    text: String,
}

impl Page {
    /// Converts the slide to a section. Number 0 stands for the text before all slides.
    fn section(self, number: u32) -> Section {
        let page = (number > 0).then_some(number);
        Section { text: self.text, page, heading: self.title, ..Section::default() }
    }
}

fn pages(xml: &[u8]) -> Result<Vec<Page>, ExtractError> {
    let mut reader = Reader::from_reader(xml);
    let mut paragraphs = MarkdownBuilder::default();
    let mut pages = vec![Page::default()];
    // Notes are nested in the paragraphs to which they belong.
    let (mut depth, mut level) = (0_usize, 0);
    let mut is_title = false;
    loop {
        match reader.read_event().map_err(|_| ExtractError::Damaged)? {
            Event::Start(tag) => match tag.local_name().as_ref() {
                // Skips deleted text, comments and forms.
                b"tracked-changes" | b"annotation" | b"forms" => {
                    reader.read_to_end(tag.name()).map_err(|_| ExtractError::Damaged)?;
                }
                b"p" => depth += 1,
                b"h" => {
                    depth += 1;
                    level = number(&tag, b"outline-level").unwrap_or(1);
                }
                b"s" => paragraphs.push(&spaces(&tag)),
                b"tab" => paragraphs.push("\t"),
                b"line-break" => paragraphs.push("\n"),
                b"table-row" => paragraphs.start_row(),
                b"frame" => is_title = value(&tag, b"class").is_some_and(|class| class == "title"),
                b"page" => finish_page(&mut pages, &mut paragraphs),
                _ => {}
            },
            Event::Empty(tag) => match tag.local_name().as_ref() {
                b"s" => paragraphs.push(&spaces(&tag)),
                b"tab" => paragraphs.push("\t"),
                b"line-break" => paragraphs.push("\n"),
                b"table-cell" | b"covered-table-cell" => paragraphs.finish_cell(),
                b"page" => finish_page(&mut pages, &mut paragraphs),
                _ => {}
            },
            Event::Text(said) if depth > 0 => paragraphs.push(&said.decode().map_err(|_| ExtractError::Damaged)?),
            Event::GeneralRef(name) if depth > 0 => {
                if let Some(resolve_reference) = resolve_reference(&name)? {
                    paragraphs.push(resolve_reference.encode_utf8(&mut [0; 4]));
                }
            }
            Event::End(tag) => match tag.local_name().as_ref() {
                b"p" | b"h" => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        paragraphs.finish_paragraph(std::mem::take(&mut level));
                    } else {
                        paragraphs.push(" ");
                    }
                }
                b"table-cell" | b"covered-table-cell" => paragraphs.finish_cell(),
                b"table-row" => paragraphs.finish_row(),
                b"table" => paragraphs.finish_table(),
                b"frame" => {
                    let said = paragraphs.drain_text();
                    let Some(page) = pages.last_mut() else { continue };
                    if std::mem::take(&mut is_title) && page.title.is_none() {
                        let title = said.split_whitespace().collect::<Vec<_>>().join(" ");
                        page.title = Some(title).filter(|title| !title.is_empty());
                    }
                    page.text.push_str(&said);
                }
                _ => {}
            },
            Event::Eof => {
                if let Some(page) = pages.last_mut() {
                    page.text.push_str(&paragraphs.drain_text());
                }
                return Ok(pages);
            }
            _ => {}
        }
    }
}

fn finish_page(pages: &mut Vec<Page>, paragraphs: &mut MarkdownBuilder) {
    if let Some(page) = pages.last_mut() {
        page.text.push_str(&paragraphs.drain_text());
    }
    pages.push(Page::default());
}

/// Returns the spaces that an element stands for. The file stores consecutive spaces as one element
/// with their number.
fn spaces(tag: &BytesStart<'_>) -> String {
    " ".repeat(number(tag, b"c").unwrap_or(1).min(MAX_SPACES))
}

fn number(tag: &BytesStart<'_>, name: &[u8]) -> Option<usize> {
    value(tag, name)?.parse().ok()
}

fn value(tag: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let found = tag.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == name)?;
    Some(String::from_utf8_lossy(&found.value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::packed;

    fn document(body: &str) -> Vec<u8> {
        let xml = format!(
            "<?xml version=\"1.0\"?><office:document-content><office:body>{body}</office:body></office:document-content>"
        );
        packed(&[("mimetype", "application/vnd.oasis.opendocument.text"), (CONTENT, &xml)])
    }

    #[test]
    fn skips_deleted_text() {
        let found = text(&document(
            "<text:tracked-changes><text:p>Gone</text:p></text:tracked-changes>\
             <text:h text:outline-level=\"2\">Leave</text:h>\
             <text:p>25<text:s text:c=\"2\"/>days &amp; <text:span>more<office:annotation><text:p>Really?</text:p></office:annotation></text:span></text:p>\
             <table:table><table:table-row><table:table-cell><text:p>Day</text:p></table:table-cell>\
             <table:table-cell><text:p>Who</text:p></table:table-cell></table:table-row></table:table>",
        ))
        .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].heading.as_deref(), Some("Leave"));
        assert_eq!(found[0].text.trim(), "## Leave\n\n25  days & more\n\nDay | Who");
    }

    #[test]
    fn numbers_slides_as_pages() {
        let frame = |class: &str, text: &str| {
            format!(
                "<draw:frame presentation:class=\"{class}\"><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>"
            )
        };
        let page = |title: &str, body: &str| {
            format!("<draw:page draw:name=\"x\">{}{}</draw:page>", frame("title", title), frame("outline", body))
        };
        let found = slides(&document(&format!("{}{}", page("Plan", "Ship it"), page("", "Questions?")))).unwrap();
        let found: Vec<_> =
            found.iter().skip(1).map(|page| (page.page, page.heading.as_deref(), page.text.trim())).collect();
        assert_eq!(found, [(Some(1), Some("Plan"), "Plan\n\nShip it"), (Some(2), None, "Questions?")]);
    }

    #[test]
    fn reports_protected_documents() {
        let sealed = packed(&[(CONTENT, "\u{1}"), (MANIFEST, "<manifest:encryption-data/>")]);
        assert_eq!(text(&sealed), Err(ExtractError::Protected));
        assert_eq!(text(b"PK"), Err(ExtractError::Damaged));
    }
}
