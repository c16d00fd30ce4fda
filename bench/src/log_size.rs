//! Reads of messages and events in partitioned tables of different sizes. The conversations of all
//! sizes have equally many messages, so each read returns the same number of rows.

use std::time::Instant;

use appcore::{ConversationId, Timestamp};
use clap::Args;
use dbcontext::{
    Database,
    query::{events, messages, messages::History},
};
use support::{PostgresServer, Setup, TestDatabase, wait_until};
use uuid::Uuid;

/// Number of reads of each kind that are measured, after as many that aren't.
const READS: u64 = 2_000;
/// Number of months that the rows are spread over, which is the number of partitions that have any.
const MONTHS: u64 = 12;
/// Rows per conversation with little traffic. One in ten conversations has ten times as many.
const ROWS_PER_CONVERSATION: u64 = 526;
const DAY_MILLIS: i64 = 86_400_000;

#[derive(Args)]
pub struct LogSize {
    /// Numbers of rows of each table.
    #[arg(long = "log-rows", value_delimiter = ',', default_values_t = [200_000, 20_000_000])]
    rows: Vec<u64>,
    /// Measures tables without partitions.
    #[arg(long = "log-plain")]
    is_plain: bool,
    /// Measures this database, which an earlier run has filled with the first of these numbers of
    /// rows.
    #[arg(long = "log-database")]
    database: Option<String>,
}

/// Size of the tables.
#[derive(Clone, Copy)]
struct Size {
    /// Conversations with little traffic.
    quiet: u64,
    /// Conversations with ten times as much.
    busy: u64,
}

impl Size {
    fn of(rows: u64) -> Self {
        let busy = (rows / ROWS_PER_CONVERSATION / 19).max(1);
        Self { quiet: busy * 9, busy }
    }

    /// Rows that have one message of each quiet conversation.
    const fn round(self) -> u64 {
        self.quiet + self.busy * 10
    }

    const fn rows(self) -> u64 {
        self.round() * ROWS_PER_CONVERSATION
    }

    /// Conversation of a row, and its last sequence number.
    const fn conversation(self, row: u64) -> (ConversationId, i64) {
        let place = row % self.round();
        let (number, rows) = if place < self.quiet {
            (place, ROWS_PER_CONVERSATION)
        } else {
            (self.quiet + (place - self.quiet) % self.busy, ROWS_PER_CONVERSATION * 10)
        };
        (ConversationId(Uuid::from_u128((spread(number) << 96) | number as u128)), rows as i64)
    }
}

/// Scatters conversations over the index, as random ids do.
const fn spread(number: u64) -> u128 {
    (number * 2_654_435_761 % (1 << 32)) as u128
}

pub fn measure(size: &LogSize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("| rows | last 50 | the 50 before | three days | 20 events since N |");
    println!("|---|---|---|---|---|");
    if let (Some(url), Some(rows)) = (&size.database, size.rows.first()) {
        return runtime.block_on(read(url, Size::of(*rows)));
    }
    for rows in &size.rows {
        runtime.block_on(measure_size(Size::of(*rows), size.is_plain))?;
    }
    Ok(())
}

async fn measure_size(size: Size, is_plain: bool) -> anyhow::Result<()> {
    let server = PostgresServer::start();
    let partitions = if is_plain { "none" } else { "monthly" };
    let mut app =
        Setup::new().database(&server.url()).from_nothing().set("database.partitions", partitions).start().await;
    if !is_plain {
        let attached = "SELECT COUNT(*) FROM pg_inherits WHERE inhparent IN ('messages'::regclass, 'conversation_events'::regclass)";
        wait_until("the tables are partitioned", async || app.database.number(attached).await >= 6).await;
    }
    app.instances[0].terminate().await;
    let begun = Instant::now();
    fill(&app.database, size, is_plain).await;
    eprintln!("{} rows in each table after {:?}", size.rows(), begun.elapsed());
    read(&server.url(), size).await
}

/// Measures the reads of a filled database.
async fn read(url: &str, size: Size) -> anyhow::Result<()> {
    let filled = TestDatabase::of_a_server(url.to_owned());
    let start = filled.number("SELECT MIN(created_at) FROM conversation_events").await;
    let end = filled.number("SELECT MAX(created_at) FROM conversation_events").await;
    let database = Database::connect(url, 2).await?;
    let db = database.reader();
    let row = |turn: u64| (turn * 7_919 + 13) % size.rows();
    let newest = async |turn| {
        let (id, _) = size.conversation(row(turn));
        messages::history(db, id, History { limit: 50, ..History::default() }).await.map(|(found, _)| found.len())
    };
    let before = async |turn| {
        let (id, last) = size.conversation(row(turn));
        let seq = last - i64::try_from(turn).unwrap_or_default() % (last - 100);
        let part = History { before_seq: Some(seq), limit: 50, ..History::default() };
        messages::history(db, id, part).await.map(|(found, _)| found.len())
    };
    let span = async |turn| {
        let (id, _) = size.conversation(row(turn));
        let from = start + (end - start - 4 * DAY_MILLIS) / 1_000 * (i64::try_from(turn).unwrap_or_default() % 1_000);
        let to = Some(Timestamp(from + 3 * DAY_MILLIS));
        let part = History { from: Some(Timestamp(from)), to, limit: 200, ..History::default() };
        messages::history(db, id, part).await.map(|(found, _)| found.len())
    };
    let since = async |turn| {
        let (id, last) = size.conversation(row(turn));
        events::list_after(db, id, last - 20, 100).await.map(|found| found.len())
    };
    let figures = [timed(newest).await?, timed(before).await?, timed(span).await?, timed(since).await?].join(" | ");
    println!("| {} | {figures} |", size.rows());
    database.close().await?;
    Ok(())
}

/// Median, 95th percentile and average number of rows of a kind of read.
async fn timed<E: std::fmt::Debug>(read_rows: impl AsyncFn(u64) -> Result<usize, E>) -> anyhow::Result<String> {
    let (mut times, mut rows) = (Vec::new(), 0);
    for turn in 0..2 * READS {
        let begun = Instant::now();
        let found = read_rows(turn % READS).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        if turn >= READS {
            times.push(begun.elapsed());
            rows += found;
        }
    }
    times.sort_unstable();
    let millis = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1_000.0;
    Ok(format!("{:.2} / {:.2} ms ({} rows)", millis(50), millis(95), rows / times.len()))
}

/// Fills both tables in the order of time, as writers do.
async fn fill(database: &TestDatabase, size: Size, is_plain: bool) {
    let month = |ago: u64| {
        format!(
            "SELECT (EXTRACT(EPOCH FROM date_trunc('month', now() AT TIME ZONE 'UTC') - interval '{ago} months') * 1000)::bigint"
        )
    };
    let start = database.number(&month(MONTHS - 1)).await;
    let end = database.number("SELECT (EXTRACT(EPOCH FROM now()) * 1000)::bigint").await;
    if !is_plain {
        database.run(&split(MONTHS)).await;
    }
    database
        .run(
            "INSERT INTO users (id, email, display_name, search_name, role, created_at, updated_at, is_deleted) \
             SELECT md5('u' || n)::uuid, n || '@example.test', 'Person ' || n, 'person ' || n, 'user', 0, 0, FALSE \
             FROM generate_series(0, 99) n",
        )
        .await;
    let Size { quiet, busy } = size;
    let (round, rows) = (size.round(), size.rows());
    let part = (rows / MONTHS / 4).max(round);
    for first in (0..rows).step_by(usize::try_from(part).unwrap_or(usize::MAX)) {
        let last = (first + part).min(rows) - 1;
        let rows = format!(
            "WITH placed AS (SELECT n, {start} + (n * ({end} - {start})::numeric / {rows})::bigint AS at, n / {round} AS r, n % {round} AS p \
               FROM generate_series({first}::bigint, {last}) n), \
             numbered AS (SELECT n, at, CASE WHEN p < {quiet} THEN p ELSE {quiet} + (p - {quiet}) % {busy} END AS k, \
               CASE WHEN p < {quiet} THEN r + 1 ELSE r * 10 + (p - {quiet}) / {busy} + 1 END AS seq FROM placed), \
             g AS (SELECT n, at, seq, (lpad(to_hex(k * 2654435761 % 4294967296), 8, '0') || lpad(to_hex(k), 24, '0'))::uuid AS conversation FROM numbered)"
        );
        database
            .run(&format!(
                "{rows} INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) \
                 SELECT conversation, seq, 'message.created', repeat(md5(n::text), 6), at FROM g"
            ))
            .await;
        database
            .run(&format!(
                "{rows} INSERT INTO messages (id, conversation_id, seq, no, sender_kind, sender_id, client_id, content, status, created_at) \
                 SELECT (lpad(to_hex(at), 12, '0') || '7' || substr(md5(n::text), 1, 19))::uuid, conversation, seq, seq, 'user', \
                   md5('u' || n % 100)::uuid, md5('k' || n), repeat(md5(n::text), 4), 'complete', at FROM g"
            ))
            .await;
    }
    database.run("VACUUM ANALYZE messages").await;
    database.run("VACUUM ANALYZE conversation_events").await;
}

/// Divides the first partition of both tables, which are still empty, into months up to its end.
fn split(months: u64) -> String {
    format!(
        "DO $$ DECLARE part text; field text; place int; low timestamp; high timestamp; bounds text[]; BEGIN \
           FOR part, field IN VALUES ('messages', 'id'), ('conversation_events', 'created_at') LOOP \
             EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', part, part || '_before'); \
             FOR place IN -{months} .. 1 LOOP \
               low := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => place); high := low + interval '1 month'; \
               bounds := ARRAY[(EXTRACT(EPOCH FROM low) * 1000)::bigint::text, (EXTRACT(EPOCH FROM high) * 1000)::bigint::text]; \
               IF field = 'id' THEN \
                 bounds := ARRAY[(rpad(lpad(to_hex(bounds[1]::bigint), 12, '0'), 32, '0'))::uuid::text, (rpad(lpad(to_hex(bounds[2]::bigint), 12, '0'), 32, '0'))::uuid::text]; \
               END IF; \
               IF place = -{months} THEN \
                 EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', part, part || '_before', bounds[2]); \
               ELSE \
                 EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part || '_month' || place + {months}, part || '_default'); \
                 EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, part || '_month' || place + {months}, bounds[1], bounds[2]); \
               END IF; \
             END LOOP; \
           END LOOP; END $$"
    )
}
