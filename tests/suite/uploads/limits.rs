//! Limits on the size of files, quotas, and types that are refused.

use std::time::Duration;

use appcore::Clock;
use futures_util::future::join_all;
use support::{Answer, Application, Member, Setup, Value, json, new_id};

use super::tus;

#[tokio::test]
async fn rejects_too_large_uploads_before_their_body() {
    let app = Setup::new().set("uploads.max_bytes", 100_000).start().await;
    let anna = app.sign_up("Anna").await;
    assert_eq!(anna.upload("a", "text/plain", vec![b'a'; 100_000]).await["size"], 100_000);
    anna.send(anna.uploading("a", "text/plain", vec![b'a'; 100_001])).await.refused(413, "too_large");
    // A file of unknown length is refused as soon as it is too large.
    let pieces = (0..20).map(|_| Ok::<_, std::io::Error>(vec![b'a'; 10_000]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    anna.send(anna.uploading("a", "text/plain", body)).await.refused(413, "too_large");
    let policy = app.anonymous().get("/r1/auth/policy").await.data();
    assert_eq!(policy["uploads"]["max_bytes"], 100_000);
}

#[tokio::test]
async fn rejects_types_by_declaration_and_by_content() {
    let app = Setup::new().set("uploads.refused_types", "image/*,application/x-msdownload").start().await;
    let anna = app.sign_up("Anna").await;
    anna.send(anna.uploading("a.exe", "application/x-msdownload", "MZ")).await.refused(415, "type_refused");
    let png = super::pictures::png(4, 4);
    anna.send(anna.uploading("a.txt", "text/plain", png)).await.refused(415, "type_refused");
    anna.upload("a.txt", "text/plain", "words").await;
}

#[tokio::test]
async fn limits_workspace_storage_and_unsent_files_per_user() {
    let app = Setup::new().set("uploads.workspace_bytes", 10_000).set("uploads.unsent_bytes", 12_000).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let first = anna.upload("a", "text/plain", vec![b'a'; 8_000]).await;
    anna.send(anna.uploading("b", "text/plain", vec![b'a'; 8_000])).await.refused(413, "quota_exceeded");
    let message = anna.send_files(&chat, "", &[&first]).await.data_with(201);
    let second = anna.upload("b", "text/plain", vec![b'a'; 8_000]).await;
    anna.send_files(&chat, "", &[&second]).await.refused(413, "quota_exceeded");
    let there = anna.uploading_as(&format!("?conversation_id={chat}"), "c", "text/plain", vec![b'a'; 3_000]);
    anna.send(there).await.refused(413, "quota_exceeded");
    anna.delete(&format!("/r1/messages/{}", message["id"].as_str().unwrap())).await.data();
    anna.send_files(&chat, "", &[&second]).await.data_with(201);
}

#[tokio::test]
async fn accepts_multipart_form_uploads() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let form = |name: &str| {
        let body = format!(
            "--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.csv\"\r\ncontent-type: text/csv\r\n\r\na,b\r\n--b--\r\n"
        );
        let request = anna.request(reqwest::Method::POST, "/r1/uploads");
        request.header("content-type", "multipart/form-data; boundary=b").body(body)
    };
    let upload = anna.send(form("file")).await.data_with(201);
    assert_eq!(
        (&upload["name"], &upload["media_type"], &upload["size"]),
        (&json!("a.csv"), &json!("text/csv"), &json!(3))
    );
    anna.send(form("other")).await.names_field("file");
}

#[tokio::test]
async fn stores_the_waveform_of_a_voice_note() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let peaks: Vec<String> = (0..64).map(|peak| (peak * 4).to_string()).collect();
    let voice = |peaks: &str| {
        let query = format!("?kind=voice&duration_ms=1500&peaks={peaks}");
        anna.uploading_as(&query, "note.webm", "audio/webm", &b"\x1a\x45\xdf\xa3webm"[..])
    };
    let upload = anna.send(voice(&peaks.join(","))).await.data_with(201);
    assert_eq!(
        (&upload["kind"], &upload["duration_ms"], &upload["peaks"][63]),
        (&json!("voice"), &json!(1500), &json!(252))
    );
    for wrong in ["1,2,3", "256", &["300"; 64].join(",")] {
        anna.send(voice(wrong)).await.names_field("peaks");
    }
}

#[tokio::test]
async fn a_hundred_megabyte_upload_uses_little_memory() {
    const PIECE: usize = 256 * 1024;
    const PIECES: u64 = 400;
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    anna.upload("warm", "text/plain", vec![b'a'; PIECE]).await;
    app.instances[0].reset_peak_memory();
    let before = app.instances[0].peak_memory();
    let body = || {
        let pieces = (0..PIECES).map(|_| Ok::<_, std::io::Error>(vec![b'a'; PIECE]));
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    };
    let upload = anna.upload("large.txt", "text/plain", body()).await;
    let whole = anna.get(&super::address(&upload)).await;
    assert_eq!(
        (upload["size"].as_u64(), whole.bytes.len() as u64),
        (Some(PIECES * PIECE as u64), PIECES * PIECE as u64)
    );
    let taken = app.instances[0].peak_memory().saturating_sub(before);
    assert!(taken < 32 * 1024 * 1024, "the upload used {} MiB more", taken / 1024 / 1024);
}

#[tokio::test]
async fn scheduled_messages_accept_only_own_complete_files() {
    let app = Setup::new().set("uploads.unsent_bytes", 1_024).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = format!("/r1/conversations/{}/messages", anna.open_single(&ben).await);
    let at = Clock::system().now().plus(Duration::from_secs(3_600)).to_string();
    let later = |ids: &[&Value]| json!({ "client_id": new_id(), "content": "x", "send_at": at, "attachment_ids": ids });
    let (own, bens) =
        (anna.upload("a.txt", "text/plain", "a".repeat(1_000)).await, ben.upload("b.txt", "text/plain", "x").await);
    let announced = tus::create(&anna, 1, "").await.header("location").unwrap().to_owned();
    let pending = json!(announced.rsplit('/').next().unwrap());
    for other in [&bens["id"], &pending, &json!(new_id())] {
        anna.post(&chat, later(&[&own["id"], other])).await.names_field("attachment_ids");
    }
    assert_eq!(
        app.database.number("SELECT count(*) FROM scheduled_uploads").await,
        0,
        "files of others are not attached"
    );
    assert_eq!(tus::ask(&anna, reqwest::Method::DELETE, &announced).await.status, 204);
    let waits = anna.post(&chat, later(&[&own["id"]])).await.data_with(202);
    // Files that wait for a scheduled message count, however old they are.
    app.database.run("UPDATE uploads SET created_at = 1").await;
    anna.send(anna.uploading("c.txt", "text/plain", "c".repeat(100))).await.refused(413, "quota_exceeded");
    anna.delete(&format!("/r1/scheduled/{}", waits["id"].as_str().unwrap())).await.data();
    let another = anna.upload("c.txt", "text/plain", "c".repeat(100)).await;
    // A file that is being deleted can't be sent.
    app.database.run("UPDATE uploads SET removed_at = 1").await;
    anna.post(&chat, later(&[&another["id"]])).await.names_field("attachment_ids");
}

#[tokio::test]
async fn concurrent_uploads_do_not_exceed_the_quota() {
    let app = Setup::new().set("uploads.unsent_bytes", 100_000).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let created = join_all((0..30).map(|_| tus::create(&anna, 30_000, ""))).await;
    assert_eq!(created.iter().filter(|answer| answer.status == 201).count(), 3);
    for answer in created.iter().filter(|answer| answer.status != 201) {
        answer.refused(413, "quota_exceeded");
    }
    // An upload of unknown length reserves space as soon as it starts.
    let unmeasured = || {
        let pieces = (0..3).map(|_| Ok::<_, std::io::Error>(vec![b'a'; 10_000]));
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    };
    let sent = join_all((0..30).map(|_| ben.send(ben.uploading("a", "text/plain", unmeasured())))).await;
    let taken = sent.iter().filter(|answer| answer.status == 201).count();
    assert!((1..=3).contains(&taken), "{taken} were accepted");
    for answer in sent.iter().filter(|answer| answer.status != 201) {
        answer.refused(413, "quota_exceeded");
    }
    let rows = app.database.number("SELECT count(*) FROM uploads WHERE removed_at IS NULL").await;
    assert_eq!(rows, 3 + i64::try_from(taken).unwrap(), "refused messages leave no rows");
    // If the upload is aborted, the reservation is released.
    while ben.send(ben.uploading("a", "text/plain", unmeasured())).await.status == 201 {}
    assert_eq!(app.database.number("SELECT count(*) FROM uploads").await, 6);
}

#[tokio::test]
async fn limits_storage_per_user_for_sent_and_unsent_files() {
    let app = Setup::new().set("uploads.user_bytes", 10_000).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let first = anna.upload("a", "text/plain", vec![b'a'; 6_000]).await;
    let message = anna.send_files(&chat, "", &[&first]).await.data_with(201);
    let file = || anna.uploading("b", "text/plain", vec![b'b'; 4_000]);
    let racing = join_all((0..5).map(|_| anna.send(file()))).await;
    assert_eq!(racing.iter().filter(|answer| answer.status == 201).count(), 1);
    anna.send(file()).await.refused(413, "quota_exceeded");
    ben.upload("b", "text/plain", vec![b'b'; 4_000]).await;
    anna.delete(&format!("/r1/messages/{}", message["id"].as_str().unwrap())).await.data();
    anna.send(file()).await.data_with(201);
}

#[tokio::test]
async fn concurrent_messages_do_not_exceed_the_workspace_quota() {
    let app = Setup::new().set("uploads.workspace_bytes", 10_000).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let files = join_all((0..8).map(|_| anna.upload("a", "text/plain", vec![b'a'; 4_000]))).await;
    let (anna, chat) = (&anna, &chat);
    let sent = join_all(files.iter().map(|file| async move { anna.send_files(chat, "", &[file]).await })).await;
    assert_eq!(sent.iter().filter(|answer| answer.status == 201).count(), 2);
    for answer in sent.iter().filter(|answer| answer.status != 201) {
        answer.refused(413, "quota_exceeded");
    }
    assert_eq!(app.database.number("SELECT CAST(sum(size) AS BIGINT) FROM message_uploads").await, 8_000);
}

/// Creates one text of each kind other than messages. Returns the path and the body of each.
async fn texts(who: &Member, chat: &str) -> Vec<(String, Value)> {
    let text = "a".repeat(1_500);
    let column = who.post(&format!("/r1/conversations/{chat}/board/columns"), json!({ "name": "To do" })).await;
    let column = column.data_with(201)["id"].clone();
    let message = who.send_message(chat, "a message").await["id"].as_str().unwrap().to_owned();
    let send_at = Clock::system().now().plus(Duration::from_secs(86_400)).to_string();
    vec![
        (format!("PUT /r1/notes/{}", new_id()), json!({ "title": "a", "content": text, "version": 0 })),
        (format!("PUT /r1/conversations/{chat}/draft"), json!({ "content": text })),
        (
            format!("POST /r1/conversations/{chat}/messages"),
            json!({ "client_id": new_id(), "content": text, "send_at": send_at }),
        ),
        (format!("POST /r1/messages/{message}/reminders"), json!({ "at": send_at, "note": "a".repeat(200) })),
        (
            "POST /r1/prompts".to_owned(),
            json!({ "command": "a", "title": "a", "content": text, "visibility": "private" }),
        ),
        (
            format!("POST /r1/conversations/{chat}/tasks"),
            json!({ "title": "a", "description": text, "column_id": column }),
        ),
        ("PUT /r1/users/me/instructions".to_owned(), json!({ "instructions": text })),
        ("POST /r1/assistants".to_owned(), json!({ "name": "a", "system_prompt": text })),
    ]
}

async fn store(who: &Member, path: &str, body: Value) -> Answer {
    match path.split_once(' ') {
        Some(("PUT", path)) => who.put(path, body).await,
        Some((_, path)) => who.post(path, body).await,
        None => panic!("{path} has no method"),
    }
}

#[tokio::test]
async fn counts_texts_of_every_kind_against_the_authors_quota() {
    let app = Setup::new().set("uploads.text_bytes", 13_500).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    // Each text takes about 1,700 bytes, and the reminder 400. All of them fit into the quota once
    // but not twice.
    let first = texts(&anna, &chat).await;
    for (path, body) in &first {
        let answer = store(&anna, path, body.clone()).await;
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
    }
    let large = json!({ "title": "", "content": "a".repeat(2_000), "version": 0 });
    let another = format!("/r1/notes/{}", new_id());
    anna.put(&another, large.clone()).await.refused(413, "quota_exceeded");
    for (path, body) in texts(&anna, &chat).await {
        // A draft or instructions replace the previous text.
        if !path.contains("/draft") && !path.contains("/instructions") && !path.contains("/reminders") {
            let mut body = body;
            if path.contains("/prompts") {
                body["command"] = json!("b");
            } else if path.contains("/assistants") {
                body["name"] = json!("b");
            }
            store(&anna, &path, body).await.refused(413, "quota_exceeded");
        }
    }
    // Messages can still be sent, other users have a separate quota, and a text may become shorter.
    anna.send_message(&chat, &"a".repeat(3_000)).await;
    ben.put(&format!("/r1/notes/{}", new_id()), large.clone()).await.data_with(201);
    anna.put(&format!("/r1/conversations/{chat}/draft"), json!({ "content": "a" })).await.data();
    anna.put("/r1/users/me/instructions", json!({ "instructions": "" })).await.data();
    // Deleting a text frees space.
    anna.put(&another, large).await.data_with(201);
}

#[tokio::test]
async fn concurrent_texts_do_not_exceed_the_quota() {
    let app = Setup::new().set("uploads.text_bytes", 10_000).start().await;
    let anna = app.sign_up("Anna").await;
    let note = || json!({ "title": "", "content": "a".repeat(3_000), "version": 0 });
    let (anna, paths) = (&anna, (0..10).map(|_| format!("/r1/notes/{}", new_id())).collect::<Vec<_>>());
    let stored = join_all(paths.iter().map(|path| async move { anna.put(path, note()).await })).await;
    assert_eq!(stored.iter().filter(|answer| answer.status == 201).count(), 3);
    for answer in stored.iter().filter(|answer| answer.status != 201) {
        answer.refused(413, "quota_exceeded");
    }
}

#[tokio::test]
async fn files_and_texts_of_a_user_share_one_quota() {
    let app = Setup::new().set("uploads.user_bytes", 10_000).start().await;
    let anna = app.sign_up("Anna").await;
    let path = format!("/r1/notes/{}", new_id());
    let note = json!({ "title": "", "content": "a".repeat(6_000), "version": 0 });
    let stored = anna.put(&path, note).await.data_with(201);
    anna.send(anna.uploading("a", "text/plain", vec![b'a'; 4_000])).await.refused(413, "quota_exceeded");
    anna.delete(&format!("{path}?version={}", stored["version"])).await.data();
    anna.send(anna.uploading("a", "text/plain", vec![b'a'; 4_000])).await.data_with(201);
    let note = json!({ "title": "", "content": "a".repeat(6_000), "version": 0 });
    anna.put(&format!("/r1/notes/{}", new_id()), note).await.refused(413, "quota_exceeded");
}

#[tokio::test]
async fn users_and_administrators_see_the_same_storage_usage() {
    let app = Setup::new().set("uploads.user_bytes", 10_000).start().await;
    let (admin, anna, ben) = (app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await);
    let storage = async |who: &Member| who.get("/r1/users/me/storage").await.data();
    let before = storage(&anna).await["bytes"].as_i64().unwrap();
    anna.upload("a", "text/plain", vec![b'a'; 4_000]).await;
    let note = format!("/r1/notes/{}", new_id());
    let stored = anna.put(&note, json!({ "title": "ab", "content": "a".repeat(1_000), "version": 0 })).await;
    // Each row counts 200 bytes in addition to its texts.
    let expected = json!({ "bytes": before + 4_000 + 1_202, "quota_bytes": 10_000 });
    assert_eq!(storage(&anna).await, expected);
    let details = format!("/r1/admin/users/{}", anna.id);
    assert_eq!(admin.get(&details).await.data()["storage"], expected);
    assert_eq!(storage(&ben).await["bytes"], before, "others have their own quota");
    let version = stored.data_with(201)["version"].clone();
    anna.delete(&format!("{note}?version={version}")).await.data();
    // The row remains without its text, so that devices that were offline learn of the deletion.
    let expected = json!({ "bytes": before + 4_000 + 200, "quota_bytes": 10_000 });
    assert_eq!(storage(&anna).await, expected);
    assert_eq!(admin.get(&details).await.data()["storage"], expected);
}

#[tokio::test]
async fn storage_without_a_limit_has_no_quota() {
    let app = Setup::new().set("uploads.user_bytes", 0).start().await;
    let anna = app.sign_up("Anna").await;
    let storage = anna.get("/r1/users/me/storage").await.data();
    assert!(storage["bytes"].is_i64() && storage["quota_bytes"].is_null(), "{storage}");
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn enforces_the_workspace_quota_exactly_on_two_instances() {
        let app = Setup::new().instances(2).set("uploads.workspace_bytes", 10_000).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let carl = app.sign_up("Carl").await;
        let chats = [anna.open_single(&ben).await, anna.open_single(&carl).await];
        let members = [anna.at(&app.instances[0].url()), anna.at(&app.instances[1].url())];
        let files = join_all((0..8).map(|_| anna.upload("a", "text/plain", vec![b'a'; 4_000]))).await;
        let (members, chats) = (&members, &chats);
        let sent = files.iter().enumerate().map(|(at, file)| async move {
            // Two conversations of the same workspace, so that the instances don't wait for each
            // other's lock on the conversation.
            members[at % 2].send_files(&chats[at % 2], "", &[file]).await
        });
        let sent = join_all(sent).await;
        assert_eq!(sent.iter().filter(|answer| answer.status == 201).count(), 2);
        assert_eq!(app.database.number("SELECT CAST(sum(size) AS BIGINT) FROM message_uploads").await, 8_000);
    }
}

#[tokio::test]
async fn a_nearly_full_disk_accepts_only_messages() {
    let app = Setup::new().set("server.min_free_bytes", 1_u64 << 50).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    anna.send(anna.uploading("a", "text/plain", "a")).await.refused(507, "storage_full");
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>("a")]);
    let unmeasured = anna.uploading("a", "text/plain", reqwest::Body::wrap_stream(pieces));
    anna.send(unmeasured).await.refused(507, "storage_full");
    tus::create(&anna, 1, "").await.refused(507, "storage_full");
    assert_eq!(app.database.number("SELECT count(*) FROM uploads").await, 0);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "words").await;
    for (path, body) in texts(&anna, &chat).await {
        store(&anna, &path, body).await.refused(507, "storage_full");
    }
    let health = anna.get("/health").await;
    assert_eq!((health.status, &health.body["status"]), (200, &json!("degraded")), "{health:?}");
    assert!(health.body["reasons"][0].as_str().unwrap().contains("server.min_free_bytes"), "{health:?}");
}
