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
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder, metadata::Orientation,
};

use super::{
    media_type::{self, UNKNOWN},
    receive::{Received, TemporaryFile, hexadecimal},
    strip::{is_progressive, strip},
};

/// The longer sides of thumbnails, in pixels.
pub const THUMBNAILS: [u32; 2] = [320, 1280];
/// What tells a file's type.
const HEAD: u64 = 8 * 1024;
const HEAD_BYTES: usize = 8 * 1024;
/// Pictures with more pixels, or with a longer side, are not decoded: a small file can be a large picture.
const MAX_PIXELS: u64 = 50_000_000;
const MAX_SIDE: u32 = 12_000;
/// Memory for decoding, in MiB: for all pictures together.
pub(super) const DECODING: usize = 256;
const MIB: u64 = 1024 * 1024;
/// What making smaller ones of a picture takes beside it.
const MAKING_SMALLER: u64 = 32 * MIB;
/// The largest JPEG or WebP that is decoded: their decoders read all of it first.
pub(super) const MAX_READ: u64 = 32 * MIB;
const JPEG_QUALITY: u8 = 80;
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
    drop(measure(|| Ok(BufReader::new(File::open(path)?)), format, &mut looked));
    Ok(looked)
}

/// Notes what a picture looks like that was measured.
pub(super) fn see(path: &Path, measured: Measured, looked: &mut MediaProbe) {
    drop(File::open(path).map_err(Into::into).and_then(|file| decode(BufReader::new(file), measured.format, looked)));
}

/// A picture as models look at it.
pub(crate) struct SmallPicture {
    pub media_type: &'static str,
    pub bytes: Bytes,
    pub width: usize,
    pub height: usize,
}

/// Measures a picture that nobody uploaded.
pub(super) fn measure_bytes(bytes: &[u8]) -> anyhow::Result<Measured> {
    let media_type = media_type::detect(&bytes[..bytes.len().min(HEAD_BYTES)], UNKNOWN);
    let format = format(&media_type).context("it is of no type that is known")?;
    let mut looked = MediaProbe::of(media_type);
    measure(|| Ok(Cursor::new(bytes)), format, &mut looked)?;
    looked.measured.context("it is too large")
}

/// Makes it as small as models look at.
pub(super) fn small(bytes: &[u8], measured: Measured) -> anyhow::Result<SmallPicture> {
    let mut looked = MediaProbe::of(String::new());
    decode(Cursor::new(bytes), measured.format, &mut looked)?;
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
    let mut decoder = decoder(Cursor::new(bytes), measured.format)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = smaller(DynamicImage::from_decoder(decoder)?, side);
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

/// Notes what decoding a picture takes, unless that is too much: then nothing is said of it.
fn measure<R: BufRead + Seek>(
    open: impl Fn() -> io::Result<R>,
    format: ImageFormat,
    looked: &mut MediaProbe,
) -> anyhow::Result<()> {
    let length = open()?.seek(SeekFrom::End(0))?;
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
        ImageFormat::Jpeg if is_progressive(&mut open()?)? => length + pixels * 6,
        ImageFormat::Jpeg => length,
        ImageFormat::WebP => length + pixels * 4,
        // A frame, and what it is painted on.
        ImageFormat::Gif => pixels * 4,
        _ => 0,
    };
    let bytes = whole.saturating_add(beside).saturating_add(MAKING_SMALLER);
    anyhow::ensure!(bytes <= DECODING as u64 * MIB, "it takes too much memory");
    looked.measured = Some(Measured { format, bytes });
    Ok(())
}

fn decoder<'a>(from: impl BufRead + Seek + 'a, format: ImageFormat) -> anyhow::Result<impl ImageDecoder + 'a> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODING as u64 * MIB);
    let mut reader = ImageReader::with_format(from, format);
    reader.limits(limits);
    Ok(reader.into_decoder()?)
}

/// Notes a picture's size and what it looks like.
fn decode(from: impl BufRead + Seek, format: ImageFormat, looked: &mut MediaProbe) -> anyhow::Result<()> {
    let mut decoder = decoder(from, format)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let (width, height) = decoder.dimensions();
    let is_turned = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    let (shown_width, shown_height) = if is_turned { (height, width) } else { (width, height) };
    let mut picture = DynamicImage::from_decoder(decoder)?;
    looked.dimensions = Some((i32::try_from(shown_width)?, i32::try_from(shown_height)?));
    // Smaller first: turning what is thrown away costs the most.
    picture = smaller(picture, THUMBNAILS[1]);
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
        measure_bytes(picture).ok().map(Measured::mebibytes)
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
}
