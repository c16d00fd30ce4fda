//! Images: dimensions, thumbnails and placeholders.
//!
//! This module reads only headers. Copying images without their metadata, and decoding them, is
//! done in the separate reader process.

use std::{
    fs::File,
    io::{BufReader, Cursor, Read as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use appcore::AppError;
use aws_lc_rs::digest::{Context as Hashing, SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
pub use extract::picture::THUMBNAILS;
use extract::{
    isolated::Task,
    picture::{self, Copied, DecodePlan, ResizeTask, Resized, Thumbnails, UploadTask},
};

use super::{
    media_type::{self, HEAD_LEN, UNKNOWN},
    reader,
    receive::{ReceivedFile, TemporaryFile},
    run_blocking,
};

const BUFFER: usize = 256 * 1024;
/// Memory for all images that are decoded at the same time, in MiB.
pub(super) const DECODING_MEMORY_MIB: usize = 256;
const _: () = assert!(DECODING_MEMORY_MIB as u64 * 1024 * 1024 == picture::MEMORY);

/// Result of inspecting a file.
pub(super) struct MediaProbe {
    pub media_type: String,
    /// Copy of the image without its metadata; `None` if the file is stored unchanged.
    pub rewritten: Option<ReceivedFile>,
    pub dimensions: Option<(i32, i32)>,
    pub thumbhash: Option<String>,
    pub thumbnail_type: Option<&'static str>,
    pub thumbnails: Vec<(u32, Bytes)>,
    /// Decoding plan; set if the file is an image that can be decoded.
    pub measured: Option<DecodePlan>,
}

impl MediaProbe {
    const fn from_media_type(media_type: String) -> Self {
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

    /// True if the file is copied without its metadata.
    pub fn is_picture(&self) -> bool {
        has_thumbnails(&self.media_type)
    }
}

/// Reads the header of a received file. If an image is too large to be decoded, the result has no
/// decoding plan.
pub(super) fn probe(path: &Path, claimed: &str) -> anyhow::Result<MediaProbe> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_LEN as u64).read_to_end(&mut head)?;
    let mut looked = MediaProbe::from_media_type(media_type::detect(&head, claimed));
    if looked.is_picture() {
        let mut file = BufReader::new(File::open(path)?);
        looked.measured = picture::plan_decoding(&mut file, &looked.media_type, THUMBNAILS[1]).ok();
    }
    Ok(looked)
}

/// Copies an image without its metadata to `copy`, and makes its thumbnails if there is a decoding
/// plan. An unreadable image is treated like any other file.
pub(super) async fn process(path: PathBuf, copy: PathBuf, looked: &mut MediaProbe) -> Result<(), AppError> {
    let (media_type, memory) = (looked.media_type.clone(), looked.measured.map(DecodePlan::memory_mib));
    let written = TemporaryFile::new(copy.clone());
    let task = Task::UploadedPicture(UploadTask { media_type, path, copy, memory });
    let parsed = reader::parse_bytes(&task, Bytes::new()).await?;
    match parsed.line(0)? {
        Some(Copied::Whole) => looked.rewritten = Some(run_blocking(move || measure(written)).await?),
        Some(Copied::Malformed) => {
            UNKNOWN.clone_into(&mut looked.media_type);
            return Ok(());
        }
        None if parsed.is_complete => return Err(AppError::internal(anyhow::anyhow!("reader copied no image"))),
        None => return Err(AppError::unavailable(anyhow::anyhow!("failed to copy image"))),
    }
    // A file that turns out not to be an image is served as it is. This is safe, because no file of
    // this type can be executed.
    if let Some(made) = parsed.line::<Option<Thumbnails>>(1)?.flatten() {
        looked.dimensions = i32::try_from(made.width).ok().zip(i32::try_from(made.height).ok());
        let pictures: Result<Vec<Vec<u8>>, _> = made.pictures.iter().map(|picture| STANDARD.decode(picture)).collect();
        let pictures = pictures.map_err(AppError::internal)?.into_iter().map(Bytes::from);
        looked.thumbnails = THUMBNAILS.into_iter().zip(pictures).collect();
        looked.thumbnail_type = Some(thumbnail_type(made.is_png));
        looked.thumbhash = Some(made.thumbhash);
    }
    Ok(())
}

/// Downscaled image.
pub struct SmallPicture {
    pub media_type: &'static str,
    pub bytes: Bytes,
    pub width: usize,
    pub height: usize,
}

/// Plans the decoding of an image that is not an upload, in order to downscale its longer side to
/// `side` pixels.
pub(super) fn measure_bytes(bytes: &[u8], side: u32) -> anyhow::Result<(String, DecodePlan)> {
    let media_type = media_type::detect(bytes, UNKNOWN);
    let measured = picture::plan_decoding(&mut Cursor::new(bytes), &media_type, side)?;
    Ok((media_type, measured))
}

/// Downscales an image so that its longer side has `side` pixels.
pub(super) async fn resize(
    bytes: Bytes,
    media_type: String,
    measured: DecodePlan,
    side: u32,
) -> Result<SmallPicture, AppError> {
    let task = Task::Picture(ResizeTask { media_type, side, memory: measured.memory_mib() });
    let made: Option<Resized> = reader::parse_bytes(&task, bytes).await?.line(0)?.flatten();
    let made = made.context("failed to decode image").map_err(AppError::internal)?;
    let bytes = STANDARD.decode(made.picture).map_err(AppError::internal)?.into();
    let side = |side: u32| usize::try_from(side).map_err(AppError::internal);
    let (width, height) = (side(made.width)?, side(made.height)?);
    Ok(SmallPicture { media_type: thumbnail_type(made.is_png), bytes, width, height })
}

const fn thumbnail_type(is_png: bool) -> &'static str {
    if is_png { "image/png" } else { "image/jpeg" }
}

/// True if images of this type are downscaled.
pub fn has_thumbnails(media_type: &str) -> bool {
    picture::is_decodable(media_type)
}

/// Computes size and checksum of a file that was written.
fn measure(written: TemporaryFile) -> anyhow::Result<ReceivedFile> {
    let (mut context, mut size) = (Hashing::new(&SHA256), 0);
    let mut from = File::open(written.path())?;
    let mut piece = vec![0; BUFFER];
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 {
            break;
        }
        context.update(&piece[..length]);
        size += length as u64;
    }
    Ok(ReceivedFile { path: written, size, sha256: hex::encode(context.finish()) })
}
