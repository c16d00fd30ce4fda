//! Files and folders that a restore creates, moves and removes.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// Files and folders that a restore has created or moved. Dropping it undoes everything, unless
/// [`confirm`](Self::confirm) was called.
#[derive(Default)]
pub struct PlacedFiles {
    pub paths: Vec<PathBuf>,
    /// Folders that are removed with everything in them.
    pub trees: Vec<PathBuf>,
    /// New and former path of existing files, in the order in which they were moved.
    pub moved: Vec<(PathBuf, PathBuf)>,
}

impl PlacedFiles {
    /// Creates a folder. On drop it is removed if it is empty.
    pub fn make_folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        if !folder.exists() {
            make_folder(folder)?;
            self.paths.push(folder.to_owned());
        }
        Ok(())
    }

    /// If this process runs as root and the folder belongs to another user, makes that user the
    /// owner of the database and of all files that were created, so that the server can read them.
    pub fn adopt_owner_of(&self, folder: &Path, database: &Path) -> anyhow::Result<()> {
        let owner = fs::metadata(folder)?;
        if !rustix::process::geteuid().is_root() || owner.uid() == 0 {
            return Ok(());
        }
        for path in self.paths.iter().chain(&self.trees).map(PathBuf::as_path).chain([database]) {
            change_owner(path, (owner.uid(), owner.gid()))?;
        }
        Ok(())
    }

    pub fn confirm(&mut self) {
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
pub struct StagingFolder(PathBuf);

impl StagingFolder {
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        if folder.exists() {
            // Removes the folder of a command that was killed.
            fs::remove_dir_all(folder)?;
        }
        make_folder(folder)?;
        Ok(Self(folder.to_owned()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StagingFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("Failed to create the folder {}", folder.display()))
}

/// Renames the folder. If the target is on another file system, copies it file by file instead.
pub fn move_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
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
