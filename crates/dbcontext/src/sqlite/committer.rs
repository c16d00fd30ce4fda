//! Thread that commits batches of messages over its own connection.
//!
//! A pooled connection also has a thread, but it returns the result of each statement separately: a
//! single message woke the writer four times, twice only because it waited for a lock. Here a whole
//! transaction is one request and one response.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, SendError, Sender},
    },
    thread,
    time::Duration,
};

use rusqlite::{
    Connection, Result, ToSql, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use tokio::sync::oneshot;

use super::write_lock::WriteGuard;
use crate::statement::{Field, Piece};

/// Capacity of the statement cache; greater than the number of distinct statements.
const STATEMENT_CACHE_CAPACITY: usize = 100;

#[derive(Clone, Debug)]
pub(crate) struct Committer {
    opener: ConnectionOpener,
    /// Channel to the thread; `None` once the committer is closed.
    commands: Arc<Mutex<Option<Sender<CommitterCommand>>>>,
}

/// Parameters for opening a connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionOpener {
    pub file: PathBuf,
    pub busy_timeout: Duration,
    /// Pragmas that are executed when the connection is opened.
    pub settings: String,
}

impl ConnectionOpener {
    fn open(&self) -> Result<Connection> {
        let connection = Connection::open(&self.file)?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.execute_batch(&self.settings)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_CAPACITY);
        Ok(connection)
    }

    /// Opens a connection and starts its thread, which ends when the sender is dropped.
    fn start(&self) -> anyhow::Result<Sender<CommitterCommand>> {
        let (connection, opener) = (self.open()?, self.clone());
        let (orders, taken) = mpsc::channel();
        thread::Builder::new().name("sqlite-commit".to_owned()).spawn(move || run(connection, &opener, &taken))?;
        Ok(orders)
    }
}

enum CommitterCommand {
    Commit {
        pieces: Vec<Piece>,
        turn: WriteGuard,
        done: oneshot::Sender<Result<()>>,
    },
    Close {
        done: oneshot::Sender<()>,
    },
    #[cfg(test)]
    Run(fn(&Connection)),
}

impl Committer {
    pub fn open(opener: ConnectionOpener) -> anyhow::Result<Self> {
        let orders = opener.start()?;
        Ok(Self { opener, commands: Arc::new(Mutex::new(Some(orders))) })
    }

    /// Executes either all `pieces` or none of them. Once started, a commit runs to completion even
    /// if the caller is dropped.
    pub async fn commit(&self, pieces: Vec<Piece>, turn: WriteGuard) -> anyhow::Result<Result<()>> {
        let (done, outcome) = oneshot::channel();
        self.send(CommitterCommand::Commit { pieces, turn, done })?;
        Ok(outcome.await.map_err(|_| Closed)?)
    }

    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let orders = self.commands.lock().unwrap_or_else(PoisonError::into_inner).take();
        if orders.is_some_and(|orders| orders.send(CommitterCommand::Close { done }).is_ok()) {
            // If the thread has already ended, the sender is dropped without a message.
            let _ = closed.await;
        }
    }

    /// Sends a command to the thread. Starts a new thread if the old one has died.
    fn send(&self, order: CommitterCommand) -> anyhow::Result<()> {
        let mut orders = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = orders.as_mut().ok_or(Closed)?;
        let Err(SendError(order)) = sender.send(order) else { return Ok(()) };
        tracing::error!("SQLite commit thread died, starting a new one");
        *sender = self.opener.start()?;
        Ok(sender.send(order).map_err(|_| Closed)?)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("SQLite commit connection is closed")]
struct Closed;

fn run(mut connection: Connection, opener: &ConnectionOpener, orders: &Receiver<CommitterCommand>) {
    for order in orders {
        match order {
            CommitterCommand::Commit { pieces, turn, done } => {
                let result = commit(&mut connection, opener, &pieces);
                drop(turn);
                // The send fails if the caller was dropped.
                let _ = done.send(result);
            }
            CommitterCommand::Close { done } => {
                drop(connection);
                let _ = done.send(());
                return;
            }
            #[cfg(test)]
            CommitterCommand::Run(function) => function(&connection),
        }
    }
}

fn commit(connection: &mut Connection, opener: &ConnectionOpener, pieces: &[Piece]) -> Result<()> {
    if !connection.is_autocommit() {
        // A transaction that cannot be rolled back would block every later one; SQLite rolls it back when its
        // connection is closed.
        tracing::error!("SQLite transaction left open, replacing the connection");
        *connection = opener.open()?;
    }
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let executed = execute(connection, pieces);
    if executed.is_err()
        && !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "failed to roll back SQLite transaction");
    }
    executed
}

fn execute(connection: &Connection, pieces: &[Piece]) -> Result<()> {
    for piece in pieces {
        let (sql, times) = piece.steps();
        let mut statement = connection.prepare_cached(sql)?;
        for values in times {
            statement.execute(params_from_iter(values))?;
        }
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

impl ToSql for Field {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Uuid(id) => ValueRef::Blob(id.as_bytes()),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Bool(flag) => ValueRef::Integer(i64::from(*flag)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::PathBuf,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use sea_orm::ConnectionTrait as _;

    use super::{CommitterCommand, Connection};
    use crate::{
        Database,
        sqlite::CommitOutcome,
        statement::{pieces::Change, rows::Column},
    };

    static INSERT: Change<1> = Change::insert("things", [Column::Int("id")]);

    /// Opens a database with the table `things`.
    async fn open(folder: &tempfile::TempDir) -> (Database, PathBuf) {
        let file = folder.path().join("natter.db");
        let db = Database::connect(&format!("sqlite://{}", file.display()), 1).await.unwrap();
        db.writer().execute_unprepared("CREATE TABLE things (id INTEGER PRIMARY KEY)").await.unwrap();
        (db, file)
    }

    async fn insert(db: &Database, ids: &[i64]) -> CommitOutcome {
        let piece = |id: &i64| INSERT.piece([[(*id).into()]]);
        db.sqlite().unwrap().commit(ids.iter().map(piece).collect()).await.unwrap()
    }

    #[tokio::test]
    async fn a_failed_batch_writes_nothing_and_does_not_block_others() {
        let folder = tempfile::tempdir().unwrap();
        let (db, _) = open(&folder).await;
        assert_eq!(insert(&db, &[1, 2]).await, CommitOutcome::Executed);
        assert_eq!(insert(&db, &[3, 2]).await, CommitOutcome::Duplicate);
        assert_eq!(insert(&db, &[3]).await, CommitOutcome::Executed);
        db.begin().await.unwrap().commit().await.unwrap();
    }

    #[tokio::test]
    async fn replaces_a_dead_commit_thread() {
        let folder = tempfile::tempdir().unwrap();
        let (db, _) = open(&folder).await;
        assert_eq!(insert(&db, &[1]).await, CommitOutcome::Executed);
        db.sqlite().unwrap().committer.send(CommitterCommand::Run(|_| panic!("simulated defect"))).unwrap();
        // The command that detects the dead thread may be lost; later ones are not.
        let piece = || INSERT.piece([[2.into()]]);
        let first = db.sqlite().unwrap().commit(vec![piece()]).await;
        if first.is_err() {
            assert_eq!(insert(&db, &[2]).await, CommitOutcome::Executed);
        }
        assert_eq!(insert(&db, &[3]).await, CommitOutcome::Executed);
    }

    #[tokio::test]
    async fn recovers_from_a_transaction_left_open() {
        let folder = tempfile::tempdir().unwrap();
        let (db, _) = open(&folder).await;
        let leave_open = |connection: &Connection| connection.execute_batch("BEGIN").unwrap();
        db.sqlite().unwrap().committer.send(CommitterCommand::Run(leave_open)).unwrap();
        assert_eq!(insert(&db, &[1]).await, CommitOutcome::Executed);
    }

    #[tokio::test]
    async fn continuous_batches_do_not_starve_other_writers() {
        const OTHERS: usize = 50;
        let folder = tempfile::tempdir().unwrap();
        let (db, _) = open(&folder).await;
        let committed = Arc::new(AtomicUsize::new(0));
        let committing = tokio::spawn({
            let (db, committed) = (db.clone(), Arc::clone(&committed));
            async move {
                for id in 0.. {
                    insert(&db, &[id]).await;
                    committed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        while committed.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..OTHERS {
            let before = committed.load(Ordering::Relaxed);
            db.writer().execute_unprepared("UPDATE things SET id = id WHERE id = 0").await.unwrap();
            let transaction = db.begin().await.unwrap();
            transaction.execute_unprepared("DELETE FROM things WHERE id = 0").await.unwrap();
            transaction.commit().await.unwrap();
            let meanwhile = committed.load(Ordering::Relaxed) - before;
            assert!(meanwhile <= 4, "{meanwhile} groups went before two that came before them");
        }
        committing.abort();
    }

    #[tokio::test]
    async fn closing_checkpoints_the_log_into_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (db, file) = open(&folder).await;
        insert(&db, &[1]).await;
        let log = file.with_extension("db-wal");
        assert!(log.exists());
        let late = db.clone();
        db.close().await.unwrap();
        assert!(!log.exists());
        let refused = late.sqlite().unwrap().commit(Vec::new()).await;
        assert!(matches!(refused, Err(appcore::AppError::Unavailable(_))), "{refused:?}");
    }
}
