//! Images: sizes, thumbnails, and copies without metadata.

mod decode;
mod header;
mod heif;
mod strip;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Cursor, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use self::decode::{DecodePlan, plan_decoding};

/// Longer sides of the two thumbnails, in pixels.
pub const THUMBNAILS: [u32; 2] = [320, 1280];
/// Memory for all images that an instance decodes at the same time, in bytes.
pub const MEMORY: u64 = 256 * 1024 * 1024;
/// Maximum size, in bytes, of a JPEG or WebP file that is decoded at full size. Needed because
/// their decoders first read the whole file.
pub const MAX_READ: u64 = 32 * 1024 * 1024;
const BUFFER: usize = 256 * 1024;
const JPEG: &str = "image/jpeg";

/// True if images of this type can be decoded.
#[must_use]
pub fn is_decodable(media_type: &str) -> bool {
    decode::format(media_type).is_some()
}

/// True if images of this type are decoded by another program.
#[must_use]
pub(crate) fn is_converted(media_type: &str) -> bool {
    heif::is_heif(media_type)
}

/// Uploaded image. It is copied without metadata, and decoded if thumbnails are wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UploadTask {
    pub media_type: String,
    pub path: PathBuf,
    /// Path to which the copy is written.
    pub copy: PathBuf,
    /// Memory limit for decoding, in MiB; `None` if the image is not decoded.
    pub memory: Option<u32>,
}

/// Image on standard input that is downscaled to a longer side of `side` pixels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResizeTask {
    pub media_type: String,
    pub side: u32,
    /// Memory limit for decoding, in MiB.
    pub memory: u32,
}

/// Result of copying an image without metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Copied {
    Whole,
    /// The file isn't an image of the stated type.
    Malformed,
}

/// Thumbnails of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbnails {
    /// Size of the image as displayed, in pixels.
    pub width: u32,
    pub height: u32,
    /// Thumbhash in Base64.
    pub thumbhash: String,
    /// True if the thumbnails are PNG files, false for JPEG.
    pub is_png: bool,
    /// Thumbnails in Base64, in the order of [`THUMBNAILS`].
    pub pictures: [String; 2],
}

/// Downscaled image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resized {
    pub width: u32,
    pub height: u32,
    /// True if the image is a PNG file, false for JPEG.
    pub is_png: bool,
    /// Image file in Base64.
    pub picture: String,
}

/// Writes two lines of JSON: [`Copied`], then `Option<Thumbnails>`. The second line is missing if
/// the process exceeds its limits while decoding.
pub(crate) fn upload(task: &UploadTask, output: &mut impl Write) -> io::Result<()> {
    let copied = match copy(task) {
        Ok(()) => Copied::Whole,
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            Copied::Malformed
        }
        Err(error) => return Err(error),
    };
    write_line(output, &copied)?;
    if copied == Copied::Malformed || task.memory.is_none() {
        return Ok(());
    }
    write_line(output, &thumbnails(&task.copy, &task.media_type).ok())
}

/// Writes a line of JSON: `Option<Resized>`.
pub(crate) fn resize(task: &ResizeTask, bytes: &[u8], output: &mut impl Write) -> io::Result<()> {
    write_line(output, &resized(bytes, task).ok())
}

fn write_line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")?;
    output.flush()
}

fn copy(task: &UploadTask) -> io::Result<()> {
    let mut from = BufReader::with_capacity(BUFFER, File::open(&task.path)?);
    let mut to = BufWriter::with_capacity(BUFFER, File::create(&task.copy)?);
    strip::strip(&task.media_type, &mut from, &mut to)?;
    to.flush()?;
    to.get_ref().sync_all()
}

fn thumbnails(path: &Path, media_type: &str) -> anyhow::Result<Thumbnails> {
    if heif::is_heif(media_type) {
        let mut jpeg = Cursor::new(heif::to_jpeg(path)?);
        let measured = plan_decoding(&mut jpeg, JPEG, THUMBNAILS[1])?;
        jpeg.set_position(0);
        return decode::thumbnails(jpeg, measured);
    }
    let mut file = BufReader::new(File::open(path)?);
    let measured = plan_decoding(&mut file, media_type, THUMBNAILS[1])?;
    decode::thumbnails(BufReader::new(File::open(path)?), measured)
}

fn resized(bytes: &[u8], task: &ResizeTask) -> anyhow::Result<Resized> {
    let mut copy = Cursor::new(Vec::new());
    let media_type = if heif::is_heif(&task.media_type) {
        copy = Cursor::new(heif::bytes_to_jpeg(bytes)?);
        JPEG
    } else {
        strip::strip(&task.media_type, &mut Cursor::new(bytes), &mut copy)?;
        copy.set_position(0);
        &task.media_type
    };
    let measured = plan_decoding(&mut copy, media_type, task.side)?;
    copy.set_position(0);
    decode::resized(copy, measured, task.side)
}
