//! Chunks of a PNG.

use std::io::{self, BufRead, Read, Write};

use flate2::read::ZlibDecoder;

use super::{
    MAX_BLOCK, MAX_PROFILE, array, copy,
    exif::{JPEG_HEAD, orientation_of_tiff, orientation_segment},
    malformed, skip,
};

/// PNG chunks that are kept: pixels and colour information.
const KEPT_CHUNKS: [&[u8; 4]; 19] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"bKGD", b"hIST",
    b"pHYs", b"sPLT", b"acTL", b"fcTL", b"fdAT", b"cICP", b"mDCV",
];

/// Maximum length of the profile name, in bytes, without its terminator.
const MAX_PROFILE_NAME: usize = 79;

pub(super) fn png(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let signature: [u8; 8] = array(from)?;
    if signature != *b"\x89PNG\r\n\x1a\n" {
        return Err(malformed());
    }
    to.write_all(&signature)?;
    let mut has_profile = false;
    loop {
        let length: [u8; 4] = array(from)?;
        let kind: [u8; 4] = array(from)?;
        let size = u32::from_be_bytes(length);
        // The rest of the chunk includes the checksum.
        let rest = u64::from(size) + 4;
        let is_data = matches!(&kind, b"IDAT" | b"fdAT");
        if kind == *b"eXIf" {
            if let Some(orientation) = png_orientation(from, size)? {
                write_chunk(to, kind, &orientation_segment(orientation)[JPEG_HEAD..])?;
            }
        } else if kind == *b"iCCP" {
            if let Some(profile) = png_profile(from, size)?
                && !has_profile
            {
                has_profile = true;
                write_chunk(to, kind, &profile)?;
            }
        } else if matches!(&kind, b"IHDR" | b"PLTE" | b"IEND") && size > MAX_BLOCK {
            return Err(malformed());
        } else if KEPT_CHUNKS.contains(&&kind) && !is_data && size > MAX_BLOCK {
            skip(from, rest)?;
        } else if KEPT_CHUNKS.contains(&&kind) {
            to.write_all(&length)?;
            to.write_all(&kind)?;
            copy(from, to, rest)?;
        } else {
            skip(from, rest)?;
        }
        if kind == *b"IEND" {
            return Ok(());
        }
    }
}

/// Reads a chunk with a colour profile and returns its content. Returns `None` if the profile is
/// malformed or larger than [`MAX_PROFILE`].
fn png_profile(from: &mut impl BufRead, length: u32) -> io::Result<Option<Vec<u8>>> {
    if length > MAX_PROFILE {
        skip(from, u64::from(length) + 4)?;
        return Ok(None);
    }
    let mut content = vec![0; usize::try_from(length).map_err(|_| malformed())?];
    from.read_exact(&mut content)?;
    // Skips the checksum.
    skip(from, 4)?;
    let name = content.iter().take(MAX_PROFILE_NAME + 1).position(|byte| *byte == 0);
    let Some([0, compressed @ ..]) = name.and_then(|end| content.get(end + 1..)) else { return Ok(None) };
    let mut inflated = ZlibDecoder::new(compressed).take(u64::from(MAX_PROFILE) + 1);
    let is_small = io::copy(&mut inflated, &mut io::sink()).is_ok_and(|size| size <= u64::from(MAX_PROFILE));
    Ok(is_small.then_some(content))
}

/// Reads an Exif chunk and returns the orientation.
fn png_orientation(from: &mut impl BufRead, length: u32) -> io::Result<Option<u8>> {
    let looked_at = length.min(MAX_BLOCK);
    let mut tiff = vec![0; usize::try_from(looked_at).map_err(|_| malformed())?];
    from.read_exact(&mut tiff)?;
    // Skips the rest of the chunk and the checksum.
    skip(from, u64::from(length - looked_at) + 4)?;
    Ok(orientation_of_tiff(&tiff))
}

pub(super) fn write_chunk(to: &mut impl Write, kind: [u8; 4], content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).map_err(|_| malformed())?;
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&kind);
    checksum.update(content);
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&kind)?;
    to.write_all(content)?;
    to.write_all(&checksum.finalize().to_be_bytes())
}
