//! Directory of index files that holds new small files in memory.
//!
//! Each commit makes a small segment, most of which are merged before [`Directory::flush`] would
//! have to write them. What is on disk always belongs to one commit; a crash loses later ones, and
//! the cursor in the commit says which events have to be indexed again.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, OwnedBytes, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
    error::{DeleteError, LockError, OpenReadError, OpenWriteError},
};

/// Size in bytes above which a file is written at once.
const LARGE: usize = 1 << 20;
/// Files that list the other files, in the order in which they are replaced: a file that
/// `.managed.json` doesn't name is never deleted by tantivy.
const MANAGED: &str = ".managed.json";
const META: &str = "meta.json";

#[derive(Clone, Debug)]
pub(super) struct IndexDirectory {
    disk: MmapDirectory,
    root: PathBuf,
    held: Arc<Mutex<HeldFiles>>,
}

/// Changes since the last flush.
#[derive(Debug, Default)]
struct HeldFiles {
    files: HashMap<PathBuf, OwnedBytes>,
    /// New content of [`META`] and [`MANAGED`].
    lists: HashMap<PathBuf, Vec<u8>>,
    /// Deleted files that are still on disk, where [`META`] may name them.
    deleted: Vec<PathBuf>,
}

impl IndexDirectory {
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let directory = Self { disk: MmapDirectory::open(root)?, root: root.to_owned(), held: Arc::default() };
        directory.remove_unlisted()?;
        Ok(directory)
    }

    /// Removes files that a killed process has left: the list of files on disk doesn't name them.
    fn remove_unlisted(&self) -> anyhow::Result<()> {
        let listed: Vec<PathBuf> = match fs::read(self.root.join(MANAGED)) {
            Ok(list) => serde_json::from_slice(&list).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        for entry in fs::read_dir(&self.root)? {
            let name = PathBuf::from(entry?.file_name());
            let is_kept = name.extension().is_none_or(|end| end == "lock" || end == "json");
            if !is_kept && !listed.contains(&name) {
                fs::remove_file(self.root.join(name))?;
            }
        }
        Ok(())
    }

    /// Writes the last commit to disk.
    pub fn flush(&self) -> io::Result<()> {
        let (files, lists, deleted) = {
            let mut held = self.held();
            (held.files.clone(), held.lists.clone(), mem::take(&mut held.deleted))
        };
        let written = self.write_out(&files, &lists);
        let mut held = self.held();
        if let Err(error) = written {
            held.deleted.extend(deleted);
            return Err(error);
        }
        for path in files.into_keys() {
            // A file that was deleted meanwhile is on disk now.
            if held.files.remove(&path).is_none() {
                held.deleted.push(path);
            }
        }
        held.lists.retain(|path, list| lists.get(path) != Some(list));
        drop(held);
        for path in deleted {
            let _ = fs::remove_file(self.root.join(path));
        }
        Ok(())
    }

    fn write_out(&self, files: &HashMap<PathBuf, OwnedBytes>, lists: &HashMap<PathBuf, Vec<u8>>) -> io::Result<()> {
        for (path, bytes) in files {
            let mut file = File::create(self.root.join(path))?;
            file.write_all(bytes.as_slice())?;
            file.sync_data()?;
        }
        self.disk.sync_directory()?;
        for path in [MANAGED, META].map(Path::new) {
            if let Some(list) = lists.get(path) {
                self.disk.atomic_write(path, list)?;
            }
        }
        self.disk.sync_directory()
    }

    fn held(&self) -> MutexGuard<'_, HeldFiles> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// File that is being written. It is held in memory until it becomes large.
struct NewFile {
    path: PathBuf,
    file: Option<File>,
    bytes: Vec<u8>,
    directory: IndexDirectory,
}

impl Write for NewFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.file {
            file.write_all(buffer)?;
            return Ok(buffer.len());
        }
        self.bytes.extend_from_slice(buffer);
        if self.bytes.len() > LARGE {
            let mut file = File::create(self.directory.root.join(&self.path))?;
            file.write_all(&mem::take(&mut self.bytes))?;
            self.file = Some(file);
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for NewFile {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        if let Some(file) = &self.file {
            return file.sync_data();
        }
        let bytes = OwnedBytes::new(mem::take(&mut self.bytes));
        self.directory.held().files.insert(mem::take(&mut self.path), bytes);
        Ok(())
    }
}

impl Directory for IndexDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let held = self.held().files.get(path).cloned();
        match held {
            Some(bytes) => Ok(Arc::new(bytes)),
            None => self.disk.get_file_handle(path),
        }
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let mut held = self.held();
        if held.files.remove(path).is_none() {
            held.deleted.push(path.to_owned());
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        let held = self.held();
        if held.files.contains_key(path) || held.lists.contains_key(path) {
            return Ok(true);
        }
        drop(held);
        self.disk.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        if self.exists(path).unwrap_or(false) {
            return Err(OpenWriteError::FileAlreadyExists(path.to_owned()));
        }
        let file = NewFile { path: path.to_owned(), file: None, bytes: Vec::new(), directory: self.clone() };
        Ok(BufWriter::new(Box::new(file)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let held = self.held().lists.get(path).cloned();
        held.map_or_else(|| self.disk.atomic_read(path), Ok)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.held().lists.insert(path.to_owned(), data.to_owned());
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.disk.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.disk.watch(callback)
    }
}
