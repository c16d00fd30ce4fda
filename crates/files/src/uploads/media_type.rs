//! Media type detection and the types that browsers may display.

/// Media type of files whose content is unknown.
pub const UNKNOWN: &str = "application/octet-stream";

/// Types that a browser may display inline, because none of them can execute anything.
const INLINE: [&str; 17] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/heic",
    "video/mp4",
    "video/webm",
    "audio/webm",
    "audio/mpeg",
    "audio/mp4",
    "audio/m4a",
    "audio/ogg",
    "audio/wav",
    "audio/flac",
    "audio/aac",
    "text/plain",
];

/// Media type under which texts are served; browsers display it without executing anything.
pub const TEXT: &str = "text/plain";

/// Signature of a ZIP entry, and the offsets at which the length of its name and the name itself
/// are.
const ZIP_ENTRY_SIGNATURE: &[u8] = b"PK\x03\x04";
const NAME_LENGTH_OFFSET: usize = 26;
const NAME_OFFSET: usize = 30;
/// Names, or starts of names, that the first entry of an Office document may have.
const OFFICE_PARTS: [&[u8]; 3] = [b"[Content_Types].xml", b"_rels/", b"docProps/"];
/// Folders that identify the type of an Office document.
const OFFICE: [(&[u8], &str); 3] = [
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
];
/// Number of bytes at the start of a file that determine its type.
pub(super) const HEAD_LEN: usize = 8 * 1024;
/// Signature of OLE compound files. Office documents have this format if they are from before 2007
/// or have a password. The first bytes don't show which kind of document it is.
const COMPOUND_SIGNATURE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
const OLD_OFFICE: [&str; 3] = ["application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"];

/// Detects the type from the first [`HEAD_LEN`] bytes. Uses the type claimed by the client if the
/// content shows none and the claim is plausible.
#[must_use]
pub fn detect(content: &[u8], claimed: &str) -> String {
    let head = &content[..content.len().min(HEAD_LEN)];
    let claimed = essence(claimed);
    let is_text = is_text(head);
    if let Some(found) = detect_office(head, &claimed) {
        return found.to_owned();
    }
    // Some signatures consist of two or three letters, with which a text may start as well. If the
    // content is text, such a signature is ignored.
    let found = infer::get(head).map(|found| found.mime_type()).filter(|found| !is_text || may_be_text(found, head));
    if let Some(found) = found {
        // A recording without video has the same container format as a video, so the claimed type
        // decides.
        let is_recording =
            matches!((found, claimed.as_str()), ("video/webm", "audio/webm") | ("video/mp4", "audio/mp4"));
        return if is_recording { claimed } else { normalize_type(found).to_owned() };
    }
    // Binary data may look like a text in an old encoding, so only a client's claim makes it one.
    let may_be = is_readable(&claimed);
    match is_text || may_be && extract::is_legacy_text(head, head.len() == HEAD_LEN) {
        false => UNKNOWN.to_owned(),
        true if may_be => claimed,
        true => "text/plain".to_owned(),
    }
}

/// Returns the type under which a file is displayed inline; `None` if it is only offered for
/// download.
#[must_use]
pub fn inline_type(media_type: &str) -> Option<&'static str> {
    let media_type = match normalize_type(media_type) {
        // Almost the same container, and browsers play it only under this type.
        "video/quicktime" => "video/mp4",
        other => other,
    };
    INLINE.into_iter().find(|inline| *inline == media_type)
}

/// Returns the type under which a file is shown if a user explicitly asks to view it. In addition
/// to the inline types, these are PDFs, whose viewer is isolated from our origin, and source texts,
/// which are shown as plain text.
#[must_use]
pub(super) fn view_type(media_type: &str) -> Option<&'static str> {
    match media_type {
        "application/pdf" => Some("application/pdf"),
        // The source of these files is of no use to a user who wants to view them.
        "text/html" | "image/svg+xml" => None,
        text if is_readable(text) => Some(TEXT),
        other => inline_type(other),
    }
}

/// True if a person or a model can read the file as text.
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

/// Detects the type of an Office document. The order of its entries doesn't matter.
fn detect_office(head: &[u8], claimed: &str) -> Option<&'static str> {
    if head.starts_with(COMPOUND_SIGNATURE) {
        let new = OFFICE.into_iter().map(|(_, media_type)| media_type);
        return OLD_OFFICE.into_iter().chain(new).find(|known| *known == claimed);
    }
    if !head.starts_with(ZIP_ENTRY_SIGNATURE) {
        return None;
    }
    let begins = head
        .windows(ZIP_ENTRY_SIGNATURE.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == ZIP_ENTRY_SIGNATURE)
        .map(|(at, _)| at);
    let mut names = begins.filter_map(|at| {
        let length = head.get(at + NAME_LENGTH_OFFSET..)?.first_chunk::<2>()?;
        let name = head.get(at + NAME_OFFSET..)?;
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

/// Name of a type that browsers know. They play Opus in the container of Ogg only under its type.
/// HEIC is the only kind of HEIF that is detected under that name.
fn normalize_type(found: &str) -> &str {
    match found {
        "audio/x-wav" => "audio/wav",
        "audio/x-flac" => "audio/flac",
        "audio/opus" => "audio/ogg",
        "audio/m4a" => "audio/mp4",
        "image/heif" => "image/heic",
        other => other,
    }
}

/// True if a file for which this type was detected may nevertheless be a text.
fn may_be_text(media_type: &str, head: &[u8]) -> bool {
    match media_type {
        // The signature is also searched for after the start of the file, where a text may mention
        // it.
        "application/pdf" => head.starts_with(b"%PDF"),
        "application/postscript" | "application/rtf" | "application/x-x509-ca-cert" => true,
        other => other.starts_with("text/"),
    }
}

/// True for UTF-8, or UTF-16 with a byte order mark, without control characters. The last character
/// may be cut off.
fn is_text(head: &[u8]) -> bool {
    if let Some(text) = extract::decode_utf16(head) {
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
    fn content_decides_and_claim_only_refines_text() {
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
            // "Смета расходов на год" in Windows-1251.
            (
                b"\xd1\xec\xe5\xf2\xe0 \xf0\xe0\xf1\xf5\xee\xe4\xee\xe2 \xed\xe0 \xe3\xee\xe4",
                "text/plain",
                "text/plain",
            ),
            (b"\xd1\xec\xe5\xf2\xe0 \xf0\xe0\xf1\xf5\xee\xe4\xee\xe2 \xed\xe0 \xe3\xee\xe4", "image/png", UNKNOWN),
        ] {
            assert_eq!(detect(head, claimed), found, "{claimed}");
        }
        assert_eq!(detect(b"<!DOCTYPE html><script>", "image/png"), "text/html");
        let opus = [&b"OggS\0\x02"[..], &[0; 22], b"OpusHead\x01\x02"].concat();
        for (head, found) in [
            (&opus[..], "audio/ogg"),
            (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", "audio/wav"),
            (b"fLaC\0\0\0\x22", "audio/flac"),
        ] {
            assert_eq!(detect(head, UNKNOWN), found);
            assert_eq!(inline_type(found), Some(found));
        }
        assert_eq!(inline_type("audio/opus"), Some("audio/ogg"));
        for (brands, found, inline) in [
            (&b"heic\0\0\0\0mif1heic"[..], "image/heic", "image/heic"),
            (b"mif1\0\0\0\0mif1heic", "image/heic", "image/heic"),
            (b"avif\0\0\0\0avifmif1", "image/avif", "image/avif"),
            (b"qt  \0\0\0\0qt  \0\0\0\0", "video/quicktime", "video/mp4"),
        ] {
            let head = [b"\0\0\0\x18ftyp", brands].concat();
            assert_eq!(detect(&head, UNKNOWN), found);
            assert_eq!(inline_type(found), Some(inline));
        }
    }

    #[test]
    fn detects_office_documents_by_their_entries() {
        let archive = |names: &[&str]| -> Vec<u8> {
            let entry = |name: &&str| {
                let length = u16::try_from(name.len()).unwrap().to_le_bytes();
                [ZIP_ENTRY_SIGNATURE, &[0; 22], &length, &[0; 2], name.as_bytes(), b"content"].concat()
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
        let old = [COMPOUND_SIGNATURE, &[0; 100]].concat();
        for (claimed, found) in [
            ("application/vnd.ms-excel", "application/vnd.ms-excel"),
            (OFFICE[0].1, OFFICE[0].1),
            ("image/png", "application/x-ole-storage"),
        ] {
            assert_eq!(detect(&old, claimed), found);
        }
    }

    #[test]
    fn executable_types_are_never_inline() {
        for shown in ["image/png", "video/mp4", "text/plain"] {
            assert!(inline_type(shown).is_some(), "{shown}");
        }
        for hidden in ["image/svg+xml", "text/html", "application/pdf", "text/xml", "application/xhtml+xml", UNKNOWN] {
            assert!(inline_type(hidden).is_none(), "{hidden}");
        }
        for hidden in ["image/svg+xml", "text/html", "application/xhtml+xml", UNKNOWN] {
            assert!(view_type(hidden).is_none(), "{hidden}");
        }
        for written in ["text/markdown", "text/xml", "text/javascript", "application/json", "text/plain"] {
            assert_eq!(view_type(written), Some(TEXT), "{written}");
        }
        assert_eq!(
            (view_type("application/pdf"), view_type("image/png")),
            (Some("application/pdf"), Some("image/png"))
        );
    }
}
