//! Parses untrusted data in a separate process, with limits on memory and processor time.
//!
//! The process gets a [`Task`] as one line of JSON on its standard input, followed by the bytes to
//! parse, and writes the result as lines of JSON to its standard output.

use std::{
    fs,
    io::{self, BufRead as _, Read as _, Write as _},
    panic::{self, AssertUnwindSafe},
    thread,
};

use rustix::{
    param::page_size,
    process::{Resource, Rlimit, nice, setrlimit},
};
use serde::{Deserialize, Serialize};

use crate::{
    Document, ExtractError, decode, page,
    picture::{self, ResizeTask, UploadTask},
    read,
};

const MIB: u64 = 1024 * 1024;
/// Memory limit for a document, in bytes.
const DOCUMENT_MEMORY: u64 = 1024 * MIB;
/// Memory limit for the head of a web page, in bytes.
const PAGE_MEMORY: u64 = 128 * MIB;
/// Address space that a process needs for decoding an image in addition to the decoder's memory, in
/// bytes: for its stack and the allocator's reserve.
const PICTURE_OVERHEAD: u64 = 96 * MIB;
/// Additional address space for a program that converts an image, in bytes: for its libraries and
/// the stacks of its threads.
const CONVERTER_OVERHEAD: u64 = 768 * MIB;
/// Assumed address space of this program if the system doesn't report it, in bytes.
const ASSUMED_PROGRAM: u64 = 512 * MIB;
/// Stack size for parsers of nested data, in bytes. These parsers are recursive.
const STACK: usize = 64 * 1024 * 1024;
/// Stack size for image decoders, in bytes. Images are not nested.
const PICTURE_STACK: usize = 16 * 1024 * 1024;
/// Scheduling priority (nice value): lower than that of all interactive processes.
const NICENESS: i32 = 10;

/// Data to parse.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// Extracts the text of a file. The result is an [`Outcome`].
    Document { media_type: String, name: String },
    /// Parses the head of a web page. The result is a [`page::Page`].
    Page {
        /// Charset of the `Content-Type`.
        charset: Option<String>,
    },
    /// Copies an image file and makes its thumbnails. The results are a [`picture::Copied`] and an
    /// optional [`picture::Thumbnails`].
    UploadedPicture(UploadTask),
    /// Downscales an image on standard input. The result is an optional [`picture::Resized`].
    Picture(ResizeTask),
}

/// Text of a document, or the reason why there is none.
pub type Outcome = Result<Document, ExtractError>;

impl Task {
    /// Limit on the processor time of the task, in seconds.
    #[must_use]
    pub const fn seconds(&self) -> u64 {
        match self {
            Self::Document { .. } => 15,
            Self::Page { .. } => 2,
            Self::UploadedPicture(_) | Self::Picture(_) => 20,
        }
    }

    /// Memory limit of the task in bytes, in addition to the address space of the program itself.
    fn memory(&self) -> u64 {
        // An allocator rounds large blocks up by up to a quarter.
        let picture = |media_type: &str, mebibytes: u32| {
            let converter = if picture::is_converted(media_type) { CONVERTER_OVERHEAD } else { 0 };
            u64::from(mebibytes) * MIB * 5 / 4 + PICTURE_OVERHEAD + converter
        };
        match self {
            Self::Document { .. } => DOCUMENT_MEMORY,
            Self::Page { .. } => PAGE_MEMORY,
            Self::UploadedPicture(task) => picture(&task.media_type, task.memory.unwrap_or_default()),
            Self::Picture(task) => picture(&task.media_type, task.memory),
        }
    }

    const fn stack(&self) -> usize {
        match self {
            Self::Document { .. } => STACK,
            Self::Page { .. } | Self::UploadedPicture(_) | Self::Picture(_) => PICTURE_STACK,
        }
    }

    fn run(&self, bytes: &[u8]) -> io::Result<()> {
        let mut output = io::stdout().lock();
        match self {
            Self::Document { media_type, name } => {
                // After a panic, the input and all partial results are discarded.
                let read = panic::catch_unwind(AssertUnwindSafe(|| read(media_type, name, bytes)));
                serde_json::to_writer(&mut output, &read.unwrap_or(Err(ExtractError::Damaged)))?;
            }
            Self::Page { charset } => {
                serde_json::to_writer(&mut output, &page::read(&decode(bytes, charset.as_deref())))?;
            }
            Self::UploadedPicture(task) => picture::upload(task, &mut output)?,
            Self::Picture(task) => picture::resize(task, bytes, &mut output)?,
        }
        output.flush()
    }
}

/// Runs in the separate process: reads a task and its bytes, and writes the result.
pub fn serve() -> io::Result<()> {
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, limit(0))?;
    nice(NICENESS)?;
    let mut input = io::stdin().lock();
    let mut head = String::new();
    input.read_line(&mut head)?;
    let task: Task = serde_json::from_str(&head)?;
    setrlimit(Resource::Cpu, limit(task.seconds()))?;
    setrlimit(Resource::As, limit(address_space().saturating_add(task.memory())))?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let stack = task.stack();
    let parsing = thread::Builder::new().stack_size(stack).spawn(move || task.run(&bytes))?;
    parsing.join().unwrap_or_else(|_| Err(io::Error::other("a parser panicked")))
}

/// Address space that this program uses before parsing, in bytes.
fn address_space() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    pages.map_or(ASSUMED_PROGRAM, |pages| pages.saturating_mul(page_size() as u64))
}
