//! Search in a million messages, on both databases, while messages are written. Measures the
//! latency by class of query and by the share of messages that the user may read, the tolerance of
//! typos, and the cost of the index. FTS5 and tantivy alone are measured for comparison.
//!
//! The corpus is [generated](corpus). Latencies are measured at the client, one search after the
//! other.

mod bare;
pub mod corpus;
mod tantivy_alone;
mod world;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use support::{Engine, Member, Value};
use tokio::time::MissedTickBehavior;

use bare::Bare;
use corpus::{Corpus, PEOPLE, Random, mistyped};
use tantivy_alone::Tantivy;
use world::{Searcher, World};

use crate::machine::{self, mebibytes};

/// File of the report in the documentation folder.
const REPORT: &str = "benchmark-search.md";
/// Messages that are written per second during the searches.
const WRITTEN: u64 = 500;
const WRITERS: u64 = 8;
/// Number of searches at the start that are not measured.
const WARM_UP: usize = 10;
/// Promised latency, in milliseconds.
const GOAL_MS: f64 = 50.0;
const GOAL_TYPOS: f64 = 0.95;
const GOAL_MEMORY: u64 = 64 << 20;

#[derive(Args, Clone, Debug)]
pub struct SearchSize {
    /// Number of searched messages.
    #[arg(long, default_value_t = 1_000_000)]
    pub messages: u64,
    /// Number of searches per class and user.
    #[arg(long, default_value_t = 100)]
    pub searches: usize,
    /// Number of words with a typo.
    #[arg(long, default_value_t = 500)]
    pub typos: usize,
    /// Databases to measure; both by default.
    #[arg(long = "search-on", value_delimiter = ',')]
    pub on: Vec<Database>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    pub const fn engine(self) -> Engine {
        match self {
            Self::Sqlite => Engine::Sqlite,
            Self::Postgres => Engine::Postgres,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Class of queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Rare,
    Common,
    TwoWords,
    Phrase,
    Prefix,
    Typo,
    Filtered,
}

impl Class {
    const ALL: [Self; 7] =
        [Self::Rare, Self::Common, Self::TwoWords, Self::Phrase, Self::Prefix, Self::Typo, Self::Filtered];

    const fn name(self) -> &'static str {
        match self {
            Self::Rare => "a rare word (in up to 50)",
            Self::Common => "one of the 17 most frequent words",
            Self::TwoWords => "two words",
            Self::Phrase => "a phrase of two words",
            Self::Prefix => "a prefix of a word",
            Self::Typo => "a word with a typo",
            Self::Filtered => "a word, by one author, from the last six months",
        }
    }

    /// Returns the query in FTS5's syntax; `None` if FTS5 doesn't support it or it isn't compared.
    fn for_bare(self, q: &str) -> Option<String> {
        let quoted = |word: &str| format!("\"{}\"", word.replace('"', ""));
        match self {
            Self::Rare | Self::Common => Some(quoted(q.trim())),
            Self::TwoWords => Some(q.split_whitespace().map(quoted).collect::<Vec<_>>().join(" AND ")),
            Self::Phrase => Some(quoted(q)),
            Self::Prefix => Some(format!("{} *", quoted(q))),
            Self::Typo | Self::Filtered => None,
        }
    }
}

/// Search query with its filters.
struct Question {
    q: String,
    author: Option<usize>,
}

/// Generator of queries that have results.
struct Questions<'a> {
    world: &'a World,
    common: Vec<&'a str>,
    random: Random,
}

impl<'a> Questions<'a> {
    fn new(world: &'a World) -> Self {
        let mut words: Vec<(&str, u32)> =
            world.corpus.counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        words.sort_unstable_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
        let common = words.iter().take(17).map(|(word, _)| *word).collect();
        Self { world, common, random: Random::new(7) }
    }

    /// Returns the words of a random message that the user may read.
    fn text(&mut self, searcher: &Searcher) -> anyhow::Result<Vec<&'a str>> {
        for _ in 0..1_000_000 {
            let at = usize::try_from(self.random.below(self.world.sample.len() as u64))?;
            let (rank, text) = &self.world.sample[at];
            if searcher.ranks.contains(rank) {
                return Ok(text.split(' ').collect());
            }
        }
        anyhow::bail!("{} has nothing in the sample", searcher.name)
    }

    /// Returns a word that consists of letters, has such a document frequency and occurs in a
    /// message that the user may read.
    fn word(&mut self, searcher: &Searcher, counts: std::ops::Range<u32>, letters: usize) -> anyhow::Result<&'a str> {
        for _ in 0..100_000 {
            for word in self.text(searcher)? {
                let count = self.world.corpus.counts.get(word).copied().unwrap_or_default();
                if counts.contains(&count) && word.chars().count() >= letters && word.chars().all(char::is_alphabetic) {
                    return Ok(word);
                }
            }
        }
        anyhow::bail!("{} has no word with a document frequency in {counts:?}", searcher.name)
    }

    fn make(&mut self, class: Class, searcher: &Searcher) -> anyhow::Result<Question> {
        // A space at the end marks the last word as complete.
        let q = match class {
            Class::Rare => format!("{} ", self.word(searcher, 1..51, 3)?),
            Class::Common => format!("{} ", self.random.one(&self.common)),
            Class::TwoWords => {
                let words = self.text(searcher)?;
                format!("{} {} ", words[0], words[words.len() - 1])
            }
            Class::Phrase => {
                let words = self.text(searcher)?;
                format!("\"{} {}\"", words[1], words[2])
            }
            Class::Prefix => self.word(searcher, 1..u32::MAX, 6)?.chars().take(4).collect(),
            Class::Typo => format!("{} ", mistyped(self.word(searcher, 2..u32::MAX, 5)?, &mut self.random)),
            Class::Filtered => format!("{} ", self.word(searcher, 2..u32::MAX, 3)?),
        };
        let author = (class == Class::Filtered).then(|| self.random.rank(PEOPLE as u64));
        Ok(Question { q, author: author.map(usize::try_from).transpose()? })
    }

    /// Makes searches of one class, one after the other.
    async fn search_all(&mut self, class: Class, searcher: &Searcher, searches: usize) -> anyhow::Result<Searches> {
        let mut made = Searches { took: Vec::with_capacity(searches), hits: 0, queries: Vec::new() };
        for number in 0..WARM_UP + searches {
            let question = self.make(class, searcher)?;
            let (time, found) = search(self.world, searcher, &question).await?;
            if number < WARM_UP {
                continue;
            }
            made.took.push(time);
            made.hits += total(&found);
            made.queries.push(question.q);
        }
        Ok(made)
    }
}

/// Searches of one class by one user.
struct Searches {
    took: Vec<Duration>,
    hits: u64,
    queries: Vec<String>,
}

/// Latencies of one class of queries for one user.
struct Timed {
    class: Class,
    searcher: &'static str,
    p50: f64,
    p95: f64,
    longest: f64,
    hits: f64,
}

struct Outcome {
    database: Database,
    timed: Vec<Timed>,
    typos: (usize, usize),
    indexed_in: Duration,
    index_bytes: u64,
    memory: (u64, u64),
    written_per_second: f64,
    shares: Vec<(&'static str, f64)>,
    words: usize,
    /// Resident memory of the server at the end, in bytes.
    resident: u64,
    /// Results of the engines in the order of [`ALONE`]; empty if they were not measured.
    alone: Vec<Alone>,
}

/// Search engines that are measured alone, for comparison.
const ALONE: [&str; 2] = ["FTS5", "tantivy"];

struct Alone {
    built_in: Duration,
    bytes: u64,
    /// 95th percentile per class, in milliseconds.
    classes: Vec<(Class, f64)>,
}

/// Runs the measurement and writes the report.
pub fn measure(size: &SearchSize, docs: &Path) -> anyhow::Result<()> {
    ensure!(size.messages >= 20_000, "fewer than 20,000 messages have no rare and no common words");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let databases = if size.on.is_empty() { vec![Database::Sqlite, Database::Postgres] } else { size.on.clone() };
    let file = docs.join(REPORT);
    let mut outcomes = Vec::new();
    for database in databases {
        eprintln!("{}", database.name());
        outcomes.push(runtime.block_on(run(database, size))?);
        // Written after each database, so that the results remain if the next one fails.
        std::fs::write(&file, report(size, &outcomes)?)?;
        eprintln!("{} written", file.display());
    }
    print!("{}", report(size, &outcomes)?);
    Ok(())
}

/// Latencies of searches of all classes by all users, in milliseconds.
pub struct SearchLatency {
    pub p50: f64,
    pub p95: f64,
    /// Resident memory of the server after the searches, in bytes.
    pub memory: u64,
}

/// Measures only the latency, on SQLite, while this many messages per second are written.
pub fn measure_latency(messages: u64, per_second: u64, searches: usize) -> anyhow::Result<SearchLatency> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let world = World::make(Engine::Sqlite, messages).await?;
        let mut questions = Questions::new(&world);
        let writing = Writing::begin(&world, per_second);
        let mut took = Vec::new();
        for class in Class::ALL {
            for searcher in &world.searchers {
                took.extend(questions.search_all(class, searcher, searches).await?.took);
            }
        }
        let written_per_second = writing.end().await;
        eprintln!("  {written_per_second:.0} messages written per second");
        let memory = machine::memory(world.app.instances[0].process_id())?;
        Ok(SearchLatency { p50: at(&mut took, 50), p95: at(&mut took, 95), memory })
    })
}

async fn run(database: Database, size: &SearchSize) -> anyhow::Result<Outcome> {
    let world = World::make(database.engine(), size.messages).await?;
    let mut questions = Questions::new(&world);
    let writing = Writing::begin(&world, WRITTEN);
    let (mut timed, mut asked) = (Vec::new(), Vec::new());
    for class in Class::ALL {
        for searcher in &world.searchers {
            let Searches { mut took, hits, queries } = questions.search_all(class, searcher, size.searches).await?;
            if searcher.name == "wide" {
                asked.extend(queries.into_iter().map(|q| (class, q)));
            }
            let (p50, p95, longest) = (at(&mut took, 50), at(&mut took, 95), at(&mut took, 100));
            eprintln!("{} · {}: p50 {p50:.1}, p95 {p95:.1}, longest {longest:.1} ms", class.name(), searcher.name);
            timed.push(Timed {
                class,
                searcher: searcher.name,
                p50,
                p95,
                longest,
                hits: share(hits, took.len() as u64),
            });
        }
    }
    let mut understood = 0;
    let wide = &world.searchers[0];
    for _ in 0..size.typos {
        let word = questions.word(wide, 2..u32::MAX, 4)?;
        let q = format!("{} ", mistyped(word, &mut questions.random));
        let (_, found) = search(&world, wide, &Question { q, author: None }).await?;
        let items = found["items"].as_array().context("no items")?;
        let has =
            |hit: &Value| hit["message"]["content"].as_str().is_some_and(|text| text.split(' ').any(|one| one == word));
        understood += usize::from(items.iter().take(10).any(has));
    }
    let written_per_second = writing.end().await;
    let resident = world.app.instances[0].memory();
    let alone = if database == Database::Sqlite { alone(size, &world, &asked)? } else { Vec::new() };
    Ok(Outcome {
        database,
        timed,
        typos: (understood, size.typos),
        indexed_in: world.indexed_in,
        index_bytes: world.index_bytes,
        memory: world.memory,
        written_per_second,
        shares: world.searchers.iter().map(|searcher| (searcher.name, searcher.share)).collect(),
        words: world.corpus.counts.len(),
        resident,
        alone,
    })
}

/// Runs a search; returns its latency and the number of hits.
async fn search(world: &World, searcher: &Searcher, question: &Question) -> anyhow::Result<(Duration, Value)> {
    let mut parameters = vec![("q", question.q.clone())];
    parameters.extend(searcher.within.clone().map(|id| ("conversation_id", id)));
    if let Some(author) = question.author {
        parameters.push(("author", world.authors[author].id.clone()));
        parameters.push(("from", half_a_year_ago()));
    }
    let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let path = format!("/r1/search?{}", query.join("&"));
    let begun = Instant::now();
    let answer = searcher.member.get(&path).await;
    let took = begun.elapsed();
    ensure!(answer.status == 200, "{answer:?}");
    Ok((took, answer.data()))
}

fn half_a_year_ago() -> String {
    appcore::Timestamp(appcore::Clock::system().now().millis() - 182 * 86_400_000).to_string()
}

/// Percent-encodes a query.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn total(found: &Value) -> u64 {
    found["total"]["count"].as_u64().unwrap_or_default()
}

/// Users who write messages during the searches.
struct Writing {
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    begun: Instant,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Writing {
    fn begin(world: &World, per_second: u64) -> Self {
        let (is_over, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let tasks = (0..WRITERS).map(|number| {
            let (is_over, sent) = (Arc::clone(&is_over), Arc::clone(&sent));
            // The first author is used because this user is a member of every conversation.
            let (author, conversations): (Member, Vec<String>) =
                (world.authors[0].clone(), world.conversations.clone());
            let mut corpus = Corpus::new();
            tokio::spawn(async move {
                for _ in 0..number * 100 {
                    corpus.say();
                }
                let mut ticks = tokio::time::interval(Duration::from_millis(1_000 * WRITERS / per_second));
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !is_over.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    let said = corpus.say();
                    author.send_message(&conversations[said.conversation], &said.text).await;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let tasks = tasks.collect();
        Self { is_over, sent, begun: Instant::now(), tasks }
    }

    /// Stops writing; returns the number of messages written per second.
    async fn end(self) -> f64 {
        let per_second = share(self.sent.load(Ordering::Relaxed), 1) / self.begun.elapsed().as_secs_f64();
        self.is_over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            let _ = task.await;
        }
        per_second
    }
}

/// Measures the engines one after the other, each in its own folder.
fn alone(size: &SearchSize, world: &World, asked: &[(Class, String)]) -> anyhow::Result<Vec<Alone>> {
    let ranks = &world.searchers[0].ranks;
    let folder = || tempfile::Builder::new().prefix("natter-bench").tempdir();
    eprintln!("FTS5 alone");
    let home = folder()?;
    let bare = Bare::build(home.path(), size.messages, ranks)?;
    let classes = p95_of(asked, |class, q| class.for_bare(q).map(|question| bare.search(&question)).transpose())?;
    let fts5 = Alone { built_in: bare.built_in, bytes: bare.bytes, classes };
    eprintln!("tantivy alone");
    let home = folder()?;
    let tantivy = Tantivy::build(home.path(), size.messages, ranks)?;
    let classes = p95_of(asked, |class, q| tantivy.search(class, q))?;
    Ok(vec![fts5, Alone { built_in: tantivy.built_in, bytes: tantivy.bytes, classes }])
}

/// Returns the 95th percentiles of the latency, for the classes that have queries.
fn p95_of(
    asked: &[(Class, String)],
    search: impl Fn(Class, &str) -> anyhow::Result<Option<Duration>>,
) -> anyhow::Result<Vec<(Class, f64)>> {
    let mut classes = Vec::new();
    for class in Class::ALL {
        let mut took = Vec::new();
        for (_, q) in asked.iter().filter(|(of, _)| *of == class) {
            took.extend(search(class, q)?);
        }
        if !took.is_empty() {
            classes.push((class, at(&mut took, 95)));
        }
    }
    Ok(classes)
}

/// Percentile, in milliseconds.
fn at(took: &mut [Duration], percent: usize) -> f64 {
    took.sort_unstable();
    took.get(took.len().saturating_sub(1) * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}

#[expect(clippy::cast_precision_loss, reason = "figures to look at")]
fn share(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

/// Formats a figure; marks it if its goal is missed.
fn judged(text: &str, is_met: bool) -> String {
    if is_met { text.to_owned() } else { format!("**{text}: missed**") }
}

fn report(size: &SearchSize, outcomes: &[Outcome]) -> anyhow::Result<String> {
    let mut text = String::new();
    writeln!(text, "# Searching {} messages\n", size.messages)?;
    writeln!(
        text,
        "This page measures search latency, memory and index size. `bench/run --search` writes it; [architecture.md](architecture.md) describes how search works.\n"
    )?;
    writeln!(text, "Machine: {}. The server and the load generator share its cores.\n", machine::describe())?;
    writeln!(
        text,
        "The data set has {} conversations, {PEOPLE} authors, and random messages of 13 words on average (English, Vietnamese, German, identifiers, IDs, addresses; \
         one word in 330 has a typo). Searches run over HTTP one after the other, {} of each kind, at a target of {WRITTEN} written messages a second. Times are in ms.",
        corpus::CONVERSATIONS,
        size.searches,
    )?;
    for outcome in outcomes {
        write_outcome(&mut text, size, outcome)?;
    }
    Ok(text)
}

fn write_outcome(text: &mut String, size: &SearchSize, outcome: &Outcome) -> anyhow::Result<()> {
    writeln!(text, "\n## {}\n", outcome.database.name())?;
    let shares: Vec<String> =
        outcome.shares.iter().map(|(name, share)| format!("{name} {:.2} %", share * 100.0)).collect();
    writeln!(text, "Share of all messages that each searcher may read or searches in: {}.\n", shares.join(", "))?;
    let beside = ALONE.map(|name| format!("p95 of {name} alone")).join(" | ");
    writeln!(text, "| | searcher | p50 | p95 (goal: < {GOAL_MS:.0}) | longest | hits, mean | {beside} |")?;
    writeln!(text, "|---|---|--:|--:|--:|--:|{}", "--:|".repeat(ALONE.len()))?;
    for Timed { class, searcher, p50, p95, longest, hits } in &outcome.timed {
        let p95 = judged(&format!("{p95:.1}"), *p95 < GOAL_MS);
        let beside = (0..ALONE.len()).map(|place| {
            let classes = outcome.alone.get(place).filter(|_| *searcher == "wide").map(|alone| &alone.classes);
            let known = classes.and_then(|classes| classes.iter().find(|(of, _)| of == class));
            known.map(|(_, p95)| format!("{p95:.1}")).unwrap_or_default()
        });
        let beside = beside.collect::<Vec<_>>().join(" | ");
        writeln!(text, "| {} | {searcher} | {p50:.1} | {p95} | {longest:.1} | {hits:.0} | {beside} |", class.name())?;
    }
    let (understood, typos) = outcome.typos;
    let part = share(understood as u64, typos as u64);
    let memory = outcome.memory.1.saturating_sub(outcome.memory.0);
    let rate = share(size.messages, 1) / outcome.indexed_in.as_secs_f64();
    writeln!(text, "\n| | |\n|---|--:|")?;
    let typos = judged(&format!("{understood} of {typos}"), part >= GOAL_TYPOS);
    writeln!(text, "| typos whose word is in the first ten (goal: ≥ 95 %) | {typos} |")?;
    writeln!(text, "| different words | {} |", outcome.words)?;
    let memory = judged(&format!("{:.0} MiB", mebibytes(memory)), memory <= GOAL_MEMORY);
    writeln!(text, "| memory of the first search, including the words (goal: ≤ 64 MiB) | {memory} |")?;
    writeln!(text, "| memory of the server at the end | {:.0} MiB |", mebibytes(outcome.resident))?;
    writeln!(text, "| size of the index | {:.0} MiB |", mebibytes(outcome.index_bytes))?;
    writeln!(text, "| building a new index | {:.0} s, {rate:.0} messages/s |", outcome.indexed_in.as_secs_f64())?;
    writeln!(text, "| messages written meanwhile | {:.0} messages/s |", outcome.written_per_second)?;
    for (name, alone) in ALONE.iter().zip(&outcome.alone) {
        let rate = share(size.messages, 1) / alone.built_in.as_secs_f64();
        writeln!(text, "| {name} alone: size, rate | {:.0} MiB, {rate:.0} messages/s |", mebibytes(alone.bytes))?;
    }
    Ok(())
}
