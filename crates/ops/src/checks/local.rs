//! Checks of the local machine.

use std::{net::IpAddr, os::unix::fs::PermissionsExt as _, path::Path};

use appcore::{
    config::Config,
    is_local_network,
    view::{Check, CheckAbout},
};
use platform::host_health::{DiskSpace, OpenFiles, network_file_system};
use rustix::process::{Resource, getrlimit};

use super::{created_at_start, failure};

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
    let space = match DiskSpace::for_folder(folder) {
        Ok(space) => space,
        Err(error) => return vec![Check::fault(ABOUT, failure::not_readable(folder, &error))],
    };
    match try_to_write(folder) {
        Ok(()) => vec![disk_space(space, &shown.to_string())],
        Err(error) if failure::is_full(&error) => vec![disk_space(DiskSpace::Full(0), &shown.to_string())],
        Err(error) => vec![Check::fault(ABOUT, failure::not_writable(folder, &error))],
    }
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
    let written = std::fs::write(&file, b"x");
    // On a full disk the file exists, but is empty.
    let removed = std::fs::remove_file(&file);
    written.and(removed)
}

/// Reports an SQLite database on a network file system.
#[must_use]
pub fn network_database(config: &Config) -> Option<Check> {
    let file = config.is_embedded().then(|| dbcontext::sqlite_file(config.database.url.expose()).ok()).flatten()?;
    let kind = network_file_system(file.parent()?)?;
    let says = format!(
        "{} is on {kind}, where SQLite can lose data. Move it to a local disk, or use PostgreSQL",
        file.display()
    );
    Some(Check::warning(CheckAbout::Database, says))
}

/// Checks the key that encrypts the secrets in the database.
#[must_use]
pub fn key(config: &Config) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Key;
    let file = config.key_file();
    let keep = "Keep a copy somewhere other than the backups";
    let Some(secret) = &config.auth.key_encryption_secret else {
        if config.is_embedded() {
            return created_at_start(ABOUT, file.display());
        }
        let risk = "anyone with a copy of the database can sign in as any user";
        return Check::warning(
            ABOUT,
            format!(
                "auth.key_encryption_secret is not set: {risk}. Set it to a long random text, the same on all instances"
            ),
        );
    };
    // A running server has loaded the key from the file.
    if std::fs::read_to_string(&file).is_ok_and(|text| text.trim() == secret.expose()) {
        if is_readable_by_others(&file) {
            let says = format!("Other users of this machine can read {}. Run natter doctor --fix", file.display());
            return Check::warning(ABOUT, says);
        }
        return Check::ok(ABOUT, format!("The key is in {}. {keep}", file.display()));
    }
    Check::ok(ABOUT, format!("auth.key_encryption_secret is set. {keep}"))
}

fn is_readable_by_others(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}

/// Reports peers whose forwarding headers are ignored. Limits and bans count all their clients as
/// one.
#[must_use]
pub fn untrusted_proxies(peers: &[IpAddr]) -> Vec<Check> {
    const ABOUT: CheckAbout = CheckAbout::Configuration;
    let check = |peer: &IpAddr| {
        if is_local_network(*peer) {
            let says = format!(
                "Requests come through {peer}, which is not in server.trusted_proxies, so everyone behind it counts as one client, also for bans. If it's your proxy, add it there"
            );
            Check::fault(ABOUT, says)
        } else {
            // Any client may send the headers, so this may be no proxy.
            let says = format!(
                "{peer} sends X-Forwarded-For, but isn't in server.trusted_proxies. If it's your proxy, add it there"
            );
            Check::warning(ABOUT, says)
        }
    };
    peers.iter().map(check).collect()
}

/// Reports that push services get no contact that they accept.
#[must_use]
pub fn push_contact(config: &Config) -> Option<Check> {
    let is_public = config.server.public_url.is_some();
    (is_public && !event_log::push::has_contact(config)).then(|| {
        Check::warning(
            CheckAbout::PublicAddress,
            "Push notifications have no contact address, so Apple rejects them. Set mail.from, or an https address as server.public_url",
        )
    })
}

/// Checks the limit of open files for a server that would be started here.
#[must_use]
pub fn open_file_limit() -> Check {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if most >= MIN_FILE_LIMIT {
        Check::ok(CheckAbout::Files, format!("The limit of open files is {most}"))
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
