//! Restores an archive into an empty installation.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use appcore::config::Config;
use tar::Archive;

use super::{
    BUFFER_SIZE, DATABASE, FORMAT, KEY, KeyLocation, MANIFEST, Manifest, Part, UPLOADS, copy, database_file, folder_of,
    key_file_of, store::download_from, sync_folder, uploads_folder, with_suffix,
};
use crate::schema;

/// Maximum size of the manifest, in bytes.
const MAX_MANIFEST_LEN: u64 = 1024 * 1024 * 1024;

/// Restores an archive to the configured locations and returns a message for the operator. `archive`
/// is a file, or the address of a file in S3. Everything is verified before anything is moved to its
/// place. Existing files are never overwritten.
pub async fn restore(config: &Config, archive: &str, key: Option<&Path>) -> anyhow::Result<String> {
    let database = database_file(config)?;
    ensure!(
        !database.exists(),
        "There is already a database at {}. Move it away, or restore into another folder (server.data_dir).",
        database.display()
    );
    let uploads = uploads_folder(config);
    if let Some(folder) = &uploads {
        let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
        ensure!(is_empty, "There are already files in {}. Move them away first.", folder.display());
    }
    make_folder(folder_of(&database))?;
    let staged = StagingFolder::new(&with_suffix(&database, ".restoring"))?;
    let archive = match archive {
        address if address.starts_with("s3://") => download_from(config, address, staged.path()).await?,
        file => PathBuf::from(file),
    };
    let unpacked = staged.path().join("unpacked");
    let manifest = unpack_and_check(&archive, &unpacked).await?;
    let key = find_key(config, &manifest, &archive, key)?;

    // Moves everything to its place. The database comes last, because the server can start as soon
    // as it is there.
    make_folder(&config.server.data_dir)?;
    if let Some((text, place)) = key {
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&place)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()?;
    }
    let files = manifest.parts.keys().filter(|name| name.starts_with(UPLOADS)).count();
    if files > 0 {
        let Some(folder) = uploads else {
            bail!(
                "The archive has uploaded files, and uploads.url is S3. Restore with uploads.url set to a folder, then copy that to S3."
            );
        };
        // The folder was checked to be empty above.
        let _ = fs::remove_dir(&folder);
        make_folder(folder_of(&folder))?;
        move_folder(&unpacked.join(UPLOADS), &folder)?;
        sync_folder(folder_of(&folder))?;
    }
    // Removes the search index, because it belongs to another database.
    message_search::remove_file(&config.server.data_dir)?;
    fs::rename(unpacked.join(DATABASE), &database)?;
    sync_folder(folder_of(&database))?;
    Ok(format!(
        "{} restored: the database as of {} and {files} uploaded files, all verified. Next, run natter admin ledger verify, then natter serve.\n",
        database.display(),
        manifest.created_at
    ))
}

/// Unpacks an archive and verifies it, except for its key.
pub(super) async fn unpack_and_check(archive: &Path, to: &Path) -> anyhow::Result<Manifest> {
    make_folder(to)?;
    let (from, into) = (archive.to_owned(), to.to_owned());
    let manifest = tokio::task::spawn_blocking(move || unpack(&from, &into))
        .await?
        .with_context(|| format!("{} can't be restored", archive.display()))?;
    ensure!(!migration::is_unreleased(&manifest.schema), schema::UNRELEASED);
    let unknown = schema::unknown(&manifest.schema);
    ensure!(
        unknown.is_empty(),
        "The archive was created by a newer version ({}) than this program ({}). Restore it with that version.",
        manifest.version,
        env!("CARGO_PKG_VERSION")
    );
    dbcontext::check_sqlite(&to.join(DATABASE)).await.context("The database in the archive is damaged")?;
    Ok(manifest)
}

/// Temporary folder for data that is not verified yet. It is removed on drop.
pub(super) struct StagingFolder(PathBuf);

impl StagingFolder {
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        if folder.exists() {
            // Removes the folder of a command that was killed.
            fs::remove_dir_all(folder)?;
        }
        make_folder(folder)?;
        Ok(Self(folder.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StagingFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Unpacks the archive and verifies each part against the manifest.
fn unpack(archive: &Path, to: &Path) -> anyhow::Result<Manifest> {
    let file = File::open(archive)?;
    let mut found: BTreeMap<String, Part> = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    let mut entries = Archive::new(io::BufReader::with_capacity(BUFFER_SIZE, file));
    for entry in entries.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let name = path.to_str().context("It contains an entry without a name.")?.to_owned();
        if name == MANIFEST {
            ensure!(entry.size() <= MAX_MANIFEST_LEN, "Its manifest is too long.");
            manifest = Some(serde_json::from_reader(&mut entry).context("Its manifest can't be read")?);
            continue;
        }
        let is_known = name == DATABASE || path.starts_with(UPLOADS);
        let stays_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        ensure!(
            is_known && stays_inside && entry.header().entry_type().is_file(),
            "It contains an unexpected entry: {name}."
        );
        let place = to.join(&path);
        make_folder(folder_of(&place))?;
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&place)?;
        let part = copy(&mut entry, &mut file)?;
        file.sync_all()?;
        found.insert(name, part);
    }
    let manifest = manifest.context("It has no manifest: it is truncated, or not a backup of Natter.")?;
    ensure!(manifest.format <= FORMAT, "It was created by a newer version, {}.", manifest.version);
    for (name, part) in &manifest.parts {
        match found.get(name) {
            Some(there) if there == part => {}
            Some(_) => bail!("{name} is damaged: its digest differs from that in the manifest."),
            None => bail!("{name} is missing."),
        }
    }
    ensure!(found.len() == manifest.parts.len(), "It contains entries that its manifest does not list.");
    ensure!(found.contains_key(DATABASE), "It contains no database.");
    Ok(manifest)
}

/// Returns the key to write, with its path; `None` if the file already exists or the key is a
/// setting.
fn find_key(
    config: &Config,
    manifest: &Manifest,
    archive: &Path,
    named: Option<&Path>,
) -> anyhow::Result<Option<(String, PathBuf)>> {
    let place = config.server.data_dir.join(KEY);
    if manifest.key == KeyLocation::Setting {
        ensure!(
            config.auth.key_encryption_secret.is_some(),
            "Set auth.key_encryption_secret to its value when the archive was created. The database can't be decrypted without it."
        );
        return Ok(None);
    }
    if place.exists() && named.is_none() {
        return Ok(None);
    }
    ensure!(!place.exists(), "There is already a key at {}. Move it away first.", place.display());
    let file = named.map_or_else(|| key_file_of(archive), Path::to_owned);
    let text = fs::read_to_string(&file).with_context(|| {
        format!("Failed to read the encryption key of the archive at {}. Name it with --key", file.display())
    })?;
    ensure!(!text.trim().is_empty(), "The key in {} is empty.", file.display());
    Ok(Some((text, place)))
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("Failed to create the folder {}", folder.display()))
}

/// Renames the folder. If the target is on another file system, copies it file by file instead.
fn move_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        moved => return moved.with_context(|| format!("Failed to move the files to {}", to.display())),
    }
    make_folder(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            move_folder(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), &place)?;
            File::open(&place)?.sync_all()?;
        }
    }
    Ok(())
}
