//! Single-page PDF documents with text in the embedded fonts.
//!
//! The output depends only on the input: the same content gives the same bytes.

mod font;

use std::{
    collections::HashMap,
    io::{self, Write as _},
};

use appcore::Timestamp;
use aws_lc_rs::digest::{SHA256, digest};
use flate2::{Compression, write::ZlibEncoder};
use pdf_writer::{
    Chunk, Content, Date, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr,
    types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap},
};
use subsetter::{GlyphRemapper, subset};
use time::OffsetDateTime;
use ttf_parser::GlyphId;
use xmp_writer::{DateTime, LangId, Timezone, XmpWriter};

pub(crate) use self::font::{FONTS, Font, Fonts};

/// Width and height of A4 in points.
pub(crate) const A4: (f32, f32) = (595.0, 842.0);

const IDENTITY: SystemInfo = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
const CREATOR: &str = "Natter";

/// Metadata of a document.
pub(crate) struct Properties<'a> {
    pub(crate) title: &'a str,
    pub(crate) author: &'a str,
    /// Language tag.
    pub(crate) language: &'a str,
    pub(crate) created: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FontWeight {
    Regular,
    Bold,
}

/// Failure to write a PDF document.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    #[error("failed to parse the embedded fonts")]
    Fonts,
    #[error("failed to subset a font: {0}")]
    Subset(#[from] subsetter::Error),
    #[error("failed to compress a stream: {0}")]
    Compression(#[from] io::Error),
}

/// An A4 page. The origin is the upper left corner, lengths are in points.
pub(crate) struct PdfPage {
    content: Content,
    regular: FontSubset,
    bold: FontSubset,
}

impl PdfPage {
    /// `color` is the RGB colour of all text and lines.
    pub(crate) fn new(fonts: &'static Fonts, color: [u8; 3]) -> Self {
        let mut content = Content::new();
        let [red, green, blue] = color.map(|part| f32::from(part) / 255.0);
        content.set_fill_rgb(red, green, blue);
        let regular = FontSubset::new(&fonts.regular, "F0");
        Self { content, regular, bold: FontSubset::new(&fonts.bold, "F1") }
    }

    pub(crate) fn font(&self, weight: FontWeight) -> &'static Font {
        match weight {
            FontWeight::Regular => self.regular.font,
            FontWeight::Bold => self.bold.font,
        }
    }

    /// Draws a line of text; `y` is its baseline.
    pub(crate) fn text(&mut self, (x, y): (f32, f32), size: f32, weight: FontWeight, text: &str) {
        let subset = match weight {
            FontWeight::Regular => &mut self.regular,
            FontWeight::Bold => &mut self.bold,
        };
        self.content.begin_text();
        self.content.set_font(Name(subset.resource.as_bytes()), size);
        self.content.next_line(x, A4.1 - y);
        subset.show(&mut self.content, text);
        self.content.end_text();
    }

    /// Fills a rectangle; `x` and `y` are its upper left corner.
    pub(crate) fn rectangle(&mut self, (x, y): (f32, f32), width: f32, height: f32) {
        self.content.rect(x, A4.1 - y - height, width, height);
        self.content.fill_nonzero();
    }

    pub(crate) fn finish(self, properties: &Properties<'_>) -> Result<Vec<u8>, PdfError> {
        let mut next = Ref::new(1);
        let [catalog, pages, page, content, metadata, information] = std::array::from_fn(|_| next.bump());
        let fonts: Vec<_> =
            [self.regular, self.bold].into_iter().filter(FontSubset::is_used).map(|font| (next.bump(), font)).collect();

        let mut pdf = Pdf::new();
        let mut root = pdf.catalog(catalog);
        root.pages(pages).metadata(metadata).lang(TextStr(properties.language));
        root.viewer_preferences().display_doc_title(true);
        root.finish();
        pdf.pages(pages).kids([page]).count(1);
        let mut sheet = pdf.page(page);
        sheet.parent(pages).media_box(Rect::new(0.0, 0.0, A4.0, A4.1)).contents(content);
        let mut resources = sheet.resources();
        let mut names = resources.fonts();
        for (id, font) in &fonts {
            names.pair(Name(font.resource.as_bytes()), *id);
        }
        names.finish();
        resources.finish();
        sheet.finish();
        pdf.stream(content, &deflated(&self.content.finish())?).filter(Filter::FlateDecode);
        for (id, font) in &fonts {
            font.write(&mut pdf, *id, &mut next)?;
        }
        properties.write(&mut pdf, information, metadata);
        Ok(pdf.finish())
    }
}

impl Properties<'_> {
    /// Writes the information dictionary, the same properties as XMP, and the file's identifier.
    fn write(&self, pdf: &mut Pdf, information: Ref, metadata: Ref) {
        let id = digest(&SHA256, pdf.as_bytes()).as_ref()[..16].to_vec();
        let id_text = format!("uuid:{}", hex::encode(&id));
        pdf.set_file_id((id.clone(), id));
        let mut document = pdf.document_info(information);
        document.title(TextStr(self.title)).creator(TextStr(CREATOR));
        let mut xmp = XmpWriter::new();
        xmp.title([(None, self.title)]).creator_tool(CREATOR).language([LangId(self.language)]);
        xmp.format("application/pdf").num_pages(1).document_id(&id_text).instance_id(&id_text);
        if !self.author.is_empty() {
            document.author(TextStr(self.author));
            xmp.creator([self.author]);
        }
        if let Ok(at) = OffsetDateTime::from_unix_timestamp(self.created.seconds()) {
            let year = u16::try_from(at.year()).unwrap_or(0);
            let (month, day, (hour, minute, second)) = (u8::from(at.month()), at.day(), at.time().as_hms());
            let date = Date::new(year).month(month).day(day).hour(hour).minute(minute).second(second);
            let date = date.utc_offset_hour(0);
            document.creation_date(date).modified_date(date);
            let date = DateTime::new(year, month, day, hour, minute, second, Timezone::Utc);
            xmp.create_date(date).modify_date(date);
        }
        document.finish();
        pdf.metadata(metadata, xmp.finish(None).as_bytes());
    }
}

/// Characters of a document in one font.
///
/// Each character has a character id (CID) of its own, from 1. So text can be copied and searched even if several
/// characters have the same glyph, as those do that the font lacks.
struct FontSubset {
    font: &'static Font,
    /// Name of the font in the page's resources.
    resource: &'static str,
    cids: HashMap<char, u16>,
    /// Used characters with their glyphs; the index is the CID minus 1.
    characters: Vec<(char, GlyphId)>,
}

impl FontSubset {
    fn new(font: &'static Font, resource: &'static str) -> Self {
        Self { font, resource, cids: HashMap::new(), characters: Vec::new() }
    }

    fn is_used(&self) -> bool {
        !self.characters.is_empty()
    }

    /// Writes the operator that shows a line of text, with adjustments between kerned pairs.
    fn show(&mut self, content: &mut Content, text: &str) {
        let mut operator = content.show_positioned();
        let mut items = operator.items();
        let mut codes = Vec::new();
        for glyph in self.font.glyphs(text) {
            codes.extend(self.cid(glyph.char, glyph.id).to_be_bytes());
            if glyph.kerning != 0 {
                items.show(Str(&codes));
                codes.clear();
                items.adjust(-self.font.thousandths(f32::from(glyph.kerning)));
            }
        }
        if !codes.is_empty() {
            items.show(Str(&codes));
        }
    }

    fn cid(&mut self, char: char, id: GlyphId) -> u16 {
        if let Some(cid) = self.cids.get(&char) {
            return *cid;
        }
        // CIDs start at 1, because CID 0 is the glyph `.notdef`.
        let Ok(cid) = u16::try_from(self.characters.len() + 1) else { return 0 };
        self.characters.push((char, id));
        self.cids.insert(char, cid);
        cid
    }

    /// Writes a composite TrueType font that contains the used glyphs only.
    fn write(&self, pdf: &mut Chunk, id: Ref, next: &mut Ref) -> Result<(), PdfError> {
        let [descendant, descriptor, file, glyph_map, unicode] = std::array::from_fn(|_| next.bump());
        let (face, thousandths) = (&self.font.face, |units: i16| self.font.thousandths(f32::from(units)));
        let mut glyphs = GlyphRemapper::new();
        let glyph_ids: Vec<u8> = [0]
            .into_iter()
            .chain(self.characters.iter().map(|(_, id)| id.0))
            .flat_map(|id| glyphs.remap(id).to_be_bytes())
            .collect();
        let data = subset(self.font.data, 0, &glyphs)?;
        let name = format!("{}+{}", subset_tag(&data), self.font.name);
        let name = Name(name.as_bytes());

        let mut font = pdf.type0_font(id);
        font.base_font(name).encoding_predefined(Name(b"Identity-H")).descendant_font(descendant).to_unicode(unicode);
        font.finish();
        let mut font = pdf.cid_font(descendant);
        font.subtype(CidFontType::Type2).base_font(name).system_info(IDENTITY).font_descriptor(descriptor);
        font.cid_to_gid_map_stream(glyph_map);
        let ids = [GlyphId(0)].into_iter().chain(self.characters.iter().map(|(_, id)| *id));
        let advances = ids.map(|id| self.font.thousandths(f32::from(face.glyph_hor_advance(id).unwrap_or(0))));
        font.widths().consecutive(0, advances);
        font.finish();
        let bounds = face.global_bounding_box();
        let bounds = [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(thousandths);
        let mut metrics = pdf.font_descriptor(descriptor);
        metrics.name(name).flags(FontFlags::SYMBOLIC).italic_angle(0.0).font_file2(file);
        metrics.bbox(Rect::new(bounds[0], bounds[1], bounds[2], bounds[3]));
        metrics.ascent(thousandths(face.ascender())).descent(thousandths(face.descender()));
        metrics.cap_height(thousandths(face.capital_height().unwrap_or_else(|| face.ascender())));
        // The stem width is an estimate: TrueType fonts have no such value, and viewers need it only if they substitute
        // the font.
        metrics.stem_v(10.0 + 0.244 * (f32::from(face.weight().to_number()) - 50.0));
        metrics.finish();
        let length = i32::try_from(data.len()).unwrap_or(i32::MAX);
        pdf.stream(file, &deflated(&data)?).filter(Filter::FlateDecode).pair(Name(b"Length1"), length);
        pdf.stream(glyph_map, &deflated(&glyph_ids)?).filter(Filter::FlateDecode);
        let mut mappings = UnicodeCmap::<u16>::new(Name(b"Custom"), IDENTITY);
        for ((char, _), cid) in self.characters.iter().zip(1..) {
            mappings.pair(cid, *char);
        }
        let mappings = deflated(&mappings.finish())?;
        pdf.cmap(unicode, &mappings).filter(Filter::FlateDecode);
        Ok(())
    }
}

/// Six capital letters that distinguish subsets of the same font.
fn subset_tag(data: &[u8]) -> String {
    let mut hash = crc32fast::hash(data);
    let mut letter = || {
        let letter = char::from(b'A' + (hash % 26) as u8);
        hash /= 26;
        letter
    };
    (0..6).map(|_| letter()).collect()
}

fn deflated(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data)?;
    encoder.finish()
}
