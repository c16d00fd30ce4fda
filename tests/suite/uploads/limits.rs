//! What is too much, or of a type that nobody may upload.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use appcore::Clock;
use futures_util::future::join_all;
use support::{Application, Setup, Value, json, new_id};

use super::tus;

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_comes() {
    let app = Setup::new().set("uploads.max_bytes", 100_000).start().await;
    let anna = app.sign_up("Anna").await;
    assert_eq!(anna.upload("a", "text/plain", vec![b'a'; 100_000]).await["size"], 100_000);
    anna.send(anna.uploading("a", "text/plain", vec![b'a'; 100_001])).await.refused(413, "too_large");
    // Without a length it is refused where it becomes too much.
    let pieces = (0..20).map(|_| Ok::<_, std::io::Error>(vec![b'a'; 10_000]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    anna.send(anna.uploading("a", "text/plain", body)).await.refused(413, "too_large");
    let policy = app.anonymous().get("/r1/auth/policy").await.data();
    assert_eq!(policy["uploads"]["max_bytes"], 100_000);
}

#[tokio::test]
async fn types_are_refused_by_claim_and_by_content() {
    let app = Setup::new().set("uploads.refused_types", "image/*,application/x-msdownload").start().await;
    let anna = app.sign_up("Anna").await;
    anna.send(anna.uploading("a.exe", "application/x-msdownload", "MZ")).await.refused(415, "type_refused");
    let png = super::pictures::png(4, 4);
    anna.send(anna.uploading("a.txt", "text/plain", png)).await.refused(415, "type_refused");
    anna.upload("a.txt", "text/plain", "words").await;
}

#[tokio::test]
async fn a_workspace_has_so_much_space_and_a_person_so_much_that_is_not_sent() {
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
async fn a_form_brings_a_file_too() {
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
async fn a_voice_note_brings_its_loudness() {
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
async fn a_hundred_megabytes_take_little_memory() {
    const PIECE: usize = 256 * 1024;
    const PIECES: u64 = 400;
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    anna.upload("warm", "text/plain", vec![b'a'; PIECE]).await;
    let before = app.instances[0].memory();
    let stop = Arc::new(AtomicBool::new(false));
    let highest = Arc::new(AtomicU64::new(0));
    let (ended, seen, status) =
        (Arc::clone(&stop), Arc::clone(&highest), format!("/proc/{}/status", app.instances[0].process_id()));
    let watching = std::thread::spawn(move || {
        while !ended.load(Ordering::Relaxed) {
            let text = std::fs::read_to_string(&status).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            let now: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
            seen.fetch_max(now * 1024, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    let body = || {
        let pieces = (0..PIECES).map(|_| Ok::<_, std::io::Error>(vec![b'a'; PIECE]));
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    };
    let upload = anna.upload("large.txt", "text/plain", body()).await;
    let whole = anna.get(&super::address(&upload)).await;
    stop.store(true, Ordering::Relaxed);
    watching.join().unwrap();
    assert_eq!(
        (upload["size"].as_u64(), whole.bytes.len() as u64),
        (Some(PIECES * PIECE as u64), PIECES * PIECE as u64)
    );
    let taken = highest.load(Ordering::Relaxed).saturating_sub(before);
    assert!(taken < 32 * 1024 * 1024, "it took {} MiB more", taken / 1024 / 1024);
}

#[tokio::test]
async fn only_ones_own_files_that_are_there_wait_with_a_message() {
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
    assert_eq!(app.database.number("SELECT count(*) FROM scheduled_uploads").await, 0, "nobody else's file is held");
    assert_eq!(tus::ask(&anna, reqwest::Method::DELETE, &announced).await.status, 204);
    let waits = anna.post(&chat, later(&[&own["id"]])).await.data_with(202);
    // What waits takes up space, however old it is.
    app.database.run("UPDATE uploads SET created_at = 1").await;
    anna.send(anna.uploading("c.txt", "text/plain", "c".repeat(100))).await.refused(413, "quota_exceeded");
    anna.delete(&format!("/r1/scheduled/{}", waits["id"].as_str().unwrap())).await.data();
    let another = anna.upload("c.txt", "text/plain", "c".repeat(100)).await;
    // What is being removed is sent by nobody any more.
    app.database.run("UPDATE uploads SET removed_at = 1").await;
    anna.post(&chat, later(&[&another["id"]])).await.names_field("attachment_ids");
}

#[tokio::test]
async fn files_that_come_at_once_take_no_more_space_than_there_is() {
    let app = Setup::new().set("uploads.unsent_bytes", 100_000).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let created = join_all((0..30).map(|_| tus::create(&anna, 30_000, ""))).await;
    assert_eq!(created.iter().filter(|answer| answer.status == 201).count(), 3);
    for answer in created.iter().filter(|answer| answer.status != 201) {
        answer.refused(413, "quota_exceeded");
    }
    // What says nothing of its size takes space all the same, from its beginning on.
    let unmeasured = || {
        let pieces = (0..3).map(|_| Ok::<_, std::io::Error>(vec![b'a'; 10_000]));
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    };
    let sent = join_all((0..30).map(|_| ben.send(ben.uploading("a", "text/plain", unmeasured())))).await;
    let taken = sent.iter().filter(|answer| answer.status == 201).count();
    assert!((1..=3).contains(&taken), "{taken} were taken");
    for answer in sent.iter().filter(|answer| answer.status != 201) {
        answer.refused(413, "quota_exceeded");
    }
    let rows = app.database.number("SELECT count(*) FROM uploads WHERE removed_at IS NULL").await;
    assert_eq!(rows, 3 + i64::try_from(taken).unwrap(), "what is refused leaves nothing");
    // What is taken for one that is still coming is free again for its owner when it breaks off.
    while ben.send(ben.uploading("a", "text/plain", unmeasured())).await.status == 201 {}
    assert_eq!(app.database.number("SELECT count(*) FROM uploads").await, 6);
}

#[tokio::test]
async fn a_person_has_so_much_space_sent_or_not() {
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
async fn messages_that_are_sent_at_once_bring_no_more_than_a_workspace_has_room_for() {
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

#[tokio::test]
async fn where_a_disk_is_nearly_full_no_file_is_taken_and_everything_else_goes_on() {
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
    let health = anna.get("/health").await;
    assert_eq!((health.status, &health.body["status"]), (200, &json!("degraded")), "{health:?}");
    assert!(health.body["reasons"][0].as_str().unwrap().contains("server.min_free_bytes"), "{health:?}");
}
