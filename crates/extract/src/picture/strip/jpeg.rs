//! Segments of a JPEG.

use std::io::{self, BufRead, Write};

use super::{
    array,
    exif::{orientation, orientation_segment},
    malformed, skip,
};

/// Maximum number of profile segments, of up to 64 KiB each.
const MAX_PROFILE_SEGMENTS: u8 = 32;
/// Prefix of a profile segment. It is followed by the number of the part and the number of parts.
pub(super) const JPEG_PROFILE: &[u8] = b"ICC_PROFILE\0";

pub(super) fn jpeg(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    if array::<2>(from)? != [0xff, 0xd8] {
        return Err(malformed());
    }
    to.write_all(&[0xff, 0xd8])?;
    let mut marker = next_marker(from)?;
    let mut profile_segments = 0;
    loop {
        match marker {
            0xd9 => return to.write_all(&[0xff, 0xd9]),
            0x01 | 0xd0..=0xd7 => {
                to.write_all(&[0xff, marker])?;
                marker = next_marker(from)?;
            }
            _ => {
                let segment = jpeg_segment(from)?;
                if let Some(orientation) = (marker == 0xe1).then(|| orientation(&segment)).flatten() {
                    to.write_all(&orientation_segment(orientation))?;
                } else if marker == 0xe2 && segment.starts_with(JPEG_PROFILE) {
                    let count = segment.get(JPEG_PROFILE.len() + 1).copied().unwrap_or_default();
                    if count.max(profile_segments + 1) <= MAX_PROFILE_SEGMENTS {
                        profile_segments += 1;
                        write_segment(to, marker, &segment)?;
                    }
                } else if is_kept(marker, &segment) {
                    write_segment(to, marker, &segment)?;
                }
                marker = if marker == 0xda { scan(from, to)? } else { next_marker(from)? };
            }
        }
    }
}

/// Frame header of a JPEG.
#[derive(Clone, Copy, Debug)]
pub(in crate::picture) struct Frame {
    /// True if the image is encoded in several passes.
    pub is_progressive: bool,
    pub width: u16,
    pub height: u16,
    pub components: u8,
}

/// Reads a JPEG up to its frame header.
pub(in crate::picture) fn frame(from: &mut impl BufRead) -> io::Result<Frame> {
    skip(from, 2)?;
    loop {
        let marker = next_marker(from)?;
        match marker {
            // The excluded markers are tables and extensions, not frames.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let segment = jpeg_segment(from)?;
                let [_, height, lower_height, width, lower_width, components] =
                    *segment.first_chunk::<6>().ok_or_else(malformed)?;
                return Ok(Frame {
                    is_progressive: !matches!(marker, 0xc0 | 0xc1),
                    width: u16::from_be_bytes([width, lower_width]),
                    height: u16::from_be_bytes([height, lower_height]),
                    components,
                });
            }
            0xd9 | 0xda => return Err(malformed()),
            0x01 | 0xd0..=0xd7 => {}
            _ => drop(jpeg_segment(from)?),
        }
    }
}

/// Counts the scans of a JPEG. Stops at one more than `most`.
pub(in crate::picture) fn scans(from: &mut impl BufRead, most: u8) -> io::Result<u8> {
    skip(from, 2)?;
    let (mut marker, mut scans) = (next_marker(from)?, 0);
    while marker != 0xd9 && scans <= most {
        if !matches!(marker, 0x01 | 0xd0..=0xd7) {
            drop(jpeg_segment(from)?);
        }
        marker = if marker == 0xda {
            scans += 1;
            scan(from, &mut io::sink())?
        } else {
            next_marker(from)?
        };
    }
    Ok(scans)
}

fn jpeg_segment(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let length = u16::from_be_bytes(array(from)?);
    let mut segment = vec![0; usize::from(length.checked_sub(2).ok_or_else(malformed)?)];
    from.read_exact(&mut segment)?;
    Ok(segment)
}

pub(super) fn write_segment(to: &mut impl Write, marker: u8, segment: &[u8]) -> io::Result<()> {
    let length = u16::try_from(segment.len() + 2).map_err(|_| malformed())?;
    to.write_all(&[0xff, marker])?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(segment)
}

/// Selects the application segments to keep: the JFIF version and Adobe's colour transform.
fn is_kept(marker: u8, segment: &[u8]) -> bool {
    match marker {
        0xe0 => segment.starts_with(b"JFIF\0"),
        0xee => segment.starts_with(b"Adobe"),
        0xe1..=0xef | 0xfe => false,
        _ => true,
    }
}

fn next_marker(from: &mut impl BufRead) -> io::Result<u8> {
    if array::<1>(from)? != [0xff] {
        return Err(malformed());
    }
    loop {
        match array::<1>(from)? {
            [0xff] => {}
            [0] => return Err(malformed()),
            [marker] => return Ok(marker),
        }
    }
}

/// Copies image data up to the next marker and returns that marker. For a truncated file, returns
/// the end marker.
fn scan(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<u8> {
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return Ok(0xd9);
        }
        let Some(place) = buffer.iter().position(|byte| *byte == 0xff) else {
            let length = buffer.len();
            to.write_all(buffer)?;
            from.consume(length);
            continue;
        };
        to.write_all(&buffer[..place])?;
        from.consume(place + 1);
        let mut next = [0xff];
        while next == [0xff] {
            if from.read(&mut next)? == 0 {
                return Ok(0xd9);
            }
        }
        match next {
            [0x00 | 0xd0..=0xd7] => to.write_all(&[0xff, next[0]])?,
            [marker] => return Ok(marker),
        }
    }
}
