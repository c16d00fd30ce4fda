//! Resources other than messages: boards, files, threads, notes and saved items. Measures reading
//! the first page of each, for a user with one page and for a user with thousands of items; moving
//! tasks on a board; and exporting everything. Latencies are measured at the client, sequentially.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use support::{Application, Engine, Member, Setup, Value, json, new_id};

/// Number of calls that are measured, and number of calls before them. The result is the median.
const CALLS: usize = 100;
const WARM_UP: usize = 10;
/// Number of concurrent requests while the data is created.
const AT_ONCE: usize = 16;
/// Time for work that follows the creation, such as notifications.
const SETTLING: Duration = Duration::from_secs(5);
/// Interval at which the state of the export is polled.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(300);

/// Page sizes that the app uses.
const TASKS: usize = 200;
const FILES: usize = 60;
const REPLIES: usize = 50;
const THREADS: usize = 30;
const SAVED: usize = 50;
const NOTES: usize = 25;

/// Number of each resource.
struct Counts {
    tasks: usize,
    files: usize,
    replies: usize,
    /// Number of threads. It is also the number of saved messages, which are the roots of the
    /// threads.
    threads: usize,
    notes: usize,
}

const ONE_PAGE: Counts = Counts { tasks: TASKS, files: FILES, replies: REPLIES, threads: SAVED, notes: NOTES };
const THOUSANDS: Counts = Counts { tasks: 1_000, files: 10_000, replies: 10_000, threads: 1_000, notes: 1_000 };

/// User with a conversation that has this number of resources.
struct Side {
    who: Member,
    chat: String,
    /// Root message of the long thread.
    root: String,
    /// Sequence number of the last file on the oldest page.
    oldest: i64,
    tasks: Vec<(String, String)>,
}

/// Prints a table for each database.
pub fn measure() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for (engine, name) in [(Engine::Sqlite, "SQLite"), (Engine::Postgres, "PostgreSQL")] {
        runtime.block_on(run(engine, name))?;
    }
    Ok(())
}

async fn run(engine: Engine, name: &str) -> anyhow::Result<()> {
    let app = Setup::new().on(engine).set("auth.access_ttl", 86_400).start().await;
    let few = Side::fill(&app, &ONE_PAGE).await?;
    let many = Side::fill(&app, &THOUSANDS).await?;
    if engine == Engine::Postgres {
        // With so much data, the database would have updated its statistics long before.
        app.database.run("ANALYZE").await;
    }
    tokio::time::sleep(SETTLING).await;
    println!("\n| {name} | one page, p50 | thousands, p50 | ratio | thousands, p95 |\n|---|--:|--:|--:|--:|");
    for (what, path) in PAGES {
        let times = [few.read(path).await?, many.read(path).await?];
        row(what, &times);
    }
    row("a task is moved", &[few.moves().await, many.moves().await]);
    many.export(&app).await
}

/// Title of a row of the table, and function that returns the path of its page.
type Page = (&'static str, fn(&Side) -> String);

const PAGES: [Page; 13] = [
    ("board: its columns", |side| format!("/r1/conversations/{}/board", side.chat)),
    ("board: first 200 tasks", |side| format!("/r1/conversations/{}/tasks?page_size={TASKS}", side.chat)),
    ("own tasks: first 100", |_| "/r1/tasks?assignee=me&page_size=100".to_owned()),
    ("files: newest 60", |side| format!("/r1/conversations/{}/files?kind=file&limit={FILES}", side.chat)),
    ("files: oldest 60", |side| {
        format!("/r1/conversations/{}/files?kind=file&limit={FILES}&before_seq={}", side.chat, side.oldest)
    }),
    ("files: by a name that one has", |side| format!("/r1/conversations/{}/files?q=sheet%2059.bin", side.chat)),
    ("files: of a type that none has", |side| format!("/r1/conversations/{}/files?kind=video", side.chat)),
    ("thread: newest 50 replies", |side| format!("/r1/messages/{}/thread?limit={REPLIES}", side.root)),
    ("threads: newest 30", |_| format!("/r1/threads?filter=all&page_size={THREADS}")),
    ("threads: newest 30 with something unread", |_| format!("/r1/threads?filter=unread&page_size={THREADS}")),
    ("saved messages: newest 50", |_| format!("/r1/saved?page_size={SAVED}")),
    ("notes: first 25", |_| format!("/r1/notes?page_size={NOTES}")),
    ("conversation: newest 50 messages", |side| format!("/r1/conversations/{}/messages?limit=50", side.chat)),
];

impl Side {
    async fn fill(app: &Application, counts: &Counts) -> anyhow::Result<Self> {
        let (who, other) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = who.open_single(&other).await;
        let messages = format!("/r1/conversations/{chat}/messages");
        let (by, other, place, messages) = (&who, &other, chat.as_str(), messages.as_str());

        eprintln!("{} tasks", counts.tasks);
        let made = by
            .post(&format!("/r1/conversations/{place}/board/columns"), json!({ "name": "To do" }))
            .await
            .data_with(201);
        let column = id(&made)?;
        let mut tasks = Vec::with_capacity(counts.tasks);
        // Creates the tasks one after the other, because each is appended to the last.
        for number in 0..counts.tasks {
            let body = json!({
                "title": format!("Step {number}"),
                "column_id": column,
                "description": "What is to be done, in a line or two.",
                "labels": ["Launch"],
                "assignee_ids": [by.id]
            });
            let task = by.post(&format!("/r1/conversations/{place}/tasks"), body).await.data_with(201);
            tasks.push((id(&task)?, text(&task, "position")?));
        }

        eprintln!("{} files", counts.files);
        let sent = in_turns(counts.files, |number| async move {
            // The content is not readable as text, because text extraction is not measured here.
            let bytes = vec![0, 159, 146, 150, u8::try_from(number % 256).unwrap_or_default()];
            let upload = by.upload(&format!("sheet%20{number}.bin"), "application/octet-stream", bytes).await;
            by.send_files(place, "", &[&upload]).await.data_with(201)["seq"].as_i64()
        })
        .await;
        let mut places: Vec<i64> = sent.into_iter().flatten().collect();
        ensure!(places.len() == counts.files, "not every file was sent");
        places.sort_unstable();
        let oldest = places.get(FILES).copied().unwrap_or(i64::MAX);

        eprintln!("{} replies, {} threads", counts.replies, counts.threads);
        let root = id(&by.send_message(place, "a long story").await)?;
        let story = root.as_str();
        in_turns(counts.replies, |number| reply(other, messages, story, number)).await;
        in_turns(counts.threads, |number| async move {
            let question = by.post(messages, said(&format!("question {number}"))).await.data_with(201);
            let id = question["id"].as_str().unwrap_or_default();
            reply(other, messages, id, number).await;
            by.put(&format!("/r1/messages/{id}/saved"), json!({})).await.data();
        })
        .await;

        eprintln!("{} notes", counts.notes);
        in_turns(counts.notes, |number| async move {
            let body = json!({ "title": format!("Note {number}"), "content": "What was said. ".repeat(50) });
            by.put(&format!("/r1/notes/{}", new_id()), body).await.data_with(201);
        })
        .await;
        Ok(Self { who, chat, root, oldest, tasks })
    }

    /// Reads a page repeatedly and returns the latencies.
    async fn read(&self, path: fn(&Self) -> String) -> anyhow::Result<Vec<Duration>> {
        let path = path(self);
        let mut took = Vec::with_capacity(CALLS);
        for call in 0..WARM_UP + CALLS {
            let begun = Instant::now();
            let answer = self.who.get(&path).await;
            if call >= WARM_UP {
                took.push(begun.elapsed());
            }
            ensure!(answer.status == 200, "{path}: {answer:?}");
        }
        Ok(took)
    }

    /// Moves tasks to positions between two other tasks and returns the latencies.
    async fn moves(&self) -> Vec<Duration> {
        let mut took = Vec::with_capacity(CALLS);
        let last = self.tasks.len() - 1;
        for call in 0..CALLS {
            let (moved, _) = &self.tasks[last - call % (last / 2)];
            let (_, before) = &self.tasks[call % (last / 2)];
            let begun = Instant::now();
            let answer =
                self.who.patch(&format!("/r1/tasks/{moved}"), json!({ "position": format!("{before}V") })).await;
            took.push(begun.elapsed());
            answer.data();
        }
        took
    }

    /// Exports the whole conversation. Measures the duration and the memory of the server.
    async fn export(&self, app: &Application) -> anyhow::Result<()> {
        let instance = &app.instances[0];
        let (before, begun) = (instance.memory(), Instant::now());
        let wish = json!({ "format": "html", "files": true });
        let upload = self.who.post(&format!("/r1/conversations/{}/export", self.chat), wish).await.data_with(202);
        let path = format!("/r1/uploads/{}", id(&upload)?);
        let mut most = before;
        let size = loop {
            most = most.max(instance.memory());
            let upload = self.who.get(&path).await.data();
            if upload["status"] == "ready" {
                break upload["size"].as_u64().unwrap_or_default();
            }
            ensure!(begun.elapsed() < PATIENCE, "export not finished");
            tokio::time::sleep(LOOK).await;
        };
        println!(
            "\nAll of it exported with its files: {:.1} s, {:.1} MB, {:.0} MB more memory at most.",
            begun.elapsed().as_secs_f64(),
            megabytes(size),
            megabytes(most.saturating_sub(before))
        );
        Ok(())
    }
}

/// Runs an action `count` times, some of them concurrently.
async fn in_turns<F: Future>(count: usize, deed: impl Fn(usize) -> F) -> Vec<F::Output> {
    let mut all = Vec::with_capacity(count);
    for begin in (0..count).step_by(AT_ONCE) {
        all.extend(join_all((begin..count.min(begin + AT_ONCE)).map(&deed)).await);
    }
    all
}

fn said(content: &str) -> Value {
    json!({ "client_id": new_id(), "content": content })
}

async fn reply(who: &Member, messages: &str, root: &str, number: usize) {
    let mut body = said(&format!("an answer of some length, number {number}"));
    body["thread_id"] = json!(root);
    who.post(messages, body).await.data_with(201);
}

fn id(of: &Value) -> anyhow::Result<String> {
    text(of, "id")
}

fn text(of: &Value, field: &str) -> anyhow::Result<String> {
    of[field].as_str().map(str::to_owned).with_context(|| format!("{field} is missing in {of}"))
}

fn row(what: &str, [few, many]: &[Vec<Duration>; 2]) {
    let (one, thousands) = (percentile(few, 50), percentile(many, 50));
    println!("| {what} | {one:.1} ms | {thousands:.1} ms | {:.2} | {:.1} ms |", thousands / one, percentile(many, 95));
}

/// Nearest-rank percentile, in milliseconds. With few values, the highest percentiles equal the
/// maximum.
pub fn percentile(took: &[Duration], share: usize) -> f64 {
    let mut took = took.to_vec();
    took.sort_unstable();
    let at = (took.len() * share).div_ceil(100).saturating_sub(1);
    took.get(at).map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
}

#[expect(clippy::cast_precision_loss, reason = "figures to look at")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
