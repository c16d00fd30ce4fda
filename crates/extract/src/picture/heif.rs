//! HEIC and AVIF images: size, and conversion to JPEG by libheif's `heif-convert`.
//!
//! The program isn't part of Natter, and without it these images have no thumbnails. It inherits
//! the limits on memory and processor time of the reader process that starts it.

use std::{
    fs,
    io::{self, BufRead, Seek},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Context as _;

use super::strip::{MetaBox, malformed};

/// Paths of `heif-convert`, and of its name since libheif 1.19. Absolute, because the reader process
/// has no `PATH`.
const CONVERTERS: [&str; 4] =
    ["/usr/bin/heif-convert", "/usr/bin/heif-dec", "/usr/local/bin/heif-convert", "/usr/local/bin/heif-dec"];
/// Quality of the JPEG, in percent. Only thumbnails are made of it.
const QUALITY: &str = "90";
/// Memory for conversion, in bytes per pixel: two copies of the decoded planes, because images are
/// rotated, and the interleaved samples.
const BYTES_PER_PIXEL: u64 = 8;

/// True for HEIC and AVIF, which have the same container format.
pub(super) fn is_heif(media_type: &str) -> bool {
    matches!(media_type, "image/heic" | "image/avif")
}

/// Returns the memory for converting an image, in bytes. Reads only the header.
pub(super) fn conversion_memory(from: &mut (impl BufRead + Seek)) -> anyhow::Result<u64> {
    anyhow::ensure!(converter().is_some(), "heif-convert is not installed");
    let (width, height) = largest_size(from)?;
    Ok((u64::from(width) * u64::from(height)).saturating_mul(BYTES_PER_PIXEL))
}

/// Reads the size of the image before rotation, in pixels. An image of several tiles lists their
/// size as well, so the largest size counts.
pub(super) fn largest_size(from: &mut (impl BufRead + Seek)) -> io::Result<(u32, u32)> {
    let meta = MetaBox::read(from)?;
    let sizes = meta.properties(*b"ispe").into_iter().filter_map(|content| {
        let side = |at: usize| Some(u32::from_be_bytes(content.get(at..at + 4)?.try_into().ok()?));
        side(4).zip(side(8))
    });
    sizes.max_by_key(|(width, height)| u64::from(*width) * u64::from(*height)).ok_or_else(malformed)
}

/// Converts an image to JPEG.
pub(super) fn to_jpeg(path: &Path) -> anyhow::Result<Vec<u8>> {
    let converter = converter().context("heif-convert is not installed")?;
    let folder = tempfile::tempdir()?;
    let status = Command::new(converter)
        .args(["-q", QUALITY])
        .args([path, &folder.path().join("picture.jpg")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    anyhow::ensure!(status.success(), "failed to convert image");
    // The images of a file with several are numbered, and the primary one comes first.
    let written = ["picture.jpg", "picture-1.jpg"].map(|name| folder.path().join(name));
    let jpeg = written.into_iter().find(|path| path.is_file()).context("heif-convert wrote no image")?;
    Ok(fs::read(jpeg)?)
}

/// Converts an image in memory to JPEG.
pub(super) fn bytes_to_jpeg(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("picture.heif");
    fs::write(&path, bytes)?;
    to_jpeg(&path)
}

fn converter() -> Option<&'static Path> {
    CONVERTERS.into_iter().map(Path::new).find(|path| path.is_file())
}
