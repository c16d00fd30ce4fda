//! Files: upload, sending, access by means of a message, and deletion.

mod bombs;
mod limits;
mod listed;
pub(crate) mod pictures;
mod s3;
mod sweep;
mod tus;
pub(crate) mod voice;

use std::path::{Path, PathBuf};

use reqwest::Method;
use support::{Answer, Application, Member, Value, json, new_id, wait_until};

use crate::endpoints::{Args, SampleCall, plain, sample};

pub(crate) fn address(upload: &Value) -> String {
    format!("/files/{}/{}", upload["id"].as_str().unwrap(), "any-name")
}

/// Returns all stored files, except uploads in progress.
fn stored(app: &Application) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                walk(&entry.path(), found);
            } else {
                found.push(entry.path());
            }
        }
    }
    let mut found = Vec::new();
    walk(&app.folder().join("uploads"), &mut found);
    found
}

async fn read_part(member: &Member, upload: &Value, range: &str) -> Answer {
    member.send(member.request(Method::GET, &address(upload)).header("range", range)).await
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["UploadFile", "CreateTusUpload"]),
        sample(&["ListFiles"], async |world| Args::id(world.group().await)),
        sample(&["ShowUpload", "DeleteUpload"], async |world| Args::id(world.upload().await)),
        sample(&["ShowTusUpload", "AppendToTusUpload", "DeleteTusUpload"], async |world| {
            Args::id(world.upload().await)
        }),
        sample(&["ReadFile"], async |world| Args::id(world.upload().await).with("name", "a.txt")),
    ]
}

#[tokio::test]
async fn only_readers_of_its_message_read_a_file() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_single(&ben).await;
    let upload = anna.upload("k%E1%BA%BF%20ho%E1%BA%A1ch.txt", "text/plain", "our plan").await;
    assert_eq!(upload["name"], "kế hoạch.txt");
    assert_eq!(
        (&upload["size"], &upload["status"], &upload["media_type"]),
        (&json!(8), &json!("ready"), &json!("text/plain"))
    );

    // Before a file is sent, only its owner can read it.
    assert_eq!(anna.get(&address(&upload)).await.text(), "our plan");
    for other in [&ben, &carl] {
        other.get(&address(&upload)).await.refused(404, "not_found");
        other.get(&format!("/r1/uploads/{}", upload["id"].as_str().unwrap())).await.refused(404, "not_found");
    }
    app.anonymous().get(&address(&upload)).await.refused(401, "unauthenticated");

    let mut socket = ben.connect().await;
    let sent = anna.send_files(&chat, "", &[&upload]).await.data_with(201);
    assert_eq!(sent["attachments"], json!([upload]));
    assert_eq!(sent["content"], "");
    let event = socket.expect_in("message.created", &chat).await;
    assert_eq!(event.payload["message"]["attachments"], json!([upload]));
    let history = ben.get(&format!("/r1/conversations/{chat}/messages")).await.data();
    assert_eq!(history["items"][0]["attachments"], json!([upload]));
    let log = ben.get(&format!("/r1/conversations/{chat}/events?after_seq=0")).await.data();
    assert!(log.to_string().contains(upload["id"].as_str().unwrap()));
    let listed = ben.get("/r1/conversations").await.data();
    assert_eq!(listed["items"][0]["last_message"]["attachments"], json!([upload]));

    assert_eq!(ben.get(&address(&upload)).await.text(), "our plan");
    assert_eq!(anna.get(&address(&upload)).await.text(), "our plan");
    carl.get(&address(&upload)).await.refused(404, "not_found");
    carl.get(&format!("{}?size=320", address(&upload))).await.refused(404, "not_found");
}

#[tokio::test]
async fn sends_files_over_a_socket_once_per_client_id() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let upload = anna.upload("a.txt", "text/plain", "one").await;
    let mut socket = anna.connect().await;
    let payload =
        json!({ "conversation_id": chat, "client_id": new_id(), "content": "", "attachment_ids": [upload["id"]] });
    for _ in 0..2 {
        socket.send("message.send", payload.clone()).await;
    }
    let event = socket.expect_in("message.created", &chat).await;
    assert_eq!(event.payload["message"]["attachments"], json!([upload]));
    let messages = format!("/r1/conversations/{chat}/messages");
    let again = anna.post(&messages, json!({ "client_id": payload["client_id"], "content": "x" }));
    assert_eq!(again.await.data_with(200)["attachments"], json!([upload]));
}

#[tokio::test]
async fn users_send_only_their_own_complete_files() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let others = ben.upload("a.txt", "text/plain", "Ben's").await;
    anna.send_files(&chat, "look", &[&others]).await.names_field("attachment_ids");
    anna.send_files(&chat, "look", &[&json!({ "id": new_id() })]).await.names_field("attachment_ids");
    let own = anna.upload("a.txt", "text/plain", "mine").await;
    anna.send_files(&chat, "many", &[&own; 11]).await.names_field("attachment_ids");
    anna.send_files(&chat, "", &[]).await.names_field("content");
    anna.send_files(&chat, "twice", &[&own, &own]).await.data_with(201);
}

#[tokio::test]
async fn deleting_a_message_deletes_its_files() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let upload = anna.upload("a.png", "image/png", pictures::png(40, 30)).await;
    let sent = anna.send_files(&chat, "a picture", &[&upload]).await.data_with(201);
    assert_eq!(stored(&app).len(), 3, "the file and two thumbnails");
    let message = format!("/r1/messages/{}", sent["id"].as_str().unwrap());
    let edited = anna.patch(&message, json!({ "content": "another text" })).await.data();
    assert_eq!(edited["attachments"], json!([upload]), "edits keep attachments");

    anna.delete(&format!("/r1/uploads/{}", upload["id"].as_str().unwrap())).await.refused(409, "wrong_state");
    anna.delete(&message).await.data();
    ben.get(&address(&upload)).await.refused(404, "not_found");
    anna.get(&address(&upload)).await.refused(404, "not_found");
    anna.send_files(&chat, "again", &[&upload]).await.names_field("attachment_ids");
    for member in [&anna, &ben] {
        let history = member.get(&format!("/r1/conversations/{chat}/messages")).await.data();
        assert_eq!(history["items"][0]["attachments"], json!([]));
        let log = member.get(&format!("/r1/conversations/{chat}/events?after_seq=0")).await.data();
        assert!(!log.to_string().contains(upload["id"].as_str().unwrap()), "{log}");
    }
    wait_until("the stored files are deleted", || std::future::ready(stored(&app).is_empty())).await;
}

#[tokio::test]
async fn deleting_a_file_only_message_removes_it_from_the_log() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let upload = anna.upload("a.txt", "text/plain", "alone").await;
    let sent = anna.send_files(&chat, "", &[&upload]).await.data_with(201);
    anna.delete(&format!("/r1/messages/{}", sent["id"].as_str().unwrap())).await.data();
    let log = ben.get(&format!("/r1/conversations/{chat}/events?after_seq=0")).await.data();
    assert!(!log.to_string().contains(upload["id"].as_str().unwrap()), "{log}");
}

#[tokio::test]
async fn keeps_a_shared_file_until_both_messages_are_deleted() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let (first, second) = (anna.open_single(&ben).await, anna.open_single(&carl).await);
    let upload = anna.upload("a.txt", "text/plain", "for both").await;
    let mut messages = Vec::new();
    for chat in [&first, &second] {
        let sent = anna.send_files(chat, "", &[&upload]).await.data_with(201);
        messages.push(format!("/r1/messages/{}", sent["id"].as_str().unwrap()));
    }
    anna.delete(&messages[0]).await.data();
    ben.get(&address(&upload)).await.refused(404, "not_found");
    assert_eq!(carl.get(&address(&upload)).await.text(), "for both");
    anna.delete(&messages[1]).await.data();
    carl.get(&address(&upload)).await.refused(404, "not_found");
    wait_until("the stored files are deleted", || std::future::ready(stored(&app).is_empty())).await;
}

#[tokio::test]
async fn deleting_a_conversation_deletes_its_files() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let body = json!({ "kind": "group", "title": "Team", "member_ids": [ben.id, carl.id] });
    let group = anna.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let upload = anna.upload("a.txt", "text/plain", "team").await;
    ben.get(&address(&upload)).await.refused(404, "not_found");
    anna.send_files(&group, "", &[&upload]).await.data_with(201);
    assert_eq!(ben.get(&address(&upload)).await.text(), "team");
    ben.delete(&format!("/r1/conversations/{group}/members/{}", ben.id)).await.data();
    ben.get(&address(&upload)).await.refused(404, "not_found");
    anna.delete(&format!("/r1/conversations/{group}")).await.data();
    anna.get(&address(&upload)).await.refused(404, "not_found");
    wait_until("the stored files are deleted", || std::future::ready(stored(&app).is_empty())).await;
}

#[tokio::test]
async fn unsent_files_can_be_deleted() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let upload = anna.upload("a.txt", "text/plain", "wrong one").await;
    let path = format!("/r1/uploads/{}", upload["id"].as_str().unwrap());
    ben.delete(&path).await.refused(404, "not_found");
    anna.delete(&path).await.data();
    anna.get(&path).await.refused(404, "not_found");
    assert!(stored(&app).is_empty());
}

#[tokio::test]
async fn supports_range_requests_and_etags() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let upload = anna.upload("a.bin", "application/octet-stream", bytes.clone()).await;
    let whole = anna.get(&address(&upload)).await;
    assert_eq!((whole.status, whole.bytes == bytes), (200, true));
    assert_eq!(whole.header("content-length"), Some("1000000"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let tag = whole.header("etag").unwrap().to_owned();
    for (range, part) in
        [("bytes=0-0", 0..1), ("bytes=300000-599999", 300_000..600_000), ("bytes=-5", 999_995..1_000_000)]
    {
        let answer = read_part(&anna, &upload, range).await;
        assert_eq!((answer.status, answer.bytes == bytes[part.clone()]), (206, true), "{range}");
        let stated = format!("bytes {}-{}/1000000", part.start, part.end - 1);
        assert_eq!(answer.header("content-range"), Some(stated.as_str()));
    }
    let beyond = read_part(&anna, &upload, "bytes=1000000-").await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */1000000")));
    let known = anna.send(anna.request(Method::GET, &address(&upload)).header("if-none-match", &tag)).await;
    assert_eq!((known.status, known.bytes.len()), (304, 0));
    let changed =
        anna.request(Method::GET, &address(&upload)).header("range", "bytes=0-1").header("if-range", "\"other\"");
    assert_eq!(anna.send(changed).await.status, 200);
    let head = anna.send(anna.request(Method::HEAD, &address(&upload))).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("1000000")));
}

#[tokio::test]
async fn uploads_cannot_execute_in_the_servers_origin() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    for (name, claimed, bytes, served) in [
        ("a.html", "text/html", "<!DOCTYPE html><script>alert(1)</script>", "application/octet-stream"),
        ("a.png", "image/png", "<!DOCTYPE html><script>alert(1)</script>", "application/octet-stream"),
        (
            "a.svg",
            "image/svg+xml",
            "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
            "application/octet-stream",
        ),
        ("a.xml", "application/xml", "<?xml version='1.0'?><a/>", "application/octet-stream"),
        ("a.pdf", "application/pdf", "%PDF-1.7 …", "application/octet-stream"),
        ("a.js", "text/javascript", "alert(1)", "application/octet-stream"),
        ("a.txt", "text/plain", "alert(1) <b>bold</b>", "text/plain; charset=utf-8"),
    ] {
        let upload = anna.upload(name, claimed, bytes).await;
        let answer = anna.get(&address(&upload)).await;
        assert_eq!(answer.header("content-type"), Some(served), "{name}");
        let disposition = answer.header("content-disposition").unwrap();
        let kind = if served.starts_with("text/plain") { "inline" } else { "attachment" };
        assert!(disposition.starts_with(&format!("{kind}; filename*=UTF-8''{name}")), "{disposition}");
        for (header, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "private, max-age=31536000, immutable"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn texts_are_displayed_in_their_encoding() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    // "Смета расходов на год" in Windows-1251, and "text" in UTF-16.
    let cyrillic = b"\xd1\xec\xe5\xf2\xe0 \xf0\xe0\xf1\xf5\xee\xe4\xee\xe2 \xed\xe0 \xe3\xee\xe4".to_vec();
    for (name, claimed, bytes, charset) in [
        ("old.txt", "text/plain", cyrillic.clone(), "windows-1251"),
        ("old.csv", "text/csv", cyrillic, "windows-1251"),
        ("wide.txt", "text/plain", b"\xff\xfet\0e\0x\0t\0".to_vec(), "utf-16le"),
        ("new.txt", "text/plain", "Смета расходов на год".into(), "utf-8"),
        ("empty.txt", "text/plain", Vec::new(), "utf-8"),
    ] {
        let upload = anna.upload(name, claimed, bytes.clone()).await;
        let answer = anna.get(&format!("{}?view=true", address(&upload))).await;
        let shown = format!("text/plain; charset={charset}");
        assert_eq!((answer.header("content-type"), &answer.bytes[..]), (Some(shown.as_str()), &bytes[..]), "{name}");
    }
}

#[tokio::test]
async fn displays_only_pdf_and_text_inline_on_request() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let (pdf, text) = ("application/pdf", "text/plain; charset=utf-8");
    for (name, claimed, bytes, shown) in [
        ("a.pdf", pdf, "%PDF-1.7 …", Some(pdf)),
        ("b.pdf", pdf, "<!DOCTYPE html><script>alert(1)</script>", None),
        ("a.svg", "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", None),
        ("a.md", "text/markdown", "# Leave\n\n<script>alert(1)</script>", Some(text)),
        ("a.json", "application/json", "{}", Some(text)),
    ] {
        let upload = anna.upload(name, claimed, bytes).await;
        let path = address(&upload);
        for (asked, shown) in [(format!("{path}?view=true"), shown), (format!("{path}?view=false"), None), (path, None)]
        {
            let answer = anna.get(&asked).await;
            assert_eq!(answer.header("content-type"), Some(shown.unwrap_or("application/octet-stream")), "{asked}");
            let kind = if shown.is_some() { "inline" } else { "attachment" };
            assert!(answer.header("content-disposition").unwrap().starts_with(&format!("{kind}; ")), "{asked}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{asked}");
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'; "), "{policy}");
            assert_eq!(policy.ends_with("; sandbox"), shown != Some(pdf), "{policy}");
        }
    }
}
