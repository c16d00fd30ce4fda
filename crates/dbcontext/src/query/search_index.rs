//! Full-text index of messages in PostgreSQL. Searches give the same results as with the index in a
//! SQLite file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ::search::{Atom, Batch, Candidate, Change, Document, FillState, MAX_TERMS, Plan, Term, postgres};
use appcore::AppError;
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;

use super::{
    raw,
    rows::{Column, Rows},
};
use crate::constraint::app_error;

/// Document number of the first indexed message. Lower numbers are used for older messages, which
/// are indexed later.
const FIRST_NUMBER: i64 = 1 << 40;
/// Number of hits up to which all hits are read, regardless of the number of messages.
const RARE_HITS: i64 = 10_000;
/// Reciprocal of a share of all messages. If at most this share of the messages are hits, all hits
/// are read.
const RARE_SHARE: i64 = 100;
/// Number of visible messages up to which the query filters by conversation. Above it, the search
/// first reads only about this many of the newest messages.
const WINDOW: i64 = 10_000;
/// Minimum number of hits among these newest messages. With fewer hits, the search continues with
/// older messages.
const MIN_HITS: usize = 100;
/// SQL subquery of the numbers of the searched conversations, from the first parameter. As a
/// subquery, the parameter is parsed once instead of once per row.
const NUMBERS: &str = "(SELECT unnest(CAST($1 AS text)::bigint[]))";
/// SQL expression for the words of a removed document `d`, one per line, without the lexemes that
/// encode filters.
const LEXEMES: &str = "array_to_string(ARRAY(SELECT lexeme FROM unnest(tsvector_to_array(d.words)) AS lexeme WHERE lexeme NOT LIKE '=%'), E'\\n')";
/// Key of the advisory lock that the index writer holds until the transaction ends.
const WRITER_LOCK: i64 = 0x6e61_7474_6572_0001;

/// Acquires the write lock of the index for this transaction; returns `false` if another instance holds it.
pub async fn try_lock<C: ConnectionTrait>(tx: &C) -> Result<bool, AppError> {
    #[derive(FromQueryResult)]
    struct Locked {
        is_locked: bool,
    }
    let sql = format!("SELECT pg_try_advisory_xact_lock({WRITER_LOCK}) AS is_locked");
    let found = raw::find_one::<_, Locked>(tx, sql, []).await?;
    Ok(found.is_some_and(|found| found.is_locked))
}

#[derive(FromQueryResult)]
struct Position {
    id: Uuid,
    seq: i64,
}

/// Returns up to which sequence number the logs of these conversations are indexed. Conversations
/// that were never indexed are left out.
pub async fn positions<C: ConnectionTrait>(db: &C, ids: &[Uuid]) -> Result<Vec<(Uuid, i64)>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().copied());
    let sql = format!("SELECT s.id, s.seq FROM {} JOIN search_conversations s ON s.id = w.id", asked.table());
    let found = asked.find::<_, Position>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.id, row.seq)).collect())
}

/// Returns the conversations whose indexed position differs from the end of their log, with the
/// sequence number of their last event.
pub async fn waiting<C: ConnectionTrait>(db: &C) -> Result<Vec<(Uuid, i64)>, AppError> {
    let sql = "SELECT c.id, c.last_seq AS seq FROM conversations c LEFT JOIN search_conversations s ON s.id = c.id \
               WHERE c.last_seq <> COALESCE(s.seq, 0)";
    let found = raw::find::<_, Position>(db, sql, []).await?;
    Ok(found.into_iter().map(|row| (row.id, row.seq)).collect())
}

/// Returns the progress of the initial fill; `None` if it has not started.
pub async fn fill<C: ConnectionTrait>(db: &C) -> Result<Option<FillState>, AppError> {
    #[derive(FromQueryResult)]
    struct FillRow {
        below: Uuid,
        is_done: bool,
    }
    let found = raw::find_one::<_, FillRow>(db, "SELECT below, is_done FROM search_fill", []).await?;
    Ok(found.map(|FillRow { below, is_done }| FillState { below, is_done }))
}

/// Number of indexed messages.
pub async fn messages<C: ConnectionTrait>(db: &C) -> Result<u64, AppError> {
    let sql = "SELECT COALESCE(SUM(messages), 0)::bigint AS count FROM search_conversations";
    let count: Option<i64> = raw::find_value(db, sql, []).await?;
    Ok(count.unwrap_or(0).unsigned_abs())
}

/// Clears the index so that it is filled again. Term numbers are not reused, so that caches of the
/// vocabulary load the new terms.
pub async fn clear<C: ConnectionTrait>(tx: &C) -> Result<(), AppError> {
    raw::run(tx, format!("SELECT pg_advisory_xact_lock({WRITER_LOCK})"), []).await?;
    let sql = "TRUNCATE search_documents, search_conversations, search_authors, search_terms, search_fill";
    raw::run(tx, sql, []).await
}

/// Makes the space of removed messages and terms reusable. Can't run in a transaction.
pub async fn vacuum<C: ConnectionTrait>(db: &C) -> Result<(), AppError> {
    // Skips the tables if another instance or autovacuum is already processing them.
    let sql = "VACUUM (SKIP_LOCKED) search_documents, search_terms";
    db.execute_unprepared(sql).await.map_err(app_error)?;
    Ok(())
}

/// Returns the number of deleted terms according to PostgreSQL's statistics, which lag by seconds
/// and restart at 0 when they are reset.
pub async fn deleted_terms<C: ConnectionTrait>(db: &C) -> Result<i64, AppError> {
    #[derive(FromQueryResult)]
    struct DeletedTerms {
        deleted: i64,
    }
    let sql = "SELECT n_tup_del AS deleted FROM pg_stat_user_tables WHERE relid = 'search_terms'::regclass";
    let found = raw::find_one::<_, DeletedTerms>(db, sql, []).await?;
    Ok(found.map_or(0, |row| row.deleted))
}

/// Returns the first [`TERMS`] terms with numbers above the given one.
pub async fn terms_after<C: ConnectionTrait>(db: &C, number: i64) -> Result<Vec<Term>, AppError> {
    #[derive(FromQueryResult)]
    struct TermRow {
        number: i64,
        term: String,
        df: i64,
    }
    let sql = format!("SELECT number, term, df FROM search_terms WHERE number > $1 ORDER BY number LIMIT {MAX_TERMS}");
    let found = raw::find::<_, TermRow>(db, sql, [number.into()]).await?;
    Ok(found.into_iter().map(|row| Term { number: row.number, text: row.term, count: row.df.unsigned_abs() }).collect())
}

/// Writes a batch. The transaction must hold the write lock of the index.
pub async fn apply<C: ConnectionTrait>(tx: &C, batch: &Batch) -> Result<(), AppError> {
    // Only the last operation of the batch on each message counts.
    let mut documents: BTreeMap<Uuid, Option<&Document>> = BTreeMap::new();
    let mut order = Vec::new();
    for change in &batch.changes {
        match change {
            Change::Upsert(document) => {
                documents.insert(document.message, Some(document));
                order.push(document.message);
            }
            Change::Remove(message) => {
                documents.insert(*message, None);
            }
        }
    }
    let mut seen = BTreeSet::new();
    let put: Vec<&Document> =
        order.iter().filter(|id| seen.insert(**id)).filter_map(|id| documents.get(id).copied().flatten()).collect();
    let ids = put.iter().map(|document| document.conversation);
    let ids: BTreeSet<Uuid> = ids.chain(batch.positions.iter().map(|(id, _)| *id)).collect();
    let conversations = numbers(tx, "search_conversations", "conv", &ids).await?;
    let ids = put.iter().filter_map(|document| document.author).collect();
    let authors = numbers(tx, "search_authors", "author", &ids).await?;
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    // Read before the removal, so that the numbers of removed documents are not given to other
    // messages.
    let mut next = next_number(tx, batch.is_older).await?;
    let (kept, mut gone) = remove(tx, documents.keys().copied(), &mut counts).await?;
    let mut terms: BTreeMap<&str, i64> = BTreeMap::new();
    let mut rows = Vec::with_capacity(put.len());
    for document in &put {
        let Some(&conv) = conversations.get(&document.conversation) else { continue };
        let author = document.author.and_then(|id| authors.get(&id).copied());
        // An edited message keeps its document number.
        let doc = kept.get(&document.message).copied().unwrap_or_else(|| {
            let free = next;
            next += if batch.is_older { -1 } else { 1 };
            free
        });
        let words = postgres::vector(&document.tokens, conv, author, document.has.iter().copied());
        let row =
            [doc.into(), document.message.into(), conv.into(), author.into(), document.created_at.into(), words.into()];
        rows.push(row);
        *counts.entry(conv).or_default() += 1;
        let all = document.tokens.words.iter().chain(&document.tokens.additional);
        for term in all.map(|token| token.term.as_str()).collect::<BTreeSet<_>>() {
            *terms.entry(term).or_default() += 1;
        }
    }
    let backend = tx.get_database_backend();
    if !rows.is_empty() {
        let columns = [
            Column::Int("doc"),
            Column::Uuid("message"),
            Column::Int("conv"),
            Column::Int("author"),
            Column::Int("created_at"),
            Column::Text("words"),
        ];
        let rows = Rows::new(backend, columns, rows);
        let sql = format!(
            "INSERT INTO search_documents (doc, message, conv, author, created_at, words) \
             SELECT w.doc, w.message, w.conv, w.author, w.created_at, w.words::tsvector FROM {}",
            rows.table()
        );
        rows.execute(tx, sql).await?;
    }
    if !terms.is_empty() {
        let columns = [Column::Text("term"), Column::Int("df")];
        let rows = terms.into_iter().map(|(term, df)| [term.to_owned().into(), df.into()]);
        let rows = Rows::new(backend, columns, rows);
        // Inserts only new terms, so that known ones don't use up numbers.
        let sql = format!(
            "WITH counted AS (SELECT w.term, w.df FROM {}), known AS \
               (UPDATE search_terms t SET df = t.df + c.df FROM counted c WHERE t.term = c.term RETURNING t.term) \
             INSERT INTO search_terms (term, df) SELECT c.term, c.df FROM counted c WHERE c.term NOT IN (SELECT term FROM known)",
            rows.table()
        );
        rows.execute(tx, sql).await?;
    }
    if !counts.is_empty() {
        let columns = [Column::Int("conv"), Column::Int("more")];
        let rows = Rows::new(backend, columns, counts.into_iter().map(|(conv, more)| [conv.into(), more.into()]));
        let sql = format!(
            "UPDATE search_conversations SET messages = messages + w.more FROM {} WHERE search_conversations.conv = w.conv",
            rows.table()
        );
        rows.execute(tx, sql).await?;
    }
    gone.extend(remove_conversations(tx, &batch.removed_conversations).await?);
    decrement_terms(tx, gone).await?;
    if !batch.positions.is_empty() {
        let columns = [Column::Uuid("id"), Column::Int("seq")];
        let positions = batch.positions.iter().map(|(id, seq)| [(*id).into(), (*seq).into()]);
        let rows = Rows::new(backend, columns, positions);
        let sql = format!(
            "UPDATE search_conversations SET seq = w.seq FROM {} WHERE search_conversations.id = w.id",
            rows.table()
        );
        rows.execute(tx, sql).await?;
    }
    if let Some(FillState { below, is_done }) = batch.fill {
        let sql = "INSERT INTO search_fill (one, below, is_done) VALUES (1, $1, $2) \
                   ON CONFLICT (one) DO UPDATE SET below = excluded.below, is_done = excluded.is_done";
        raw::run(tx, sql, [below.into(), is_done.into()]).await?;
    }
    Ok(())
}

/// Returns the numbers of these ids; assigns numbers to new ids.
async fn numbers<C: ConnectionTrait>(
    tx: &C,
    table: &str,
    column: &str,
    ids: &BTreeSet<Uuid>,
) -> Result<HashMap<Uuid, i64>, AppError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let asked = Rows::ids(tx.get_database_backend(), ids.iter().copied());
    let sql = format!(
        "INSERT INTO {table} (id) SELECT w.id FROM {} WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE t.id = w.id)",
        asked.table()
    );
    asked.execute(tx, sql).await?;
    let ids: Vec<Uuid> = ids.iter().copied().collect();
    existing_numbers(tx, table, column, &ids).await
}

async fn existing_numbers<C: ConnectionTrait>(
    db: &C,
    table: &str,
    column: &str,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, i64>, AppError> {
    #[derive(FromQueryResult)]
    struct NumberRow {
        id: Uuid,
        number: i64,
    }
    let asked = Rows::ids(db.get_database_backend(), ids.iter().copied());
    let sql = format!("SELECT t.id, t.{column} AS number FROM {} JOIN {table} t ON t.id = w.id", asked.table());
    let found = asked.find::<_, NumberRow>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.id, row.number)).collect())
}

/// Removes messages from the index; returns their document numbers and words.
async fn remove<C: ConnectionTrait>(
    tx: &C,
    messages: impl Iterator<Item = Uuid>,
    counts: &mut BTreeMap<i64, i64>,
) -> Result<(HashMap<Uuid, i64>, Vec<String>), AppError> {
    #[derive(FromQueryResult)]
    struct Removed {
        doc: i64,
        message: Uuid,
        conv: i64,
        terms: String,
    }
    let asked = Rows::ids(tx.get_database_backend(), messages);
    let sql = format!(
        "DELETE FROM search_documents d USING {} WHERE d.message = w.id RETURNING d.doc, d.message, d.conv, {LEXEMES} AS terms",
        asked.table()
    );
    let removed = asked.find::<_, Removed>(tx, sql).await?;
    for one in &removed {
        *counts.entry(one.conv).or_default() -= 1;
    }
    let places = removed.iter().map(|one| (one.message, one.doc)).collect();
    Ok((places, removed.into_iter().map(|one| one.terms).collect()))
}

/// Decrements the document frequencies of terms, and deletes terms that no document contains any
/// more.
async fn decrement_terms<C: ConnectionTrait>(tx: &C, documents: Vec<String>) -> Result<(), AppError> {
    let mut gone: BTreeMap<String, i64> = BTreeMap::new();
    for term in documents.iter().flat_map(|words| words.lines()) {
        *gone.entry(term.to_owned()).or_default() += 1;
    }
    if gone.is_empty() {
        return Ok(());
    }
    let columns = [Column::Text("term"), Column::Int("df")];
    let rows =
        Rows::new(tx.get_database_backend(), columns, gone.into_iter().map(|(term, df)| [term.into(), df.into()]));
    let sql = format!("UPDATE search_terms t SET df = t.df - w.df FROM {} WHERE t.term = w.term", rows.table());
    rows.execute(tx, sql).await?;
    let sql = format!("DELETE FROM search_terms t USING {} WHERE t.term = w.term AND t.df <= 0", rows.table());
    rows.execute(tx, sql).await.map(drop)
}

/// Returns the first free document number: at the end of the older messages, or of the newer ones.
async fn next_number<C: ConnectionTrait>(tx: &C, is_older: bool) -> Result<i64, AppError> {
    let sql = if is_older {
        format!("SELECT COALESCE(MIN(doc), {FIRST_NUMBER}) - 1 AS count FROM search_documents")
    } else {
        format!("SELECT COALESCE(MAX(doc) + 1, {FIRST_NUMBER}) AS count FROM search_documents")
    };
    Ok(raw::find_value(tx, sql, []).await?.unwrap_or(0))
}

/// Removes all messages of these conversations from the index; returns their words.
async fn remove_conversations<C: ConnectionTrait>(tx: &C, conversations: &[Uuid]) -> Result<Vec<String>, AppError> {
    #[derive(FromQueryResult)]
    struct Removed {
        terms: String,
    }
    let mut gone = Vec::new();
    for id in conversations {
        let sql = format!(
            "DELETE FROM search_documents d WHERE conv = (SELECT conv FROM search_conversations WHERE id = $1) RETURNING {LEXEMES} AS terms"
        );
        let removed = raw::find::<_, Removed>(tx, sql, [(*id).into()]).await?;
        gone.extend(removed.into_iter().map(|one| one.terms));
        raw::run(tx, "UPDATE search_conversations SET messages = 0 WHERE id = $1", [(*id).into()]).await?;
    }
    Ok(gone)
}

/// Returns the newest messages that may match, newest first.
pub async fn candidates<C: ConnectionTrait>(db: &C, plan: &Plan) -> Result<Vec<Candidate>, AppError> {
    let authors = async {
        let Some(authors) = &plan.authors else { return Ok::<_, AppError>(None) };
        let known = existing_numbers(db, "search_authors", "author", authors).await?;
        Ok(Some(known.into_values().collect::<Vec<i64>>()))
    };
    let terms = plan.terms();
    let (extent, authors, counts) =
        tokio::try_join!(SearchScope::read(db, &plan.conversations), authors, counts(db, &terms))?;
    if extent.conversations.is_empty() || authors.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let mut wanted: Vec<String> = plan.all.iter().map(|any| postgres::any(any)).collect();
    wanted.extend(authors.as_deref().map(postgres::authors));
    wanted.extend(plan.has.iter().map(|has| postgres::has(*has)));
    let SearchScope { all, visible, newest, conversations } = extent;
    let search = CandidateSearch { plan, conversations, conditions: wanted };
    let limit = i64::from(plan.limit);
    if search.conditions.is_empty() {
        return search.read(db, &AccessPath::Newest { goes_by_time: plan.scans_by_time(all, visible) }).await;
    }
    let most = plan.max_hits(&counts);
    if all < WINDOW || most.iter().flatten().any(|hits| *hits <= RARE_HITS.min(all / RARE_SHARE)) {
        return search.read(db, &AccessPath::Words).await;
    }
    if visible <= WINDOW {
        // For a prefix, the index would collect matching messages of all conversations. Reading all
        // messages of these few conversations is faster.
        let has_beginning = plan.all.iter().flatten().any(|atom| matches!(atom, Atom::Prefix(_)));
        return search.read(db, if has_beginning { &AccessPath::Since(0) } else { &AccessPath::ByConversation }).await;
    }
    let top = plan.below.unwrap_or(newest + 1);
    // Number of messages to read for enough hits, assuming that the terms are as frequent in these
    // conversations as overall; doubled for safety.
    let needed = (search.conditions.len() == most.len()).then(|| {
        let more = |needed: i64, hits: Option<i64>| Some(needed.saturating_mul(all) / hits?.max(1));
        most.into_iter().try_fold(limit.saturating_mul(2), more)
    });
    let few = needed
        .flatten()
        .filter(|needed| *needed < WINDOW)
        .map(|needed| (needed, usize::try_from(plan.limit).unwrap_or(usize::MAX)));
    for (messages, enough) in few.into_iter().chain([(WINDOW, MIN_HITS)]) {
        let window = messages.saturating_mul(all) / visible.max(1);
        let found = search.read(db, &AccessPath::Since(top.saturating_sub(window))).await?;
        if found.len() >= enough {
            return Ok(found);
        }
    }
    search.read(db, &AccessPath::Words).await
}

/// Searched conversations and their sizes.
struct SearchScope {
    /// Numbers of the conversations.
    conversations: Vec<i64>,
    /// Number of messages in these conversations.
    visible: i64,
    /// Approximate total number of messages.
    all: i64,
    /// Number of the newest document.
    newest: i64,
}

impl SearchScope {
    async fn read<C: ConnectionTrait>(db: &C, conversations: &[Uuid]) -> Result<Self, AppError> {
        #[derive(FromQueryResult)]
        struct PartRow {
            conv: i64,
            messages: i64,
            oldest: i64,
            newest: i64,
        }
        let asked = Rows::ids(db.get_database_backend(), conversations.iter().copied());
        let sql = format!(
            "SELECT s.conv, s.messages, (SELECT COALESCE(MIN(doc), 0) FROM search_documents) AS oldest, \
               (SELECT COALESCE(MAX(doc), 0) FROM search_documents) AS newest \
             FROM {} JOIN search_conversations s ON s.id = w.id",
            asked.table()
        );
        let rows = asked.find::<_, PartRow>(db, sql).await?;
        let (oldest, newest) = rows.first().map_or((0, 0), |row| (row.oldest, row.newest));
        Ok(Self {
            conversations: rows.iter().map(|row| row.conv).collect(),
            visible: rows.iter().map(|row| row.messages).sum(),
            all: newest - oldest + 1,
            newest,
        })
    }
}

/// Returns the document frequencies of these terms.
async fn counts<C: ConnectionTrait>(db: &C, terms: &BTreeSet<&str>) -> Result<HashMap<String, i64>, AppError> {
    #[derive(FromQueryResult)]
    struct TermCount {
        term: String,
        df: i64,
    }
    if terms.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = terms.iter().map(|term| [(*term).to_owned().into()]);
    let asked = Rows::new(db.get_database_backend(), [Column::Text("term")], rows);
    let sql = format!("SELECT t.term, t.df FROM {} JOIN search_terms t ON t.term = w.term", asked.table());
    let found = asked.find::<_, TermCount>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.term, row.df)).collect())
}

struct CandidateSearch<'a> {
    plan: &'a Plan,
    conversations: Vec<i64>,
    conditions: Vec<String>,
}

/// Way in which a query reads the index.
enum AccessPath {
    /// Used without terms. Reads the newest messages, either of all conversations until there are
    /// enough hits, or of the searched conversations only.
    Newest { goes_by_time: bool },
    /// Reads all messages that contain the terms.
    Words,
    /// Includes the conversations in the full-text query.
    ByConversation,
    /// Reads the messages from this document number on, and matches the terms against each.
    Since(i64),
}

impl CandidateSearch<'_> {
    async fn read<C: ConnectionTrait>(&self, db: &C, way: &AccessPath) -> Result<Vec<Candidate>, AppError> {
        #[derive(FromQueryResult)]
        struct DocumentRow {
            doc: i64,
            message: Uuid,
            conversation: Uuid,
            author: Option<Uuid>,
            created_at: i64,
        }
        let plan = self.plan;
        let mut values: Vec<Value> = vec![array(&self.conversations).into()];
        let mut conditions = vec![match way {
            // The `+ 0` hides the index from the planner, which then scans in the order of document
            // numbers.
            AccessPath::Newest { goes_by_time: true } => format!("conv + 0 = ANY(ARRAY{NUMBERS})"),
            // Makes the planner use the index on conversation and number. Otherwise it would scan
            // all messages if most of them are recent enough.
            AccessPath::Newest { goes_by_time: false } | AccessPath::Since(_) => format!("conv = ANY(ARRAY{NUMBERS})"),
            // Looks up the conversation of each message found.
            AccessPath::Words | AccessPath::ByConversation => format!("conv IN {NUMBERS}"),
        }];
        let mut wanted = self.conditions.clone();
        if matches!(way, AccessPath::ByConversation) {
            wanted.push(postgres::conversations(&self.conversations));
        }
        let mut condition = |text: &str, value: Value| {
            values.push(value);
            conditions.push(text.replace("{}", &format!("${}", values.len())));
        };
        for (text, bound) in
            [("created_at >= {}", plan.from), ("created_at < {}", plan.until), ("doc < {}", plan.below)]
        {
            if let Some(bound) = bound {
                condition(text, bound.into());
            }
        }
        if let AccessPath::Since(first) = way {
            condition("doc >= {}", (*first).into());
        }
        if !plan.none.is_empty() {
            condition("NOT words @@ CAST({} AS text)::tsquery", postgres::any(&plan.none).into());
        }
        let end = format!("ORDER BY doc DESC LIMIT {}", plan.limit);
        let columns = "doc, message, conv, author, created_at";
        let conditions = conditions.join(" AND ");
        // `OFFSET 0` keeps the planner from merging the subquery into the query and choosing
        // another index.
        let hits = match way {
            AccessPath::Newest { .. } => format!("SELECT {columns} FROM search_documents WHERE {conditions} {end}"),
            AccessPath::Words | AccessPath::ByConversation => {
                values.push(postgres::all(&wanted).into());
                format!(
                    "SELECT {columns} FROM (SELECT * FROM search_documents WHERE words @@ CAST(${} AS text)::tsquery OFFSET 0) a \
                     WHERE {conditions} {end}",
                    values.len()
                )
            }
            AccessPath::Since(_) => {
                values.push(postgres::all(&wanted).into());
                format!(
                    "SELECT {columns} FROM (SELECT * FROM search_documents WHERE {conditions} OFFSET 0) a \
                     WHERE words @@ CAST(${} AS text)::tsquery {end}",
                    values.len()
                )
            }
        };
        let sql = format!(
            "WITH h AS MATERIALIZED ({hits}) SELECT h.doc, h.message, c.id AS conversation, u.id AS author, h.created_at FROM h \
             JOIN search_conversations c ON c.conv = h.conv LEFT JOIN search_authors u ON u.author = h.author ORDER BY h.doc DESC"
        );
        let found = raw::find::<_, DocumentRow>(db, sql, values).await?;
        let candidate = |row: DocumentRow| Candidate {
            number: row.doc,
            message: row.message,
            conversation: row.conversation,
            author: row.author,
            created_at: row.created_at,
        };
        Ok(found.into_iter().map(candidate).collect())
    }
}

/// Encodes an array literal of PostgreSQL.
fn array(numbers: &[i64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}
