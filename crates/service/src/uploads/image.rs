//! Pictures: their size, their thumbnails, and what they look like before they are there.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Cursor, Read as _, Seek, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use aws_lc_rs::digest::{Context as Hashing, SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, codecs::jpeg::JpegEncoder,
    metadata::Orientation,
};
use jpeg_decoder::PixelFormat;

use super::{
    media_type::{self, UNKNOWN},
    receive::{Received, TemporaryFile, hexadecimal},
    strip::{Frame, frame, scans, strip},
};

/// The longer sides of thumbnails, in pixels.
pub const THUMBNAILS: [u32; 2] = [320, 1280];
/// What tells a file's type.
const HEAD: u64 = 8 * 1024;
const HEAD_BYTES: usize = 8 * 1024;
/// Pictures with more pixels, or with a longer side, are not decoded whole: a small file can be a large picture.
const MAX_PIXELS: u64 = 50_000_000;
const MAX_SIDE: u32 = 12_000;
/// JPEGs with more pixels, or with a side longer than [`MAX_SIDE`], are decoded at a reduced size where they come in one pass.
const REDUCED_PIXELS: u64 = 16_000_000;
/// Beyond this they aren't either: each pixel takes time, however small what is made of it. Cameras have up to 200 million.
const MAX_REDUCED_PIXELS: u64 = 210_000_000;
const MAX_REDUCED_SIDE: u32 = 20_000;
/// Memory for decoding, in MiB: for all pictures together.
pub(super) const DECODING: usize = 256;
const MIB: u64 = 1024 * 1024;
/// What making smaller ones of a picture takes beside it.
const MAKING_SMALLER: u64 = 32 * MIB;
/// The largest JPEG or WebP that is decoded whole: their decoders read all of it first.
pub(super) const MAX_READ: u64 = 32 * MIB;
const JPEG_QUALITY: u8 = 80;
/// What ends a JPEG.
const JPEG_END: &[u8] = &[0xff, 0xd9];
/// The longer side of what a thumbhash is made from.
const HASHED: u32 = 100;

/// What was seen of a file.
pub(super) struct MediaProbe {
    pub media_type: String,
    /// The picture without its metadata; none where it stays as it is.
    pub rewritten: Option<Received>,
    pub dimensions: Option<(i32, i32)>,
    pub thumbhash: Option<String>,
    pub thumbnail_type: Option<&'static str>,
    pub thumbnails: Vec<(u32, Bytes)>,
    /// Where it is a picture that can be decoded.
    pub measured: Option<Measured>,
}

/// What decoding a picture takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    format: ImageFormat,
    bytes: u64,
    /// As short as its longer side may be decoded, where it isn't decoded whole.
    reduced_to: Option<u32>,
}

impl Measured {
    /// How much of [`DECODING`].
    pub fn mebibytes(self) -> u32 {
        u32::try_from(self.bytes.div_ceil(MIB)).unwrap_or(u32::MAX)
    }
}

impl MediaProbe {
    const fn of(media_type: String) -> Self {
        Self {
            media_type,
            rewritten: None,
            dimensions: None,
            thumbhash: None,
            thumbnail_type: None,
            thumbnails: Vec::new(),
            measured: None,
        }
    }
}

/// Looks at a file that was received. `rewritten` is a name for what is made of it. A picture that can't be read is a file like any other, and so is one
/// that is too large to be decoded.
pub(super) fn look(path: &Path, claimed: &str, rewritten: PathBuf) -> anyhow::Result<MediaProbe> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    let found = media_type::detect(&head, claimed);
    let Some(format) = format(&found) else { return Ok(MediaProbe::of(found)) };
    let rewritten = match without_metadata(path, &found, rewritten) {
        Ok(rewritten) => rewritten,
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            return Ok(MediaProbe::of(UNKNOWN.to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let mut looked = MediaProbe { rewritten: Some(rewritten), ..MediaProbe::of(found) };
    // What is no picture after all is served as it is: nothing can run in it.
    drop(measure(|| Ok(BufReader::new(File::open(path)?)), format, THUMBNAILS[1], &mut looked));
    Ok(looked)
}

/// Notes what a picture looks like that was measured.
pub(super) fn see(path: &Path, measured: Measured, looked: &mut MediaProbe) {
    drop(File::open(path).map_err(Into::into).and_then(|file| decode(BufReader::new(file), measured, looked)));
}

/// A picture as models look at it.
pub(crate) struct SmallPicture {
    pub media_type: &'static str,
    pub bytes: Bytes,
    pub width: usize,
    pub height: usize,
}

/// Measures a picture that nobody uploaded, and whose longer side is to be made as short as this.
pub(super) fn measure_bytes(bytes: &[u8], side: u32) -> anyhow::Result<Measured> {
    let media_type = media_type::detect(&bytes[..bytes.len().min(HEAD_BYTES)], UNKNOWN);
    let format = format(&media_type).context("it is of no type that is known")?;
    let mut looked = MediaProbe::of(media_type);
    measure(|| Ok(Cursor::new(bytes)), format, side, &mut looked)?;
    looked.measured.context("it is too large")
}

/// Makes it as small as models look at.
pub(super) fn small(bytes: &[u8], measured: Measured) -> anyhow::Result<SmallPicture> {
    let mut looked = MediaProbe::of(String::new());
    decode(Cursor::new(bytes), measured, &mut looked)?;
    let (side, bytes) = looked.thumbnails.pop().context("it is too large")?;
    let (width, height) = looked.dimensions.unwrap_or_default();
    let longer = usize::try_from(width.max(height).max(1))?;
    let most = longer.min(usize::try_from(side)?);
    let scaled = |of: i32| anyhow::Ok(usize::try_from(of)? * most / longer);
    let media_type = looked.thumbnail_type.context("it has no thumbnail")?;
    Ok(SmallPicture { media_type, bytes, width: scaled(width)?, height: scaled(height)? })
}

/// Makes its longer side as short as this.
pub(super) fn sized(bytes: &[u8], measured: Measured, side: u32) -> anyhow::Result<SmallPicture> {
    let Decoded { picture, orientation, .. } = decoded(Cursor::new(bytes), measured)?;
    let mut picture = smaller(picture, side);
    picture.apply_orientation(orientation);
    let has_alpha = picture.color().has_alpha();
    let (width, height) = (usize::try_from(picture.width())?, usize::try_from(picture.height())?);
    let media_type = if has_alpha { "image/png" } else { "image/jpeg" };
    Ok(SmallPicture { media_type, bytes: encoded(&picture, has_alpha)?, width, height })
}

/// Whether pictures of this type are made smaller.
pub(crate) fn has_thumbnails(media_type: &str) -> bool {
    format(media_type).is_some()
}

fn format(media_type: &str) -> Option<ImageFormat> {
    Some(match media_type {
        "image/jpeg" => ImageFormat::Jpeg,
        "image/png" => ImageFormat::Png,
        "image/gif" => ImageFormat::Gif,
        "image/webp" => ImageFormat::WebP,
        _ => return None,
    })
}

fn without_metadata(path: &Path, media_type: &str, rewritten: PathBuf) -> io::Result<Received> {
    let path_of = TemporaryFile::new(rewritten);
    let mut to = BufWriter::with_capacity(256 * 1024, File::create(path_of.path())?);
    strip(media_type, &mut BufReader::with_capacity(256 * 1024, File::open(path)?), &mut to)?;
    to.flush()?;
    to.get_ref().sync_all()?;
    let (mut context, mut size) = (Hashing::new(&SHA256), 0);
    let mut from = File::open(path_of.path())?;
    let mut piece = vec![0; 256 * 1024];
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 {
            break;
        }
        context.update(&piece[..length]);
        size += length as u64;
    }
    Ok(Received { path: path_of, size, sha256: hexadecimal(context.finish().as_ref()) })
}

/// Notes what decoding a picture takes, unless that is too much: then nothing is said of it. Its longer side is to be made as short as `side`.
fn measure<R: BufRead + Seek>(
    open: impl Fn() -> io::Result<R>,
    format: ImageFormat,
    side: u32,
    looked: &mut MediaProbe,
) -> anyhow::Result<()> {
    let length = open()?.seek(SeekFrom::End(0))?;
    let frame = if format == ImageFormat::Jpeg { Some(frame(&mut open()?)?) } else { None };
    if let Some(frame) = frame
        && let Some(held) = held_reduced(frame, side)
    {
        // Each scan takes the time of the whole picture, however few bytes it has; one for each component is enough.
        anyhow::ensure!(scans(&mut open()?, frame.components)? <= frame.components, "it has too many scans");
        // Profiles of colours are held, and may be all of the file.
        let bytes = held.saturating_add(length).saturating_add(MAKING_SMALLER);
        anyhow::ensure!(bytes <= DECODING as u64 * MIB, "it takes too much memory");
        looked.measured = Some(Measured { format, bytes, reduced_to: Some(side) });
        return Ok(());
    }
    let is_read_first = matches!(format, ImageFormat::Jpeg | ImageFormat::WebP);
    anyhow::ensure!(!is_read_first || length <= MAX_READ, "it has too many bytes");
    let decoder = decoder(open()?, format)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    anyhow::ensure!(pixels > 0 && pixels <= MAX_PIXELS && width.max(height) <= MAX_SIDE, "it has too many pixels");
    let whole = decoder.total_bytes();
    drop(decoder);
    let beside = match format {
        // All coefficients are gathered before there is a picture.
        ImageFormat::Jpeg => {
            let gathered = frame.filter(|frame| frame.is_progressive).map_or(0, |frame| frame.components);
            length + pixels * 2 * u64::from(gathered)
        }
        ImageFormat::WebP => length + pixels * 4,
        // A frame, and what it is painted on.
        ImageFormat::Gif => pixels * 4,
        _ => 0,
    };
    let bytes = whole.saturating_add(beside).saturating_add(MAKING_SMALLER);
    anyhow::ensure!(bytes <= DECODING as u64 * MIB, "it takes too much memory");
    looked.measured = Some(Measured { format, bytes, reduced_to: None });
    Ok(())
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

fn decoder<'a>(from: impl BufRead + Seek + 'a, format: ImageFormat) -> anyhow::Result<impl ImageDecoder + 'a> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODING as u64 * MIB);
    let mut reader = ImageReader::with_format(from, format);
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

fn decoded(from: impl BufRead + Seek, measured: Measured) -> anyhow::Result<Decoded> {
    if let Some(side) = measured.reduced_to {
        return reduced(from, side);
    }
    let mut decoder = decoder(from, measured.format)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let dimensions = decoder.dimensions();
    Ok(Decoded { picture: DynamicImage::from_decoder(decoder)?, dimensions, orientation })
}

/// Decodes a JPEG at an eighth, a quarter or half of its size: the smallest of these whose longer side is not shorter than `side`.
fn reduced(from: impl BufRead, side: u32) -> anyhow::Result<Decoded> {
    // One that was cut off ends there.
    let mut decoder = jpeg_decoder::Decoder::new(from.chain(JPEG_END));
    decoder.set_max_decoding_buffer_size(DECODING * 1024 * 1024);
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

/// Notes a picture's size and what it looks like.
fn decode(from: impl BufRead + Seek, measured: Measured, looked: &mut MediaProbe) -> anyhow::Result<()> {
    let Decoded { picture, dimensions: (width, height), orientation } = decoded(from, measured)?;
    let is_turned = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    let (shown_width, shown_height) = if is_turned { (height, width) } else { (width, height) };
    looked.dimensions = Some((i32::try_from(shown_width)?, i32::try_from(shown_height)?));
    // Smaller first: turning what is thrown away costs the most.
    let mut picture = smaller(picture, THUMBNAILS[1]);
    picture.apply_orientation(orientation);
    let small = smaller(picture.clone(), THUMBNAILS[0]);
    let tiny = smaller(small.clone(), HASHED).into_rgba8();
    let (tiny_width, tiny_height) = (usize::try_from(tiny.width())?, usize::try_from(tiny.height())?);
    let hash = thumbhash::rgba_to_thumb_hash(tiny_width, tiny_height, tiny.as_raw());
    let has_alpha = picture.color().has_alpha();
    looked.thumbnails =
        vec![(THUMBNAILS[0], encoded(&small, has_alpha)?), (THUMBNAILS[1], encoded(&picture, has_alpha)?)];
    looked.thumbnail_type = Some(if has_alpha { "image/png" } else { "image/jpeg" });
    looked.thumbhash = Some(STANDARD.encode(hash));
    Ok(())
}

fn smaller(picture: DynamicImage, side: u32) -> DynamicImage {
    if picture.width().max(picture.height()) > side { picture.thumbnail(side, side) } else { picture }
}

fn encoded(picture: &DynamicImage, has_alpha: bool) -> anyhow::Result<Bytes> {
    let mut out = Cursor::new(Vec::new());
    if has_alpha {
        DynamicImage::from(picture.to_rgba8()).write_to(&mut out, ImageFormat::Png)?;
    } else {
        picture.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY))?;
    }
    Ok(out.into_inner().into())
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

    fn mebibytes(picture: &[u8]) -> Option<u32> {
        measure_bytes(picture, THUMBNAILS[1]).ok().map(Measured::mebibytes)
    }

    #[test]
    fn no_picture_takes_more_memory_than_there_is_for_all_of_them() {
        assert_eq!(mebibytes(&png(1_000, 1_000, 8, 2)), Some(32 + 3));
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
                decoded(Cursor::new(&jpeg), Measured { format: ImageFormat::Jpeg, bytes: 0, reduced_to }).unwrap()
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
        assert_eq!([1, 3, 4].map(|count| mebibytes(&in_scans(count)).is_some()), [true, true, false]);
    }
}
