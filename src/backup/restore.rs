//! Restores an archive, into an empty installation or in place of an existing one.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use appcore::{
    Clock, Secret,
    config::{Config, key_file},
};
use tar::Archive;

use super::{
    BUFFER_SIZE, DATABASE, FORMAT, KeyLocation, MANIFEST, Manifest, Part, UPLOADS, copy, folder_of, key_file_of,
    store::download_from, sync_folder, uploads_folder, with_suffix,
};
use crate::{data_dir_lock, keys, schema};

/// Maximum size of the manifest, in bytes.
const MAX_MANIFEST_LEN: u64 = 1024 * 1024 * 1024;
const NO_ARCHIVE: &str = "It is not a backup of Natter.";
const CUT_SHORT: &str = "The archive is cut short.";

/// Treatment of an existing installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Fail, and change nothing.
    Keep,
    /// Move it to a folder `replaced-<time>` in `server.data_dir`.
    SetAside,
}

/// Returns the database or the folder of files that a restore would replace, if there is one.
pub fn existing_data(config: &Config) -> anyhow::Result<Option<PathBuf>> {
    let database = dbcontext::sqlite_file(config.database.url.expose())?;
    let uploads = uploads_folder(config).filter(|folder| !is_empty(folder));
    Ok(Some(database).filter(|file| file.exists()).or(uploads))
}

/// Restores an archive to the configured locations and returns a message for the operator. `archive`
/// is a file, or the address of a file in S3. Everything is verified before anything is moved to its
/// place, including that the key decrypts the database. If it fails, nothing is left behind.
/// Existing files are never overwritten.
pub async fn restore(config: &Config, archive: &str, key: Option<&Path>, existing: Existing) -> anyhow::Result<String> {
    ensure!(
        config.is_embedded(),
        "natter restore is for SQLite. Restore a PostgreSQL database with pg_restore, together with the files of uploads.url, as docs/operations.md describes."
    );
    let database = dbcontext::sqlite_file(config.database.url.expose())?;
    let uploads = uploads_folder(config);
    let _lock = data_dir_lock::acquire_existing(config)?;
    if existing == Existing::Keep {
        ensure!(
            !database.exists(),
            "There is already a database at {}. Move it away, or restore into another folder (server.data_dir).",
            database.display()
        );
        if let Some(folder) = uploads.as_ref().filter(|folder| !is_empty(folder)) {
            bail!("There are already files in {}. Move them away first.", folder.display());
        }
    }
    let mut placed = PlacedFiles::default();
    placed.make_folder(folder_of(&database))?;
    let staged = StagingFolder::new(&with_suffix(&database, ".restoring"))?;
    let archive = match archive {
        address if address.starts_with("s3://") => download_from(config, address, staged.path()).await?,
        file => PathBuf::from(file),
    };
    let unpacked = staged.path().join("unpacked");
    let manifest = unpack_and_check(&archive, &unpacked).await?;
    let copied = unpacked.join(DATABASE);
    let key = find_key(config, &manifest, &archive, key, existing)?;
    verify_key(&copied, &key).await?;
    let files = manifest.parts.keys().filter(|name| name.starts_with(UPLOADS)).count();
    ensure!(
        files == 0 || uploads.is_some(),
        "The archive has uploaded files, and uploads.url is S3. Restore with uploads.url set to a folder, then copy that to S3."
    );

    // Moves everything to its place. The database comes last, because the server can start as soon
    // as it is there.
    placed.make_folder(&config.server.data_dir)?;
    let replaced = match existing {
        Existing::Keep => None,
        Existing::SetAside => set_aside(config, &database, uploads.as_deref(), &key, &mut placed)?,
    };
    if let Some(place) = &key.file {
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(place)?;
        placed.paths.push(place.clone());
        io::Write::write_all(&mut file, format!("{}\n", key.secret.expose()).as_bytes())?;
        file.sync_all()?;
    }
    if let Some(folder) = uploads.filter(|_| files > 0) {
        // The folder is empty, or was moved away.
        let _ = fs::remove_dir(&folder);
        placed.make_folder(folder_of(&folder))?;
        placed.trees.push(folder.clone());
        move_folder(&unpacked.join(UPLOADS), &folder)?;
        sync_folder(folder_of(&folder))?;
    }
    // Removes the search index, because it belongs to another database.
    message_search::remove_unused(&config.server.data_dir)?;
    placed.paths.push(database.clone());
    placed.adopt_owner_of(&config.server.data_dir, &copied)?;
    fs::rename(copied, &database)?;
    placed.confirm();
    sync_folder(folder_of(&database))?;
    let replaced = replaced.map_or_else(String::new, |folder| format!(" The former data is in {}.", folder.display()));
    Ok(format!(
        "{} restored: the database as of {} and {files} uploaded files, all verified.{replaced} Next, run natter admin ledger verify, then natter serve.\n",
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
    if let Some(step) = schema::unknown(&manifest.schema).first() {
        bail!(
            "The archive was created by a newer version ({}): it has the schema step {step}, which this program doesn't know. Restore it with that version.",
            manifest.version
        );
    }
    dbcontext::check_sqlite(&to.join(DATABASE)).await.context("The database in the archive is damaged")?;
    Ok(manifest)
}

/// True if the folder has no entries or doesn't exist.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// Moves the existing installation to a folder beside it, and returns that folder; `None` if there
/// is nothing to move.
fn set_aside(
    config: &Config,
    database: &Path,
    uploads: Option<&Path>,
    key: &ArchiveKey,
    placed: &mut PlacedFiles,
) -> anyhow::Result<Option<PathBuf>> {
    let mut existing: Vec<PathBuf> = ["-wal", "-shm"].map(|suffix| with_suffix(database, suffix)).into();
    existing.push(database.to_owned());
    existing.extend(uploads.filter(|folder| !is_empty(folder)).map(Path::to_owned));
    existing.extend(key.file.clone());
    existing.retain(|path| path.exists());
    if existing.is_empty() {
        return Ok(None);
    }
    let time = Clock::system().now().to_string().replace(':', "");
    let folder = config.server.data_dir.join(format!("replaced-{time}"));
    DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("Failed to create {}", folder.display()))?;
    placed.paths.push(folder.clone());
    for path in existing {
        let name = path.file_name().context("A path has no name")?;
        let to = folder.join(name);
        fs::rename(&path, &to).with_context(|| format!("Failed to move {} to {}", path.display(), folder.display()))?;
        placed.moved.push((to, path));
    }
    Ok(Some(folder))
}

/// Files and folders that a restore has created or moved. Dropping it undoes everything, unless
/// [`confirm`](Self::confirm) was called.
#[derive(Default)]
struct PlacedFiles {
    paths: Vec<PathBuf>,
    /// Folders that are removed with everything in them.
    trees: Vec<PathBuf>,
    /// New and former path of existing files, in the order in which they were moved.
    moved: Vec<(PathBuf, PathBuf)>,
}

impl PlacedFiles {
    /// Creates a folder. On drop it is removed if it is empty.
    fn make_folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        if !folder.exists() {
            make_folder(folder)?;
            self.paths.push(folder.to_owned());
        }
        Ok(())
    }

    /// If this process runs as root and the folder belongs to another user, makes that user the
    /// owner of the database and of all files that were created, so that the server can read them.
    fn adopt_owner_of(&self, folder: &Path, database: &Path) -> anyhow::Result<()> {
        let owner = fs::metadata(folder)?;
        if !rustix::process::geteuid().is_root() || owner.uid() == 0 {
            return Ok(());
        }
        for path in self.paths.iter().chain(&self.trees).map(PathBuf::as_path).chain([database]) {
            change_owner(path, (owner.uid(), owner.gid()))?;
        }
        Ok(())
    }

    fn confirm(&mut self) {
        self.paths.clear();
        self.trees.clear();
        self.moved.clear();
    }
}

impl Drop for PlacedFiles {
    fn drop(&mut self) {
        for tree in &self.trees {
            let _ = fs::remove_dir_all(tree);
        }
        // Newest first. A failure leaves the rest in place: the error that caused it is reported.
        for path in self.paths.iter().rev() {
            let is_set_aside = self.moved.iter().any(|(moved, _)| moved.starts_with(path));
            let _ = match path.is_dir() {
                _ if is_set_aside => Ok(()),
                true => fs::remove_dir(path),
                false => fs::remove_file(path),
            };
        }
        for (moved, former) in self.moved.iter().rev() {
            let _ = fs::rename(moved, former);
            let _ = moved.parent().map(fs::remove_dir);
        }
    }
}

/// Changes the owner of a file, or of a folder and everything in it.
fn change_owner(path: &Path, (user, group): (u32, u32)) -> anyhow::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    chown(path, Some(user), Some(group))
        .with_context(|| format!("Failed to change the owner of {}", path.display()))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            change_owner(&entry?.path(), (user, group))?;
        }
    }
    Ok(())
}

/// Temporary folder for data that is not verified yet, on the file system of the target. It is
/// removed on drop.
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
        let mut entry = entry.map_err(|error| unreadable(&error, found.is_empty()))?;
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
        let part = copy(&mut entry, &mut file).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::Other => unreadable(&error, false),
            _ => error.into(),
        })?;
        ensure!(part.bytes == entry.size(), CUT_SHORT);
        file.sync_all()?;
        found.insert(name, part);
    }
    let manifest = manifest.with_context(|| if found.is_empty() { NO_ARCHIVE } else { CUT_SHORT })?;
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

/// Converts an error of the tar reader.
fn unreadable(error: &io::Error, is_first: bool) -> anyhow::Error {
    tracing::debug!(%error, "failed to read archive");
    anyhow::anyhow!(if is_first { NO_ARCHIVE } else { CUT_SHORT })
}

/// Key of the database in an archive.
struct ArchiveKey {
    secret: Secret,
    /// Place of the key, for error messages.
    source: String,
    /// Key file to write; `None` if it exists, or if the key is a setting.
    file: Option<PathBuf>,
}

/// Finds the key of the archive: the setting, the named file, the file beside the archive, or the
/// existing key file.
fn find_key(
    config: &Config,
    manifest: &Manifest,
    archive: &Path,
    named: Option<&Path>,
    existing: Existing,
) -> anyhow::Result<ArchiveKey> {
    if let Some(secret) = &config.auth.key_encryption_secret {
        return Ok(ArchiveKey { secret: secret.clone(), source: "auth.key_encryption_secret".to_owned(), file: None });
    }
    ensure!(
        manifest.key != KeyLocation::Setting,
        "Set auth.key_encryption_secret to its value when the archive was created. The database can't be decrypted without it."
    );
    let place = config.key_file();
    let present = key_file::read(&place)?;
    let beside = key_file_of(archive);
    let (source, secret) = match named {
        None if !beside.exists() && present.is_some() => (place.clone(), present.clone()),
        None => (beside.clone(), key_file::read(&beside)?),
        Some(file) => (file.to_owned(), key_file::read(file)?),
    };
    let secret = secret.with_context(|| {
        format!("There is no encryption key of the archive at {}. Name it with --key", source.display())
    })?;
    let is_present = present.as_ref().is_some_and(|present| present.expose() == secret.expose());
    ensure!(
        is_present || present.is_none() || existing == Existing::SetAside,
        "There is already another key at {}. Move it away first.",
        place.display()
    );
    Ok(ArchiveKey { secret, source: source.display().to_string(), file: (!is_present).then_some(place) })
}

/// Fails if the key doesn't decrypt the database of the archive.
async fn verify_key(database: &Path, key: &ArchiveKey) -> anyhow::Result<()> {
    let snapshot = dbcontext::open_snapshot(database).await?;
    let unreadable = keys::unreadable_kinds(&snapshot, Some(&key.secret)).await;
    snapshot.close().await?;
    let unreadable = unreadable?;
    ensure!(
        unreadable.is_empty(),
        "The key in {} is not the key of this archive: it does not open the database ({}). Nothing was restored. Name the right key with --key.",
        key.source,
        unreadable.join(", ")
    );
    Ok(())
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
