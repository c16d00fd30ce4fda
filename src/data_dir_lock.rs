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

use anyhow::{Context as _, bail};
use appcore::{Clock, config::Config, private_folder};

/// File name in `server.data_dir`.
const FILE_NAME: &str = "lock";
/// Maximum number of bytes that are read from the lock file. A server never writes more.
const MAX_FILE_LEN: u64 = 1_000;

/// Lock that is held until it is dropped.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

/// Locks the data folder for this process. Returns `None` on PostgreSQL, where instances may share
/// the folder.
pub fn acquire(config: &Config) -> anyhow::Result<Option<DataDirLock>> {
    if config.is_embedded() { lock_folder(&config.server.data_dir).map(Some) } else { Ok(None) }
}

fn lock_folder(folder: &Path) -> anyhow::Result<DataDirLock> {
    let path = folder.join(FILE_NAME);
    let failed = || format!("{} can't be used. Check server.data_dir", path.display());
    private_folder::create(folder).with_context(failed)?;
    let mut options = OpenOptions::new();
    let mut file =
        options.create(true).truncate(false).read(true).write(true).mode(0o600).open(&path).with_context(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The holder is only shown in the error, so a failure to read it is ignored.
            let _ = file.take(MAX_FILE_LEN).read_to_string(&mut holder);
            let holder = holder.split_whitespace().collect::<Vec<_>>().join(" ");
            bail!(
                "Another natter already serves from {} ({}), and SQLite allows only one. Stop it, or set server.data_dir to another folder.",
                folder.display(),
                if holder.is_empty() { "unknown process" } else { holder.as_str() }
            );
        }
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
    Ok(DataDirLock { _file: file })
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
