//! What a file is, and what may be done with it.

/// What is used where nothing better is known.
pub const UNKNOWN: &str = "application/octet-stream";

/// Types that a browser may show by itself: none of them can run anything.
const INLINE: [&str; 12] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "video/mp4",
    "video/webm",
    "audio/webm",
    "audio/mpeg",
    "audio/mp4",
    "audio/m4a",
    "audio/ogg",
    "text/plain",
];

/// Browsers show it as it is and run nothing of it.
const TEXT: &str = "text/plain; charset=utf-8";

/// How a file of an archive begins, how far behind it the length of its name stands, and the name itself.
const ENTRY: &[u8] = b"PK\x03\x04";
const NAME_LENGTH: usize = 26;
const NAME: usize = 30;
/// What an Office document has beside its content: one of them comes first.
const OFFICE_PARTS: [&[u8]; 3] = [b"[Content_Types].xml", b"_rels/", b"docProps/"];
/// The folders of what is written with Office, with its type.
const OFFICE: [(&[u8], &str); 3] = [
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
];
/// Bytes at the beginning of a file that tell its type.
pub(super) const HEAD: usize = 8 * 1024;
/// How the containers of Office before 2007 begin, and of documents that have a password: which one lies further on than the head.
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
const OLD_OFFICE: [&str; 3] = ["application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"];

/// The type by the first [`HEAD`] bytes of a content; else the claimed one, as far as it can be true.
#[must_use]
pub fn detect(content: &[u8], claimed: &str) -> String {
    let head = &content[..content.len().min(HEAD)];
    let claimed = essence(claimed);
    let is_text = is_text(head);
    if let Some(found) = office(head, &claimed) {
        return found.to_owned();
    }
    // Some signatures are two or three letters, with which a text may begin as well; what is in such a file is no text.
    let found = infer::get(head).map(|found| found.mime_type()).filter(|found| !is_text || is_written(found, head));
    if let Some(found) = found {
        // A recording without pictures is the same container as a film.
        let is_recording =
            matches!((found, claimed.as_str()), ("video/webm", "audio/webm") | ("video/mp4", "audio/mp4"));
        return if is_recording { claimed } else { plain_name(found).to_owned() };
    }
    if !is_text {
        return UNKNOWN.to_owned();
    }
    let may_be = claimed.starts_with("text/")
        || matches!(claimed.as_str(), "application/json" | "application/xml" | "image/svg+xml" | "application/yaml");
    if may_be { claimed } else { "text/plain".to_owned() }
}

/// The type as it is served where a browser may show it itself; `None`: it is only for downloading.
#[must_use]
pub fn inline(media_type: &str) -> Option<&'static str> {
    let found = INLINE.into_iter().find(|inline| *inline == media_type);
    found.map(|found| if found == "text/plain" { TEXT } else { found })
}

/// The type as it is served where somebody has asked to be shown it: a PDF as well, which browsers have a viewer for that is apart from our origin, and what is
/// written as text, as that.
#[must_use]
pub(super) fn viewed(media_type: &str) -> Option<&'static str> {
    match media_type {
        "application/pdf" => Some("application/pdf"),
        // Nobody means what these are written in.
        "text/html" | "image/svg+xml" => None,
        text if is_readable(text) => Some(TEXT),
        other => inline(other),
    }
}

/// Whether it is text that a person or a model can read as it is.
#[must_use]
pub fn is_readable(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || matches!(media_type, "application/json" | "application/xml" | "application/yaml" | "image/svg+xml")
}

fn essence(claimed: &str) -> String {
    let essence = claimed.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_type = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        text.len() <= 100
            && text.split_once('/').is_some_and(|(family, name)| {
                !family.is_empty() && !name.is_empty() && family.bytes().chain(name.bytes()).all(plain)
            })
    };
    if is_type(&essence) { essence } else { UNKNOWN.to_owned() }
}

/// The type of a document of Office, whatever order its program has written the parts in.
fn office(head: &[u8], claimed: &str) -> Option<&'static str> {
    if head.starts_with(COMPOUND) {
        let new = OFFICE.into_iter().map(|(_, media_type)| media_type);
        return OLD_OFFICE.into_iter().chain(new).find(|known| *known == claimed);
    }
    if !head.starts_with(ENTRY) {
        return None;
    }
    let begins = head.windows(ENTRY.len()).enumerate().filter(|(_, bytes)| *bytes == ENTRY).map(|(at, _)| at);
    let mut names = begins.filter_map(|at| {
        let length = head.get(at + NAME_LENGTH..)?.first_chunk::<2>()?;
        let name = head.get(at + NAME..)?;
        name.get(..usize::from(u16::from_le_bytes(*length)).min(name.len()))
    });
    let folder = |name: &[u8]| OFFICE.into_iter().find(|(folder, _)| name.starts_with(folder));
    let first = names.next()?;
    if let Some((_, media_type)) = folder(first) {
        return Some(media_type);
    }
    let is_office = OFFICE_PARTS.into_iter().any(|part| first.starts_with(part));
    names.find_map(folder).filter(|_| is_office).map(|(_, media_type)| media_type)
}

fn plain_name(found: &'static str) -> &'static str {
    match found {
        "audio/x-wav" => "audio/wav",
        "audio/m4a" => "audio/mp4",
        other => other,
    }
}

/// Whether files of a type that is known by its signature may be written as text.
fn is_written(media_type: &str, head: &[u8]) -> bool {
    match media_type {
        // Its signature is looked for further on, too, where a text may speak of it.
        "application/pdf" => head.starts_with(b"%PDF"),
        "application/postscript" | "application/rtf" | "application/x-x509-ca-cert" => true,
        other => other.starts_with("text/"),
    }
}

/// Whether it is UTF-8, or UTF-16 with its mark, without what no text has. The end of the head may lie within a character.
fn is_text(head: &[u8]) -> bool {
    if let Some(text) = extract::utf16(head) {
        let whole = text.strip_suffix(char::REPLACEMENT_CHARACTER).unwrap_or(&text);
        return is_plain(whole) && !whole.contains(char::REPLACEMENT_CHARACTER);
    }
    match std::str::from_utf8(head) {
        Ok(text) => is_plain(text),
        Err(error) if error.error_len().is_none() => {
            is_plain(std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(_) => false,
    }
}

fn is_plain(text: &str) -> bool {
    !text.chars().any(|char| char.is_control() && !matches!(char, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_and_a_claim_only_names_text() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        for (head, claimed, found) in [
            (&png[..], "text/html", "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/png", "image/jpeg"),
            (b"hello", "image/png", "text/plain"),
            (b"hello", "text/csv; charset=utf-8", "text/csv"),
            (b"{}", "application/json", "application/json"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", "image/svg+xml"),
            (b"\0\x01\x02", "image/png", UNKNOWN),
            (b"\0\x01\x02", "text/plain", UNKNOWN),
            (b"hello", "nonsense", "text/plain"),
            (b"\xff\xfeh\0i\0", "", "text/plain"),
            (b"\xff\xfea\0,\0b\0", "text/csv", "text/csv"),
            (b"\xfe\xff\0h\0i", "image/png", "text/plain"),
            (b"\xff\xfeh\0=\xd8", "text/plain", "text/plain"),
            (b"\xff\xfe=\xd8h\0", "text/plain", UNKNOWN),
            (b"\xff\xfeh\0\x01\0", "text/plain", UNKNOWN),
            (b"\xff\xfe\0\0h\0\0\0", "text/plain", UNKNOWN),
            ("nửa chữ".as_bytes(), "", "text/plain"),
            (&"chữ".as_bytes()[..3], "", "text/plain"),
            (b"BMW: 3 of them", "text/plain", "text/plain"),
            (b"MZ;ID3;GIF\n1;2;3", "text/csv", "text/csv"),
            (b"ID3 stands for a tag", "", "text/plain"),
            (b"GIF89a is a version", "image/gif", "text/plain"),
            (b"BM\x8a\0\0\0\0\0", "text/plain", "image/bmp"),
            (b"ID3\x03\0\0\0\0\0\x21", "audio/mpeg", "audio/mpeg"),
            (b"GIF89a\x01\0\x01\0", "text/plain", "image/gif"),
            (b"%PDF-1.7\n1 0 obj", "text/plain", "application/pdf"),
            (b"Its files begin with %PDF-1.7", "text/plain", "text/plain"),
        ] {
            assert_eq!(detect(head, claimed), found, "{claimed}");
        }
        assert_eq!(detect(b"<!DOCTYPE html><script>", "image/png"), "text/html");
    }

    #[test]
    fn documents_of_office_are_known_by_their_parts() {
        let archive = |names: &[&str]| -> Vec<u8> {
            let entry = |name: &&str| {
                let length = u16::try_from(name.len()).unwrap().to_le_bytes();
                [ENTRY, &[0; 22], &length, &[0; 2], name.as_bytes(), b"content"].concat()
            };
            names.iter().flat_map(entry).collect()
        };
        for (names, found) in [
            (&["[Content_Types].xml", "_rels/.rels", "word/document.xml"][..], OFFICE[0].1),
            (&["docProps/app.xml", "docProps/core.xml", "xl/theme/theme1.xml"], OFFICE[1].1),
            (&["_rels/.rels", "docProps/app.xml", "docProps/core.xml", "ppt/presentation.xml"], OFFICE[2].1),
            (&["xl/workbook.xml"], OFFICE[1].1),
            (&["notes.txt", "word/letter.txt"], "application/zip"),
            (&["_rels/.rels"], "application/zip"),
        ] {
            assert_eq!(detect(&archive(names), UNKNOWN), found, "{names:?}");
        }
        let old = [COMPOUND, &[0; 100]].concat();
        for (claimed, found) in [
            ("application/vnd.ms-excel", "application/vnd.ms-excel"),
            (OFFICE[0].1, OFFICE[0].1),
            ("image/png", "application/x-ole-storage"),
        ] {
            assert_eq!(detect(&old, claimed), found);
        }
    }

    #[test]
    fn what_can_run_is_never_shown() {
        for shown in ["image/png", "video/mp4", "text/plain"] {
            assert!(inline(shown).is_some(), "{shown}");
        }
        for hidden in ["image/svg+xml", "text/html", "application/pdf", "text/xml", "application/xhtml+xml", UNKNOWN] {
            assert!(inline(hidden).is_none(), "{hidden}");
        }
        for hidden in ["image/svg+xml", "text/html", "application/xhtml+xml", UNKNOWN] {
            assert!(viewed(hidden).is_none(), "{hidden}");
        }
        for written in ["text/markdown", "text/xml", "text/javascript", "application/json", "text/plain"] {
            assert_eq!(viewed(written), Some(TEXT), "{written}");
        }
        assert_eq!((viewed("application/pdf"), viewed("image/png")), (Some("application/pdf"), Some("image/png")));
    }
}
