//! Index in a separate SQLite file.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use ::search::{Batch, Candidate, FillState, Plan, SqliteIndex, Term};
use appcore::{AppError, private_folder};
use async_trait::async_trait;
use dbcontext::Database;
use uuid::Uuid;

use super::{IndexWriter, SearchIndex};

/// Number of concurrent readers.
const READERS: usize = 4;

#[derive(Clone)]
pub(super) struct FileIndex(Arc<FileConnections>);

/// Connections to the file. There are several readers, so that queries don't wait for writes and rarely for other
/// queries.
struct FileConnections {
    writer: Mutex<SqliteIndex>,
    readers: Vec<Mutex<SqliteIndex>>,
    /// Index of the reader to wait for if none is free.
    next: AtomicUsize,
}

impl FileConnections {
    fn read<T>(&self, read: impl FnOnce(&SqliteIndex) -> T) -> T {
        for reader in &self.readers {
            match reader.try_lock() {
                Ok(free) => return read(&free),
                Err(TryLockError::Poisoned(free)) => return read(&free.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let next = self.next.fetch_add(1, Relaxed) % self.readers.len();
        read(&self.readers[next].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl FileIndex {
    pub fn open(file: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = file.parent() {
            private_folder::create(folder)?;
        }
        let writer = Mutex::new(SqliteIndex::open(file)?);
        let readers = (0..READERS).map(|_| SqliteIndex::open(file).map(Mutex::new)).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(FileConnections { writer, readers, next: AtomicUsize::new(0) })))
    }

    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&SqliteIndex) -> Result<T, ::search::Error> + Send + 'static,
    ) -> Result<T, AppError> {
        let files = Arc::clone(&self.0);
        blocking(move || files.read(read)).await
    }

    async fn writing<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut SqliteIndex) -> Result<T, ::search::Error> + Send + 'static,
    ) -> Result<T, AppError> {
        let files = Arc::clone(&self.0);
        blocking(move || write(&mut files.writer.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

#[async_trait]
impl SearchIndex for FileIndex {
    async fn candidates(&self, plan: Plan) -> Result<Vec<Candidate>, AppError> {
        self.reading(move |index| index.candidates(&plan)).await
    }

    async fn terms_after(&self, number: i64) -> Result<Vec<Term>, AppError> {
        self.reading(move |index| index.terms_after(number)).await
    }

    async fn fill_state(&self) -> Result<Option<FillState>, AppError> {
        self.reading(SqliteIndex::fill).await
    }

    async fn messages(&self) -> Result<u64, AppError> {
        self.reading(SqliteIndex::messages).await
    }

    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError> {
        self.reading(move |index| ids.into_iter().map(|id| Ok((id, index.position(id)?))).collect()).await
    }

    async fn incomplete_conversations(&self, db: &Database) -> Result<Vec<(Uuid, i64)>, AppError> {
        let read = self.reading(SqliteIndex::positions).await?;
        super::incomplete(db, read).await
    }

    async fn acquire_writer(&self) -> Result<Option<Box<dyn IndexWriter>>, AppError> {
        Ok(Some(Box::new(self.clone())))
    }

    async fn clear(&self) -> Result<(), AppError> {
        self.writing(SqliteIndex::clear).await
    }

    /// Purges in steps, so that messages can be written in between.
    async fn purge(&self) -> Result<bool, AppError> {
        let removed = self.reading(SqliteIndex::removed).await?;
        if removed == 0 {
            return Ok(false);
        }
        let mut is_first = true;
        while self.writing(move |index| index.purge_step(is_first)).await? {
            is_first = false;
        }
        self.writing(move |index| index.purge_terms(removed)).await?;
        Ok(true)
    }
}

#[async_trait]
impl IndexWriter for FileIndex {
    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError> {
        SearchIndex::positions(self, ids).await
    }

    async fn fill_state(&self) -> Result<Option<FillState>, AppError> {
        SearchIndex::fill_state(self).await
    }

    async fn abort(self: Box<Self>) -> Result<(), AppError> {
        Ok(())
    }

    async fn commit(self: Box<Self>, batch: Batch) -> Result<(), AppError> {
        self.writing(move |index| index.apply(&batch)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ::search::Error> + Send + 'static,
) -> Result<T, AppError> {
    tokio::task::spawn_blocking(work).await.map_err(AppError::internal)?.map_err(AppError::unavailable)
}
