//! Installation with a million messages. Users and conversations are created by the API; messages
//! are imported by SQL while the server is stopped.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use futures_util::future::join_all;
use support::{Application, Engine, Member, Setup};

use super::corpus::{CONVERSATIONS, Corpus, PEOPLE};

/// Number of conversations that are created concurrently.
const AT_ONCE: usize = 4;
/// Number of rows per statement.
const ROWS: u64 = 500;
/// First number of the imported messages; greater than those of existing messages.
const FIRST: u64 = 1_000;
const YEAR: u64 = 365 * 86_400_000;
/// Rank of the conversation that is searched on its own.
const ONE: usize = 800;

/// User who searches.
pub struct Searcher {
    pub name: &'static str,
    pub member: Member,
    /// Conversation to which the search is restricted, if any.
    pub within: Option<String>,
    /// Ranks of the conversations that the user may read.
    pub ranks: Vec<usize>,
    /// Share of all messages that the user may read.
    pub share: f64,
}

pub struct World {
    pub app: Application,
    pub searchers: Vec<Searcher>,
    pub authors: Vec<Member>,
    pub conversations: Vec<String>,
    /// Sample of the messages, and all messages of the conversation that is searched on its own.
    /// Each has the rank of its conversation and the text.
    pub sample: Vec<(usize, String)>,
    pub corpus: Corpus,
    pub indexed_in: Duration,
    /// Resident memory of the server before and after its first search, in bytes.
    pub memory: (u64, u64),
    pub index_bytes: u64,
}

/// Returns the ranks of the conversations of two users: a member of many conversations, and a
/// member of many small ones.
fn ranks() -> [Vec<usize>; 2] {
    let wide = [1, ONE].into_iter().chain((0..148).map(|n| 5 + 13 * n)).collect();
    [wide, (1_400..1_550).collect()]
}

impl World {
    pub async fn make(engine: Engine, messages: u64) -> anyhow::Result<Self> {
        let setup = Setup::new().on(engine).set("auth.access_ttl", 86_400).set("server.workers", 1);
        let mut app = setup.start().await;
        let mut authors = Vec::with_capacity(PEOPLE);
        for number in 0..PEOPLE {
            authors.push(Member::sign_up(&app.url(), &format!("Author {number}")).await);
        }
        let [wide, narrow] = ranks();
        let searchers = [Member::sign_up(&app.url(), "Wide").await, Member::sign_up(&app.url(), "Narrow").await];
        eprintln!("{CONVERSATIONS} conversations");
        let mut conversations = Vec::with_capacity(CONVERSATIONS);
        let ranks: Vec<usize> = (0..CONVERSATIONS).collect();
        for ranks in ranks.chunks(AT_ONCE) {
            let opened = ranks.iter().map(|rank| {
                let mut others = vec![&authors[1], &authors[2]];
                others.extend(wide.contains(rank).then_some(&searchers[0]));
                others.extend(narrow.contains(rank).then_some(&searchers[1]));
                let (owner, title) = (&authors[0], format!("Room {rank}"));
                async move { owner.open_group(&title, &others).await }
            });
            conversations.extend(join_all(opened).await);
        }
        ensure!(app.instances[0].terminate().await.success(), "the server does not stop");
        eprintln!("{messages} messages");
        let (mut corpus, mut sample) = (Corpus::new(), Vec::new());
        let sizes = import(&app, &conversations, &authors, &mut corpus, messages, &mut sample).await;
        app.instances[0].start_again().await;
        let url = app.url();
        let (begun, rebuilt) = (Instant::now(), app.command(&["search", "rebuild", "--wait"]).await);
        let indexed_in = begun.elapsed();
        ensure!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
        let [wide_one, narrow_one] = searchers.map(|member| member.at(&url));
        #[expect(clippy::cast_precision_loss, reason = "figures to look at")]
        let share = |ranks: &[usize]| ranks.iter().map(|rank| sizes[*rank]).sum::<u64>() as f64 / messages as f64;
        let before = app.instances[0].memory();
        wide_one.get("/r1/search?q=anything").await.data();
        let memory = (before, app.instances[0].memory());
        let index_bytes = index_bytes(&app)?;
        let searchers = vec![
            Searcher { name: "wide", share: share(&wide), ranks: wide, member: wide_one.clone(), within: None },
            Searcher { name: "narrow", share: share(&narrow), ranks: narrow, member: narrow_one, within: None },
            Searcher {
                name: "one",
                share: share(&[ONE]),
                ranks: vec![ONE],
                within: Some(conversations[ONE].clone()),
                member: wide_one,
            },
        ];
        let authors = authors.iter().map(|author| author.at(&url)).collect();
        Ok(Self { app, searchers, authors, conversations, sample, corpus, indexed_in, memory, index_bytes })
    }
}

/// Imports messages of the last year, oldest first. Returns the number of messages per
/// conversation.
async fn import(
    app: &Application,
    conversations: &[String],
    authors: &[Member],
    corpus: &mut Corpus,
    messages: u64,
    sample: &mut Vec<(usize, String)>,
) -> Vec<u64> {
    let literal = |id: &str| match app.database.engine {
        Engine::Sqlite => format!("x'{}'", id.replace('-', "")),
        Engine::Postgres => format!("'{id}'"),
    };
    let conversation_ids: Vec<String> = conversations.iter().map(|id| literal(id)).collect();
    let author_ids: Vec<String> = authors.iter().map(|author| literal(&author.id)).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let begin = u64::try_from(now).unwrap_or_default() - YEAR;
    let mut sizes = vec![0; conversations.len()];
    let mut made = 0;
    while made < messages {
        let mut sql = "INSERT INTO messages (id, conversation_id, seq, no, sender_kind, sender_id, content, status, created_at) VALUES ".to_owned();
        for number in made..messages.min(made + ROWS) {
            let said = corpus.say();
            let at = begin + YEAR / messages * number;
            // The ids are like those of new messages: ordered by time, then by number.
            let id = uuid::Uuid::from_u128(
                (u128::from(at) << 80)
                    | (0x7 << 76)
                    | (u128::from(number % 4_096) << 64)
                    | (0x8 << 60)
                    | u128::from(number),
            );
            let size: &mut u64 = &mut sizes[said.conversation];
            *size += 1;
            let (place, author) = (&conversation_ids[said.conversation], &author_ids[said.author]);
            let (id, seq) = (literal(&id.to_string()), FIRST + *size);
            let comma = if number > made { "," } else { "" };
            let text = said.text.replace('\'', "''");
            let _ = write!(sql, "{comma}({id},{place},{seq},{seq},'user',{author},'{text}','complete',{at})");
            if number % 10 == 0 || said.conversation == ONE {
                sample.push((said.conversation, said.text));
            }
        }
        app.database.run(&sql).await;
        made += ROWS;
    }
    let mut sql = "BEGIN;".to_owned();
    for (id, size) in conversation_ids.iter().zip(&sizes) {
        let last = FIRST + size;
        let _ = write!(sql, "UPDATE conversations SET last_seq = {last}, last_no = {last} WHERE id = {id};");
    }
    sql.push_str("COMMIT");
    app.database.run(&sql).await;
    if app.database.engine == Engine::Postgres {
        app.database.run("ANALYZE").await;
    }
    sizes
}

fn index_bytes(app: &Application) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for file in std::fs::read_dir(app.folder().join("search/0"))? {
        bytes += file?.metadata()?.len();
    }
    Ok(bytes)
}
