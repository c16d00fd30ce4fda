//! SQLite's FTS5 alone: the same messages with FTS5's own tokenizer, called within the process.
//! There is no HTTP, no message text, no scoring and no tolerance of typos.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::corpus::{CONVERSATIONS, Corpus};

/// Number of messages per transaction.
const BATCH: u64 = 1_000;
/// Maximum number of hits of a search.
pub const HITS: u32 = 500;

pub struct Bare {
    connection: Connection,
    pub built_in: Duration,
    pub bytes: u64,
}

impl Bare {
    /// Builds the index in this folder. `wide` are the conversations to search.
    pub fn build(folder: &Path, messages: u64, wide: &[usize]) -> anyhow::Result<Self> {
        let file = folder.join("bare.db");
        let mut connection = Connection::open(&file)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
             CREATE VIRTUAL TABLE words USING fts5(body, content='', tokenize='unicode61 remove_diacritics 2'); \
             CREATE TABLE documents(doc INTEGER PRIMARY KEY, conv INTEGER NOT NULL); \
             CREATE TABLE wide(conv INTEGER PRIMARY KEY)",
        )?;
        for rank in wide.iter().filter(|rank| **rank < CONVERSATIONS) {
            connection.execute("INSERT INTO wide (conv) VALUES (?1)", [i64::try_from(*rank)?])?;
        }
        let (begun, mut corpus, mut made) = (Instant::now(), Corpus::new(), 0);
        while made < messages {
            let tx = connection.transaction()?;
            for number in made..messages.min(made + BATCH) {
                let (said, doc) = (corpus.say(), i64::try_from(number)?);
                tx.prepare_cached("INSERT INTO words (rowid, body) VALUES (?1, ?2)")?
                    .execute(params![doc, said.text])?;
                tx.prepare_cached("INSERT INTO documents (doc, conv) VALUES (?1, ?2)")?
                    .execute(params![doc, i64::try_from(said.conversation)?])?;
            }
            tx.commit()?;
            made += BATCH;
        }
        let built_in = begun.elapsed();
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let bytes = std::fs::metadata(&file)?.len();
        Ok(Self { connection, built_in, bytes })
    }

    /// Searches for the newest hits in these conversations and returns the latency.
    pub fn search(&self, question: &str) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let sql = "SELECT d.doc FROM words w JOIN documents d ON d.doc = w.rowid JOIN wide c ON c.conv = d.conv \
                   WHERE words MATCH ?1 ORDER BY w.rowid DESC LIMIT ?2";
        let mut read = self.connection.prepare_cached(sql)?;
        let hits =
            read.query_map(params![question, HITS], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?;
        std::hint::black_box(hits);
        Ok(begun.elapsed())
    }
}
