//! Documents that are ZIP archives of XML files: Office and OpenDocument.

use std::io::{Cursor, Read as _};

use quick_xml::events::BytesRef;
use zip::ZipArchive;

use crate::{ExtractError, MAX_TEXT};

/// Maximum size of a document after unpacking, in bytes. Greater than the limit for text, because a
/// document has more markup than text.
const MAX_UNPACKED: u64 = 8 * MAX_TEXT as u64;
/// Signature of compound files. Office documents have this format if they are of an older version
/// or protected by a password.
const COMPOUND: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
/// Stream of a compound file that contains the encrypted document.
const ENCRYPTED_STREAM: &str = "EncryptedPackage";

pub(crate) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Number of bytes that may still be unpacked.
    remaining: u64,
}

impl<'a> Archive<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self, ExtractError> {
        if is_encrypted(bytes) {
            return Err(ExtractError::Protected);
        }
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| ExtractError::Damaged)?;
        Ok(Self { zip, remaining: MAX_UNPACKED })
    }

    pub fn has(&self, name: &str) -> bool {
        self.zip.file_names().flatten().any(|known| known == name)
    }

    pub fn read(&mut self, name: &str) -> Result<Vec<u8>, ExtractError> {
        let file = self.zip.by_name(name).map_err(|_| ExtractError::Damaged)?;
        let mut bytes = Vec::new();
        file.take(self.remaining + 1).read_to_end(&mut bytes).map_err(|_| ExtractError::Damaged)?;
        self.remaining = self.remaining.checked_sub(bytes.len() as u64).ok_or(ExtractError::TooLong)?;
        Ok(bytes)
    }
}

/// True for a compound file, such as an Office document of an older version.
pub(crate) fn is_compound(bytes: &[u8]) -> bool {
    bytes.starts_with(&COMPOUND)
}

/// True for an Office document that is protected by a password.
pub(crate) fn is_encrypted(bytes: &[u8]) -> bool {
    let name: Vec<u8> = ENCRYPTED_STREAM.encode_utf16().flat_map(u16::to_le_bytes).collect();
    is_compound(bytes) && bytes.windows(name.len()).any(|part| part == name)
}

/// Returns the character of an XML reference; `None` for an entity that only the document's DTD
/// defines.
pub(crate) fn resolve_reference(reference: &BytesRef<'_>) -> Result<Option<char>, ExtractError> {
    let numbered = reference.resolve_char_ref().map_err(|_| ExtractError::Damaged)?;
    let name: &[u8] = reference;
    Ok(numbered.or(match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        _ => None,
    }))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    /// Creates an archive of files, each given as name and content.
    pub(crate) fn packed(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(content.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn limits_the_unpacked_size() {
        let bytes = packed(&[("a", "six by"), ("b", "and six")]);
        let mut archive = Archive { remaining: 10, ..Archive::open(&bytes).unwrap() };
        assert_eq!(archive.read("a").as_deref(), Ok(b"six by".as_slice()));
        assert_eq!(archive.read("b"), Err(ExtractError::TooLong));
        assert_eq!(archive.read("c"), Err(ExtractError::Damaged));
        assert!(archive.has("b") && !archive.has("c"));
    }

    #[test]
    fn distinguishes_protected_from_damaged_documents() {
        let mut sealed = COMPOUND.to_vec();
        assert_eq!(Archive::open(&sealed).err(), Some(ExtractError::Damaged));
        sealed.extend(ENCRYPTED_STREAM.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(Archive::open(&sealed).err(), Some(ExtractError::Protected));
    }
}
