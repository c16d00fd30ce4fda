//! PowerPoint presentations: one section per slide, with the number of the slide as page. Includes
//! the speaker notes.

use std::collections::HashMap;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use crate::{
    ExtractError, MAX_TEXT, Section,
    archive::{Archive, resolve_reference},
    paragraphs::MarkdownBuilder,
};

/// Maximum number of slides read from a file.
const MAX_SLIDES: usize = 5_000;
const FOLDER: &str = "ppt";

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Section>, ExtractError> {
    let mut archive = Archive::open(bytes)?;
    let order = slide_ids(&archive.read("ppt/presentation.xml")?)?;
    let known = relations(&archive.read("ppt/_rels/presentation.xml.rels")?)?;
    let (mut found, mut length) = (Vec::new(), 0);
    for (number, id) in (1..).zip(order) {
        let Some(target) = known.get(&id).map(|relation| path(FOLDER, &relation.target)) else { continue };
        let slide = shapes(&archive.read(&target)?)?;
        let mut text = slide.text;
        if let Some(notes) = notes_of(&mut archive, &target)? {
            text.push_str(&notes);
        }
        length += text.len();
        if length > MAX_TEXT {
            return Err(ExtractError::TooLong);
        }
        found.push(Section { text, page: Some(number), heading: slide.title, ..Section::default() });
    }
    Ok(found)
}

/// Relationship between two parts of an archive.
struct Relation {
    target: String,
    kind: String,
}

fn relations(xml: &[u8]) -> Result<HashMap<String, Relation>, ExtractError> {
    let mut reader = Reader::from_reader(xml);
    let mut known = HashMap::new();
    loop {
        match reader.read_event().map_err(|_| ExtractError::Damaged)? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == b"Relationship" => {
                let value = |name: &[u8]| attribute(&tag, name).unwrap_or_default();
                known.insert(value(b"Id"), Relation { target: value(b"Target"), kind: value(b"Type") });
            }
            Event::Eof => return Ok(known),
            _ => {}
        }
    }
}

/// Returns the relationship ids of the slides, in order.
fn slide_ids(xml: &[u8]) -> Result<Vec<String>, ExtractError> {
    let mut reader = Reader::from_reader(xml);
    let mut ids = Vec::new();
    loop {
        match reader.read_event().map_err(|_| ExtractError::Damaged)? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == b"sldId" => {
                // The numeric id of the slide is an attribute with the same name, but without a
                // prefix.
                let found = tag
                    .attributes()
                    .flatten()
                    .find(|attribute| attribute.key.local_name().as_ref() == b"id" && attribute.key.prefix().is_some());
                ids.extend(found.map(|found| String::from_utf8_lossy(&found.value).into_owned()));
                if ids.len() > MAX_SLIDES {
                    return Err(ExtractError::TooLong);
                }
            }
            Event::Eof => return Ok(ids),
            _ => {}
        }
    }
}

fn notes_of(archive: &mut Archive<'_>, slide: &str) -> Result<Option<String>, ExtractError> {
    let Some((folder, name)) = slide.rsplit_once('/') else { return Ok(None) };
    let named = format!("{folder}/_rels/{name}.rels");
    if !archive.has(&named) {
        return Ok(None);
    }
    let known = relations(&archive.read(&named)?)?;
    let Some(notes) = known.values().find(|relation| relation.kind.ends_with("/notesSlide")) else { return Ok(None) };
    let target = path(folder, &notes.target);
    if !archive.has(&target) {
        return Ok(None);
    }
    Ok(Some(shapes(&archive.read(&target)?)?.text).filter(|notes| !notes.is_empty()))
}

/// Resolves a relationship target, which may be relative to the referring part.
fn path(folder: &str, target: &str) -> String {
    if let Some(whole) = target.strip_prefix('/') {
        return whole.to_owned();
    }
    let mut folders: Vec<&str> = folder.split('/').collect();
    for part in target.split('/') {
        match part {
            ".." => {
                folders.pop();
            }
            "." | "" => {}
            part => folders.push(part),
        }
    }
    folders.join("/")
}

#[derive(Default)]
struct Slide {
    title: Option<String>,
    text: String,
}

/// Returns the text of a slide's shapes, except slide numbers and dates.
fn shapes(xml: &[u8]) -> Result<Slide, ExtractError> {
    let mut reader = Reader::from_reader(xml);
    let (mut slide, mut paragraphs) = (Slide::default(), MarkdownBuilder::default());
    let (mut is_text, mut is_field) = (false, false);
    let mut kind = String::new();
    loop {
        match reader.read_event().map_err(|_| ExtractError::Damaged)? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == b"ph" => {
                kind = attribute(&tag, b"type").unwrap_or_default();
            }
            Event::Start(tag) => match tag.local_name().as_ref() {
                b"sp" | b"graphicFrame" => kind.clear(),
                b"t" => is_text = !is_field,
                b"fld" => is_field = true,
                b"tr" => paragraphs.start_row(),
                _ => {}
            },
            Event::Empty(tag) if tag.local_name().as_ref() == b"br" => paragraphs.push("\n"),
            Event::Text(said) if is_text => paragraphs.push(&said.decode().map_err(|_| ExtractError::Damaged)?),
            Event::GeneralRef(name) if is_text => {
                if let Some(resolve_reference) = resolve_reference(&name)? {
                    paragraphs.push(resolve_reference.encode_utf8(&mut [0; 4]));
                }
            }
            Event::End(tag) => match tag.local_name().as_ref() {
                b"t" => is_text = false,
                b"fld" => is_field = false,
                b"br" => paragraphs.push("\n"),
                b"p" => paragraphs.finish_paragraph(0),
                b"tc" => paragraphs.finish_cell(),
                b"tr" => paragraphs.finish_row(),
                b"sp" | b"graphicFrame" => {
                    let said = paragraphs.drain_text();
                    if matches!(kind.as_str(), "title" | "ctrTitle") && slide.title.is_none() {
                        let title = said.split_whitespace().collect::<Vec<_>>().join(" ");
                        slide.title = Some(title).filter(|title| !title.is_empty());
                    }
                    if !matches!(kind.as_str(), "sldNum" | "dt" | "ftr" | "hdr") {
                        slide.text.push_str(&said);
                    }
                    kind.clear();
                }
                _ => {}
            },
            Event::Eof => return Ok(slide),
            _ => {}
        }
    }
}

fn attribute(tag: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let found = tag.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == name)?;
    Some(String::from_utf8_lossy(&found.value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::packed;

    fn slide(title: &str, body: &str) -> String {
        let shape = |kind: &str, text: &str| {
            format!(
                "<p:sp><p:nvPr><p:ph type=\"{kind}\"/></p:nvPr><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
            )
        };
        let number = "<p:sp><p:nvPr><p:ph type=\"sldNum\"/></p:nvPr><a:p><a:fld type=\"slidenum\"><a:t>7</a:t></a:fld></a:p></p:sp>";
        format!("<p:sld>{}{}{number}</p:sld>", shape("title", title), shape("body", body))
    }

    #[test]
    fn numbers_slides_in_presentation_order() {
        let presentation = "<p:presentation><p:sldIdLst><p:sldId id=\"256\" r:id=\"rId9\"/>\
            <p:sldId id=\"257\" r:id=\"rId1\"></p:sldId></p:sldIdLst></p:presentation>";
        let relations = "<Relationships><Relationship Id=\"rId1\" Type=\"x/slide\" Target=\"slides/slide1.xml\"/>\
            <Relationship Id=\"rId9\" Type=\"x/slide\" Target=\"/ppt/slides/slide2.xml\"/></Relationships>";
        let of_slide = "<Relationships><Relationship Id=\"rId1\" Type=\"x/notesSlide\" Target=\"../notesSlides/n.xml\"/></Relationships>";
        let found = read(&packed(&[
            ("ppt/presentation.xml", presentation),
            ("ppt/_rels/presentation.xml.rels", relations),
            ("ppt/slides/slide1.xml", &slide("Thanks", "Questions?")),
            ("ppt/slides/slide2.xml", &slide("Plan &amp; goals", "Ship it")),
            ("ppt/slides/_rels/slide2.xml.rels", of_slide),
            ("ppt/notesSlides/n.xml", &slide("", "Speak slowly")),
        ]))
        .unwrap();
        let found: Vec<_> =
            found.iter().map(|slide| (slide.page, slide.heading.as_deref(), slide.text.trim())).collect();
        assert_eq!(
            found,
            [
                (Some(1), Some("Plan & goals"), "Plan & goals\n\nShip it\n\nSpeak slowly"),
                (Some(2), Some("Thanks"), "Thanks\n\nQuestions?"),
            ]
        );
    }

    #[test]
    fn rejects_other_files() {
        assert_eq!(read(b"PK"), Err(ExtractError::Damaged));
        assert_eq!(read(&packed(&[("ppt/presentation.xml", "<p:presentation/>")])), Err(ExtractError::Damaged));
    }
}
