//! Index in a separate SQLite file: an FTS5 table with the words from [`tokens`](crate::tokens),
//! and the document numbers of messages.
//!
//! The file can be deleted at any time: if it is missing or has another version, it is created
//! again and filled with the existing messages.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, fs, io, os::unix::fs::OpenOptionsExt as _, path::Path};

use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, ToSql, Transaction, TransactionBehavior, params, params_from_iter,
};
use uuid::Uuid;

use crate::{
    dictionary::Term,
    index::{Batch, Candidate, Change, Document, FillState, MAX_TERMS, Plan},
    query::{Atom, Has},
};

/// Version of the index file. Must be incremented with every change of the tokenizer or of the
/// indexed content.
const VERSION: i64 = 4;
/// Document number of the first indexed message. Lower numbers are used for older messages, which
/// are indexed later.
const FIRST_NUMBER: i64 = 1 << 40;
/// Cost of including the conversations in the full-text query, measured in scanned messages. It is
/// this number per conversation, plus one per [`MESSAGES_PER_COST`] of its messages. Determined
/// with an index of a million messages.
const CONVERSATION_COST: i64 = 64;
const MESSAGES_PER_COST: i64 = 4;

/// Number of steps of SQLite's virtual machine between two checks of the deadline.
const STEPS_PER_CHECK: i32 = 1_000;

/// SQL statement with its parameters.
type CandidateStatement = (String, Vec<Box<dyn ToSql>>);

const SCHEMA: &str = "
    CREATE VIRTUAL TABLE words USING fts5(body, others, scope, content='', contentless_delete=1, tokenize='ascii');
    CREATE TABLE documents(doc INTEGER PRIMARY KEY, message BLOB NOT NULL UNIQUE, conv INTEGER NOT NULL, author INTEGER, created_at INTEGER NOT NULL);
    CREATE TABLE conversations(conv INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, seq INTEGER NOT NULL DEFAULT 0, messages INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE authors(author INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);
    CREATE TABLE terms(number INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE, df INTEGER NOT NULL);
    CREATE TABLE fill(one INTEGER PRIMARY KEY CHECK (one = 1), below BLOB NOT NULL, is_done INTEGER NOT NULL);
    CREATE TABLE removed(one INTEGER PRIMARY KEY CHECK (one = 1), documents INTEGER NOT NULL);
    CREATE INDEX documents_conv ON documents(conv, doc);";
const TABLES: [&str; 6] = ["documents", "conversations", "authors", "terms", "fill", "removed"];
/// Number of pages of the full-text index that a purge merges per transaction.
const PURGE_PAGES: i32 = 500;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to open search index: {0}")]
    File(#[from] io::Error),
    #[error("search index failed: {0}")]
    Database(#[from] rusqlite::Error),
}

impl Error {
    /// True if the error means that the file can be read but its content is invalid.
    fn is_about_content(&self) -> bool {
        let Self::Database(error) = self else { return false };
        !matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }
}

/// Index in a SQLite file. Its methods block the thread.
#[derive(Debug)]
pub struct SqliteIndex {
    connection: Connection,
}

impl SqliteIndex {
    /// Opens the file; creates it if it is missing, has another version or is corrupt.
    pub fn open(file: &Path) -> Result<Self, Error> {
        match open_existing(file) {
            Ok(Some(connection)) => return Ok(Self { connection }),
            Ok(None) => {}
            // A file that is in use by another process is not corrupt.
            Err(error) if !error.is_about_content() => return Err(error),
            Err(error) => tracing::warn!(%error, "search index file corrupt, rebuilding it"),
        }
        for end in ["", "-wal", "-shm"] {
            let mut name = file.as_os_str().to_owned();
            name.push(end);
            match fs::remove_file(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let mut index = Self { connection: connect(file)? };
        let made = index.begin()?;
        made.execute_batch(SCHEMA)?;
        made.pragma_update(None, "user_version", VERSION)?;
        made.commit()?;
        Ok(index)
    }

    /// Begins a transaction that holds the write lock. A transaction that first reads and then
    /// writes would fail if another connection has written in between.
    fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// Writes a batch atomically.
    pub fn apply(&mut self, batch: &Batch) -> Result<(), Error> {
        let tx = self.begin()?;
        for change in &batch.changes {
            match change {
                Change::Upsert(document) => insert(&tx, document, batch.is_older)?,
                Change::Remove(message) => {
                    remove(&tx, *message)?;
                }
            }
        }
        for conversation in &batch.removed_conversations {
            remove_conversation(&tx, *conversation)?;
        }
        for (conversation, seq) in &batch.positions {
            let sql =
                "INSERT INTO conversations (id, seq) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq";
            tx.prepare_cached(sql)?.execute(params![conversation.as_bytes(), seq])?;
        }
        if let Some(FillState { below, is_done }) = batch.fill {
            tx.execute(
                "REPLACE INTO fill (one, below, is_done) VALUES (1, ?1, ?2)",
                params![below.as_bytes(), is_done],
            )?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Clears the index so that it is filled again.
    pub fn clear(&mut self) -> Result<(), Error> {
        let tx = self.begin()?;
        tx.execute("INSERT INTO words (words) VALUES ('delete-all')", [])?;
        for table in TABLES {
            tx.execute(&format!("DELETE FROM {table}"), [])?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Returns the number of messages removed or changed since the last [purge](Self::purge_terms).
    pub fn removed(&self) -> Result<i64, Error> {
        let mut read = self.connection.prepare_cached("SELECT documents FROM removed")?;
        Ok(read.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Merges a part of the full-text index. The merge erases the words of removed messages, which
    /// FTS5 until then only marks as removed. Returns `false` if nothing is left to merge. The
    /// first step of a purge requests a merge of the whole index.
    pub fn purge_step(&mut self, is_first: bool) -> Result<bool, Error> {
        let pages = if is_first { -PURGE_PAGES } else { PURGE_PAGES };
        let tx = self.begin()?;
        let before = tx.total_changes();
        tx.execute("INSERT INTO words (words, rank) VALUES ('merge', ?1)", [pages])?;
        // According to FTS5's documentation, fewer than two changes mean that nothing was merged.
        let is_merged = tx.total_changes() - before >= 2;
        tx.commit()?;
        Ok(is_merged)
    }

    /// Finishes a purge: deletes words that no message contains, corrects the document frequencies,
    /// and truncates the write-ahead log. `removed` is the result of [`removed`](Self::removed)
    /// before the first step. Messages that were removed since then are left for the next purge.
    pub fn purge_terms(&mut self, removed: i64) -> Result<(), Error> {
        self.connection
            .execute_batch("CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab(main, words, row)")?;
        let tx = self.begin()?;
        tx.execute("DELETE FROM terms WHERE term NOT IN (SELECT term FROM temp.vocabulary)", [])?;
        let sql = "UPDATE terms SET df = v.doc FROM temp.vocabulary v WHERE v.term = terms.term AND v.doc <> terms.df";
        tx.execute(sql, [])?;
        tx.execute("DELETE FROM removed WHERE documents = ?1", [removed])?;
        tx.commit()?;
        // A reader may block the truncation; the next checkpoint then truncates the log.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Returns the state of the initial fill; `None` if it has not started.
    pub fn fill(&self) -> Result<Option<FillState>, Error> {
        let mut read = self.connection.prepare_cached("SELECT below, is_done FROM fill")?;
        let fill =
            |row: &rusqlite::Row<'_>| Ok(FillState { below: Uuid::from_bytes(row.get(0)?), is_done: row.get(1)? });
        Ok(read.query_row([], fill).optional()?)
    }

    /// Returns the number of indexed messages.
    pub fn messages(&self) -> Result<u64, Error> {
        let sql = "SELECT COALESCE(SUM(messages), 0) FROM conversations";
        let count: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// Returns up to which sequence number the log of a conversation is indexed.
    pub fn position(&self, conversation: Uuid) -> Result<i64, Error> {
        let mut read = self.connection.prepare_cached("SELECT seq FROM conversations WHERE id = ?1")?;
        Ok(read.query_row([conversation.as_bytes()], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Returns up to which sequence number the log of each conversation is indexed.
    pub fn positions(&self) -> Result<Vec<(Uuid, i64)>, Error> {
        let mut read = self.connection.prepare_cached("SELECT id, seq FROM conversations")?;
        let rows = read.query_map([], |row| Ok((Uuid::from_bytes(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the first [`TERMS`] words with numbers above the given one.
    pub fn terms_after(&self, number: i64) -> Result<Vec<Term>, Error> {
        let sql = format!("SELECT number, term, df FROM terms WHERE number > ?1 ORDER BY number LIMIT {MAX_TERMS}");
        let mut read = self.connection.prepare_cached(&sql)?;
        let rows = read.query_map([number], |row| {
            let count: i64 = row.get(2)?;
            Ok(Term { number: row.get(0)?, text: row.get(1)?, count: count.unsigned_abs() })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the newest messages that may match, newest first. Returns none if the plan's
    /// deadline passes.
    pub fn candidates(&self, plan: &Plan) -> Result<Vec<Candidate>, Error> {
        let deadline = plan.deadline;
        self.connection.progress_handler(STEPS_PER_CHECK, Some(move || deadline.has_passed()))?;
        let found = self.find(plan);
        self.connection.progress_handler(STEPS_PER_CHECK, None::<fn() -> bool>)?;
        match found {
            Err(Error::Database(error)) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                Ok(Vec::new())
            }
            found => found,
        }
    }

    fn find(&self, plan: &Plan) -> Result<Vec<Candidate>, Error> {
        let Some((sql, values)) = self.candidate_statement(plan)? else { return Ok(Vec::new()) };
        let mut read = self.connection.prepare_cached(&sql)?;
        let rows = read.query_map(params_from_iter(values.iter().map(AsRef::as_ref)), |row| {
            Ok(Candidate {
                number: row.get(0)?,
                message: Uuid::from_bytes(row.get(1)?),
                conversation: Uuid::from_bytes(row.get(2)?),
                author: row.get::<_, Option<[u8; 16]>>(3)?.map(Uuid::from_bytes),
                created_at: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Builds the statement that finds the candidates; `None` if there can't be any.
    fn candidate_statement(&self, plan: &Plan) -> Result<Option<CandidateStatement>, Error> {
        let conversations = self.numbers("conversations", "conv", &plan.conversations)?;
        let authors = plan.authors.as_ref().map(|authors| self.numbers("authors", "author", authors)).transpose()?;
        if conversations.is_empty() || authors.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        let mut wanted: Vec<String> = plan.all.iter().map(|any| in_text(any)).collect();
        wanted.extend(authors.map(|authors| in_scope(authors.iter().map(|author| format!("a{author}")))));
        wanted.extend(plan.has.iter().map(|has| in_scope([flag(*has).to_owned()].into_iter())));
        let extent = self.extent(&conversations)?;
        let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(list(&conversations))];
        let (from, conv) = if wanted.is_empty() {
            // The `+` hides the index on the column from SQLite, which would otherwise read by
            // conversation.
            let conv = if plan.scans_by_time(extent.all, extent.named) { "+d.conv" } else { "d.conv" };
            ("documents d JOIN conversations c ON c.conv = d.conv", conv)
        } else {
            // FTS5 yields matches from the newest on, so the query can stop when there are enough.
            // In a subquery, or if the planner could choose the order, SQLite would first collect
            // all matches.
            let from =
                "words CROSS JOIN documents d ON d.doc = words.rowid CROSS JOIN conversations c ON c.conv = d.conv";
            (from, "d.conv")
        };
        let number = if wanted.is_empty() { "d.doc" } else { "words.rowid" };
        let mut sql = format!(
            "SELECT d.doc, d.message, c.id, a.id, d.created_at FROM {from} LEFT JOIN authors a ON a.author = d.author \
             WHERE {conv} IN (SELECT value FROM json_each(?1))"
        );
        let mut condition = |text: &str, value: Box<dyn ToSql>| {
            values.push(value);
            sql.push_str(&text.replace("{}", &format!("?{}", values.len())));
        };
        let unwanted = (!plan.none.is_empty()).then(|| in_text(&plan.none));
        if wanted.is_empty() {
            if let Some(unwanted) = unwanted {
                condition(" AND d.doc NOT IN (SELECT rowid FROM words WHERE words MATCH {})", Box::new(unwanted));
            }
        } else {
            if !self.is_global_scan_cheaper(plan, &extent)? {
                wanted.push(in_scope(conversations.iter().map(|conversation| format!("c{conversation}"))));
            }
            let unwanted = unwanted.map(|unwanted| format!(" NOT {unwanted}")).unwrap_or_default();
            condition(" AND words MATCH {}", Box::new(format!("({}){unwanted}", wanted.join(" AND "))));
        }
        for (text, bound) in [(" AND d.created_at >= {}", plan.from), (" AND d.created_at < {}", plan.until)] {
            if let Some(bound) = bound {
                condition(text, Box::new(bound));
            }
        }
        if let Some(below) = plan.below {
            condition(&format!(" AND {number} < {{}}"), Box::new(below));
        }
        condition(&format!(" ORDER BY {number} DESC LIMIT {{}}"), Box::new(plan.limit));
        Ok(Some((sql, values)))
    }

    fn extent(&self, conversations: &[i64]) -> Result<Extent, Error> {
        let sql = "SELECT COALESCE((SELECT MAX(doc) FROM documents) - (SELECT MIN(doc) FROM documents) + 1, 0), \
                   (SELECT COALESCE(SUM(messages), 0) FROM conversations WHERE conv IN (SELECT value FROM json_each(?1)))";
        let mut read = self.connection.prepare_cached(sql)?;
        let extent = |row: &rusqlite::Row<'_>| {
            let conversations = i64::try_from(conversations.len()).unwrap_or(i64::MAX);
            Ok(Extent { all: row.get(0)?, named: row.get(1)?, conversations })
        };
        Ok(read.query_row([list(conversations)], extent)?)
    }

    /// True if scanning the matches in all conversations is cheaper than including the
    /// conversations in the full-text query.
    fn is_global_scan_cheaper(&self, plan: &Plan, extent: &Extent) -> Result<bool, Error> {
        let most =
            extent.conversations.saturating_mul(CONVERSATION_COST).saturating_add(extent.named / MESSAGES_PER_COST);
        if plan.estimated_scan(extent.all, extent.named) <= most {
            return Ok(true);
        }
        let mut read = self.connection.prepare_cached("SELECT df FROM terms WHERE term = ?1")?;
        let mut counts = HashMap::new();
        for term in plan.terms() {
            let count: Option<i64> = read.query_row([term], |row| row.get(0)).optional()?;
            counts.extend(count.map(|count| (term.to_owned(), count)));
        }
        Ok(plan.max_hits(&counts).into_iter().flatten().any(|hits| hits <= most))
    }

    fn numbers(&self, table: &str, column: &str, ids: &[Uuid]) -> Result<Vec<i64>, Error> {
        let mut read = self.connection.prepare_cached(&format!("SELECT {column} FROM {table} WHERE id = ?1"))?;
        let mut numbers = Vec::with_capacity(ids.len());
        for id in ids {
            numbers.extend(read.query_row([id.as_bytes()], |row| row.get::<_, i64>(0)).optional()?);
        }
        Ok(numbers)
    }
}

/// Message counts that decide between the ways to search.
struct Extent {
    /// Estimated number of all messages; never too low.
    all: i64,
    /// Number of messages in the searched conversations.
    named: i64,
    conversations: i64,
}

/// Opens the index file; returns `None` if it doesn't have the current version.
fn open_existing(file: &Path) -> Result<Option<Connection>, Error> {
    let connection = connect(file)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok((version == VERSION).then_some(connection))
}

/// Opens the file with permissions for its owner only, because it contains words of private messages.
fn connect(file: &Path) -> Result<Connection, Error> {
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    let connection = Connection::open(file)?;
    // Waits for locks, because a command-line tool may write at the same time as the server.
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    // Doesn't sync each commit: changes that a power failure loses are read from the event log
    // again.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; PRAGMA temp_store = memory",
    )?;
    Ok(connection)
}

fn insert(tx: &Transaction<'_>, document: &Document, is_older: bool) -> Result<(), Error> {
    // An edited message keeps its document number.
    let number = match remove(tx, document.message)? {
        Some(number) => number,
        None => tx
            .prepare_cached(if is_older {
                "SELECT COALESCE(MIN(doc), ?1) - 1 FROM documents"
            } else {
                "SELECT COALESCE(MAX(doc) + 1, ?1) FROM documents"
            })?
            .query_row([FIRST_NUMBER], |row| row.get(0))?,
    };
    let sql = "INSERT INTO conversations (id, messages) VALUES (?1, 1) ON CONFLICT (id) DO UPDATE SET messages = messages + 1 RETURNING conv";
    let conv: i64 = tx.prepare_cached(sql)?.query_row([document.conversation.as_bytes()], |row| row.get(0))?;
    let sql = "INSERT INTO authors (id) VALUES (?1) ON CONFLICT (id) DO UPDATE SET id = id RETURNING author";
    let author: Option<i64> = match document.author {
        Some(author) => Some(tx.prepare_cached(sql)?.query_row([author.as_bytes()], |row| row.get(0))?),
        None => None,
    };
    tx.prepare_cached("INSERT INTO documents (doc, message, conv, author, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![number, document.message.as_bytes(), conv, author, document.created_at])?;
    let joined = |tokens: &[crate::Token]| tokens.iter().map(|token| token.term.as_str()).collect::<Vec<_>>().join(" ");
    let mut scope = format!("c{conv}");
    scope.extend(author.map(|author| format!(" a{author}")));
    scope.extend(document.has.iter().map(|has| format!(" {}", flag(*has))));
    tx.prepare_cached("INSERT INTO words (rowid, body, others, scope) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        number,
        joined(&document.tokens.words),
        joined(&document.tokens.additional),
        scope
    ])?;
    let all = document.tokens.words.iter().chain(&document.tokens.additional);
    let terms: std::collections::BTreeSet<&str> = all.map(|token| token.term.as_str()).collect();
    let sql = "INSERT INTO terms (term, df) VALUES (?1, 1) ON CONFLICT (term) DO UPDATE SET df = df + 1";
    let mut count = tx.prepare_cached(sql)?;
    for term in terms {
        count.execute([term])?;
    }
    Ok(())
}

/// Removes a message; returns its document number, if it was indexed.
fn remove(tx: &Transaction<'_>, message: Uuid) -> Result<Option<i64>, Error> {
    let mut delete = tx.prepare_cached("DELETE FROM documents WHERE message = ?1 RETURNING doc, conv")?;
    let found = delete.query_row([message.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((number, conv)): Option<(i64, i64)> = found else { return Ok(None) };
    tx.prepare_cached("DELETE FROM words WHERE rowid = ?1")?.execute([number])?;
    tx.prepare_cached("UPDATE conversations SET messages = messages - 1 WHERE conv = ?1")?.execute([conv])?;
    record_removed(tx, 1)?;
    Ok(Some(number))
}

fn record_removed(tx: &Transaction<'_>, documents: i64) -> Result<(), Error> {
    if documents > 0 {
        let sql = "INSERT INTO removed (one, documents) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET documents = documents + excluded.documents";
        tx.prepare_cached(sql)?.execute([documents])?;
    }
    Ok(())
}

fn remove_conversation(tx: &Transaction<'_>, conversation: Uuid) -> Result<(), Error> {
    let sql = "SELECT d.doc FROM documents d JOIN conversations c ON c.conv = d.conv WHERE c.id = ?1";
    let mut read = tx.prepare_cached(sql)?;
    let numbers: Vec<i64> =
        read.query_map([conversation.as_bytes()], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?;
    record_removed(tx, i64::try_from(numbers.len()).unwrap_or(i64::MAX))?;
    for number in numbers {
        tx.prepare_cached("DELETE FROM words WHERE rowid = ?1")?.execute([number])?;
        tx.prepare_cached("DELETE FROM documents WHERE doc = ?1")?.execute([number])?;
    }
    tx.execute("UPDATE conversations SET messages = 0 WHERE id = ?1", [conversation.as_bytes()])?;
    Ok(())
}

fn in_text(any: &[Atom]) -> String {
    let any: Vec<String> = any.iter().map(encode).collect();
    format!("({})", any.join(" OR "))
}

fn in_scope(terms: impl Iterator<Item = String>) -> String {
    let terms: Vec<String> = terms.map(|term| format!("\"{term}\"")).collect();
    format!("(scope : ({}))", terms.join(" OR "))
}

/// Encodes an atom for FTS5. Terms consist of letters and digits only, so quoting them is safe.
/// Phrases match only the column `body`, because adjacent tokens of the column `others` are not
/// adjacent in the text.
fn encode(atom: &Atom) -> String {
    match atom {
        Atom::Word(word) => format!("({{body others}} : \"{word}\")"),
        Atom::Prefix(beginning) => format!("({{body others}} : \"{beginning}\" *)"),
        Atom::Phrase { terms, is_open } => {
            format!("(body : \"{}\"{})", terms.join(" "), if *is_open { " *" } else { "" })
        }
    }
}

const fn flag(has: Has) -> &'static str {
    match has {
        Has::File => "f",
        Has::Image => "i",
        Has::Link => "l",
        Has::Voice => "v",
    }
}

fn list(numbers: &[i64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("[{}]", numbers.join(","))
}
