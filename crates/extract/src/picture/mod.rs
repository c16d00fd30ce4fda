//! Pictures: their size, their thumbnails, and their copies without metadata.

mod decode;
mod header;
mod strip;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Cursor, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use self::decode::{Measured, measure};

/// The longer sides of thumbnails, in pixels.
pub const THUMBNAILS: [u32; 2] = [320, 1280];
/// Memory for decoding, in bytes: for all pictures that one instance decodes at the same time.
pub const MEMORY: u64 = 256 * 1024 * 1024;
/// The largest JPEG or WebP that is decoded whole, in bytes: their decoders read all of it first.
pub const MAX_READ: u64 = 32 * 1024 * 1024;
const BUFFER: usize = 256 * 1024;

/// Whether pictures of this type are decoded.
#[must_use]
pub fn is_decodable(media_type: &str) -> bool {
    decode::format(media_type).is_some()
}

/// An uploaded picture: copied without its metadata, and decoded if it is to have thumbnails.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UploadTask {
    pub media_type: String,
    pub path: PathBuf,
    /// Where the copy is written.
    pub copy: PathBuf,
    /// Memory for decoding, in MiB. `None`: it is not decoded.
    pub memory: Option<u32>,
}

/// A picture on standard input whose longer side is made as short as `side`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResizeTask {
    pub media_type: String,
    pub side: u32,
    /// Memory for decoding, in MiB.
    pub memory: u32,
}

/// Result of copying a picture without its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Copied {
    Whole,
    /// The file is no picture of its type.
    Malformed,
}

/// The thumbnails of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbnails {
    /// Of the picture, the way it is shown.
    pub width: u32,
    pub height: u32,
    /// In Base64.
    pub thumbhash: String,
    /// Whether the thumbnails are PNG; else they are JPEG.
    pub is_png: bool,
    /// In Base64, in the order of [`THUMBNAILS`].
    pub pictures: [String; 2],
}

/// A picture that was made smaller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resized {
    pub width: u32,
    pub height: u32,
    /// Whether it is PNG; else it is JPEG.
    pub is_png: bool,
    /// In Base64.
    pub picture: String,
}

/// Writes two lines of JSON: [`Copied`], then `Option<Thumbnails>`. The second is missing where decoding exceeds its limits.
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
    let mut file = BufReader::new(File::open(path)?);
    let measured = measure(&mut file, media_type, THUMBNAILS[1])?;
    decode::thumbnails(BufReader::new(File::open(path)?), measured)
}

fn resized(bytes: &[u8], task: &ResizeTask) -> anyhow::Result<Resized> {
    let mut copy = Cursor::new(Vec::new());
    strip::strip(&task.media_type, &mut Cursor::new(bytes), &mut copy)?;
    copy.set_position(0);
    let measured = measure(&mut copy, &task.media_type, task.side)?;
    copy.set_position(0);
    decode::resized(copy, measured, task.side)
}
