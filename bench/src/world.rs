//! Users and conversations for the measurements of Natter. They are created once, by the API, and
//! kept, because thousands of sign-ups take long. Each measurement works on a copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use support::{Engine, Member, Setup};

/// Number of members of the one large conversation: the most that can be added at once, and the
/// owner.
pub const HALL: usize = 1_000;
/// Number of conversations that have [`ROOM`] members each. No two of them have a common member.
pub const ROOMS: usize = 1_000;
pub const ROOM: usize = 10;
const DAY: u64 = 86_400;
/// Lifetime of the access tokens, in seconds.
const TTL: u64 = 30 * DAY;
const SIGN_UPS_AT_ONCE: usize = 4;

#[derive(Serialize, Deserialize)]
pub struct World {
    made_at: u64,
    /// Access tokens of the users, by index.
    pub tokens: Vec<String>,
    pub hall: String,
    pub rooms: Vec<String>,
}

impl World {
    /// Opens the world in this folder of results; creates it if there is none.
    pub fn open(results: &Path) -> anyhow::Result<(Self, PathBuf)> {
        Self::open_or_make(&results.join("world"), ROOMS)
    }

    /// Opens a world without [`Self::rooms`], which takes seconds to create.
    pub fn open_hall(results: &Path) -> anyhow::Result<(Self, PathBuf)> {
        Self::open_or_make(&results.join("hall"), 0)
    }

    fn open_or_make(folder: &Path, rooms: usize) -> anyhow::Result<(Self, PathBuf)> {
        let (list, database) = (folder.join("world.json"), folder.join("natter.db"));
        if let Ok(text) = fs::read_to_string(&list) {
            let world: Self = serde_json::from_str(&text)?;
            if now() < world.made_at + TTL - DAY {
                return Ok((world, database));
            }
        }
        fs::create_dir_all(folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let world = runtime.block_on(make(&database, rooms))?;
        fs::write(&list, serde_json::to_string(&world)?)?;
        Ok((world, database))
    }
}

async fn make(database: &Path, rooms: usize) -> anyhow::Result<World> {
    let count = HALL.max(rooms * ROOM);
    eprintln!("making {count} people and {} conversations, once", rooms + 1);
    let mut app =
        Setup::new().on(Engine::Sqlite).set("auth.access_ttl", TTL).set("auth.refresh_ttl", 2 * TTL).start().await;
    let base = app.url();
    let mut people: Vec<Member> = Vec::with_capacity(count);
    while people.len() < count {
        let first = people.len();
        let crowd = (first..first + SIGN_UPS_AT_ONCE).map(|number| {
            let base = base.clone();
            tokio::spawn(async move { Member::sign_up(&base, &format!("Reader {number}")).await })
        });
        for person in crowd.collect::<Vec<_>>() {
            people.push(person.await?);
        }
    }
    let mut conversations = Vec::with_capacity(rooms);
    for room in people.chunks(ROOM).take(rooms) {
        let others: Vec<&Member> = room[1..].iter().collect();
        conversations.push(room[0].open_group("Room", &others).await);
    }
    let others: Vec<&Member> = people[1..HALL].iter().collect();
    let hall = people[0].open_group("Hall", &others).await;
    let tokens = people.iter().map(|person| person.access_token().to_owned()).collect();
    // The database file is complete only when the server has exited.
    let ended = app.instances[0].terminate().await;
    anyhow::ensure!(ended.success(), "the server ended with {ended}");
    copy(Path::new(app.database.url.trim_start_matches("sqlite://")), database)?;
    Ok(World { made_at: now(), tokens, hall, rooms: conversations })
}

const KEY_FILE: &str = "encryption-key";

/// Copies a SQLite database with its write-ahead log and its encryption key.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).context("failed to copy database")?;
    let log = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    if log(from).exists() {
        fs::copy(log(from), log(to))?;
    }
    if from.with_file_name(KEY_FILE).exists() {
        fs::copy(from.with_file_name(KEY_FILE), to.with_file_name(KEY_FILE))?;
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
