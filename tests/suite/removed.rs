//! Deletion: content that was edited away or deleted is never sent again, and is erased from every
//! file.

use std::{path::Path, process::Command};

use reqwest::Method;
use support::{Application, Engine, Member, PASSWORD, Socket, json, new_id, wait_until};

use crate::search::finds;

const DELETED: &str = "SECRET-DELETED-TEXT";
const EDITED: &str = "SECRET-FIRST-VERSION";
const BETWEEN: &str = "SECRET-SECOND-VERSION";

/// Returns the response to a `sync` from the beginning.
async fn synced(socket: &mut Socket, conversation: &str) -> Vec<serde_json::Value> {
    socket.send("sync", json!({ "cursors": { conversation: 0 } })).await;
    let mut told = Vec::new();
    loop {
        let frame = socket.next().await;
        if frame.kind == "sync.done" {
            return told;
        }
        told.push(frame.payload);
    }
}

/// Creates a group in which Anna has edited one message twice and deleted another one. A third
/// message stays.
async fn after_removal(app: &Application) -> (Member, Member, String) {
    let (anna, ben, cara) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cara").await);
    let group = anna.open_group("Plans", &[&ben, &cara]).await;
    let path = |message: &serde_json::Value| format!("/r1/messages/{}", message["id"].as_str().unwrap());
    // The text is so long that it takes up separate pages of the file.
    let long = format!("{DELETED} {}", "x".repeat(4_900));
    let deleted = anna.send_message(&group, &long).await;
    let edited = anna.send_message(&group, EDITED).await;
    ben.send_message(&group, "What stays.").await;
    for text in [BETWEEN, "The last version."] {
        anna.patch(&path(&edited), json!({ "content": text })).await.data();
    }
    anna.delete(&path(&deleted)).await.data();
    (anna, ben, group)
}

#[tokio::test]
async fn does_not_send_edited_or_deleted_text() {
    let app = Application::start().await;
    let (anna, ben, group) = after_removal(&app).await;
    let late = app.sign_up("Late").await;
    let members = format!("/r1/conversations/{group}/members");
    anna.post(&members, json!({ "user_id": late.id })).await.data_with(201);
    for reader in [&anna, &ben, &late] {
        let log = reader.event_log(&group).await;
        let mut socket = reader.connect().await;
        let frames = synced(&mut socket, &group).await;
        let mut stream = reader.event_stream(Some("0")).await;
        let mut streamed = Vec::new();
        loop {
            let frame = stream.next().await;
            if frame.kind == "sync.done" {
                break;
            }
            streamed.push(frame.payload);
        }
        let export = reader.get("/r1/users/me/export").await.text();
        let told = format!("{log:?} {frames:?} {streamed:?} {export}");
        for gone in [DELETED, EDITED, BETWEEN] {
            assert!(!told.contains(gone), "{gone} is still returned");
        }
        // The log has no gaps and ends with the current state.
        let seqs: Vec<i64> = log.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
        assert_eq!(seqs, (1..=7).collect::<Vec<_>>());
        assert_eq!(log[1]["payload"]["message"]["content"], "The last version.");
        assert_eq!(log[2]["payload"]["message"]["content"], "What stays.");
        assert_eq!(log[4]["payload"]["message"]["content"], "The last version.");
        assert_eq!(log[5]["type"], "message.deleted");
        let deleted = &log[0]["payload"]["message"];
        assert_eq!((&deleted["content"], deleted["deleted_at"].is_string()), (&json!(""), true));
    }
}

#[tokio::test]
async fn removes_text_replaced_by_concurrent_edits() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let sent = anna.send_message(&chat, "SECRET-0").await;
    let path = format!("/r1/messages/{}", sent["id"].as_str().unwrap());
    let edits = (1..=10).map(|n| anna.patch(&path, json!({ "content": format!("SECRET-{n}-") })));
    futures_util::future::join_all(edits).await.into_iter().for_each(|answer| _ = answer.data());
    let now = anna.history(&chat).await[0]["content"].as_str().unwrap().to_owned();
    let log = format!("{:?}", anna.event_log(&chat).await);
    assert_eq!(log.matches("SECRET").count(), 2, "the first and the last text: {log}");
    assert_eq!(log.matches(&now).count(), 2);
}

#[tokio::test]
async fn removes_deleted_text_from_the_database_files() {
    let app = support::Setup::new().on(Engine::Sqlite).start().await;
    after_removal(&app).await;
    wait_until("the removed text leaves the files", || async {
        [DELETED, EDITED, BETWEEN].iter().all(|gone| !stands_in_files(app.folder(), gone))
    })
    .await;
    assert!(stands_in_files(app.folder(), "What stays."));
}

#[tokio::test]
async fn removes_deleted_text_from_the_database_files_after_a_kill() {
    let mut app = support::Setup::new().on(Engine::Sqlite).start().await;
    after_removal(&app).await;
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    wait_until("the removed text leaves the files", || async {
        [DELETED, EDITED, BETWEEN].iter().all(|gone| !stands_in_files(app.folder(), gone))
    })
    .await;
}

/// Words that occur in a message, a file, a note, and the name of an account.
const WORDS: [&str; 4] = ["quetzalcoatl", "archaeopteryx", "pachycephalos", "Xylophanes"];

#[tokio::test]
async fn purge_removes_deleted_words_from_every_file_table_and_key() {
    let app = Application::start().await;
    let (anna, ben, gone) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up(WORDS[3]).await);
    let chat = anna.open_single(&ben).await;
    let said = anna.send_message(&chat, &format!("a {} flies by", WORDS[0])).await;
    let file = anna.upload("birds.txt", "text/plain", format!("The {} had feathers.", WORDS[1])).await;
    let sent = anna.send_files(&chat, "see the file", &[&file]).await.data_with(201);
    finds(&ben, WORDS[0], &[&format!("a {} flies by", WORDS[0])]).await;
    finds(&ben, WORDS[1], &["see the file"]).await;
    let note = format!("/r1/notes/{}", new_id());
    anna.put(&note, json!({ "title": "Thick heads", "content": WORDS[2], "version": 0 })).await.data_with(201);
    gone.open_single(&ben).await;
    for word in WORDS {
        assert!(is_stored(&app, word).await, "{word} must be found before its deletion");
    }

    for message in [&said, &sent] {
        anna.delete(&format!("/r1/messages/{}", message["id"].as_str().unwrap())).await.data();
    }
    anna.delete(&note).await.data();
    let end = gone.request(Method::DELETE, "/r1/users/me").json(&json!({ "password": PASSWORD }));
    gone.send(end).await.data();
    let purged = app.command(&["search", "purge"]).await;
    assert!(purged.status.success(), "{purged:?}");
    for word in WORDS {
        wait_until(&format!("{word} is gone"), async || !is_stored(&app, word).await).await;
    }
}

/// True if the word is in any file of the installation other than its outbox, in any table, or in
/// Redis.
async fn is_stored(app: &Application, word: &str) -> bool {
    if is_below(app.folder(), word) {
        return true;
    }
    if app.database.engine == Engine::Postgres {
        // Searches the rows of all tables, converted to text.
        let of_table =
            format!("format('SELECT count(*) AS c FROM %I t WHERE t::text ILIKE %L', table_name, '%{word}%')");
        let counted = format!("(xpath('/row/c/text()', query_to_xml({of_table}, false, true, '')))[1]::text::bigint");
        let tables = "information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";
        if app.database.number(&format!("SELECT sum({counted})::bigint FROM {tables}")).await > 0 {
            return true;
        }
    }
    app.redis.as_ref().is_some_and(|redis| is_in_redis(&redis.url(), word))
}

fn is_below(folder: &Path, word: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return !path.ends_with("outbox") && is_below(&path, word);
        }
        holds(&std::fs::read(path).unwrap_or_default(), word)
    })
}

fn is_in_redis(url: &str, word: &str) -> bool {
    let redis = |arguments: &[&str]| {
        let said =
            Command::new("redis-cli").args(["-u", url]).args(arguments).output().expect("redis-cli is installed");
        assert!(said.status.success(), "{said:?}");
        said.stdout
    };
    redis(&["CONFIG", "SET", "rdbcompression", "no"]);
    let keys = String::from_utf8(redis(&["--scan"])).unwrap();
    keys.lines().any(|key| holds(key.as_bytes(), word) || holds(&redis(&["DUMP", key]), word))
}

/// True if the bytes contain the word, in any case.
fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

fn stands_in_files(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files =
        files.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("natter.db")));
    files.into_iter().any(|path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}
