//! `natter backup` and `natter restore`: one archive with everything that an installation on SQLite has, and its key beside it.
//!
//! The archive is a tar: the database as it was at one moment, copied beside a running server; the files that people uploaded, read after it, so that
//! each row's bytes are there; and last the [`Manifest`] with each part's length and digest, so that an archive that was cut off is noticed. The
//! key that opens the database's secrets is a file of its own: the archive alone opens nothing. Settings are not in it, because they may hold secrets.

mod restore;
mod schedule;
mod take;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::ensure;
use appcore::config::Config;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::{restore::restore, schedule::Schedule, take::take};

/// The parts of an archive.
const DATABASE: &str = "natter.db";
const UPLOADS: &str = "uploads";
const MANIFEST: &str = "manifest.json";
/// The key file in `server.data_dir`.
const KEY: &str = "encryption-key";
/// The version of all this.
const FORMAT: u32 = 1;
/// Bytes that are copied at a time.
const PIECE: usize = 256 * 1024;

/// What an archive has in it.
#[derive(Debug, Deserialize, Serialize)]
struct Manifest {
    format: u32,
    /// Of the program that made it.
    version: String,
    created_at: String,
    /// The steps of the schema that are applied.
    schema: Vec<String>,
    /// What the secrets in the database are sealed with.
    key: KeyPlace,
    parts: BTreeMap<String, Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeyPlace {
    /// The file in `server.data_dir`, of which a copy lies beside the archive.
    File,
    /// `auth.key_encryption_secret`.
    Setting,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Part {
    bytes: u64,
    sha256: String,
}

/// Reads or writes and takes the digest of what passes.
struct Summed<T> {
    inner: T,
    digest: Sha256,
    bytes: u64,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        Self { inner, digest: Sha256::new(), bytes: 0 }
    }

    fn part(self) -> Part {
        Part { bytes: self.bytes, sha256: hex::encode(self.digest.finalize()) }
    }
}

impl<T: Read> Read for Summed<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digest.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Copies to the end; the digest of what was copied.
fn copy(from: impl Read, to: &mut impl Write) -> io::Result<Part> {
    let mut from = Summed::new(io::BufReader::with_capacity(PIECE, from));
    io::copy(&mut from, to)?;
    Ok(from.part())
}

/// Where the database lies: only SQLite is backed up by us.
fn database_file(config: &Config) -> anyhow::Result<PathBuf> {
    ensure!(
        config.is_embedded(),
        "The database is PostgreSQL: back it up by pg_dump, and the files of uploads.url with it. docs/operations.md says how."
    );
    dbcontext::sqlite_file(config.database.url.expose())
}

/// Where uploaded files lie, where that is a folder.
fn uploads_folder(config: &Config) -> Option<PathBuf> {
    match config.uploads.url.as_deref() {
        Some(url) if url.starts_with("s3://") => None,
        Some(folder) => Some(PathBuf::from(folder.strip_prefix("file://").unwrap_or(folder))),
        None => Some(config.server.data_dir.join(UPLOADS)),
    }
}

/// The key that belongs to this archive.
fn key_beside(archive: &Path) -> PathBuf {
    with_ending(archive, ".key")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// The folder that a file lies in.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// After this the names in a folder are on the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}
