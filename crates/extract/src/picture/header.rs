//! Reads the size of an image from its header, without a decoder: nothing is decompressed, and data
//! before the size is skipped.

use std::io::{self, BufRead, Seek, SeekFrom};

use image::ImageFormat;

use super::strip::{Frame, array, frame, malformed};

/// Maximum number of chunks of a WebP that are searched for the pixels.
const MAX_CHUNKS: usize = 64;

/// Size of an image, and the memory needed for decoding it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub width: u32,
    pub height: u32,
    /// Maximum number of bytes per pixel of the decoded image.
    pub depth: u64,
    /// Number of bytes per pixel that the decoder holds in addition to the decoded image.
    pub overhead: u64,
    /// Frame header of a JPEG.
    pub frame: Option<Frame>,
}

impl Header {
    pub fn read(from: &mut (impl BufRead + Seek), format: ImageFormat) -> io::Result<Self> {
        match format {
            ImageFormat::Jpeg => jpeg(from),
            ImageFormat::Png => png(from),
            ImageFormat::Gif => gif(from),
            ImageFormat::WebP => webp(from),
            _ => Err(malformed()),
        }
    }

    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

fn jpeg(from: &mut impl BufRead) -> io::Result<Header> {
    let frame = frame(from)?;
    // The decoder collects all coefficients of a progressive JPEG before the image is complete.
    let overhead = if frame.is_progressive { 2 * u64::from(frame.components) } else { 0 };
    Ok(Header {
        width: u32::from(frame.width),
        height: u32::from(frame.height),
        depth: if frame.components == 1 { 1 } else { 3 },
        overhead,
        frame: Some(frame),
    })
}

fn png(from: &mut impl BufRead) -> io::Result<Header> {
    let head: [u8; 26] = array(from)?;
    if !head.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR") {
        return Err(malformed());
    }
    let [width, height] =
        [&head[16..20], &head[20..24]].map(|bytes| bytes.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)));
    // An image without an alpha channel may have a transparent colour, for which the decoder adds
    // an alpha channel.
    let channels = match head[25] {
        0 | 4 => 2,
        2 | 3 | 6 => 4,
        _ => return Err(malformed()),
    };
    let depth = channels * if head[24] == 16 { 2 } else { 1 };
    Ok(Header { width, height, depth, overhead: 0, frame: None })
}

fn gif(from: &mut impl BufRead) -> io::Result<Header> {
    let head: [u8; 10] = array(from)?;
    if !head.starts_with(b"GIF8") {
        return Err(malformed());
    }
    let side = |at: usize| u32::from(u16::from_le_bytes([head[at], head[at + 1]]));
    // The decoder holds two images: it decodes the first frame and then paints it on the canvas.
    Ok(Header { width: side(6), height: side(8), depth: 4, overhead: 4, frame: None })
}

fn webp(from: &mut (impl BufRead + Seek)) -> io::Result<Header> {
    /// Flag in the VP8X chunk that marks an animation.
    const ANIMATION: u8 = 0x02;
    let head: [u8; 12] = array(from)?;
    if !head.starts_with(b"RIFF") || !head.ends_with(b"WEBP") {
        return Err(malformed());
    }
    let (mut canvas, mut overhead) = (None, 4);
    // Maximum size of the next frame. Checked here, because a decoder allocates the size that a
    // frame claims before it compares it with the canvas.
    let mut bounds = (u32::MAX, u32::MAX);
    for _ in 0..MAX_CHUNKS {
        let (kind, size) = (array::<4>(from)?, u32::from_le_bytes(array(from)?));
        let padded = u64::from(size) + u64::from(size % 2);
        let (width, height) = match &kind {
            b"VP8X" => {
                let [flags, _, _, _, sides @ ..] = array::<10>(from)?;
                if flags & ANIMATION != 0 {
                    overhead = 8;
                }
                bounds = sides_of(sides);
                canvas = Some(bounds);
                skip_chunk(from, padded, 10)?;
                continue;
            }
            b"ANMF" => {
                // The chunks of the frame follow.
                let [_, _, _, _, _, _, a, b, c, d, e, f, ..] = array::<16>(from)?;
                let (width, height) = sides_of([a, b, c, d, e, f]);
                bounds = (bounds.0.min(width), bounds.1.min(height));
                continue;
            }
            b"VP8 " => {
                let frame: [u8; 10] = array(from)?;
                let side = |at: usize| u32::from(u16::from_le_bytes([frame[at], frame[at + 1]]) & 0x3fff);
                (side(6), side(8))
            }
            b"VP8L" => {
                let [_, sides @ ..] = array::<5>(from)?;
                let sides = u32::from_le_bytes(sides);
                ((sides & 0x3fff) + 1, ((sides >> 14) & 0x3fff) + 1)
            }
            _ => {
                skip_chunk(from, padded, 0)?;
                continue;
            }
        };
        if width > bounds.0 || height > bounds.1 {
            return Err(malformed());
        }
        let (width, height) = canvas.unwrap_or((width, height));
        return Ok(Header { width, height, depth: 4, overhead, frame: None });
    }
    Err(malformed())
}

/// Decodes width and height in the chunks VP8X and ANMF: 24 bits each, minus one.
fn sides_of([a, b, c, d, e, f]: [u8; 6]) -> (u32, u32) {
    (u32::from_le_bytes([a, b, c, 0]) + 1, u32::from_le_bytes([d, e, f, 0]) + 1)
}

/// Seeks to the end of a chunk of which `read` bytes have already been read.
fn skip_chunk(from: &mut impl Seek, length: u64, read: u64) -> io::Result<()> {
    let rest = length.checked_sub(read).and_then(|rest| i64::try_from(rest).ok()).ok_or_else(malformed)?;
    from.seek(SeekFrom::Current(rest)).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn sides(picture: &[u8], format: ImageFormat) -> Option<(u32, u32)> {
        Header::read(&mut Cursor::new(picture), format).ok().map(|header| (header.width, header.height))
    }

    #[test]
    fn reads_the_size_of_every_format() {
        use image::{DynamicImage, ImageFormat::*};
        for format in [Jpeg, Png, Gif, WebP] {
            let mut picture = Cursor::new(Vec::new());
            DynamicImage::new_rgb8(300, 200).write_to(&mut picture, format).unwrap();
            let picture = picture.into_inner();
            assert_eq!(sides(&picture, format), Some((300, 200)), "{format:?}");
            for length in 0..picture.len().min(60) {
                let _ = sides(&picture[..length], format);
            }
        }
    }

    #[test]
    fn rejects_frames_larger_than_the_canvas() {
        let webp = |canvas: u8, chunks: &[u8]| {
            [b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".as_slice(), &[canvas, 0, 0, canvas, 0, 0], chunks].concat()
        };
        let frame = b"VP8 \x0a\0\0\0\x10\0\0\x9d\x01\x2a\x0a\0\x14\0";
        assert_eq!(sides(&webp(19, frame), ImageFormat::WebP), Some((20, 20)));
        assert_eq!(sides(&webp(9, frame), ImageFormat::WebP), None);
        let in_animation = |side: u8| {
            [b"ANMF\x22\0\0\0\0\0\0\0\0\0".as_slice(), &[side, 0, 0, side, 0, 0, 0, 0, 0, 0], frame.as_slice()].concat()
        };
        assert_eq!(sides(&webp(99, &in_animation(19)), ImageFormat::WebP), Some((100, 100)));
        assert_eq!(sides(&webp(99, &in_animation(9)), ImageFormat::WebP), None);
    }
}
