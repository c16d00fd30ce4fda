//! Verifies an archive without restoring it.

use std::path::Path;

use anyhow::Context as _;
use appcore::config::Config;
use serde::Serialize;

use super::{
    UPLOADS,
    placement::StagingFolder,
    restore::unpack_and_check,
    store::{ArchiveStore, download_from},
};
use crate::progress::Progress;

/// Verified archive.
#[derive(Debug, Serialize)]
pub struct Verified {
    pub name: String,
    /// Version of the program that created the archive.
    pub version: String,
    pub created_at: String,
    pub files: usize,
    pub bytes: u64,
}

/// Verifies the digests of all parts of an archive, and the integrity of its database. `archive` is
/// a file, the address of a file in S3, or the name of an archive in `backup.url`. By default, it is
/// the newest archive there.
pub async fn verify(config: &Config, archive: Option<&str>, progress: Progress) -> anyhow::Result<Verified> {
    let staged = StagingFolder::new(&config.server.data_dir.join("verifying"))?;
    let folder = staged.path();
    let file = match archive {
        Some(address) if address.starts_with("s3://") => download_from(config, address, folder, &progress).await?,
        Some(file) if Path::new(file).exists() => Path::new(file).to_owned(),
        name => {
            let store = ArchiveStore::open(config)?;
            let archives = store.list().await?;
            let found = match name {
                Some(name) => archives.into_iter().find(|archive| archive.name == name),
                None => archives.into_iter().next_back(),
            };
            let missing =
                || name.map_or("There is no backup yet.".to_owned(), |name| format!("There is no backup {name}."));
            store.fetch(&found.with_context(missing)?.name, folder, &progress).await?
        }
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let manifest = unpack_and_check(&file, &folder.join("unpacked"), progress).await?;
    Ok(Verified {
        name,
        version: manifest.version,
        created_at: manifest.created_at,
        files: manifest.parts.keys().filter(|part| part.starts_with(UPLOADS)).count(),
        bytes: manifest.parts.values().map(|part| part.bytes).sum(),
    })
}
