//! Folder or bucket with the archives of an installation (`backup.url`).

use std::{
    fs,
    io::{self, Write as _},
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use appcore::{Timestamp, config::Config, private_folder};
use futures_util::StreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart, local::LocalFileSystem, path::Path};
use serde::Serialize;
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::StaticFormatDescription, macros::format_description,
};
use url::Url;

use super::{BUFFER_SIZE, create, key_file_of};
use crate::progress::Progress;

/// Maximum number of parts that are uploaded to S3 at the same time.
const MAX_CONCURRENT_PARTS: usize = 2;
/// Name of an archive, with the time in UTC.
const ARCHIVE_NAME: StaticFormatDescription =
    format_description!("natter-[year]-[month]-[day]T[hour][minute][second]Z.tar");
const UNFINISHED: &str = ".tar.unfinished";

/// Destination of backups.
pub struct ArchiveStore {
    config: Config,
    /// Folder in which archives are created. If the destination isn't remote, they stay there.
    folder: PathBuf,
    store: Arc<dyn ObjectStore>,
    is_remote: bool,
}

/// Archive at the destination.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct StoredArchive {
    pub created_at: Timestamp,
    pub name: String,
    pub bytes: u64,
}

impl ArchiveStore {
    /// Opens the destination of the configuration. The folder is created on first use.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let here = config.server.data_dir.join("backups");
        let (folder, remote) = match config.backup.url.as_deref() {
            Some(url) if url.starts_with("s3://") => {
                let url = Url::parse(url).context("The setting backup.url is not a valid URL.")?;
                (here, Some(files::uploads::open_s3(config, &url)?))
            }
            Some(folder) => (PathBuf::from(folder.strip_prefix("file://").unwrap_or(folder)), None),
            None => (here, None),
        };
        let unusable = || format!("failed to open the backup folder {}", folder.display());
        private_folder::create(&folder).with_context(unusable)?;
        let is_remote = remote.is_some();
        let store = match remote {
            Some(store) => store,
            None => Arc::new(LocalFileSystem::new_with_prefix(&folder).with_context(unusable)?),
        };
        Ok(Self { config: config.clone(), folder, store, is_remote })
    }

    /// Configuration of the installation that the archives belong to.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// True if there are more archives than `backup.keep`.
    pub const fn has_surplus(&self, archives: &[StoredArchive]) -> bool {
        archives.len() > self.config.backup.keep
    }

    /// Lists the archives, oldest first.
    pub async fn list(&self) -> anyhow::Result<Vec<StoredArchive>> {
        let listed = self.store.list_with_delimiter(None).await.context("failed to list backups")?;
        let listed = listed.objects.into_iter().filter_map(|object| {
            let name = object.location.filename()?.to_owned();
            Some(StoredArchive { created_at: created_at(&name)?, name, bytes: object.size })
        });
        let mut archives: Vec<_> = listed.collect();
        archives.sort();
        Ok(archives)
    }

    /// Creates an archive and returns a message for the operator.
    pub async fn create(&self, now: Timestamp, progress: Progress) -> anyhow::Result<String> {
        let name = OffsetDateTime::from_unix_timestamp(now.seconds())?.format(ARCHIVE_NAME)?;
        let archive = self.folder.join(&name);
        let said = create(&self.config, &archive, progress.clone()).await?;
        if !self.is_remote {
            return if self.config.backup.with_key { Ok(said) } else { remove_key(&archive) };
        }
        let sent = self.upload(&archive, &Path::from(name.as_str()), &progress).await;
        // The key file stays in the local folder, so that access to the bucket doesn't reveal the
        // secrets in the archive.
        for file in [key_file_of(&archive), archive] {
            let _ = fs::remove_file(file);
        }
        sent.with_context(|| format!("failed to upload {name} to S3"))?;
        Ok(format!("{name} was uploaded to S3 without its encryption key. Keep a copy of the key elsewhere.\n"))
    }

    /// Deletes all archives but the newest `backup.keep`. Returns the deleted ones.
    pub async fn prune(&self) -> anyhow::Result<Vec<StoredArchive>> {
        let mut archives = self.list().await?;
        archives.truncate(archives.len().saturating_sub(self.config.backup.keep));
        let mut failed = None;
        let mut deleted = Vec::new();
        for archive in archives {
            // If an archive can't be deleted, the others are deleted nevertheless; otherwise the
            // disk would fill up.
            if let Err(error) = self.store.delete(&Path::from(archive.name.as_str())).await {
                let error = anyhow::Error::new(error);
                failed = Some(error.context(format!("failed to delete the old backup {}", archive.name)));
                continue;
            }
            if !self.is_remote {
                // There is no such file if the key is a setting.
                let _ = fs::remove_file(key_file_of(&self.folder.join(&archive.name)));
            }
            deleted.push(archive);
        }
        failed.map_or(Ok(deleted), Err)
    }

    /// Removes unfinished archives of a server that was stopped.
    pub fn remove_unfinished(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with("natter-") && name.contains(UNFINISHED)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Returns a file with the archive, which is downloaded to `folder` if the destination is remote.
    pub async fn fetch(&self, name: &str, folder: &FilePath, progress: &Progress) -> anyhow::Result<PathBuf> {
        if !self.is_remote {
            return Ok(self.folder.join(name));
        }
        download(&*self.store, name, folder, progress).await
    }

    async fn upload(&self, archive: &FilePath, path: &Path, progress: &Progress) -> anyhow::Result<()> {
        let mut upload = WriteMultipart::new(self.store.put_multipart(path).await?);
        let mut file = fs::File::open(archive)?;
        let (mut sent, total) = (0, file.metadata()?.len());
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
            sent += piece.len() as u64;
            progress.show_bytes("Uploading the archive", sent, total);
        }
        upload.finish().await?;
        Ok(())
    }
}

/// Downloads `s3://bucket/path/natter-….tar` to the folder, and returns the file.
pub async fn download_from(
    config: &Config,
    address: &str,
    folder: &FilePath,
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    let (place, name) = address.rsplit_once('/').filter(|(_, name)| !name.is_empty()).with_context(|| {
        format!("{address} names no archive. Name one as s3://bucket/path/natter-2026-11-23T140509Z.tar")
    })?;
    let url = Url::parse(place).with_context(|| format!("{address} is not a valid URL"))?;
    download(&*files::uploads::open_s3(config, &url)?, name, folder, progress).await
}

async fn download(
    store: &dyn ObjectStore,
    name: &str,
    folder: &FilePath,
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    ensure!(!name.contains(['/', '\\']), "{name} is not the name of an archive.");
    let found = store.get(&Path::from(name)).await.with_context(|| format!("{name} can't be downloaded"))?;
    let path = folder.join(name);
    let mut file = fs::File::create(&path).with_context(|| format!("{} can't be written", path.display()))?;
    let (mut received, total) = (0, found.meta.size);
    let mut pieces = found.into_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.with_context(|| format!("the download of {name} was interrupted"))?;
        received += piece.len() as u64;
        progress.show_bytes("Downloading the archive", received, total);
        file = tokio::task::spawn_blocking(move || file.write_all(&piece).map(|()| file)).await??;
    }
    Ok(path)
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
            "{} was created without its encryption key. Keep a copy of the key elsewhere.\n",
            archive.display()
        )),
    }
}

fn read_piece(mut file: fs::File) -> io::Result<(Vec<u8>, fs::File)> {
    use io::Read as _;
    let mut piece = Vec::with_capacity(BUFFER_SIZE);
    io::Read::by_ref(&mut file).take(BUFFER_SIZE as u64).read_to_end(&mut piece)?;
    Ok((piece, file))
}

/// Returns the time in the name of an archive; `None` for other files.
fn created_at(name: &str) -> Option<Timestamp> {
    let moment = PrimitiveDateTime::parse(name, ARCHIVE_NAME).ok()?;
    Some(Timestamp(moment.assume_utc().unix_timestamp().saturating_mul(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_archive_names_and_ignores_others() {
        let created = Timestamp::parse("2026-11-23T14:05:09Z").unwrap();
        assert_eq!(created_at("natter-2026-11-23T140509Z.tar"), Some(created));
        for name in ["natter-2026-11-23.tar", "natter-2026-11-23T140509Z.tar.key", "natter-2026-13-23T140509Z.tar", ""]
        {
            assert_eq!(created_at(name), None, "{name}");
        }
    }
}
