//! The index, wherever it lies: in a file beside the SQLite database, or in tables of PostgreSQL.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ::search::{Batch, Candidate, Fill, Plan, SqliteIndex, Term};
use appcore::{AppError, config::Config};
use dbcontext::{Database, Transaction, constraint::app_error, query::search_index};
use uuid::Uuid;

/// In `server.data_dir`.
const FILE: &str = "search.db";

/// Where the index of an installation on SQLite lies.
#[must_use]
pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

#[derive(Clone)]
pub(super) enum Index {
    File(Arc<Files>),
    Tables(Box<Database>),
}

/// Whoever asks doesn't wait for what is being written.
pub(super) struct Files {
    writer: Mutex<SqliteIndex>,
    reader: Mutex<SqliteIndex>,
}

impl Index {
    pub fn open(config: &Config, db: &Database) -> anyhow::Result<Self> {
        if !db.is_sqlite() {
            return Ok(Self::Tables(Box::new(db.clone())));
        }
        let file = file(&config.server.data_dir);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let (writer, reader) = (SqliteIndex::open(&file)?, SqliteIndex::open(&file)?);
        Ok(Self::File(Arc::new(Files { writer: Mutex::new(writer), reader: Mutex::new(reader) })))
    }

    pub async fn candidates(&self, plan: Plan) -> Result<Vec<Candidate>, AppError> {
        match self {
            Self::File(files) => reading(files, move |index| index.candidates(&plan)).await,
            Self::Tables(db) => search_index::candidates(db.reader(), &plan).await,
        }
    }

    pub async fn terms_after(&self, number: i64) -> Result<Vec<Term>, AppError> {
        match self {
            Self::File(files) => reading(files, move |index| index.terms_after(number)).await,
            Self::Tables(db) => search_index::terms_after(db.reader(), number).await,
        }
    }

    pub async fn fill(&self) -> Result<Option<Fill>, AppError> {
        match self {
            Self::File(files) => reading(files, |index| index.fill()).await,
            Self::Tables(db) => search_index::fill(db.reader()).await,
        }
    }

    pub async fn messages(&self) -> Result<u64, AppError> {
        match self {
            Self::File(files) => reading(files, |index| index.messages()).await,
            Self::Tables(db) => search_index::messages(db.reader()).await,
        }
    }

    /// How far these conversations were read; those that never were may be left out.
    pub async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError> {
        match self {
            Self::File(files) => {
                reading(files, move |index| ids.into_iter().map(|id| Ok((id, index.position(id)?))).collect()).await
            }
            Self::Tables(db) => search_index::positions(db.reader(), &ids).await,
        }
    }

    /// Conversations that were read less far, or farther, than they have come, and their last events: some of them.
    pub async fn waiting(&self, db: &Database) -> Result<Vec<(Uuid, i64)>, AppError> {
        match self {
            Self::File(files) => {
                let heads = dbcontext::query::search::all_heads(db.reader()).await?;
                let read: std::collections::HashMap<Uuid, i64> =
                    reading(files, |index| index.positions()).await?.into_iter().collect();
                let is_waiting = |(id, head): &(Uuid, i64)| read.get(id).copied().unwrap_or(0) != *head;
                Ok(heads.into_iter().filter(is_waiting).collect())
            }
            Self::Tables(db) => search_index::waiting(db.reader(), 1_000).await,
        }
    }

    /// The right to write, until what is written is committed. None: another instance has it.
    pub async fn begin(&self) -> Result<Option<Writing>, AppError> {
        match self {
            Self::File(files) => Ok(Some(Writing::File(Arc::clone(files)))),
            Self::Tables(db) => {
                let tx = db.begin().await.map_err(app_error)?;
                if search_index::try_lock(&tx).await? {
                    return Ok(Some(Writing::Tables(Box::new(tx))));
                }
                tx.rollback().await.map_err(app_error)?;
                Ok(None)
            }
        }
    }

    /// Forgets everything, so that it is filled anew.
    pub async fn clear(&self) -> Result<(), AppError> {
        match self {
            Self::File(files) => writing(files, SqliteIndex::clear).await,
            Self::Tables(db) => {
                let tx = db.begin().await.map_err(app_error)?;
                search_index::clear(&tx).await?;
                tx.commit().await.map_err(app_error)
            }
        }
    }
}

pub(super) enum Writing {
    File(Arc<Files>),
    Tables(Box<Transaction>),
}

impl Writing {
    pub async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError> {
        match self {
            Self::File(files) => Index::File(Arc::clone(files)).positions(ids).await,
            Self::Tables(tx) => search_index::positions(tx.as_ref(), &ids).await,
        }
    }

    pub async fn fill(&self) -> Result<Option<Fill>, AppError> {
        match self {
            Self::File(files) => Index::File(Arc::clone(files)).fill().await,
            Self::Tables(tx) => search_index::fill(tx.as_ref()).await,
        }
    }

    pub async fn give_up(self) -> Result<(), AppError> {
        match self {
            Self::File(_) => Ok(()),
            Self::Tables(tx) => tx.rollback().await.map_err(app_error),
        }
    }

    pub async fn commit(self, batch: Batch) -> Result<(), AppError> {
        match self {
            Self::File(files) => writing(&files, move |index| index.apply(&batch)).await,
            Self::Tables(tx) => {
                search_index::apply(tx.as_ref(), &batch).await?;
                tx.commit().await.map_err(app_error)
            }
        }
    }
}

async fn reading<T: Send + 'static>(
    files: &Arc<Files>,
    read: impl FnOnce(&SqliteIndex) -> Result<T, ::search::Error> + Send + 'static,
) -> Result<T, AppError> {
    let files = Arc::clone(files);
    blocking(move || read(&files.reader.lock().unwrap_or_else(PoisonError::into_inner))).await
}

async fn writing<T: Send + 'static>(
    files: &Arc<Files>,
    write: impl FnOnce(&mut SqliteIndex) -> Result<T, ::search::Error> + Send + 'static,
) -> Result<T, AppError> {
    let files = Arc::clone(files);
    blocking(move || write(&mut files.writer.lock().unwrap_or_else(PoisonError::into_inner))).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ::search::Error> + Send + 'static,
) -> Result<T, AppError> {
    tokio::task::spawn_blocking(work).await.map_err(AppError::internal)?.map_err(AppError::unavailable)
}
