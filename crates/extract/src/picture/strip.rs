//! Takes out of pictures what was written beside the picture: where it was taken, by whom, with what. Nothing is decoded, and however long the
//! file, only a little of it is in memory.
//!
//! What stays is named; everything else goes. A JPEG and a PNG keep their orientation, without which they would be shown on their side.

mod exif;
mod gif;
mod jpeg;
mod png;
#[cfg(test)]
mod tests;
mod webp;

use std::io::{self, BufRead, Read, Seek, Write};

pub(super) use self::jpeg::{Frame, frame, scans};
use self::{gif::gif, jpeg::jpeg, png::png, webp::webp};

/// The longest block that is not copied piece by piece, and the longest chunk of a PNG beside its pixels and its profile.
const MAX_BLOCK: u32 = 64 * 1024;
/// Maximum size of a colour profile, in bytes, uncompressed. Larger profiles are dropped: every viewer of the picture inflates them.
const MAX_PROFILE: u32 = 2 * 1024 * 1024;

/// Copies a picture without what is not the picture. `false`: it is of a kind that isn't known here.
pub(super) fn strip(media_type: &str, from: &mut impl BufRead, to: &mut (impl Write + Seek)) -> io::Result<bool> {
    match media_type {
        "image/jpeg" => jpeg(from, to)?,
        "image/png" => png(from, to)?,
        "image/webp" => webp(from, to)?,
        "image/gif" => gif(from, to)?,
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
