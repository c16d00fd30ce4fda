//! Decodes pictures and makes them smaller.

use std::io::{BufRead, Cursor, Seek, SeekFrom};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, codecs::jpeg::JpegEncoder,
    metadata::Orientation,
};
use jpeg_decoder::PixelFormat;

use super::{
    MAX_READ, MEMORY, THUMBNAILS, Thumbnails,
    header::Header,
    strip::{Frame, scans},
};

/// Pictures with more pixels, or with a longer side, are not decoded whole: a small file can be a large picture.
const MAX_PIXELS: u64 = 50_000_000;
const MAX_SIDE: u32 = 12_000;
/// JPEGs with more pixels, or with a side longer than [`MAX_SIDE`], are decoded at a reduced size where they come in one pass.
const REDUCED_PIXELS: u64 = 16_000_000;
/// Beyond this they aren't either: each pixel takes time, however small what is made of it. Cameras have up to 200 million.
const MAX_REDUCED_PIXELS: u64 = 210_000_000;
const MAX_REDUCED_SIDE: u32 = 20_000;
/// Maximum number of scans of a JPEG that is decoded whole: each takes the time of the whole picture. Encoders write about 10.
const MAX_SCANS: u8 = 64;
const MIB: u64 = 1024 * 1024;
/// What making smaller ones of a picture takes beside it.
const MAKING_SMALLER: u64 = 32 * MIB;
/// Limit for everything that a PNG holds beside its pixels, such as an inflated colour profile. Covered by [`MAKING_SMALLER`].
const PNG_METADATA: u64 = 8 * MIB;
const JPEG_QUALITY: u8 = 80;
/// What ends a JPEG.
const JPEG_END: &[u8] = &[0xff, 0xd9];
/// The longer side of what a thumbhash is made from.
const HASHED: u32 = 100;

/// How a picture is decoded, and how much memory that takes.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    format: ImageFormat,
    bytes: u64,
    /// Minimum length of the longer side of the decoded picture. `None`: it is decoded whole.
    reduced_to: Option<u32>,
    /// Maximum number of scans of a JPEG.
    max_scans: u8,
}

impl Measured {
    /// Memory that decoding takes, in MiB: part of [`MEMORY`].
    #[must_use]
    pub fn mebibytes(self) -> u32 {
        u32::try_from(self.bytes.div_ceil(MIB)).unwrap_or(u32::MAX)
    }
}

pub(super) fn format(media_type: &str) -> Option<ImageFormat> {
    Some(match media_type {
        "image/jpeg" => ImageFormat::Jpeg,
        "image/png" => ImageFormat::Png,
        "image/gif" => ImageFormat::Gif,
        "image/webp" => ImageFormat::WebP,
        _ => return None,
    })
}

/// Computes from the header of a picture how it is decoded so that its longer side can be made as short as `side`. Only the header is read.
///
/// Returns an error if decoding it would take too much memory or time, or if the header is malformed.
pub fn measure(from: &mut (impl BufRead + Seek), media_type: &str, side: u32) -> anyhow::Result<Measured> {
    let format = format(media_type).context("its type can't be decoded")?;
    let length = from.seek(SeekFrom::End(0))?;
    from.rewind()?;
    let header = Header::read(from, format)?;
    if let Some(frame) = header.frame
        && let Some(held) = held_reduced(frame, side)
    {
        // The decoder may hold all of the file.
        let bytes = held.saturating_add(length).saturating_add(MAKING_SMALLER);
        anyhow::ensure!(bytes <= MEMORY, "it takes too much memory");
        // Each scan takes the time of the whole picture, however few bytes it has; one for each component is enough.
        return Ok(Measured { format, bytes, reduced_to: Some(side), max_scans: frame.components });
    }
    let is_read_first = matches!(format, ImageFormat::Jpeg | ImageFormat::WebP);
    anyhow::ensure!(!is_read_first || length <= MAX_READ, "it has too many bytes");
    let (pixels, longer) = (header.pixels(), header.width.max(header.height));
    anyhow::ensure!(pixels > 0 && pixels <= MAX_PIXELS && longer <= MAX_SIDE, "it has too many pixels");
    let held = if is_read_first { length } else { 0 };
    let bytes = pixels * (header.depth + header.overhead) + held + MAKING_SMALLER;
    anyhow::ensure!(bytes <= MEMORY, "it takes too much memory");
    Ok(Measured { format, bytes, reduced_to: None, max_scans: MAX_SCANS })
}

/// What decoding a JPEG at a reduced size holds of it; none where it is decoded whole, or not at all.
fn held_reduced(frame: Frame, side: u32) -> Option<u64> {
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    let (pixels, longer) = (u64::from(width) * u64::from(height), width.max(height));
    let is_small = pixels <= REDUCED_PIXELS && longer <= MAX_SIDE;
    let is_too_large = pixels > MAX_REDUCED_PIXELS || longer > MAX_REDUCED_SIDE;
    if frame.is_progressive || pixels == 0 || is_small || is_too_large {
        return None;
    }
    // The decoder chooses as this does.
    let eighths = [1, 2, 4].into_iter().find(|eighths| (longer * eighths).div_ceil(8) >= side)?;
    // Blocks are whole, of 8 pixels a side, and up to 4 of them go together.
    let padded = |length: u32| u64::from(length) + 31;
    let reduced = |length: u32| padded(length).div_ceil(8) * u64::from(eighths);
    // Samples, apart and then together, and two rows of what they are made from.
    let of_component = 2 * reduced(width) * reduced(height) + 2 * padded(width) * 32 * 2;
    Some(u64::from(frame.components) * of_component)
}

fn decoder<'a>(from: impl BufRead + Seek + 'a, measured: Measured) -> anyhow::Result<impl ImageDecoder + 'a> {
    let is_png = measured.format == ImageFormat::Png;
    let mut limits = Limits::default();
    // The decoder of PNG counts only what it holds beside the pixels.
    limits.max_alloc = Some(if is_png { PNG_METADATA } else { measured.bytes });
    let mut reader = ImageReader::with_format(from, measured.format);
    reader.limits(limits);
    Ok(reader.into_decoder()?)
}

/// A picture as it was decoded, perhaps at a reduced size.
struct Decoded {
    picture: DynamicImage,
    /// The size that it has in its file.
    dimensions: (u32, u32),
    orientation: Orientation,
}

fn decode(mut from: impl BufRead + Seek, measured: Measured) -> anyhow::Result<Decoded> {
    if measured.format == ImageFormat::Jpeg {
        anyhow::ensure!(scans(&mut from, measured.max_scans)? <= measured.max_scans, "it has too many scans");
        from.rewind()?;
    }
    if let Some(side) = measured.reduced_to {
        return reduced(from, side, measured.bytes);
    }
    let mut decoder = decoder(from, measured)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let dimensions = decoder.dimensions();
    Ok(Decoded { picture: DynamicImage::from_decoder(decoder)?, dimensions, orientation })
}

/// Decodes a JPEG at an eighth, a quarter or half of its size: the smallest of these whose longer side is not shorter than `side`.
fn reduced(from: impl BufRead, side: u32, memory: u64) -> anyhow::Result<Decoded> {
    // One that was cut off ends there.
    let mut decoder = jpeg_decoder::Decoder::new(from.chain(JPEG_END));
    decoder.set_max_decoding_buffer_size(usize::try_from(memory)?);
    decoder.read_info()?;
    let whole = decoder.info().context("it has no frame")?;
    let side = u16::try_from(side).unwrap_or(u16::MAX);
    let (width, height) = decoder.scale(side, side)?;
    let (width, height) = (u32::from(width), u32::from(height));
    let samples = decoder.decode()?;
    let picture = match whole.pixel_format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, samples).map(DynamicImage::ImageLuma8),
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, samples).map(DynamicImage::ImageRgb8),
        PixelFormat::CMYK32 => RgbImage::from_raw(width, height, rgb(&samples)).map(DynamicImage::ImageRgb8),
        _ => None,
    };
    Ok(Decoded {
        picture: picture.context("its samples are of no kind that is known")?,
        dimensions: (u32::from(whole.width), u32::from(whole.height)),
        orientation: decoder.exif_data().and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms),
    })
}

/// What is seen of inks.
fn rgb(cmyk: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(cmyk.len() / 4 * 3);
    for &[cyan, magenta, yellow, black] in cmyk.as_chunks::<4>().0 {
        let light = |ink: u8| u16::from(255 - ink) * u16::from(255 - black) / 255;
        rgb.extend([cyan, magenta, yellow].map(|ink| u8::try_from(light(ink)).unwrap_or(u8::MAX)));
    }
    rgb
}

/// Makes thumbnails of a picture.
pub(super) fn thumbnails(from: impl BufRead + Seek, measured: Measured) -> anyhow::Result<Thumbnails> {
    let Decoded { picture, dimensions: (width, height), orientation } = decode(from, measured)?;
    let is_turned = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    let (width, height) = if is_turned { (height, width) } else { (width, height) };
    // Smaller first: turning what is thrown away costs the most.
    let mut picture = smaller(picture, THUMBNAILS[1]);
    picture.apply_orientation(orientation);
    let small = smaller(picture.clone(), THUMBNAILS[0]);
    let tiny = smaller(small.clone(), HASHED).into_rgba8();
    let (tiny_width, tiny_height) = (usize::try_from(tiny.width())?, usize::try_from(tiny.height())?);
    let hash = thumbhash::rgba_to_thumb_hash(tiny_width, tiny_height, tiny.as_raw());
    let has_alpha = picture.color().has_alpha();
    let pictures = [encoded(&small, has_alpha)?, encoded(&picture, has_alpha)?].map(|bytes| STANDARD.encode(bytes));
    Ok(Thumbnails { width, height, thumbhash: STANDARD.encode(hash), is_png: has_alpha, pictures })
}

/// Makes the longer side of a picture as short as `side`.
pub(super) fn resized(from: impl BufRead + Seek, measured: Measured, side: u32) -> anyhow::Result<super::Resized> {
    let Decoded { picture, orientation, .. } = decode(from, measured)?;
    let mut picture = smaller(picture, side);
    picture.apply_orientation(orientation);
    let is_png = picture.color().has_alpha();
    let (width, height) = (picture.width(), picture.height());
    Ok(super::Resized { width, height, is_png, picture: STANDARD.encode(encoded(&picture, is_png)?) })
}

fn smaller(picture: DynamicImage, side: u32) -> DynamicImage {
    if picture.width().max(picture.height()) > side { picture.thumbnail(side, side) } else { picture }
}

fn encoded(picture: &DynamicImage, has_alpha: bool) -> anyhow::Result<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    if has_alpha {
        DynamicImage::from(picture.to_rgba8()).write_to(&mut out, ImageFormat::Png)?;
    } else {
        picture.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY))?;
    }
    Ok(out.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let checked = [kind.as_slice(), data].concat();
        let checksum = checked.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
        });
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length, checked.as_slice(), &(!checksum).to_be_bytes()].concat()
    }

    /// The head of a PNG of this size; 2 is RGB, 6 is RGBA.
    fn png(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
        let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat();
        [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &head), chunk(b"IDAT", &[]), chunk(b"IEND", &[])].concat()
    }

    fn media_type(picture: &[u8]) -> &'static str {
        match picture[0] {
            0xff => "image/jpeg",
            b'G' => "image/gif",
            b'R' => "image/webp",
            _ => "image/png",
        }
    }

    fn mebibytes(picture: &[u8]) -> Option<u32> {
        measure(&mut Cursor::new(picture), media_type(picture), THUMBNAILS[1]).ok().map(Measured::mebibytes)
    }

    #[test]
    fn no_picture_takes_more_memory_than_there_is_for_all_of_them() {
        assert_eq!(mebibytes(&png(1_000, 1_000, 8, 2)), Some(32 + 4));
        assert_eq!(mebibytes(&png(7_000, 7_000, 8, 6)), Some(32 + 187));
        assert_eq!(mebibytes(&png(7_000, 7_000, 16, 6)), None, "twice as much for each pixel");
        assert_eq!(mebibytes(&png(20_000, 20_000, 8, 2)), None);
        assert_eq!(mebibytes(&png(12_001, 10, 8, 2)), None);
    }

    #[test]
    fn a_jpeg_in_passes_takes_more() {
        let mut jpeg = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(2_000, 1_000).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        let mut jpeg = jpeg.into_inner();
        assert_eq!(mebibytes(&jpeg), Some(32 + 6));
        let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        jpeg[frame + 1] = 0xc2;
        assert_eq!(mebibytes(&jpeg), Some(32 + 6 + 12));
    }

    /// A JPEG of 64 × 64 in one colour: each component is 64 brighter or darker than the middle, and each block but the first is like the one before.
    fn flat(brighter: &[bool], adobe: Option<u8>) -> Vec<u8> {
        let segment = |marker: u8, content: &[u8]| {
            let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
            [[0xff, marker].as_slice(), &length, content].concat()
        };
        let count = u8::try_from(brighter.len()).unwrap();
        let of_each = |rest: &[u8]| (1..=count).flat_map(|id| [[id].as_slice(), rest].concat()).collect::<Vec<u8>>();
        let mut bits: Vec<u8> =
            brighter.iter().flat_map(|more| if *more { b"1010000000" } else { b"1001111110" }).copied().collect();
        bits.resize(bits.len() + 2 * (64 - 1) * brighter.len(), b'0');
        [
            b"\xff\xd8".to_vec(),
            adobe
                .map(|transform| segment(0xee, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat()))
                .unwrap_or_default(),
            segment(0xdb, &[[0_u8].as_slice(), &[8; 64]].concat()),
            segment(0xc0, &[[8, 0, 64, 0, 64, count].as_slice(), &of_each(&[0x11, 0])].concat()),
            segment(0xc4, &[[0_u8, 1, 1].as_slice(), &[0; 14], &[0, 7]].concat()),
            segment(0xc4, &[[0x10_u8, 1].as_slice(), &[0; 15], &[0]].concat()),
            segment(0xda, &[[count].as_slice(), &of_each(&[0]), &[0, 63, 0]].concat()),
            bits.chunks(8).map(|byte| byte.iter().fold(0_u8, |sum, bit| (sum << 1) | (bit - b'0'))).collect(),
            JPEG_END.to_vec(),
        ]
        .concat()
    }

    /// Where a segment begins.
    fn place(jpeg: &[u8], marker: u8) -> usize {
        jpeg.windows(2).position(|window| window == [0xff, marker]).unwrap()
    }

    #[test]
    fn a_jpeg_looks_reduced_as_it_does_whole() {
        for (brighter, adobe) in [
            (&[true][..], None),
            (&[false, false, true][..], None),
            (&[false, true, true, true][..], Some(0)),
            (&[false, false, true, true][..], Some(2)),
        ] {
            let jpeg = flat(brighter, adobe);
            let decoded = |reduced_to: Option<u32>| {
                let (format, bytes) = (ImageFormat::Jpeg, MEMORY);
                decode(Cursor::new(&jpeg), Measured { format, bytes, reduced_to, max_scans: 4 }).unwrap()
            };
            let (whole, reduced) = (decoded(None), decoded(Some(16)));
            assert_eq!((whole.dimensions, reduced.dimensions), ((64, 64), (64, 64)));
            assert_eq!((whole.picture.width(), reduced.picture.width()), (64, 16));
            let colour = |decoded: &Decoded| decoded.picture.to_rgb8().get_pixel(9, 9).0;
            let (whole, reduced) = (colour(&whole), colour(&reduced));
            let is_near = whole.iter().zip(reduced).all(|(whole, reduced)| whole.abs_diff(reduced) < 4);
            assert!(is_near, "{brighter:?}: {whole:?}, {reduced:?}");
        }
    }

    #[test]
    fn a_large_jpeg_takes_what_is_made_of_it_and_one_scan_for_each_component() {
        let jpeg = |brighter: &[bool], width: u16, height: u16| {
            let mut jpeg = flat(brighter, None);
            let frame = place(&jpeg, 0xc0);
            jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
            jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
            jpeg
        };
        let (rgb, cmyk) = ([false, false, true], [false, true, true, true]);
        assert_eq!(mebibytes(&jpeg(&rgb, 12_000, 9_000)), Some(32 + 15));
        assert_eq!(mebibytes(&jpeg(&rgb, 16_320, 12_240)), Some(32 + 24));
        assert_eq!(mebibytes(&jpeg(&cmyk, 16_384, 12_800)), Some(32 + 34));
        assert_eq!(mebibytes(&jpeg(&cmyk, 10_230, 10_230)), Some(32 + 56), "a quarter");
        assert_eq!(mebibytes(&jpeg(&rgb, 18_000, 12_000)), None);
        assert_eq!(mebibytes(&jpeg(&rgb, 20_001, 100)), None);
        let large = jpeg(&rgb, 12_000, 9_000);
        let mut progressive = large.clone();
        progressive[place(&large, 0xc0) + 1] = 0xc2;
        assert_eq!(mebibytes(&progressive), None);
        let (scan, end) = (place(&large, 0xda), large.len() - JPEG_END.len());
        let in_scans = |count: usize| [&large[..scan], &large[scan..end].repeat(count), JPEG_END].concat();
        let scans_fit = |count: usize| {
            let picture = in_scans(count);
            let measured = measure(&mut Cursor::new(&picture), "image/jpeg", THUMBNAILS[1]).unwrap();
            scans(&mut Cursor::new(&picture), measured.max_scans).unwrap() <= measured.max_scans
        };
        assert_eq!([1, 3, 4].map(scans_fit), [true, true, false]);
    }
}
