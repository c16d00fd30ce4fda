//! Parsers of foreign data: text of documents, heads of web pages, and images.
//!
//! All input is untrusted, and the parsers were not written for malicious input: a parser may
//! panic, exhaust the memory or never return. They run in a [separate process](isolated) with
//! limits on memory and time. Only [`picture::measure`], which reads a header, is called by the
//! server itself.

mod archive;
mod html;
pub mod isolated;
mod markdown;
mod open_document;
pub mod page;
mod paragraphs;
mod pdf;
pub mod picture;
mod plain;
mod sheet;
mod slides;
mod table;
mod tags;
mod text_encoding;
mod word;

use serde::{Deserialize, Serialize};

pub use self::text_encoding::{DETECTION_BYTES, charset_of, decode, decode_utf16, is_legacy_text, text_charset};

/// Maximum size of the text extracted from one file, in bytes.
pub const MAX_TEXT: usize = 16 * 1024 * 1024;

const PDF: &str = "application/pdf";
const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const SLIDES: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
const OPEN_TEXT: &str = "application/vnd.oasis.opendocument.text";
const OPEN_SLIDES: &str = "application/vnd.oasis.opendocument.presentation";
/// Media type of files with unknown content. Texts in an encoding other than UTF-8 and UTF-16 have
/// this type as well; these file extensions mark them as text.
const UNKNOWN: &str = "application/octet-stream";
const TEXT_EXTENSIONS: [&str; 11] = ["csv", "htm", "html", "ini", "log", "markdown", "md", "sql", "srt", "tsv", "txt"];
/// Media types of spreadsheets: Excel since 2007, older Excel, and OpenDocument.
const SHEETS: [&str; 3] = [
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.ms-excel",
    "application/vnd.oasis.opendocument.spreadsheet",
];

/// Coherent part of a file: a page, the text below a heading, or the whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub text: String,
    /// Page number from 1, for files with pages.
    pub page: Option<u32>,
    /// Headings under which the section is, outermost first.
    pub heading: Option<String>,
    /// Number of the line at which the section starts, from 1, for files with lines.
    pub line: Option<u32>,
    /// True if the text is Markdown.
    pub is_markdown: bool,
}

/// Text of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Sections in the order of the file; none of them is blank.
    pub sections: Vec<Section>,
    /// Number of pages of a PDF, including pages without text.
    pub pages: Option<u32>,
}

/// Reason why no text could be extracted. The error message is shown to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ExtractError {
    #[error("Files of this type can't be read as text.")]
    Type,
    #[error("This file is damaged, or its content doesn't match its type.")]
    Damaged,
    #[error("This file is protected by a password.")]
    Protected,
    #[error("This file has no text.")]
    Empty,
    #[error("This file has only pictures of pages, such as scans. Run text recognition on it first.")]
    Scanned {
        /// Number of pages of the document.
        pages: u32,
    },
    #[error("This file has too much text.")]
    TooLong,
    #[error("This file takes too much time or memory to read.")]
    TooComplex,
}

/// Parser to use for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Pdf,
    Word,
    Sheet,
    Slides,
    OpenText,
    OpenSlides,
    Html,
    Markdown,
    Table(u8),
    Plain,
}

impl Format {
    /// Selects the parser by media type, and by file extension for texts.
    fn detect(media_type: &str, name: &str) -> Option<Self> {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
        match media_type {
            PDF => Some(Self::Pdf),
            WORD => Some(Self::Word),
            SLIDES => Some(Self::Slides),
            OPEN_TEXT => Some(Self::OpenText),
            OPEN_SLIDES => Some(Self::OpenSlides),
            sheet if SHEETS.contains(&sheet) => Some(Self::Sheet),
            "text/html" => Some(Self::Html),
            "text/markdown" => Some(Self::Markdown),
            "text/csv" => Some(Self::Table(b',')),
            "text/tab-separated-values" => Some(Self::Table(b'\t')),
            "application/json" | "application/xml" | "application/yaml" | "image/svg+xml" => Some(Self::Plain),
            text if text.starts_with("text/") => Some(Self::of_extension(&extension)),
            UNKNOWN if TEXT_EXTENSIONS.contains(&extension.as_str()) => Some(Self::of_extension(&extension)),
            _ => None,
        }
    }

    /// Selects the parser of a text by its file extension.
    fn of_extension(extension: &str) -> Self {
        match extension {
            "md" | "markdown" | "mdx" => Self::Markdown,
            "html" | "htm" | "xhtml" => Self::Html,
            "csv" => Self::Table(b','),
            "tsv" => Self::Table(b'\t'),
            _ => Self::Plain,
        }
    }
}

/// True if text can be extracted from files of this type.
#[must_use]
pub fn is_readable(media_type: &str, name: &str) -> bool {
    Format::detect(media_type, name).is_some()
}

/// Extracts the text of a file. The result has at least one section.
pub fn read(media_type: &str, name: &str, bytes: &[u8]) -> Result<Document, ExtractError> {
    let format = Format::detect(media_type, name).ok_or(ExtractError::Type)?;
    let sections = match format {
        Format::Pdf => pdf::read(bytes)?,
        Format::Word => word::read(bytes)?,
        Format::Sheet => sheet::read(bytes)?,
        Format::Slides => slides::read(bytes)?,
        Format::OpenText => open_document::text(bytes)?,
        Format::OpenSlides => open_document::slides(bytes)?,
        Format::Html => html::read(&text_encoding::markup(bytes)?)?,
        Format::Markdown => markdown::sections(&text_encoding::text(bytes)?),
        Format::Table(delimiter) => table::read(&text_encoding::text(bytes)?, delimiter),
        Format::Plain => plain::read(&text_encoding::text(bytes)?),
    };
    let pages = (format == Format::Pdf).then(|| u32::try_from(sections.len()).unwrap_or(u32::MAX));
    let sections: Vec<Section> = sections.into_iter().map(clean).filter(|section| !section.text.is_empty()).collect();
    if sections.is_empty() {
        return Err(match pages {
            Some(pages) if pages > 0 => ExtractError::Scanned { pages },
            _ => ExtractError::Empty,
        });
    }
    if sections.iter().map(|section| section.text.len()).sum::<usize>() > MAX_TEXT {
        return Err(ExtractError::TooLong);
    }
    Ok(Document { sections, pages })
}

/// Removes surrounding blank lines, and control characters, which databases can't store.
fn clean(section: Section) -> Section {
    let is_kept = |char: &char| !char.is_control() || matches!(char, '\n' | '\t');
    // Replaces the line breaks of other systems by `\n`.
    let text: String = section.text.replace("\r\n", "\n").replace('\r', "\n").chars().filter(is_kept).collect();
    let skipped = text.len() - text.trim_start().len();
    let lines = text[..skipped].matches('\n').count();
    let line = section.line.map(|line| line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX)));
    Section { text: text.trim().to_owned(), line, ..section }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_the_parser_by_type_and_extension() {
        for (media_type, name, format) in [
            ("text/plain", "notes.md", Some(Format::Markdown)),
            ("text/plain", "main.rs", Some(Format::Plain)),
            ("text/csv", "a.txt", Some(Format::Table(b','))),
            ("application/pdf", "a.txt", Some(Format::Pdf)),
            (SHEETS[1], "a.xls", Some(Format::Sheet)),
            (SLIDES, "a.pptx", Some(Format::Slides)),
            (OPEN_TEXT, "a.odt", Some(Format::OpenText)),
            (OPEN_SLIDES, "a.odp", Some(Format::OpenSlides)),
            ("image/png", "a.pdf", None),
            ("application/zip", "a.docx", None),
            (UNKNOWN, "a.txt", Some(Format::Plain)),
            (UNKNOWN, "a.CSV", Some(Format::Table(b','))),
            (UNKNOWN, "a.exe", None),
        ] {
            assert_eq!(Format::detect(media_type, name), format, "{media_type} {name}");
        }
    }

    #[test]
    fn rejects_files_without_text() {
        assert_eq!(read("text/plain", "a.txt", b" \n\0\t "), Err(ExtractError::Empty));
        assert_eq!(read("text/plain", "a.txt", b""), Err(ExtractError::Empty));
        assert_eq!(read("text/plain", "a.txt", b"\xff\xfe"), Err(ExtractError::Empty));
        assert_eq!(read(UNKNOWN, "a.txt", b"\x89PNG\0\x01"), Err(ExtractError::Damaged));
        assert_eq!(read("application/pdf", "a.pdf", b"%PDF-1.7 nothing"), Err(ExtractError::Damaged));
        assert_eq!(read(WORD, "a.docx", b"PK\x03\x04"), Err(ExtractError::Damaged));
        assert_eq!(read("text/plain", "a.txt", &vec![b'a'; MAX_TEXT + 1]), Err(ExtractError::TooLong));
    }

    #[test]
    fn reads_windows_texts() {
        let written = |text: &str| {
            [&b"\xff\xfe"[..], &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()].concat()
        };
        for (name, text) in [("a.txt", "nửa chữ\r\n😀"), ("a.md", "# Một\n\nhai"), ("a.csv", "a,b\n1,2")] {
            let found = read("text/plain", name, &written(text));
            assert!(found.is_ok(), "{name}");
            assert_eq!(found, read("text/plain", name, text.as_bytes()), "{name}");
        }
    }

    #[test]
    fn counts_lines_from_the_first_text() {
        let found = read("text/plain", "a.rs", b"\xef\xbb\xbf\r\n\r\nfn main() {}\r\n").unwrap();
        assert_eq!(found.pages, None);
        assert_eq!(found.sections, [Section { text: "fn main() {}".to_owned(), line: Some(3), ..Section::default() }]);
    }

    #[test]
    fn reads_csv_files_of_excel() {
        let found = read(UNKNOWN, "a.csv", b"Stadt;Preis\r\nK\xf6ln;9,00 \x80\r\n").unwrap();
        assert_eq!(found.sections[0].text, "Stadt: Köln; Preis: 9,00 €");
    }
}
