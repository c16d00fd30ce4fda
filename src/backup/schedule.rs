//! Scheduled backups of a running server. The number of archives that are kept is limited.
//!
//! The time of the last backup is taken from the name of the archive, so it is known even after a
//! restart.

use std::{
    fs, io,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use appcore::{Clock, Timestamp, config::Config};
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart, local::LocalFileSystem, path::Path};
use ops::backups::{BackupMonitor, LastBackup};
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::StaticFormatDescription, macros::format_description,
};
use url::Url;

use super::{BUFFER_SIZE, create, key_file_of};

/// Interval at which the schedule checks whether a backup is due. Checking at intervals tolerates
/// jumps of the clock.
const POLL_INTERVAL: Duration = Duration::from_secs(60);
/// Retry delay after a failed backup.
const RETRY_DELAY: Duration = Duration::from_secs(600);
/// Maximum number of parts that are uploaded to S3 at the same time.
const MAX_CONCURRENT_PARTS: usize = 2;
/// Name of an archive, with the time in UTC.
const ARCHIVE_NAME: StaticFormatDescription =
    format_description!("natter-[year]-[month]-[day]T[hour][minute][second]Z.tar");
const UNFINISHED: &str = ".tar.unfinished";

/// Interval and destination of backups.
pub struct Schedule {
    config: Config,
    every: Duration,
    keep: usize,
    /// Folder in which archives are created. If the destination isn't remote, they stay there.
    folder: PathBuf,
    store: Arc<dyn ObjectStore>,
    is_remote: bool,
    /// Whether the encryption key stays beside each archive in the folder.
    with_key: bool,
}

/// Archive at the destination.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct StoredArchive {
    made_at: Timestamp,
    path: Path,
    bytes: u64,
}

impl Schedule {
    /// Creates the schedule from the configuration; `None` if backups are disabled.
    pub fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        let settings = &config.backup;
        if settings.every_hours == 0 {
            return Ok(None);
        }
        ensure!(
            config.is_embedded(),
            "backup.every_hours is set, but the database is PostgreSQL. Set it to 0 and use the tools of PostgreSQL, as docs/operations.md describes."
        );
        let here = config.server.data_dir.join("backups");
        let (folder, remote) = match settings.url.as_deref() {
            Some(url) if url.starts_with("s3://") => {
                let url = Url::parse(url).context("The setting backup.url is not a valid URL.")?;
                (here, Some(files::uploads::open_s3(config, &url)?))
            }
            Some(folder) => (PathBuf::from(folder.strip_prefix("file://").unwrap_or(folder)), None),
            None => (here, None),
        };
        let unusable = || format!("failed to open the backup folder {}", folder.display());
        fs::create_dir_all(&folder).with_context(unusable)?;
        let is_remote = remote.is_some();
        let store = match remote {
            Some(store) => store,
            None => Arc::new(LocalFileSystem::new_with_prefix(&folder).with_context(unusable)?),
        };
        let every = Duration::from_secs(u64::from(settings.every_hours) * 3_600);
        let (keep, with_key) = (settings.keep, settings.with_key);
        Ok(Some(Self { config: config.clone(), every, keep, folder, store, is_remote, with_key }))
    }

    /// Creates backups when they are due, and records the outcome; never returns.
    pub async fn run(self, monitor: Arc<BackupMonitor>) {
        if let Err(error) = remove_unfinished(&self.folder) {
            tracing::warn!(%error, "failed to remove unfinished backups");
        }
        loop {
            let wait = match self.run_once(&monitor).await {
                Ok(()) => POLL_INTERVAL,
                Err(error) => {
                    monitor.record_failure();
                    tracing::error!(error = format!("{error:#}"), "failed to create scheduled backup");
                    RETRY_DELAY
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Returns the time of the last backup; `None` if there is none.
    pub async fn last_backup_at(&self) -> anyhow::Result<Option<Timestamp>> {
        Ok(self.archives().await?.pop().map(|archive| archive.made_at))
    }

    /// True if the last backup is older than two intervals.
    pub fn is_overdue(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        last.is_none_or(|last| age(last, now) > self.every * 2)
    }

    async fn run_once(&self, monitor: &BackupMonitor) -> anyhow::Result<()> {
        let now = Clock::system().now();
        let mut archives = self.archives().await?;
        monitor.record_last(newest(&archives));
        if newest(&archives).is_none_or(|last| age(last.made_at, now) >= self.every) {
            let begun = Instant::now();
            let said = self.create_backup(now).await?;
            monitor.record_duration(begun.elapsed());
            tracing::info!("{}", said.trim_end());
            archives = self.archives().await?;
            monitor.record_last(newest(&archives));
        }
        archives.truncate(archives.len().saturating_sub(self.keep));
        let mut failed = None;
        for StoredArchive { path, .. } in archives {
            // If an archive can't be deleted, the others are deleted nevertheless; otherwise the
            // disk would fill up.
            if let Err(error) = self.store.delete(&path).await {
                failed = Some(anyhow::Error::new(error).context(format!("failed to delete the old backup {path}")));
                continue;
            }
            if !self.is_remote {
                // There is no such file if the key is a setting.
                let _ = fs::remove_file(key_file_of(&self.folder.join(path.as_ref())));
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Lists the existing archives, oldest first.
    async fn archives(&self) -> anyhow::Result<Vec<StoredArchive>> {
        let listed = self.store.list_with_delimiter(None).await.context("failed to list backups")?;
        let listed = listed.objects.into_iter().filter_map(|object| {
            let made_at = made_at(object.location.filename()?)?;
            Some(StoredArchive { made_at, path: object.location, bytes: object.size })
        });
        let mut archives: Vec<_> = listed.collect();
        archives.sort();
        Ok(archives)
    }

    async fn create_backup(&self, now: Timestamp) -> anyhow::Result<String> {
        let name = OffsetDateTime::from_unix_timestamp(now.seconds())?.format(ARCHIVE_NAME)?;
        let archive = self.folder.join(&name);
        let said = create(&self.config, &archive).await?;
        if !self.is_remote {
            return if self.with_key { Ok(said) } else { remove_key(&archive) };
        }
        let sent = self.upload(&archive, &Path::from(name.as_str())).await;
        // The key file stays in the local folder, so that access to the bucket doesn't reveal the
        // secrets in the archive.
        for file in [key_file_of(&archive), archive] {
            let _ = fs::remove_file(file);
        }
        sent.with_context(|| format!("failed to upload {name} to S3"))?;
        Ok(format!("{name} was uploaded to S3 without its encryption key. Keep a copy of the key elsewhere."))
    }

    async fn upload(&self, archive: &FilePath, path: &Path) -> anyhow::Result<()> {
        let mut upload = WriteMultipart::new(self.store.put_multipart(path).await?);
        let mut file = fs::File::open(archive)?;
        loop {
            let reading = tokio::task::spawn_blocking(move || read_piece(file));
            let (piece, rest) = reading.await??;
            file = rest;
            if piece.is_empty() {
                break;
            }
            if let Err(error) = upload.wait_for_capacity(MAX_CONCURRENT_PARTS).await {
                let _ = upload.abort().await;
                return Err(error.into());
            }
            upload.write(&piece);
        }
        upload.finish().await?;
        Ok(())
    }
}

fn newest(archives: &[StoredArchive]) -> Option<LastBackup> {
    archives.last().map(|archive| LastBackup { made_at: archive.made_at, bytes: archive.bytes })
}

/// Removes the key beside a new archive, and returns the message for the operator. There is no such
/// file if the key is a setting.
fn remove_key(archive: &FilePath) -> anyhow::Result<String> {
    let key = key_file_of(archive);
    match fs::remove_file(&key) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove the key {}", key.display()))
        }
        _ => Ok(format!(
            "{} was created without its encryption key. Keep a copy of the key elsewhere.",
            archive.display()
        )),
    }
}

fn read_piece(mut file: fs::File) -> io::Result<(Vec<u8>, fs::File)> {
    use io::Read as _;
    let mut piece = Vec::with_capacity(BUFFER_SIZE);
    file.by_ref().take(BUFFER_SIZE as u64).read_to_end(&mut piece)?;
    Ok((piece, file))
}

/// Returns the age of an archive. A time in the future comes from a wrong clock, and the archive
/// then counts as old.
fn age(made_at: Timestamp, now: Timestamp) -> Duration {
    u64::try_from(now.millis() - made_at.millis()).map_or(Duration::MAX, Duration::from_millis)
}

fn made_at(name: &str) -> Option<Timestamp> {
    let moment = PrimitiveDateTime::parse(name, ARCHIVE_NAME).ok()?;
    Some(Timestamp(moment.assume_utc().unix_timestamp().saturating_mul(1_000)))
}

/// Removes unfinished archives of a server that was stopped.
fn remove_unfinished(folder: &FilePath) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("natter-") && name.contains(UNFINISHED)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_archive_names_and_ignores_others() {
        let made = Timestamp::parse("2026-11-23T14:05:09Z").unwrap();
        assert_eq!(made_at("natter-2026-11-23T140509Z.tar"), Some(made));
        for name in ["natter-2026-11-23.tar", "natter-2026-11-23T140509Z.tar.key", "natter-2026-13-23T140509Z.tar", ""]
        {
            assert_eq!(made_at(name), None, "{name}");
        }
    }

    #[test]
    fn future_timestamps_do_not_delay_backups() {
        let now = Timestamp(10_000);
        assert_eq!(age(Timestamp(4_000), now), Duration::from_secs(6));
        assert_eq!(age(Timestamp(10_001), now), Duration::MAX);
    }
}
