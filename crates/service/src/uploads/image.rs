//! Pictures: their size, their thumbnails, and what they look like before they are there.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Cursor, Read as _, Seek, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use aws_lc_rs::digest::{Context as Hashing, SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder, metadata::Orientation,
};

use super::{
    media_type::{self, UNKNOWN},
    receive::{Received, TemporaryFile, hexadecimal},
    strip::strip,
};

/// The longer sides of thumbnails, in pixels.
pub const THUMBNAILS: [u32; 2] = [320, 1280];
/// What tells a file's type.
const HEAD: u64 = 8 * 1024;
const HEAD_BYTES: usize = 8 * 1024;
/// Pictures with more pixels, or with a longer side, are not decoded: a small file can be a large picture.
const MAX_PIXELS: u64 = 50_000_000;
const MAX_SIDE: u32 = 12_000;
/// Bytes that decoding one may take.
const MAX_DECODING: u64 = 256 * 1024 * 1024;
const JPEG_QUALITY: u8 = 80;
/// The longer side of what a thumbhash is made from.
const HASHED: u32 = 100;

/// What was seen of a file.
pub(super) struct Looked {
    pub media_type: String,
    /// The picture without its metadata; none where it stays as it is.
    pub rewritten: Option<Received>,
    pub dimensions: Option<(i32, i32)>,
    pub thumbhash: Option<String>,
    pub thumbnail_type: Option<&'static str>,
    pub thumbnails: Vec<(u32, Bytes)>,
}

impl Looked {
    const fn of(media_type: String) -> Self {
        Self {
            media_type,
            rewritten: None,
            dimensions: None,
            thumbhash: None,
            thumbnail_type: None,
            thumbnails: Vec::new(),
        }
    }
}

/// Looks at a file that was received. `rewritten` is a name for what is made of it. A picture that can't be read is a file like any other.
pub(super) fn look(path: &Path, claimed: &str, rewritten: PathBuf) -> anyhow::Result<Looked> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    let found = media_type::detect(&head, claimed);
    let Some(format) = format(&found) else { return Ok(Looked::of(found)) };
    let rewritten = match without_metadata(path, &found, rewritten) {
        Ok(rewritten) => rewritten,
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            return Ok(Looked::of(UNKNOWN.to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let mut looked = Looked { rewritten: Some(rewritten), ..Looked::of(found) };
    // What is no picture after all is served as it is: nothing can run in it.
    drop(File::open(path).map_err(Into::into).and_then(|file| see(BufReader::new(file), format, &mut looked)));
    Ok(looked)
}

/// A picture as models look at it.
pub(crate) struct SmallPicture {
    pub media_type: &'static str,
    pub bytes: Bytes,
    pub width: usize,
    pub height: usize,
}

/// Makes a picture that nobody uploaded as small as models look at.
pub(super) fn small(bytes: &[u8]) -> anyhow::Result<SmallPicture> {
    let media_type = media_type::detect(&bytes[..bytes.len().min(HEAD_BYTES)], UNKNOWN);
    let format = format(&media_type).context("it is of no type that is known")?;
    let mut looked = Looked::of(media_type);
    see(Cursor::new(bytes), format, &mut looked)?;
    let (side, bytes) = looked.thumbnails.pop().context("it is too large")?;
    let (width, height) = looked.dimensions.unwrap_or_default();
    let longer = usize::try_from(width.max(height).max(1))?;
    let most = longer.min(usize::try_from(side)?);
    let scaled = |of: i32| anyhow::Ok(usize::try_from(of)? * most / longer);
    let media_type = looked.thumbnail_type.context("it has no thumbnail")?;
    Ok(SmallPicture { media_type, bytes, width: scaled(width)?, height: scaled(height)? })
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

/// Notes the picture's size and, unless it is too large to be decoded, what it looks like.
fn see(from: impl BufRead + Seek, format: ImageFormat, looked: &mut Looked) -> anyhow::Result<()> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODING);
    let mut reader = ImageReader::with_format(from, format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let (width, height) = decoder.dimensions();
    let is_turned = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    let (shown_width, shown_height) = if is_turned { (height, width) } else { (width, height) };
    looked.dimensions = Some((i32::try_from(shown_width)?, i32::try_from(shown_height)?));
    if u64::from(width) * u64::from(height) > MAX_PIXELS || width.max(height) > MAX_SIDE || width.min(height) == 0 {
        return Ok(());
    }
    let mut picture = DynamicImage::from_decoder(decoder)?;
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
