//! Files and pages that are expensive to process.

use std::io::{self, Read as _};

use flate2::{Compression, Crc, write::ZlibEncoder};

/// Nesting depth of [`nested_page`].
const NESTING: usize = 600_000;
/// Number of attributes of [`attributes_page`].
const ATTRIBUTES: usize = 116_430;
/// Decompressed size of the colour profile of [`profile_bomb`], in bytes.
const PROFILE: u64 = 256 << 20;

/// Creates a black square PNG with one bit per pixel. Decoded, it has three bytes per pixel.
pub fn picture(side: u32) -> io::Result<Vec<u8>> {
    png(side, &[])
}

/// Creates a PNG of 100 × 100 pixels with a colour profile of 261 KB that inflates to 256 MiB.
pub fn profile_bomb() -> io::Result<Vec<u8>> {
    let profile = [b"x\0\0".as_slice(), &compressed_zeros(PROFILE)?].concat();
    png(100, &chunk(b"iCCP", &profile))
}

/// Creates a PNG with the given chunks after its header.
fn png(side: u32, chunks: &[u8]) -> io::Result<Vec<u8>> {
    let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[1, 3, 0, 0, 0]].concat();
    // Each row starts with a filter byte; 0 means no filter.
    let row = u64::from(side.div_ceil(8)) + 1;
    let pixels = compressed_zeros(row * u64::from(side))?;
    Ok([
        b"\x89PNG\r\n\x1a\n".as_slice(),
        &chunk(b"IHDR", &header),
        chunks,
        &chunk(b"PLTE", &[0, 0, 0, 255, 255, 255]),
        &chunk(b"IDAT", &pixels),
        &chunk(b"IEND", &[]),
    ]
    .concat())
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut checksum = Crc::new();
    checksum.update(name);
    checksum.update(data);
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[..], name, data, &checksum.sum().to_be_bytes()].concat()
}

fn compressed_zeros(length: u64) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    io::copy(&mut io::repeat(0).take(length), &mut encoder)?;
    encoder.finish()
}

/// Creates an HTML page of 3 MB. For each new element, a parser searches all open elements for a
/// paragraph.
pub fn nested_page() -> String {
    format!("<!DOCTYPE html><title>Nested</title>{}deep", "<div>".repeat(NESTING))
}

/// Creates an HTML page with a single tag that has 116,430 attributes. Each of them is compared
/// with all before it. The page has less than 512 KiB, so the server reads all of it.
pub fn attributes_page() -> String {
    let attributes: String = (0..ATTRIBUTES).map(attribute).collect();
    format!("<title>Attributes</title><p{attributes}>text")
}

/// Returns a space and a name of three characters, or of four when those are used up.
fn attribute(number: usize) -> String {
    const CHARACTERS: &[u8; 40] = b"abcdefghijklmnopqrstuvwxyz0123456789-_.:";
    let length = if number < CHARACTERS.len().pow(3) { 3 } else { 4 };
    let name = (0..length).map(|place| char::from(CHARACTERS[number / CHARACTERS.len().pow(place) % CHARACTERS.len()]));
    std::iter::once(' ').chain(name).collect()
}

/// Returns a word of ten letters that contains `zaza`. Words are distinct for all numbers below
/// 20⁶.
pub fn word(number: usize) -> String {
    let letter = |place: u32| {
        let digit = number / 20_usize.pow(place) % 20;
        char::from(b'b' + u8::try_from(digit).unwrap_or_default())
    };
    let (begin, end): (String, String) = ((0..3).map(letter).collect(), (3..6).map(letter).collect());
    format!("{begin}zaza{end}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn generates_a_valid_png() {
        let file = picture(100).unwrap();
        assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&file[16..26], [0, 0, 0, 100, 0, 0, 0, 100, 1, 3]);
        // The last chunk of every file, by https://www.w3.org/TR/png/.
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
    }

    #[test]
    fn generates_a_256_mib_color_profile_that_compresses_to_261_kb() {
        let size = profile_bomb().unwrap().len();
        assert!((255_000..270_000).contains(&size), "{size}");
    }

    #[test]
    fn generates_distinct_attributes_that_parse_completely() {
        assert!(attributes_page().len() <= 512 * 1024, "{}", attributes_page().len());
        assert_eq!((0..ATTRIBUTES).map(attribute).collect::<HashSet<_>>().len(), ATTRIBUTES);
    }

    #[test]
    fn generates_distinct_words_with_a_common_substring() {
        let words: HashSet<String> = (0..220_000).map(word).collect();
        assert_eq!(words.len(), 220_000);
        assert!(words.iter().all(|word| word.len() == 10 && word.contains("zaza")));
    }
}
