//! Index in files of this instance (tantivy), in `search` in `server.data_dir`.
//!
//! The files can be deleted at any time: if they are missing, damaged or of another version, the
//! index is built again from the database. Instances that share a data folder have a folder of
//! their own in it.

mod directory;
mod query;
mod schema;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

use ::search::Vocabulary;
use anyhow::{Context as _, ensure};
use appcore::{AppError, private_folder};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, TantivyError, Term,
    directory::MmapDirectory,
    index::SegmentId,
    indexer::{IndexWriterOptions, LogMergePolicy},
};
use uuid::Uuid;

use self::{
    directory::IndexDirectory,
    query::CommittedIds,
    schema::Fields,
    vocabulary::{IndexVocabulary, WordLists},
};
use super::{Batch, Candidate, Change, IndexState, Plan, SearchIndex};

/// Version of the index. Must be incremented with every change of the tokenizer, the fields or the
/// indexed content.
const VERSION: u32 = 1;
const FOLDER: &str = "search";
/// Maximum number of instances that share a data folder.
const MAX_INSTANCES: u32 = 64;
/// File that is locked while an instance uses the folder.
const LOCK_FILE: &str = "lock";
/// File that exists while an instance uses the folder, and after it was killed.
const OPEN_FILE: &str = "open";
/// Files of the index that versions before this one have made on SQLite.
const FORMER_FILES: [&str; 3] = ["search.db", "search.db-wal", "search.db-shm"];

/// Memory in bytes for new documents: normally, and during the initial fill.
const MEMORY: usize = 15_000_000;
const FILL_MEMORY: usize = 50_000_000;
/// Minimum number of segments that are merged, and number of documents below which segments count
/// as equally large. Measured with a commit every 250 ms.
const MERGED_SEGMENTS: usize = 8;
const SMALL_SEGMENT: u32 = 1_000;
/// Share of removed documents above which a segment is merged.
const MAX_REMOVED_SHARE: f32 = 0.3;
/// Interval of commits during the initial fill.
const FILL_COMMIT_INTERVAL: Duration = Duration::from_secs(3);
/// Maximum time until a commit is on disk.
const FLUSH_INTERVAL: Duration = Duration::from_secs(15);
/// Time without writes after which the writer's memory is freed.
const WRITER_IDLE_TIME: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct LocalIndex(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    files: RwLock<Arc<IndexFiles>>,
    writer: Mutex<Writer>,
    /// State of the last commit.
    committed: RwLock<Option<IndexState>>,
    lists: Arc<WordLists>,
    /// Locked until the instance ends.
    _lock: File,
}

/// Open files of an index.
struct IndexFiles {
    directory: IndexDirectory,
    index: Index,
    fields: Fields,
    reader: IndexReader,
}

struct Writer {
    open: Option<OpenWriter>,
    flushed_at: Instant,
}

struct OpenWriter {
    writer: IndexWriter,
    is_filling: bool,
    /// State after the writes since the last commit; `None` if there were none.
    state: Option<IndexState>,
    /// Messages added since the last commit.
    uncommitted: HashSet<Uuid>,
    committed_at: Instant,
    written_at: Instant,
}

/// Content of a commit's payload.
#[derive(Serialize, Deserialize)]
struct Payload {
    version: u32,
    state: Option<IndexState>,
}

impl LocalIndex {
    /// Opens the index of this instance, or creates it.
    pub fn open(data_dir: &Path) -> anyhow::Result<Self> {
        for file in FORMER_FILES {
            remove_if_there(&data_dir.join(file))?;
        }
        let (folder, lock) = lock_folder(&data_dir.join(FOLDER))?;
        let was_killed = folder.join(OPEN_FILE).exists();
        File::create(folder.join(OPEN_FILE))?;
        let (files, committed) = match catch_panic(|| IndexFiles::open(&folder)) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "search index can't be used, building it again");
                remove_content(&folder)?;
                IndexFiles::open(&folder)?
            }
        };
        let shared = Arc::new(Shared {
            folder,
            files: RwLock::new(Arc::new(files)),
            writer: Mutex::new(Writer { open: None, flushed_at: Instant::now() }),
            committed: RwLock::new(committed),
            lists: Arc::default(),
            _lock: lock,
        });
        if was_killed {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("search-check".to_owned()).spawn(move || shared.check_files())?;
        }
        Ok(Self(shared))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, AppError> {
        let shared = Arc::clone(&self.0);
        let work = move || {
            let result = catch_panic(|| work(&shared));
            if result.as_ref().is_err_and(is_damage) {
                shared.check_files();
            }
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(AppError::internal)?.map_err(AppError::unavailable)
    }
}

#[async_trait]
impl SearchIndex for LocalIndex {
    async fn candidates(&self, plan: Plan) -> Result<Vec<Candidate>, AppError> {
        self.run(move |shared| {
            let files = shared.files();
            Ok(query::candidates(&files.reader.searcher(), files.fields, &plan)?)
        })
        .await
    }

    fn vocabulary(&self) -> Option<Arc<dyn Vocabulary + Send + Sync>> {
        let files = self.0.files();
        let lists = Arc::clone(&self.0.lists);
        Some(Arc::new(IndexVocabulary { searcher: files.reader.searcher(), field: files.fields.text, lists }))
    }

    async fn state(&self) -> Result<Option<IndexState>, AppError> {
        Ok(self.0.committed())
    }

    async fn messages(&self) -> Result<u64, AppError> {
        Ok(self.0.files().reader.searcher().num_docs())
    }

    async fn write(&self, batch: Batch) -> Result<(), AppError> {
        self.run(move |shared| shared.write(batch)).await
    }

    async fn rollback(&self) -> Result<(), AppError> {
        self.run(|shared| {
            shared.writer().open = None;
            Ok(())
        })
        .await
    }

    async fn clear(&self) -> Result<(), AppError> {
        self.run(Shared::clear).await
    }

    async fn purge(&self) -> Result<(), AppError> {
        self.run(Shared::purge).await
    }

    async fn idle(&self) -> Result<(), AppError> {
        self.run(Shared::idle).await
    }

    async fn close(&self) -> Result<(), AppError> {
        self.run(Shared::close).await
    }
}

impl IndexFiles {
    /// Opens the index in a folder, or creates it if the folder has none.
    fn open(folder: &Path) -> anyhow::Result<(Self, Option<IndexState>)> {
        let directory = IndexDirectory::open(folder)?;
        let (index, fields) = schema::open(directory.clone())?;
        let committed = read_state(&index)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok((Self { directory, index, fields, reader }, committed))
    }

    fn open_writer(&self, is_filling: bool) -> anyhow::Result<IndexWriter> {
        // The last commit may have failed before its documents became visible.
        self.reader.reload()?;
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(if is_filling { FILL_MEMORY } else { MEMORY })
            .num_merge_threads(1)
            .build();
        let writer = self.index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_num_segments(MERGED_SEGMENTS);
        policy.set_min_layer_size(SMALL_SEGMENT);
        policy.set_del_docs_ratio_before_merge(MAX_REMOVED_SHARE);
        writer.set_merge_policy(Box::new(policy));
        Ok(writer)
    }
}

impl Shared {
    fn files(&self) -> Arc<IndexFiles> {
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn committed(&self) -> Option<IndexState> {
        self.committed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_committed(&self, state: Option<IndexState>) {
        *self.committed.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, batch: Batch) -> anyhow::Result<()> {
        let mut writer = self.writer();
        let files = self.files();
        let is_filling = batch.state.is_filling();
        if writer.open.as_ref().is_some_and(|open| open.is_filling != is_filling) {
            self.close_writer(&mut writer)?;
        }
        let mut open = match writer.open.take() {
            Some(open) => open,
            None => OpenWriter {
                writer: files.open_writer(is_filling)?,
                is_filling,
                state: None,
                uncommitted: HashSet::new(),
                committed_at: Instant::now(),
                written_at: Instant::now(),
            },
        };
        // After an error, the writer is dropped together with the changes since the last commit.
        open.add(&files, batch)?;
        let is_due = !is_filling || self.committed().is_none() || open.committed_at.elapsed() >= FILL_COMMIT_INTERVAL;
        if is_due {
            self.set_committed(open.commit(&files)?);
            self.lists.retain(&files.reader.searcher());
        }
        writer.open = Some(open);
        self.flush_if_due(&mut writer, &files)
    }

    fn flush_if_due(&self, writer: &mut Writer, files: &IndexFiles) -> anyhow::Result<()> {
        if writer.flushed_at.elapsed() >= FLUSH_INTERVAL {
            files.directory.flush()?;
            writer.flushed_at = Instant::now();
        }
        Ok(())
    }

    /// Commits the last writes, waits for merges, and writes everything to disk.
    fn close_writer(&self, writer: &mut Writer) -> anyhow::Result<()> {
        let files = self.files();
        if let Some(open) = self.finish_writes(writer, &files)? {
            open.wait_merging_threads()?;
            files.reader.reload()?;
            self.lists.retain(&files.reader.searcher());
        }
        files.directory.flush()?;
        writer.flushed_at = Instant::now();
        Ok(())
    }

    /// Commits the last writes; returns the writer if one was open.
    fn finish_writes(&self, writer: &mut Writer, files: &IndexFiles) -> anyhow::Result<Option<IndexWriter>> {
        let Some(mut open) = writer.open.take() else { return Ok(None) };
        if open.state.is_some() {
            self.set_committed(open.commit(files)?);
        }
        Ok(Some(open.writer))
    }

    /// Commits the last writes and writes everything to disk. Merges are abandoned; the next start makes up for them.
    fn close(&self) -> anyhow::Result<()> {
        let mut writer = self.writer();
        let files = self.files();
        drop(self.finish_writes(&mut writer, &files)?);
        files.directory.flush()?;
        remove_if_there(&self.folder.join(OPEN_FILE))?;
        Ok(())
    }

    fn idle(&self) -> anyhow::Result<()> {
        let mut writer = self.writer();
        match &writer.open {
            Some(open) if open.written_at.elapsed() >= WRITER_IDLE_TIME => self.close_writer(&mut writer),
            Some(_) => self.flush_if_due(&mut writer, &self.files()),
            None => Ok(()),
        }
    }

    /// Merges segments with removed messages. Their words then are no longer in any file.
    fn purge(&self) -> anyhow::Result<()> {
        let mut writer = self.writer();
        self.close_writer(&mut writer)?;
        let files = self.files();
        let segments: Vec<SegmentId> = files
            .index
            .searchable_segment_metas()?
            .into_iter()
            .filter(|segment| segment.num_deleted_docs() > 0)
            .map(|segment| segment.id())
            .collect();
        if segments.is_empty() {
            return Ok(());
        }
        let mut merger = files.open_writer(false)?;
        for segment in segments {
            merger.merge(&[segment]).wait()?;
        }
        merger.wait_merging_threads()?;
        files.reader.reload()?;
        self.lists.clear();
        files.directory.flush()?;
        Ok(())
    }

    fn clear(&self) -> anyhow::Result<()> {
        let mut writer = self.writer();
        writer.open = None;
        remove_content(&self.folder)?;
        let (files, committed) = IndexFiles::open(&self.folder)?;
        self.set_committed(committed);
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(files);
        self.lists.clear();
        Ok(())
    }

    /// Verifies the checksums of all files, and replaces the index if one is damaged.
    fn check_files(&self) {
        // Without a writer, no files are deleted meanwhile.
        let mut writer = self.writer();
        let checked = catch_panic(|| {
            self.close_writer(&mut writer)?;
            require_whole(&self.files().index)
        });
        drop(writer);
        if let Err(error) = checked {
            tracing::warn!(error = format!("{error:#}"), "search index damaged, building it again");
            if let Err(error) = self.clear() {
                tracing::error!(error = format!("{error:#}"), "failed to replace the search index");
            }
        }
    }
}

impl OpenWriter {
    fn add(&mut self, files: &IndexFiles, batch: Batch) -> anyhow::Result<()> {
        self.written_at = Instant::now();
        let committed = CommittedIds::open(&files.reader.searcher())?;
        for change in batch.changes {
            let id = change.id();
            if self.uncommitted.contains(&id) || committed.contain(id) {
                self.writer.delete_query(Box::new(query::with_id(id)))?;
            }
            if let Change::Put(document) = change {
                self.uncommitted.insert(id);
                self.writer.add_document(files.fields.document(document))?;
            }
        }
        for conversation in batch.removed_conversations {
            let id = schema::low_half(conversation);
            self.writer.delete_term(Term::from_field_u64(files.fields.conversation, id));
        }
        self.state = Some(batch.state);
        Ok(())
    }

    fn commit(&mut self, files: &IndexFiles) -> anyhow::Result<Option<IndexState>> {
        let state = self.state.take();
        let payload = serde_json::to_string(&Payload { version: VERSION, state: state.clone() })?;
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&payload);
        prepared.commit()?;
        files.reader.reload()?;
        self.uncommitted.clear();
        self.committed_at = Instant::now();
        Ok(state)
    }
}

/// Panic of tantivy, which panics for some invalid contents of files.
#[derive(Debug, thiserror::Error)]
#[error("search index panicked")]
struct Panicked;

fn catch_panic<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Panicked.into()))
}

/// True if damaged files of the index may be the cause of an error.
fn is_damage(error: &anyhow::Error) -> bool {
    let damage = error.downcast_ref::<TantivyError>();
    error.is::<Panicked>()
        || matches!(
            damage,
            Some(TantivyError::DataCorruption(_) | TantivyError::OpenReadError(_) | TantivyError::InternalError(_))
        )
}

/// Verifies the checksums of all files.
fn require_whole(index: &Index) -> anyhow::Result<()> {
    let damaged = index.validate_checksum()?;
    ensure!(damaged.is_empty(), "damaged files: {damaged:?}");
    Ok(())
}

fn read_state(index: &Index) -> anyhow::Result<Option<IndexState>> {
    let Some(payload) = index.load_metas()?.payload else { return Ok(None) };
    let payload: Payload = serde_json::from_str(&payload).context("unreadable state")?;
    ensure!(payload.version == VERSION, "version {} instead of {VERSION}", payload.version);
    Ok(payload.state)
}

/// Locks the first folder that no other instance uses.
fn lock_folder(parent: &Path) -> anyhow::Result<(PathBuf, File)> {
    for number in 0..MAX_INSTANCES {
        let folder = parent.join(number.to_string());
        private_folder::create(&folder)?;
        if let Some(lock) = try_lock(&folder)? {
            return Ok((folder, lock));
        }
    }
    anyhow::bail!("{} is used by {MAX_INSTANCES} instances", parent.display())
}

/// Locks a folder; `None` if an instance uses it.
fn try_lock(folder: &Path) -> io::Result<Option<File>> {
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK_FILE))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn remove_content(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if ![LOCK_FILE, OPEN_FILE].iter().any(|kept| name == *kept) {
            remove_if_there(&folder.join(name))?;
        }
    }
    Ok(())
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Index of an instance as it is on disk, which is up to 15 s older than in the instance.
#[derive(Clone, Debug)]
pub(crate) struct StoredIndex {
    pub messages: u64,
    pub state: Option<IndexState>,
}

/// Reads the indexes of the instances that use, or have used, this data folder. Verifies the files
/// of those that no instance uses.
pub(crate) fn stored(data_dir: &Path) -> anyhow::Result<Vec<StoredIndex>> {
    let mut found = Vec::new();
    for folder in folders(data_dir)? {
        let lock = try_lock(&folder)?;
        if !Index::exists(&MmapDirectory::open(&folder)?)? {
            continue;
        }
        found.push(catch_panic(|| {
            let index = Index::open(MmapDirectory::open(&folder)?)?;
            if lock.is_some() {
                require_whole(&index)?;
            }
            let messages = index.load_metas()?.segments.iter().map(|segment| u64::from(segment.num_docs())).sum();
            Ok(StoredIndex { messages, state: read_state(&index)? })
        })?);
    }
    Ok(found)
}

/// Removes the indexes that no instance uses.
pub(crate) fn remove_unused(data_dir: &Path) -> io::Result<()> {
    for file in FORMER_FILES {
        remove_if_there(&data_dir.join(file))?;
    }
    for folder in folders(data_dir)? {
        if let Some(_lock) = try_lock(&folder)? {
            fs::remove_dir_all(folder)?;
        }
    }
    Ok(())
}

fn folders(data_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let parent = data_dir.join(FOLDER);
    if !parent.exists() {
        return Ok(Vec::new());
    }
    let folders = fs::read_dir(parent)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(folders.into_iter().filter(|path| path.is_dir()).collect())
}
