//! Chunks of a WebP.

use std::io::{self, BufRead, Seek, SeekFrom, Write};

use super::{MAX_BLOCK, MAX_PROFILE, array, copy, malformed, skip};

/// WebP chunks that are kept: pixels and colour information.
const KEPT_CHUNKS: [&[u8; 4]; 7] = [b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ICCP"];

pub(super) fn webp(from: &mut impl BufRead, to: &mut (impl Write + Seek)) -> io::Result<()> {
    /// Flags in the VP8X chunk for Exif and XMP data.
    const METADATA: u8 = 0x08 | 0x04;
    /// Flag in the VP8X chunk for a colour profile.
    const PROFILE: u8 = 0x20;
    let head: [u8; 12] = array(from)?;
    if !head.starts_with(b"RIFF") || !head.ends_with(b"WEBP") {
        return Err(malformed());
    }
    to.write_all(&head)?;
    let mut left = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])).saturating_sub(4);
    let mut kept = 4_u64;
    // Position of the flags in the output, and their value.
    let mut flags_at: Option<(u64, u8)> = None;
    let mut has_profile = false;
    while left >= 8 {
        let (kind, length) = (array::<4>(from)?, array::<4>(from)?);
        let size = u32::from_le_bytes(length);
        let padded = u64::from(size) + u64::from(size % 2);
        left = left.saturating_sub(8 + padded);
        let is_refused_profile = kind == *b"ICCP" && (has_profile || size > MAX_PROFILE);
        if !KEPT_CHUNKS.contains(&&kind) || is_refused_profile {
            skip(from, padded)?;
            continue;
        }
        has_profile |= kind == *b"ICCP";
        to.write_all(&kind)?;
        to.write_all(&length)?;
        if kind == *b"VP8X" && size > 0 && size < MAX_BLOCK {
            let [flags] = array(from)?;
            flags_at = Some((8 + kept + 8, flags & !METADATA));
            to.write_all(&[flags & !METADATA])?;
            copy(from, to, padded - 1)?;
        } else {
            copy(from, to, padded)?;
        }
        kept += 8 + padded;
    }
    if let Some((at, flags)) = flags_at.filter(|_| !has_profile) {
        to.seek(SeekFrom::Start(at))?;
        to.write_all(&[flags & !PROFILE])?;
    }
    to.seek(SeekFrom::Start(4))?;
    to.write_all(&u32::try_from(kept).map_err(|_| malformed())?.to_le_bytes())?;
    to.seek(SeekFrom::End(0)).map(drop)
}
