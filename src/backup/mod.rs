//! `natter backup` and `natter restore`: archives with all data of an installation, locally or in S3.
//!
//! An archive can be restored into SQLite and into PostgreSQL, whatever database it was made of.
//!
//! The archive is a tar file. First comes a consistent snapshot of the database as an SQLite file,
//! which is copied while the server runs. The uploaded files follow; they are read after the snapshot, so that the
//! file of every row is included. Last comes the [`Manifest`] with the length and digest of each
//! part, which reveals whether an archive is truncated. The key that encrypts the secrets in the
//! database is in a separate file, so that the archive alone doesn't reveal them. Settings are not
//! included, because they may contain secrets.

mod create;
mod placement;
mod postgres;
mod restore;
mod schedule;
mod store;
mod verify;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use appcore::config::Config;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::{
    create::create,
    restore::{Existing, existing_data, restore},
    schedule::Schedule,
    store::ArchiveStore,
    verify::{Verified, verify},
};

/// Names of the parts of an archive.
const DATABASE: &str = "natter.db";
const UPLOADS: &str = "uploads";
const MANIFEST: &str = "manifest.json";
/// Name of the key file in `server.data_dir`.
const KEY: &str = "encryption-key";
/// Version of the archive format.
const FORMAT: u32 = 1;
/// Buffer size for copying, in bytes.
const BUFFER_SIZE: usize = 256 * 1024;

/// Contents of an archive.
#[derive(Debug, Deserialize, Serialize)]
struct Manifest {
    format: u32,
    /// Version of the program that created the archive.
    version: String,
    created_at: String,
    /// Schema migrations that are applied in the snapshot.
    schema: Vec<String>,
    /// Place in which the key is configured that encrypts the secrets in the database.
    key: KeyLocation,
    parts: BTreeMap<String, Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeyLocation {
    /// File in `server.data_dir`; it is copied to a file next to the archive.
    File,
    /// Setting `auth.key_encryption_secret`; it is not part of the backup.
    Setting,
    /// No key is configured, so the secrets in the database are not encrypted.
    Absent,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Part {
    bytes: u64,
    sha256: String,
}

/// Reader or writer that computes the digest of the data that passes through it.
struct Digesting<T> {
    inner: T,
    digest: Sha256,
    bytes: u64,
}

impl<T> Digesting<T> {
    fn new(inner: T) -> Self {
        Self { inner, digest: Sha256::new(), bytes: 0 }
    }

    fn part(self) -> Part {
        Part { bytes: self.bytes, sha256: hex::encode(self.digest.finalize()) }
    }
}

impl<T: Read> Read for Digesting<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digest.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Copies until the end of the input; returns the length and the digest.
fn copy(from: impl Read, to: &mut impl Write) -> io::Result<Part> {
    let mut from = Digesting::new(io::BufReader::with_capacity(BUFFER_SIZE, from));
    io::copy(&mut from, to)?;
    Ok(from.part())
}

/// Path of the SQLite database; `None` on PostgreSQL.
fn database_file(config: &Config) -> anyhow::Result<Option<PathBuf>> {
    config.is_embedded().then(|| dbcontext::sqlite_file(config.database.url.expose())).transpose()
}

/// Folder of uploaded files; `None` if they are in S3.
fn uploads_folder(config: &Config) -> Option<PathBuf> {
    match config.uploads.url.as_deref() {
        Some(url) if url.starts_with("s3://") => None,
        Some(folder) => Some(PathBuf::from(folder.strip_prefix("file://").unwrap_or(folder))),
        None => Some(config.server.data_dir.join(UPLOADS)),
    }
}

/// Path of the key file that belongs to an archive.
fn key_file_of(archive: &Path) -> PathBuf {
    with_suffix(archive, ".key")
}

fn with_suffix(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// Parent folder of a file.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Syncs the entries of a folder to disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}
