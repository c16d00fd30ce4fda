//! Checks of the local machine.

use std::path::Path;

use appcore::{
    config::Config,
    view::{Check, CheckAbout},
};
use platform::host_health::{DiskSpace, OpenFiles};
use rustix::process::{Resource, getrlimit};

use super::created_at_start;

/// Limit of open files below which an installation can serve only a few hundred users.
const MIN_FILE_LIMIT: u64 = 10_000;

/// Checks that the data directory is writable and how much space it has.
#[must_use]
pub fn disk(config: &Config) -> Vec<Check> {
    const ABOUT: CheckAbout = CheckAbout::Disk;
    let folder = &config.server.data_dir;
    let shown = folder.display();
    if !folder.exists() {
        return vec![created_at_start(ABOUT, shown)];
    }
    let mut found = Vec::new();
    if let Err(error) = try_to_write(folder) {
        let advice = "Make the user that runs Natter the owner of the folder, or set server.data_dir to another one";
        found.push(Check::fault(ABOUT, format!("Can't write to {shown}: {error}. {advice}")));
    }
    found.push(match DiskSpace::for_folder(folder) {
        Ok(room) => disk_space(room, &shown.to_string()),
        Err(error) => Check::fault(ABOUT, format!("Can't read {shown}: {error}. Check server.data_dir")),
    });
    found
}

/// Reports the free disk space.
pub(super) fn disk_space(room: DiskSpace, place: &str) -> Check {
    let mib = |bytes: u64| bytes / 1024 / 1024;
    match room {
        DiskSpace::Enough(bytes) => Check::ok(CheckAbout::Disk, format!("{} MiB free in {place}", mib(bytes))),
        DiskSpace::Scarce(bytes) => {
            Check::warning(CheckAbout::Disk, format!("Only {} MiB free in {place}. Free up space soon", mib(bytes)))
        }
        DiskSpace::Full(bytes) => Check::fault(
            CheckAbout::Disk,
            format!(
                "The disk is full: {} MiB free in {place}. Nothing can be saved; reading works. Delete files you don't need, old backups first",
                mib(bytes)
            ),
        ),
    }
}

fn try_to_write(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(".natter-doctor");
    std::fs::write(&file, b"x").and_then(|()| std::fs::remove_file(&file))
}

/// Checks the key that encrypts the secrets in the database.
#[must_use]
pub fn key(config: &Config) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Key;
    let file = config.server.data_dir.join("encryption-key");
    let keep = "Keep a copy somewhere other than the backups";
    if let Some(secret) = &config.auth.key_encryption_secret {
        // A running server has loaded the key from the file.
        let is_of_file = std::fs::read_to_string(&file).is_ok_and(|text| text.trim() == secret.expose());
        let place = if is_of_file {
            format!("The key is in {}", file.display())
        } else {
            "auth.key_encryption_secret is set".to_owned()
        };
        Check::ok(ABOUT, format!("{place}. {keep}"))
    } else if config.is_embedded() && file.exists() {
        match config.clone().with_key_file() {
            Ok(_) => Check::ok(ABOUT, format!("The key is in {}. {keep}", file.display())),
            Err(error) => Check::fault(ABOUT, format!("{error:#}")),
        }
    } else if config.is_embedded() {
        created_at_start(ABOUT, file.display())
    } else {
        let risk = "anyone with a copy of the database can sign in as any user";
        Check::warning(
            ABOUT,
            format!(
                "auth.key_encryption_secret is not set: {risk}. Set it to a long random text, the same on all instances"
            ),
        )
    }
}

/// Checks the limit of open files for a server that would be started here.
#[must_use]
pub fn open_file_limit() -> Check {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if most >= MIN_FILE_LIMIT {
        Check::ok(CheckAbout::Files, "The open-file limit is high enough")
    } else {
        Check::warning(
            CheckAbout::Files,
            format!("The limit is {most} open files, and each connection uses one. Raise LimitNOFILE (ulimit -n)"),
        )
    }
}

/// Reports the open files of a running server.
pub(super) fn open_files(files: OpenFiles) -> Check {
    let OpenFiles { open, limit: most } = files;
    let advice = "Each connection uses one: raise LimitNOFILE (ulimit -n) and restart, or add an instance";
    if files.are_exhausted() {
        let says = format!(
            "The open-file limit is nearly reached ({open} of {most}), so new connections are refused. {advice}"
        );
        Check::fault(CheckAbout::Files, says)
    } else if files.are_scarce() {
        Check::warning(CheckAbout::Files, format!("{open} of {most} files are open. {advice}"))
    } else {
        Check::ok(CheckAbout::Files, format!("{open} of {most} files are open"))
    }
}
