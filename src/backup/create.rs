//! Creates an archive while the server may be running.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use appcore::{Clock, config::Config};
use tar::{Builder, Header};

use super::{
    BUFFER_SIZE, DATABASE, Digesting, FORMAT, KEY, KeyLocation, MANIFEST, Manifest, Part, UPLOADS, database_file,
    folder_of, key_file_of, postgres, sync_folder, uploads_folder, with_suffix,
};
use crate::progress::Progress;

/// Creates the archive and returns a message for the operator. If that fails, nothing is left
/// behind.
pub async fn create(config: &Config, archive: &Path, progress: Progress) -> anyhow::Result<String> {
    let database = database_file(config)?;
    if let Some(file) = &database {
        ensure!(file.exists(), "There is no database at {}.", file.display());
    }
    ensure!(!archive.exists(), "{} already exists. Name another file.", archive.display());
    let location = match &config.auth.key_encryption_secret {
        Some(_) => KeyLocation::Setting,
        None if database.is_some() => KeyLocation::File,
        None => KeyLocation::Absent,
    };
    let key =
        match location {
            KeyLocation::File => {
                let file = config.server.data_dir.join(KEY);
                let read = fs::read(&file);
                Some(read.with_context(|| {
                    format!("Failed to read the encryption key of the database at {}", file.display())
                })?)
            }
            KeyLocation::Setting | KeyLocation::Absent => None,
        };
    let unfinished = UnfinishedArchive::new(archive)?;
    let copied = unfinished.sibling("database");
    let schema = match &database {
        Some(file) => {
            progress.show(|| "Copying the database".to_owned());
            dbcontext::copy_sqlite(file, &copied).await?
        }
        None => postgres::write_snapshot(config, &copied, progress.clone()).await?,
    };
    let mut manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: Clock::system().now().to_string(),
        schema,
        key: location,
        parts: BTreeMap::new(),
    };
    let uploads = uploads_folder(config);
    let mut said = match &uploads {
        Some(_) => String::new(),
        None => " The archive does not contain the uploaded files, which are in S3: back them up as well.".to_owned(),
    };
    let (unfinished, manifest) = tokio::task::spawn_blocking(move || {
        write(&unfinished, &copied, uploads.as_deref(), &mut manifest, &progress)?;
        anyhow::Ok((unfinished, manifest))
    })
    .await??;
    if let Some(key) = key {
        let file = key_file_of(archive);
        write_private(&file, &key).with_context(|| format!("Failed to write the key to {}", file.display()))?;
        let advice = "keep it in another place, because whoever has both can decrypt everything";
        said.push_str(&format!(" Its encryption key is in {}: {advice}.", file.display()));
    }
    if location == KeyLocation::Absent {
        said.push_str(" The secrets in it are not encrypted, because auth.key_encryption_secret is not set.");
    }
    unfinished.finish(archive)?;
    let files = manifest.parts.keys().filter(|name| name.starts_with(UPLOADS)).count();
    let bytes: u64 = manifest.parts.values().map(|part| part.bytes).sum();
    Ok(format!(
        "{} contains the database as of {} and {files} uploaded files, {} MiB.{said}\n",
        archive.display(),
        manifest.created_at,
        bytes.div_ceil(1024 * 1024)
    ))
}

/// Temporary files of an archive that is being created. They are removed on drop.
struct UnfinishedArchive {
    path: PathBuf,
}

impl UnfinishedArchive {
    fn new(archive: &Path) -> anyhow::Result<Self> {
        let folder = folder_of(archive);
        ensure!(folder.is_dir(), "The folder {} does not exist.", folder.display());
        let unfinished = Self { path: with_suffix(archive, ".unfinished") };
        // Removes the files of a backup that was killed.
        unfinished.remove();
        Ok(unfinished)
    }

    fn sibling(&self, what: &str) -> PathBuf {
        with_suffix(&self.path, &format!(".{what}"))
    }

    fn remove(&self) {
        for path in
            [self.path.clone(), self.sibling("database"), self.sibling("database-wal"), self.sibling("database-shm")]
        {
            // Usually there is no such file.
            let _ = fs::remove_file(path);
        }
    }

    fn finish(self, archive: &Path) -> anyhow::Result<()> {
        fs::rename(&self.path, archive).context("Failed to rename the archive")?;
        sync_folder(folder_of(archive))?;
        Ok(())
    }
}

impl Drop for UnfinishedArchive {
    fn drop(&mut self) {
        self.remove();
    }
}

fn write(
    unfinished: &UnfinishedArchive,
    database: &Path,
    uploads: Option<&Path>,
    manifest: &mut Manifest,
    progress: &Progress,
) -> anyhow::Result<()> {
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&unfinished.path);
    let file = file.with_context(|| format!("{} can't be written", unfinished.path.display()))?;
    let mut archive = Builder::new(io::BufWriter::with_capacity(BUFFER_SIZE, file));
    let mut add = |name: &str, path: &Path| -> anyhow::Result<()> {
        if let Some(part) = add(&mut archive, name, path)? {
            manifest.parts.insert(name.to_owned(), part);
        }
        Ok(())
    };
    progress.show(|| "Adding the database to the archive".to_owned());
    add(DATABASE, database)?;
    if let Some(folder) = uploads {
        let mut files = Vec::new();
        list(folder, &mut files)?;
        files.sort();
        let total = files.len();
        for (count, path) in files.into_iter().enumerate() {
            progress.show(|| format!("Adding uploaded files to the archive: {count} of {total}"));
            let Some(name) = path.strip_prefix(folder).ok().and_then(Path::to_str) else { continue };
            add(&format!("{UPLOADS}/{name}"), &path)?;
        }
    }
    let text = serde_json::to_vec_pretty(manifest)?;
    let mut header = header(text.len() as u64);
    archive.append_data(&mut header, MANIFEST, text.as_slice())?;
    let mut file = archive.into_inner()?;
    file.flush()?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(())
}

/// Adds a file to the archive. Returns `None` if it no longer exists, for example because the
/// upload was deleted.
fn add(archive: &mut Builder<impl io::Write>, name: &str, path: &Path) -> anyhow::Result<Option<Part>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} can't be read", path.display())),
    };
    let length = file.metadata()?.len();
    // Uploads are immutable, so the length of the file can't change meanwhile.
    let mut summed = Digesting::new(file);
    archive.append_data(&mut header(length), name, &mut summed)?;
    let part = summed.part();
    ensure!(part.bytes == length, "{} was changed while it was read.", path.display());
    Ok(Some(part))
}

fn header(length: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(length);
    header.set_mode(0o600);
    header
}

/// Lists the files of a folder recursively, except uploads in progress.
fn list(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("{} can't be read", folder.display())),
    };
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && path.file_name().is_some_and(|name| name != "incoming") {
            list(&path, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
