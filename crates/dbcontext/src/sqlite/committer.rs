//! Commits groups of messages, on a thread of its own and with a connection of its own.
//!
//! A connection of the pool has a thread too, and hands each statement's result over by itself: a lone message woke the writer four times,
//! two of them only to wait for a lock. Here a whole transaction is one question and one answer.

use std::{
    path::Path,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

use rusqlite::{
    Connection, Result, ToSql, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use tokio::sync::oneshot;

use super::write_lock::Turn;
use crate::query::{Field, Piece};

/// Statements that are kept prepared: more than there are kinds.
const PREPARED: usize = 100;

#[derive(Clone, Debug)]
pub(crate) struct Committer {
    orders: Sender<Order>,
}

enum Order {
    Commit { pieces: Vec<Piece>, turn: Turn, done: oneshot::Sender<Result<()>> },
    Close { done: oneshot::Sender<()> },
}

impl Committer {
    /// `settings` are pragmas.
    pub fn open(file: &Path, busy_timeout: Duration, settings: &str) -> anyhow::Result<Self> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(busy_timeout)?;
        connection.execute_batch(settings)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        let (orders, taken) = mpsc::channel();
        thread::Builder::new().name("sqlite-commit".to_owned()).spawn(move || work(connection, &taken))?;
        Ok(Self { orders })
    }

    /// Executes all of `pieces` or none of them. What has begun is brought to an end also when nobody waits for it any more.
    pub async fn commit(&self, pieces: Vec<Piece>, turn: Turn) -> anyhow::Result<Result<()>> {
        let (done, outcome) = oneshot::channel();
        self.orders.send(Order::Commit { pieces, turn, done }).map_err(|_| Closed)?;
        Ok(outcome.await.map_err(|_| Closed)?)
    }

    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.orders.send(Order::Close { done }).is_ok() {
            // It says nothing where it has ended already.
            let _ = closed.await;
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the connection by which SQLite commits is closed")]
struct Closed;

fn work(connection: Connection, orders: &Receiver<Order>) {
    for order in orders {
        match order {
            Order::Commit { pieces, turn, done } => {
                let result = commit(&connection, &pieces);
                drop(turn);
                // Whoever gave up waiting finds out by asking again.
                let _ = done.send(result);
            }
            Order::Close { done } => {
                drop(connection);
                let _ = done.send(());
                return;
            }
        }
    }
}

fn commit(connection: &Connection, pieces: &[Piece]) -> Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let executed = execute(connection, pieces);
    if executed.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    executed
}

fn execute(connection: &Connection, pieces: &[Piece]) -> Result<()> {
    for piece in pieces {
        connection.prepare_cached(piece.sql())?.execute(params_from_iter(piece.values()))?;
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

    use sea_orm::{ConnectionTrait as _, DatabaseBackend};

    use crate::{
        Database,
        query::{groups::Claim, pieces::Change, rows::Column},
    };

    static INSERT: Change<1> = Change::insert("things", [Column::Int("id")]);

    /// A database with a table of things.
    async fn open(folder: &tempfile::TempDir) -> (Database, PathBuf) {
        let file = folder.path().join("natter.db");
        let db = Database::connect(&format!("sqlite://{}", file.display()), 1).await.unwrap();
        db.writer().execute_unprepared("CREATE TABLE things (id INTEGER PRIMARY KEY)").await.unwrap();
        (db, file)
    }

    async fn insert(db: &Database, ids: &[i64]) -> Claim {
        let piece = |id: &i64| INSERT.piece(DatabaseBackend::Sqlite, [[(*id).into()]]).unwrap();
        db.sqlite().unwrap().commit(ids.iter().map(piece).collect()).await.unwrap()
    }

    #[tokio::test]
    async fn a_group_that_can_not_be_stored_leaves_nothing_and_keeps_nobody_else_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let (db, _) = open(&folder).await;
        assert_eq!(insert(&db, &[1, 2]).await, Claim::Executed);
        assert_eq!(insert(&db, &[3, 2]).await, Claim::Repeated);
        assert_eq!(insert(&db, &[3]).await, Claim::Executed);
        db.begin().await.unwrap().commit().await.unwrap();
    }

    #[tokio::test]
    async fn beside_groups_without_a_pause_others_come_to_their_turn() {
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
    async fn when_all_is_closed_the_log_is_in_the_file() {
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
