//! Decodes and downscales images.

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
    heif,
    strip::{Frame, scans},
};

/// Limits on the size of images that are decoded at full size, in pixels and in pixels per side.
/// Needed because a small file can be a large image.
const MAX_PIXELS: u64 = 50_000_000;
const MAX_SIDE: u32 = 12_000;
/// Number of pixels above which a baseline JPEG is decoded at a reduced size. The same applies if a
/// side is longer than [`MAX_SIDE`].
const REDUCED_PIXELS: u64 = 16_000_000;
/// Limits on the size of images that are decoded at a reduced size. Each pixel takes time, however
/// small the result is. Cameras have up to 200 megapixels.
const MAX_REDUCED_PIXELS: u64 = 210_000_000;
const MAX_REDUCED_SIDE: u32 = 20_000;
/// Maximum number of scans of a JPEG that is decoded at full size. Each scan takes the time of the
/// whole image; encoders write about 10.
const MAX_SCANS: u8 = 64;
const MIB: u64 = 1024 * 1024;
/// Additional memory for downscaling, in bytes.
const DOWNSCALING_MEMORY: u64 = 32 * MIB;
/// Memory limit for PNG data other than pixels, such as an inflated colour profile, in bytes.
/// Covered by [`DOWNSCALING_MEMORY`].
const PNG_METADATA: u64 = 8 * MIB;
const JPEG_QUALITY: u8 = 80;
/// End marker of a JPEG.
const JPEG_END: &[u8] = &[0xff, 0xd9];
/// Longer side of the image from which a thumbhash is computed, in pixels.
const THUMBHASH_SIDE: u32 = 100;

/// How an image is decoded, and how much memory that needs.
#[derive(Clone, Copy, Debug)]
pub struct DecodePlan {
    format: ImageFormat,
    bytes: u64,
    /// If set, the image is decoded at a reduced size with a longer side of at least this many
    /// pixels. `None` for the full size.
    reduced_to: Option<u32>,
    /// Maximum number of scans, for a JPEG.
    max_scans: u8,
}

impl DecodePlan {
    /// Memory needed for decoding, in MiB. It counts against [`MEMORY`].
    #[must_use]
    pub fn memory_mib(self) -> u32 {
        u32::try_from(self.bytes.div_ceil(MIB)).unwrap_or(u32::MAX)
    }
}

pub(super) fn format(media_type: &str) -> Option<ImageFormat> {
    Some(match media_type {
        "image/jpeg" => ImageFormat::Jpeg,
        "image/png" => ImageFormat::Png,
        "image/gif" => ImageFormat::Gif,
        "image/webp" => ImageFormat::WebP,
        // HEIC as well, which is converted in the same way.
        _ if heif::is_heif(media_type) => ImageFormat::Avif,
        _ => return None,
    })
}

/// Plans the decoding of an image whose longer side is to be at most `side` pixels. Reads only the
/// header.
///
/// Returns an error if decoding would take too much memory or time, or if the header is malformed.
pub fn plan_decoding(from: &mut (impl BufRead + Seek), media_type: &str, side: u32) -> anyhow::Result<DecodePlan> {
    let format = format(media_type).context("unsupported image type")?;
    let length = from.seek(SeekFrom::End(0))?;
    from.rewind()?;
    if format == ImageFormat::Avif {
        let bytes = heif::conversion_memory(from)?.saturating_add(DOWNSCALING_MEMORY);
        anyhow::ensure!(length <= MAX_READ && bytes <= MEMORY, "image exceeds memory limit");
        return Ok(DecodePlan { format, bytes, reduced_to: None, max_scans: MAX_SCANS });
    }
    let header = Header::read(from, format)?;
    if let Some(frame) = header.frame
        && let Some(held) = reduced_decoding_memory(frame, side)
    {
        // Includes the length of the file, because the decoder may hold all of it.
        let bytes = held.saturating_add(length).saturating_add(DOWNSCALING_MEMORY);
        anyhow::ensure!(bytes <= MEMORY, "image exceeds memory limit");
        // Each scan takes the time of the whole image, however few bytes it has. One scan per
        // component is enough.
        return Ok(DecodePlan { format, bytes, reduced_to: Some(side), max_scans: frame.components });
    }
    let is_read_first = matches!(format, ImageFormat::Jpeg | ImageFormat::WebP);
    anyhow::ensure!(!is_read_first || length <= MAX_READ, "image exceeds size limit");
    let (pixels, longer) = (header.pixels(), header.width.max(header.height));
    anyhow::ensure!(pixels > 0 && pixels <= MAX_PIXELS && longer <= MAX_SIDE, "image exceeds pixel limit");
    let held = if is_read_first { length } else { 0 };
    let bytes = pixels * (header.depth + header.overhead) + held + DOWNSCALING_MEMORY;
    anyhow::ensure!(bytes <= MEMORY, "image exceeds memory limit");
    Ok(DecodePlan { format, bytes, reduced_to: None, max_scans: MAX_SCANS })
}

/// Returns the memory for decoding a JPEG at a reduced size, in bytes; `None` if it isn't decoded
/// at a reduced size.
fn reduced_decoding_memory(frame: Frame, side: u32) -> Option<u64> {
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    let (pixels, longer) = (u64::from(width) * u64::from(height), width.max(height));
    let is_small = pixels <= REDUCED_PIXELS && longer <= MAX_SIDE;
    let is_too_large = pixels > MAX_REDUCED_PIXELS || longer > MAX_REDUCED_SIDE;
    if frame.is_progressive || pixels == 0 || is_small || is_too_large {
        return None;
    }
    // Makes the same choice as the decoder.
    let eighths = [1, 2, 4].into_iter().find(|eighths| (longer * eighths).div_ceil(8) >= side)?;
    // Blocks of 8 × 8 pixels are stored completely, and up to 4 of them per side are grouped.
    let padded = |length: u32| u64::from(length) + 31;
    let reduced = |length: u32| padded(length).div_ceil(8) * u64::from(eighths);
    // The decoder holds planar samples, then interleaved ones, and two rows of coefficients.
    let of_component = 2 * reduced(width) * reduced(height) + 2 * padded(width) * 32 * 2;
    Some(u64::from(frame.components) * of_component)
}

fn decoder<'a>(from: impl BufRead + Seek + 'a, measured: DecodePlan) -> anyhow::Result<impl ImageDecoder + 'a> {
    let is_png = measured.format == ImageFormat::Png;
    let mut limits = Limits::default();
    // The PNG decoder counts only the memory for data other than pixels.
    limits.max_alloc = Some(if is_png { PNG_METADATA } else { measured.bytes });
    let mut reader = ImageReader::with_format(from, measured.format);
    reader.limits(limits);
    Ok(reader.into_decoder()?)
}

/// Decoded image, possibly at a reduced size.
struct Decoded {
    picture: DynamicImage,
    /// Width and height of the original, in pixels.
    dimensions: (u32, u32),
    orientation: Orientation,
}

fn decode(mut from: impl BufRead + Seek, measured: DecodePlan) -> anyhow::Result<Decoded> {
    if measured.format == ImageFormat::Jpeg {
        anyhow::ensure!(scans(&mut from, measured.max_scans)? <= measured.max_scans, "image exceeds scan limit");
        from.rewind()?;
    }
    if let Some(side) = measured.reduced_to {
        return decode_reduced(from, side, measured.bytes);
    }
    let mut decoder = decoder(from, measured)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let dimensions = decoder.dimensions();
    Ok(Decoded { picture: DynamicImage::from_decoder(decoder)?, dimensions, orientation })
}

/// Decodes a JPEG at an eighth, a quarter or half of its size. Chooses the smallest with a longer
/// side of at least `side` pixels.
fn decode_reduced(from: impl BufRead, side: u32, memory: u64) -> anyhow::Result<Decoded> {
    // Appends an end marker, because the file may be truncated.
    let mut decoder = jpeg_decoder::Decoder::new(from.chain(JPEG_END));
    decoder.set_max_decoding_buffer_size(usize::try_from(memory)?);
    decoder.read_info()?;
    let whole = decoder.info().context("missing JPEG frame")?;
    let side = u16::try_from(side).unwrap_or(u16::MAX);
    let (width, height) = decoder.scale(side, side)?;
    let (width, height) = (u32::from(width), u32::from(height));
    let samples = decoder.decode()?;
    let picture = match whole.pixel_format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, samples).map(DynamicImage::ImageLuma8),
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, samples).map(DynamicImage::ImageRgb8),
        PixelFormat::CMYK32 => RgbImage::from_raw(width, height, cmyk_to_rgb(&samples)).map(DynamicImage::ImageRgb8),
        _ => None,
    };
    Ok(Decoded {
        picture: picture.context("unsupported sample format")?,
        dimensions: (u32::from(whole.width), u32::from(whole.height)),
        orientation: decoder.exif_data().and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms),
    })
}

/// Converts CMYK to RGB.
fn cmyk_to_rgb(cmyk: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(cmyk.len() / 4 * 3);
    for &[cyan, magenta, yellow, black] in cmyk.as_chunks::<4>().0 {
        let light = |ink: u8| u16::from(255 - ink) * u16::from(255 - black) / 255;
        rgb.extend([cyan, magenta, yellow].map(|ink| u8::try_from(light(ink)).unwrap_or(u8::MAX)));
    }
    rgb
}

/// Makes the thumbnails of an image.
pub(super) fn thumbnails(from: impl BufRead + Seek, measured: DecodePlan) -> anyhow::Result<Thumbnails> {
    let Decoded { picture, dimensions: (width, height), orientation } = decode(from, measured)?;
    let is_turned = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    let (width, height) = if is_turned { (height, width) } else { (width, height) };
    // Downscales before rotating, so that no time is spent on rotating pixels that are discarded.
    let mut picture = downscale(picture, THUMBNAILS[1]);
    picture.apply_orientation(orientation);
    let small = downscale(picture.clone(), THUMBNAILS[0]);
    let tiny = downscale(small.clone(), THUMBHASH_SIDE).into_rgba8();
    let (tiny_width, tiny_height) = (usize::try_from(tiny.width())?, usize::try_from(tiny.height())?);
    let hash = thumbhash::rgba_to_thumb_hash(tiny_width, tiny_height, tiny.as_raw());
    let has_alpha = picture.color().has_alpha();
    let pictures = [encode(&small, has_alpha)?, encode(&picture, has_alpha)?].map(|bytes| STANDARD.encode(bytes));
    Ok(Thumbnails { width, height, thumbhash: STANDARD.encode(hash), is_png: has_alpha, pictures })
}

/// Downscales an image so that its longer side has at most `side` pixels.
pub(super) fn resized(from: impl BufRead + Seek, measured: DecodePlan, side: u32) -> anyhow::Result<super::Resized> {
    let Decoded { picture, orientation, .. } = decode(from, measured)?;
    let mut picture = downscale(picture, side);
    picture.apply_orientation(orientation);
    let is_png = picture.color().has_alpha();
    let (width, height) = (picture.width(), picture.height());
    Ok(super::Resized { width, height, is_png, picture: STANDARD.encode(encode(&picture, is_png)?) })
}

fn downscale(picture: DynamicImage, side: u32) -> DynamicImage {
    if picture.width().max(picture.height()) > side { picture.thumbnail(side, side) } else { picture }
}

fn encode(picture: &DynamicImage, has_alpha: bool) -> anyhow::Result<Vec<u8>> {
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

    /// Creates the header of a PNG of this size. Colour type 2 is RGB, 6 is RGBA.
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
        plan_decoding(&mut Cursor::new(picture), media_type(picture), THUMBNAILS[1]).ok().map(DecodePlan::memory_mib)
    }

    #[test]
    fn limits_the_memory_of_an_image() {
        assert_eq!(mebibytes(&png(1_000, 1_000, 8, 2)), Some(32 + 4));
        assert_eq!(mebibytes(&png(7_000, 7_000, 8, 6)), Some(32 + 187));
        assert_eq!(mebibytes(&png(7_000, 7_000, 16, 6)), None, "twice as much for each pixel");
        assert_eq!(mebibytes(&png(20_000, 20_000, 8, 2)), None);
        assert_eq!(mebibytes(&png(12_001, 10, 8, 2)), None);
    }

    #[test]
    fn progressive_jpegs_take_more_memory() {
        let mut jpeg = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(2_000, 1_000).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        let mut jpeg = jpeg.into_inner();
        assert_eq!(mebibytes(&jpeg), Some(32 + 6));
        let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        jpeg[frame + 1] = 0xc2;
        assert_eq!(mebibytes(&jpeg), Some(32 + 6 + 12));
    }

    /// Creates a JPEG of 64 × 64 pixels in one colour. Each component is 64 above (`true`) or below
    /// the middle, and each block after the first repeats the one before it.
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

    /// Returns the position of a segment.
    fn place(jpeg: &[u8], marker: u8) -> usize {
        jpeg.windows(2).position(|window| window == [0xff, marker]).unwrap()
    }

    #[test]
    fn reduced_jpegs_look_like_full_ones() {
        for (brighter, adobe) in [
            (&[true][..], None),
            (&[false, false, true][..], None),
            (&[false, true, true, true][..], Some(0)),
            (&[false, false, true, true][..], Some(2)),
        ] {
            let jpeg = flat(brighter, adobe);
            let decoded = |reduced_to: Option<u32>| {
                let (format, bytes) = (ImageFormat::Jpeg, MEMORY);
                decode(Cursor::new(&jpeg), DecodePlan { format, bytes, reduced_to, max_scans: 4 }).unwrap()
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
    fn limits_memory_and_scans_of_large_jpegs() {
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
            let measured = plan_decoding(&mut Cursor::new(&picture), "image/jpeg", THUMBNAILS[1]).unwrap();
            scans(&mut Cursor::new(&picture), measured.max_scans).unwrap() <= measured.max_scans
        };
        assert_eq!([1, 3, 4].map(scans_fit), [true, true, false]);
    }
}
