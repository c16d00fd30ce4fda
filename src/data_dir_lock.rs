//! Exclusive lock of the data folder, for SQLite. Without it, two servers could use the same
//! database, but neither would receive the events of the other.
//!
//! The lock is a file lock of the operating system, which ends at the latest with the process. The
//! content of the file identifies the holder. Commands that read or change a few rows (`doctor`,
//! `backup`, `admin`, `migrate`) run without the lock: SQLite isolates their transactions.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{anyhow, bail};
use appcore::{Clock, config::Config, private_folder};
use ops::checks::failure;

/// File name in `server.data_dir`.
const FILE_NAME: &str = "lock";
/// Maximum number of bytes that are read from the lock file. A server never writes more.
const MAX_FILE_LEN: u64 = 1_000;

/// Lock that is held until it is dropped.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

/// Outcome of an attempt to lock the data folder.
enum Attempt {
    Locked(DataDirLock),
    /// Another process holds the lock; the text identifies it.
    Held(String),
}

/// Locks the data folder for this process. Returns `None` on PostgreSQL, where instances may share
/// the folder.
pub fn acquire(config: &Config) -> anyhow::Result<Option<DataDirLock>> {
    if config.is_embedded() { lock_folder(&config.server.data_dir).map(Some) } else { Ok(None) }
}

/// Locks the data folder for a command that must not run beside a server. Fails if a server holds
/// the lock. Returns `None` if no server has ever used the folder.
pub fn acquire_existing(config: &Config) -> anyhow::Result<Option<DataDirLock>> {
    let folder = &config.server.data_dir;
    if !folder.join(FILE_NAME).exists() {
        return Ok(None);
    }
    match try_lock(folder)? {
        Attempt::Locked(lock) => Ok(Some(lock)),
        Attempt::Held(holder) => bail!("A server runs from {} ({holder}). Stop it first.", folder.display()),
    }
}

/// Returns the process that holds the lock; `None` if it is free.
pub fn holder(config: &Config) -> Option<String> {
    let folder = &config.server.data_dir;
    if !folder.join(FILE_NAME).exists() {
        return None;
    }
    let file = File::open(folder.join(FILE_NAME)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_holder(file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn lock_folder(folder: &Path) -> anyhow::Result<DataDirLock> {
    match try_lock(folder)? {
        Attempt::Locked(lock) => Ok(lock),
        Attempt::Held(holder) => bail!(
            "Another natter already serves from {} ({holder}), and SQLite allows only one. Stop it, or set server.data_dir to another folder.",
            folder.display()
        ),
    }
}

fn read_holder(file: File) -> String {
    let mut holder = String::new();
    // The holder is only shown in the error, so a failure to read it is ignored.
    let _ = file.take(MAX_FILE_LEN).read_to_string(&mut holder);
    let holder = holder.split_whitespace().collect::<Vec<_>>().join(" ");
    if holder.is_empty() { "unknown process".to_owned() } else { holder }
}

fn try_lock(folder: &Path) -> anyhow::Result<Attempt> {
    let path = folder.join(FILE_NAME);
    private_folder::create(folder).map_err(|error| anyhow!(failure::not_writable(folder, &error)))?;
    let mut options = OpenOptions::new();
    let opened = options.create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
    let mut file = opened.map_err(|error| anyhow!(failure::not_writable(&path, &error)))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Attempt::Held(read_holder(file))),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, file = %path.display(), "file locks unsupported by this file system: make sure that only one natter serves from this folder");
        }
    }
    let host = rustix::system::uname();
    let holder = format!(
        "process {} on {}, since {}\n",
        std::process::id(),
        host.nodename().to_string_lossy(),
        Clock::system().now()
    );
    // A failure to write is ignored, because a full disk must not prevent the start.
    let _ = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
    Ok(Attempt::Locked(DataDirLock { _file: file }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_one_holder_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let held = lock_folder(&folder).unwrap();
        let refusal = lock_folder(&folder).unwrap_err().to_string();
        assert!(refusal.contains(&format!("process {} on ", std::process::id())), "{refusal}");
        assert!(!refusal.contains('\n'), "{refusal}");
        drop(held);
        let again = lock_folder(&folder).unwrap();
        let said = std::fs::read_to_string(folder.join(FILE_NAME)).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        drop(again);
        // Any content may be left in the file.
        std::fs::write(folder.join(FILE_NAME), "x".repeat(5_000)).unwrap();
        drop(lock_folder(&folder).unwrap());
        assert!(std::fs::read_to_string(folder.join(FILE_NAME)).unwrap().starts_with("process "));
    }
}
