//! Embedded fonts: characters to glyphs, advance widths and pair kerning.
//!
//! There is no further shaping: text is normalised to NFC, and combining marks that have no precomposed letter are
//! drawn at the font's own offset.

use std::sync::LazyLock;

use ttf_parser::{
    Face, GlyphId, Tag,
    gpos::{PairAdjustment, PositioningSubtable},
};
use unicode_normalization::{UnicodeNormalization, char::decompose_canonical};

/// DejaVu Sans, reduced to Latin with all letters of Vietnamese. `None` if a font can't be parsed.
pub(crate) static FONTS: LazyLock<Option<Fonts>> = LazyLock::new(|| {
    Some(Fonts {
        regular: Font::parse("DejaVuSans", include_bytes!("../../fonts/DejaVuSans.ttf"))?,
        bold: Font::parse("DejaVuSans-Bold", include_bytes!("../../fonts/DejaVuSans-Bold.ttf"))?,
    })
});

pub(crate) struct Fonts {
    pub(crate) regular: Font,
    pub(crate) bold: Font,
}

pub(crate) struct Font {
    /// PostScript name of the font.
    pub(super) name: &'static str,
    pub(super) data: &'static [u8],
    pub(super) face: Face<'static>,
    kerning: Vec<PairAdjustment<'static>>,
}

/// A positioned glyph of a line of text. Lengths are in font units.
pub(super) struct Glyph {
    pub(super) char: char,
    pub(super) id: GlyphId,
    pub(super) advance: u16,
    /// Kerning: correction of the advance width for the pair with the next glyph.
    pub(super) kerning: i16,
}

impl Font {
    fn parse(name: &'static str, data: &'static [u8]) -> Option<Self> {
        let face = Face::parse(data, 0).ok()?;
        let kerning = pair_adjustments(&face);
        Some(Self { name, data, face, kerning })
    }

    #[cfg(test)]
    pub(crate) fn has(&self, char: char) -> bool {
        self.face.glyph_index(char).is_some()
    }

    /// Width of a line of text in points.
    pub(crate) fn width(&self, text: &str, size: f32) -> f32 {
        let units: i32 =
            self.glyphs(text).iter().map(|glyph| i32::from(glyph.advance) + i32::from(glyph.kerning)).sum();
        self.thousandths(units as f32) * size / 1000.0
    }

    /// Converts font units to thousandths of the font size, the unit of PDF's font metrics.
    pub(super) fn thousandths(&self, units: f32) -> f32 {
        units * 1000.0 / f32::from(self.face.units_per_em())
    }

    /// Glyphs of a line of text, left to right. A character that the font lacks gets the glyph `.notdef`, which is a box.
    pub(super) fn glyphs(&self, text: &str) -> Vec<Glyph> {
        let mut glyphs = Vec::with_capacity(text.len());
        for char in text.nfc().filter(|char| !is_ignorable(*char)) {
            self.push_glyphs(char, &mut glyphs);
        }
        for index in 1..glyphs.len() {
            glyphs[index - 1].kerning = self.kerning(glyphs[index - 1].id, glyphs[index].id);
        }
        glyphs
    }

    fn push_glyphs(&self, char: char, glyphs: &mut Vec<Glyph>) {
        let mut push = |char: char, id: GlyphId| {
            let advance = self.face.glyph_hor_advance(id).unwrap_or(0);
            glyphs.push(Glyph { char, id, advance, kerning: 0 });
        };
        // Wide and narrow spaces are drawn like an ordinary space.
        let id = self.face.glyph_index(char);
        let id = id.or_else(|| char.is_whitespace().then(|| self.face.glyph_index(' ')).flatten());
        if let Some(id) = id {
            return push(char, id);
        }
        let mut parts = Vec::new();
        decompose_canonical(char, |part| parts.push((part, self.face.glyph_index(part))));
        if parts.iter().any(|(_, id)| id.is_none()) {
            return push(char, GlyphId(0));
        }
        for (part, id) in parts {
            push(part, id.unwrap_or_default());
        }
    }

    fn kerning(&self, left: GlyphId, right: GlyphId) -> i16 {
        let adjustment = |table: &PairAdjustment<'_>| {
            let index = table.coverage().get(left)?;
            let (first, _) = match table {
                PairAdjustment::Format1 { sets, .. } => sets.get(index)?.get(right)?,
                PairAdjustment::Format2 { classes, matrix, .. } => {
                    matrix.get((classes.0.get(left), classes.1.get(right)))?
                }
            };
            Some(first.x_advance)
        };
        self.kerning.iter().find_map(adjustment).unwrap_or(0)
    }
}

/// Returns the tables of the feature `kern` for Latin script.
fn pair_adjustments(face: &Face<'static>) -> Vec<PairAdjustment<'static>> {
    let Some(layout) = face.tables().gpos else { return Vec::new() };
    let Some(language) = layout.scripts.find(Tag::from_bytes(b"latn")).and_then(|script| script.default_language)
    else {
        return Vec::new();
    };
    let features = language.feature_indices.into_iter().filter_map(|index| layout.features.get(index));
    let kern = features.filter(|feature| feature.tag == Tag::from_bytes(b"kern"));
    let lookups = kern.flat_map(|feature| feature.lookup_indices).filter_map(|index| layout.lookups.get(index));
    let subtables = lookups.flat_map(|lookup| lookup.subtables.into_iter::<PositioningSubtable<'static>>());
    subtables
        .filter_map(|subtable| match subtable {
            PositioningSubtable::Pair(pair) => Some(pair),
            _ => None,
        })
        .collect()
}

/// True for characters that are invisible by default, such as soft hyphens, joiners and variation selectors.
fn is_ignorable(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(font: &Font, text: &str) -> String {
        font.glyphs(text).iter().map(|glyph| if glyph.id == GlyphId(0) { '□' } else { glyph.char }).collect()
    }

    #[test]
    fn pairs_are_kerned() {
        let fonts = FONTS.as_ref().unwrap();
        for font in [&fonts.regular, &fonts.bold] {
            let (pair, apart) = (font.width("AV", 10.0), font.width("A", 10.0) + font.width("V", 10.0));
            assert!(pair < apart && pair > apart * 0.9, "{pair} {apart}");
            assert!(font.glyphs("0123456789 ").iter().all(|glyph| glyph.kerning == 0), "digits align in columns");
        }
    }

    #[test]
    fn text_is_composed_and_unsupported_characters_become_boxes() {
        let font = &FONTS.as_ref().unwrap().regular;
        assert_eq!(text(font, "Nguye\u{302}\u{303}n Thi\u{323} Đu\u{31b}o\u{31b}\u{300}ng"), "Nguyễn Thị Đường");
        assert_eq!(text(font, "a\u{ad}b\u{200d}c\u{feff}d\u{fe0f}"), "abcd");
        assert_eq!(text(font, "1\u{202f}000\u{3000}€"), "1\u{202f}000\u{3000}€");
        assert!(font.face.glyph_bounding_box(GlyphId(0)).is_some(), "`.notdef` is blank");
        assert_eq!(text(font, "日本 Ж😀"), "□□ □□");
        assert_eq!(text(font, "\u{1f9}"), "n\u{300}", "a letter composed of its parts");
    }
}
