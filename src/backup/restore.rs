//! Restores an archive, into an empty installation or in place of an existing one.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use appcore::{
    Clock, Secret,
    config::{Config, key_file},
};
use dbcontext::Database;
use tar::Archive;

use super::{
    BUFFER_SIZE, DATABASE, FORMAT, KeyLocation, MANIFEST, Manifest, Part, UPLOADS, copy, database_file, folder_of,
    key_file_of,
    placement::{PlacedFiles, StagingFolder, make_folder, move_folder},
    postgres::RestoreTarget,
    store::download_from,
    sync_folder, uploads_folder, with_suffix,
};
use crate::{data_dir_lock, keys, progress::Progress, schema};

/// Maximum size of the manifest, in bytes.
const MAX_MANIFEST_LEN: u64 = 1024 * 1024 * 1024;
const NO_ARCHIVE: &str = "It is not a backup of Natter.";
const CUT_SHORT: &str = "The archive is cut short.";

/// Treatment of an existing installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Fail, and change nothing.
    Keep,
    /// Move files to a folder `replaced-<time>` in `server.data_dir`, and tables of PostgreSQL to a
    /// namespace `replaced_natter_<time>`.
    SetAside,
}

/// Returns the name of the database or of the folder of files that a restore would replace, if there
/// is one.
pub async fn existing_data(config: &Config) -> anyhow::Result<Option<String>> {
    let database = match database_file(config)? {
        Some(file) => file.exists().then(|| file.display().to_string()),
        None => {
            let target = RestoreTarget::open(config).await?;
            let title = target.has_tables.then(|| target.title());
            target.close().await?;
            title
        }
    };
    let uploads = uploads_folder(config).filter(|folder| !is_empty(folder));
    Ok(database.or(uploads.map(|folder| folder.display().to_string())))
}

/// Restores an archive to the configured database and folders, and returns a message for the
/// operator. `archive` is a file, or the address of a file in S3. Everything is verified before
/// anything is put in its place, including that the key decrypts the database. If it fails, nothing
/// is left behind. Existing data is never overwritten.
pub async fn restore(
    config: &Config,
    archive: &str,
    key: Option<&Path>,
    existing: Existing,
    progress: Progress,
) -> anyhow::Result<String> {
    if let Some(file) = database_file(config)? {
        let restore = Restore { config, archive, key, existing, progress };
        return restore.run(&Destination::File(file)).await;
    }
    let target = RestoreTarget::open(config).await?;
    let restore = Restore { config, archive, key, existing, progress };
    let destination = Destination::Postgres(Box::new(target));
    let restored = restore.run(&destination).await;
    let Destination::Postgres(target) = destination else { return restored };
    match &restored {
        Ok(_) => target.close().await?,
        // The failure of the restore is reported. The next restore discards what is left.
        Err(_) => _ = target.discard().await,
    }
    restored
}

/// Database into which an archive is restored.
enum Destination {
    /// SQLite file.
    File(PathBuf),
    Postgres(Box<RestoreTarget>),
}

impl Destination {
    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }

    fn title(&self) -> String {
        match self {
            Self::File(file) => file.display().to_string(),
            Self::Postgres(target) => target.title(),
        }
    }

    /// Fails if there is a database already.
    fn require_empty(&self) -> anyhow::Result<()> {
        match self {
            Self::File(file) => ensure!(
                !file.exists(),
                "There is already a database at {}. Move it away, or restore into another folder (server.data_dir).",
                file.display()
            ),
            Self::Postgres(target) => {
                ensure!(!target.has_tables, "{} has tables already. Name an empty database.", target.title());
            }
        }
        Ok(())
    }
}

/// Restore of an archive.
struct Restore<'a> {
    config: &'a Config,
    archive: &'a str,
    /// Key file that the operator named.
    key: Option<&'a Path>,
    existing: Existing,
    progress: Progress,
}

impl Restore<'_> {
    async fn run(self, destination: &Destination) -> anyhow::Result<String> {
        let Self { config, archive, key, existing, progress } = self;
        let uploads = uploads_folder(config);
        let _lock = data_dir_lock::acquire_existing(config)?;
        if existing == Existing::Keep {
            destination.require_empty()?;
            if let Some(folder) = uploads.as_ref().filter(|folder| !is_empty(folder)) {
                bail!("There are already files in {}. Move them away first.", folder.display());
            }
        }
        let mut placed = PlacedFiles::default();
        let staging = match destination.file() {
            Some(file) => with_suffix(file, ".restoring"),
            None => config.server.data_dir.join("restoring"),
        };
        placed.make_folder(folder_of(&staging))?;
        let staged = StagingFolder::new(&staging)?;
        let archive = match archive {
            address if address.starts_with("s3://") => download_from(config, address, staged.path(), &progress).await?,
            file => PathBuf::from(file),
        };
        let unpacked = staged.path().join("unpacked");
        let manifest = unpack_and_check(&archive, &unpacked, progress.clone()).await?;
        let copied = unpacked.join(DATABASE);
        let key = find_key(config, &manifest, &archive, key, existing)?;
        verify_key(&copied, &key).await?;
        let files = manifest.parts.keys().filter(|name| name.starts_with(UPLOADS)).count();
        ensure!(
            files == 0 || uploads.is_some(),
            "The archive has uploaded files, and uploads.url is S3. Restore with uploads.url set to a folder, then copy that to S3."
        );
        if let Destination::Postgres(target) = destination {
            let origin = manifest.parts.get(DATABASE).map(|part| part.sha256.as_str());
            target.fill(copied.clone(), origin.unwrap_or_default(), &progress).await?;
        }

        // Puts everything in its place. The database comes last, because the server can start as
        // soon as it is there.
        placed.make_folder(&config.server.data_dir)?;
        let folder = match existing {
            Existing::Keep => None,
            Existing::SetAside => set_aside(config, destination.file(), uploads.as_deref(), &key, &mut placed)?,
        };
        if let Some((place, secret)) = key.file.as_ref().zip(key.secret.as_ref()) {
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(place)?;
            placed.paths.push(place.clone());
            io::Write::write_all(&mut file, format!("{}\n", secret.expose()).as_bytes())?;
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
        let mut replaced: Vec<String> = folder.iter().map(|folder| folder.display().to_string()).collect();
        match destination {
            Destination::File(file) => {
                // Removes the search index, because it belongs to another database.
                message_search::remove_unused(&config.server.data_dir)?;
                placed.paths.push(file.clone());
                placed.adopt_owner_of(&config.server.data_dir, &copied)?;
                fs::rename(copied, file)?;
                placed.confirm();
                sync_folder(folder_of(file))?;
            }
            Destination::Postgres(target) => {
                placed.adopt_owner_of(&config.server.data_dir, &copied)?;
                let namespace = target.replace_tables(config).await?;
                placed.confirm();
                // The indexes of all machines belong to the former tables.
                let database = Database::open(&config.database, 1).await?;
                message_search::rebuild(&database).await?;
                database.close().await?;
                replaced.extend(namespace.map(|namespace| format!("the schema {namespace}")));
            }
        }
        let replaced = match replaced.is_empty() {
            true => String::new(),
            false => format!(" The former data is in {}.", replaced.join(" and ")),
        };
        Ok(format!(
            "{} restored: the database as of {} and {files} uploaded files, all verified.{replaced} Next, run natter admin ledger verify, then natter serve.\n",
            destination.title(),
            manifest.created_at
        ))
    }
}

/// Unpacks an archive and verifies it, except for its key.
pub(super) async fn unpack_and_check(archive: &Path, to: &Path, progress: Progress) -> anyhow::Result<Manifest> {
    make_folder(to)?;
    let (from, into) = (archive.to_owned(), to.to_owned());
    let manifest = tokio::task::spawn_blocking(move || unpack(&from, &into, &progress))
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

/// Moves the files of the existing installation to a folder beside them, and returns that folder; `None` if there
/// is nothing to move.
fn set_aside(
    config: &Config,
    database: Option<&Path>,
    uploads: Option<&Path>,
    key: &ArchiveKey,
    placed: &mut PlacedFiles,
) -> anyhow::Result<Option<PathBuf>> {
    let mut existing: Vec<PathBuf> = Vec::new();
    if let Some(database) = database {
        existing.extend(["-wal", "-shm"].map(|suffix| with_suffix(database, suffix)));
        existing.push(database.to_owned());
    }
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

/// Unpacks the archive and verifies each part against the manifest.
fn unpack(archive: &Path, to: &Path, progress: &Progress) -> anyhow::Result<Manifest> {
    let file = File::open(archive)?;
    let (mut done, total) = (0, file.metadata()?.len());
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
        done += part.bytes;
        progress.show_bytes("Unpacking the archive", done, total);
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
    /// `None` if the secrets in the database are not encrypted.
    secret: Option<Secret>,
    /// Place of the key, for error messages.
    source: String,
    /// Key file to write; `None` if it exists, or if the key is a setting.
    file: Option<PathBuf>,
}

/// Finds the key of the archive: the setting, the named file, the file beside the archive, or the
/// existing key file. On PostgreSQL, the key must be a setting.
fn find_key(
    config: &Config,
    manifest: &Manifest,
    archive: &Path,
    named: Option<&Path>,
    existing: Existing,
) -> anyhow::Result<ArchiveKey> {
    let setting = config.auth.key_encryption_secret.as_ref();
    if setting.is_some() || manifest.key == KeyLocation::Absent {
        let source = "auth.key_encryption_secret".to_owned();
        return Ok(ArchiveKey { secret: setting.cloned(), source, file: None });
    }
    ensure!(
        manifest.key != KeyLocation::Setting || (named.is_some() && config.is_embedded()),
        "Set auth.key_encryption_secret to its value when the archive was created. The database can't be decrypted without it."
    );
    ensure!(
        config.is_embedded(),
        "Set auth.key_encryption_secret to the content of the key file of the archive ({}). The database can't be decrypted without it.",
        key_file_of(archive).display()
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
    let file = (!is_present).then_some(place);
    Ok(ArchiveKey { secret: Some(secret), source: source.display().to_string(), file })
}

/// Fails if the key doesn't decrypt the database of the archive.
async fn verify_key(database: &Path, key: &ArchiveKey) -> anyhow::Result<()> {
    let snapshot = dbcontext::open_snapshot(database).await?;
    let unreadable = keys::unreadable_kinds(&snapshot, key.secret.as_ref()).await;
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
