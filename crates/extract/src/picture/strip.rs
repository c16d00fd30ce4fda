//! Removes metadata from images: location, author, device. Nothing is decoded, and the memory used
//! doesn't depend on the size of the file.
//!
//! The data to keep is listed explicitly; everything else is removed. JPEG and PNG files keep the
//! orientation, without which they would be displayed rotated. HEIC and AVIF files refer to their
//! parts by offset, so their metadata is overwritten.

mod exif;
mod gif;
mod heif;
mod jpeg;
mod png;
#[cfg(test)]
mod tests;
mod webp;

use std::io::{self, BufRead, Read, Seek, Write};

use self::{gif::gif, heif::heif, jpeg::jpeg, png::png, webp::webp};
pub(super) use self::{
    heif::MetaBox,
    jpeg::{Frame, frame, scans},
};
use super::heif::is_heif;

/// Maximum size, in bytes, of a block that is held in memory, and of a PNG chunk that contains
/// neither pixels nor a colour profile.
const MAX_BLOCK: u32 = 64 * 1024;
/// Maximum size of an uncompressed colour profile, in bytes. Larger profiles are dropped, because
/// every viewer of the image has to decompress them.
const MAX_PROFILE: u32 = 2 * 1024 * 1024;

/// Copies an image without its metadata. Returns false if the image type is unsupported.
pub(super) fn strip(media_type: &str, from: &mut impl BufRead, to: &mut (impl Write + Seek)) -> io::Result<bool> {
    match media_type {
        "image/jpeg" => jpeg(from, to)?,
        "image/png" => png(from, to)?,
        "image/webp" => webp(from, to)?,
        "image/gif" => gif(from, to)?,
        _ if is_heif(media_type) => heif(from, to)?,
        _ => return Ok(false),
    }
    Ok(true)
}

pub(super) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the picture is malformed")
}

pub(super) fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn copy(from: &mut impl BufRead, to: &mut impl Write, length: u64) -> io::Result<()> {
    if io::copy(&mut from.take(length), to)? == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn skip(from: &mut impl BufRead, length: u64) -> io::Result<()> {
    copy(from, &mut io::sink(), length)
}
