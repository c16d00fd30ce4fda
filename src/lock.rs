//! On SQLite a server has its folder to itself: two would both work, but nobody at one would hear of what happens at the other.
//!
//! What counts is the system's lock on the file, which ends with the process, however that ends; the file says who has it. Commands that look at
//! something or change a few rows (`doctor`, `backup`, `admin`, `migrate`) go on beside a server: SQLite keeps their transactions apart.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use appcore::{Clock, config::Config};

/// In `server.data_dir`.
const FILE: &str = "lock";
/// Longer is nothing that we have written there.
const LONGEST: u64 = 1_000;

/// Held for as long as this is there.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the folder for this process; none where instances share a database that is a server's.
pub fn take(config: &Config) -> anyhow::Result<Option<Lock>> {
    if config.is_embedded() { hold(&config.server.data_dir).map(Some) } else { Ok(None) }
}

fn hold(folder: &Path) -> anyhow::Result<Lock> {
    let path = folder.join(FILE);
    let failed = || format!("{} can't be used. Check server.data_dir", path.display());
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(failed)?;
    let mut options = OpenOptions::new();
    let mut file =
        options.create(true).truncate(false).read(true).write(true).mode(0o600).open(&path).with_context(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Who it is helps, but is not what this is about.
            let _ = file.take(LONGEST).read_to_string(&mut holder);
            let holder = holder.split_whitespace().collect::<Vec<_>>().join(" ");
            bail!(
                "Another natter serves from {} already ({}): on SQLite there can be one. Stop it, or set server.data_dir to another folder.",
                folder.display(),
                if holder.is_empty() { "it does not say which" } else { holder.as_str() }
            );
        }
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, file = %path.display(), "this file system has no locks: see to it that only one natter serves from this folder");
        }
    }
    let host = rustix::system::uname();
    let holder = format!(
        "process {} on {}, since {}\n",
        std::process::id(),
        host.nodename().to_string_lossy(),
        Clock::system().now()
    );
    // A full disk is no reason not to start.
    let _ = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_until_that_ends() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let held = hold(&folder).unwrap();
        let refusal = hold(&folder).unwrap_err().to_string();
        assert!(refusal.contains(&format!("process {} on ", std::process::id())), "{refusal}");
        assert!(!refusal.contains('\n'), "{refusal}");
        drop(held);
        let again = hold(&folder).unwrap();
        let said = std::fs::read_to_string(folder.join(FILE)).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        drop(again);
        // Whatever was there before.
        std::fs::write(folder.join(FILE), "x".repeat(5_000)).unwrap();
        drop(hold(&folder).unwrap());
        assert!(std::fs::read_to_string(folder.join(FILE)).unwrap().starts_with("process "));
    }
}
