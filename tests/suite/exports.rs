//! Exports of conversations: authorization, content, and completion despite crashes.

use std::io::Read as _;

use support::{Application, Frame, Member, Setup, Value, json, new_id, wait_until};

use crate::endpoints::{Args, SampleCall, sample};

fn at(conversation: &str) -> String {
    format!("/r1/conversations/{conversation}/export")
}

async fn begin(by: &Member, conversation: &str, body: Value) -> String {
    let upload = by.post(&at(conversation), body).await.data_with(202);
    // A small export may be ready before the response is sent.
    assert!(["pending", "ready"].iter().any(|status| upload["status"] == *status), "{upload}");
    assert_eq!(upload["media_type"], "application/zip");
    upload["id"].as_str().unwrap().to_owned()
}

/// Returns the files in a completed export.
async fn files(by: &Member, id: &str) -> Vec<(String, Vec<u8>)> {
    let path = format!("/r1/uploads/{id}");
    wait_until("the export is ready", || async { by.get(&path).await.data()["status"] == "ready" }).await;
    let name = by.get(&path).await.data()["name"].as_str().unwrap().to_owned();
    let bytes = by.get(&format!("/files/{id}/{name}")).await.bytes;
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut found = Vec::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        found.push((file.name().unwrap().into_owned(), bytes));
    }
    found
}

async fn text(by: &Member, conversation: &str, body: Value) -> String {
    let id = begin(by, conversation, body).await;
    String::from_utf8(files(by, &id).await.remove(0).1).unwrap()
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![sample(&["ExportConversation"], async |world| {
        Args::id(world.group().await).with_body(json!({ "format": "markdown" }))
    })]
}

#[tokio::test]
async fn exports_a_conversation_in_each_format_with_its_files() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = anna.connect().await;
    let first = anna.send_message(&chat, "Hello <b>Ben</b> & all").await;
    let gone = ben.send_message(&chat, "A secret").await;
    ben.delete(&format!("/r1/messages/{}", gone["id"].as_str().unwrap())).await.data();
    let reply = json!({ "client_id": new_id(), "content": "In the thread", "thread_id": first["id"] });
    ben.post(&format!("/r1/conversations/{chat}/messages"), reply).await.data_with(201);
    let upload = ben.upload("plan.txt", "text/plain", "the plan").await;
    ben.send_files(&chat, "See here", &[&upload]).await.data_with(201);
    let thumb = format!("/r1/messages/{}/reactions/%F0%9F%91%8D", first["id"].as_str().unwrap());
    ben.put(&thumb, json!({})).await.data();

    let id = begin(&anna, &chat, json!({ "format": "json", "files": true })).await;
    let begun = socket.expect("export.progress").await;
    let counted = (&begun.payload["upload_id"], &begun.payload["messages"], &begun.payload["of"]);
    assert_eq!(counted, (&json!(id), &json!(0), &json!(4)));
    let ended = socket.expect("export.ended").await;
    assert_eq!((&ended.payload["upload_id"], &ended.payload["upload"]["status"]), (&json!(id), &json!("ready")));
    let is_it = |frame: &Frame| frame.kind == "notification" && frame.payload["kind"] == "export";
    let told = socket.find("the notification", is_it).await.payload;
    assert_eq!(told["upload_id"], json!(id));
    assert_eq!((&told["conversation_id"], &told["title"]), (&json!(chat), &ended.payload["upload"]["name"]));
    let found = files(&anna, &id).await;
    assert_eq!(found.len(), 2);
    assert!(found[1].0.starts_with("files/") && found[1].0.ends_with("/plan.txt"), "{}", found[1].0);
    assert_eq!(found[1].1, b"the plan");
    let read: Value = serde_json::from_slice(&found[0].1).unwrap();
    let said: Vec<_> = read["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
    assert_eq!(said, [&json!("Hello <b>Ben</b> & all"), &json!(""), &json!("In the thread"), &json!("See here")]);
    assert_eq!((&read["conversation"]["id"], &read["messages"][0]["sender"]["name"]), (&json!(chat), &json!("Anna")));
    // Each message in the export equals that of the history.
    for message in anna.history(&chat).await {
        assert!(read["messages"].as_array().unwrap().contains(&message), "{message:#}, {:#}", read["messages"]);
    }
    // Other users can't download it.
    ben.get(&format!("/r1/uploads/{id}")).await.refused(404, "not_found");

    let html = text(&anna, &chat, json!({ "format": "html" })).await;
    assert!(html.contains("Hello &lt;b&gt;Ben&lt;/b&gt; &amp; all") && html.contains("📎 plan.txt"), "{html}");
    let markdown = text(&ben, &chat, json!({ "format": "markdown" })).await;
    assert!(markdown.contains("**Ben** ") && markdown.contains("In the thread"), "{markdown}");
    for written in [html, markdown] {
        assert!(!written.contains("A secret"), "{written}");
    }
    let later = json!({ "format": "markdown", "from": "2099-01-01T00:00:00Z" });
    assert!(!text(&anna, &chat, later).await.contains("Hello"));
}

#[tokio::test]
async fn an_export_contains_a_file_sent_twice_once() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let upload = ben.upload("plan.txt", "text/plain", "the plan").await;
    let other = anna.upload("plan.txt", "text/plain", "another plan").await;
    ben.send_files(&chat, "See here", &[&upload]).await.data_with(201);
    anna.send_files(&chat, "And here", &[&other]).await.data_with(201);
    ben.send_files(&chat, "Once more", &[&upload]).await.data_with(201);
    for format in ["json", "html", "markdown"] {
        let id = begin(&anna, &chat, json!({ "format": format, "files": true })).await;
        let found = files(&anna, &id).await;
        let contents: Vec<_> = found[1..].iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
        assert_eq!(contents, ["the plan", "another plan"], "{format}");
    }
}

#[tokio::test]
async fn exports_both_sides_of_an_assistant_chat() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    anna.send_message(&chat, "What is a port?").await;
    let answer = socket.expect_in("message.completed", &chat).await.payload["message"].clone();
    let markdown = text(&anna, &chat, json!({ "format": "markdown" })).await;
    let place = |part: &str| markdown.find(part).unwrap_or_else(|| panic!("{part} is not in {markdown}"));
    let name = format!("\n**{}** ", answer["sender"]["name"].as_str().unwrap());
    let content = format!("\n{}\n", answer["content"].as_str().unwrap());
    assert!(place("\n**Anna** ") < place("\nWhat is a port?\n") && place(&name) < place(&content), "{markdown}");
    ben.post(&at(&chat), json!({ "format": "markdown" })).await.refused(404, "not_found");
}

#[tokio::test]
async fn exports_contain_no_executable_content() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "<script>alert(1)</script><img src=x onerror=alert(2)>").await;
    for (name, media_type) in [("page.html", "text/html"), ("drawing.svg", "image/svg+xml"), ("page", "text/plain")] {
        let upload = ben.upload(name, media_type, "<html><script>alert(3)</script></html>").await;
        ben.send_files(&chat, "", &[&upload]).await.data_with(201);
    }
    let id = begin(&anna, &chat, json!({ "format": "html", "files": true })).await;
    let found = files(&anna, &id).await;
    let html = String::from_utf8(found[0].1.clone()).unwrap();
    assert!(
        html.contains("content=\"default-src 'none';") && !html.contains("<script") && !html.contains("<img src=x"),
        "{html}"
    );
    // Files that a browser would execute are exported as plain text.
    let names: Vec<_> = found[1..].iter().map(|(path, _)| path.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["page.html.txt", "drawing.svg.txt", "page.txt"]);
    assert!(names.iter().all(|name| html.contains(&format!("/{name}\">"))), "{html}");
}

#[tokio::test]
async fn exports_exclude_deleted_messages() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let admin = app.admin().await;
    let chat = anna.open_single(&ben).await;
    let path = |message: &Value| format!("/r1/messages/{}", message["id"].as_str().unwrap());
    let edited = anna.send_message(&chat, "first wording").await;
    anna.patch(&path(&edited), json!({ "content": "Second thoughts" })).await.data();
    let upload = ben.upload("withdrawn.txt", "text/plain", "what was withdrawn").await;
    let deleted = ben.send_files(&chat, "deleted words", &[&upload]).await.data_with(201);
    ben.put(&format!("{}/pin", path(&deleted)), json!({})).await.data();
    ben.delete(&path(&deleted)).await.data();
    let reply = json!({ "client_id": new_id(), "content": "deleted reply", "thread_id": edited["id"] });
    let reply = ben.post(&format!("/r1/conversations/{chat}/messages"), reply).await.data_with(201);
    ben.delete(&path(&reply)).await.data();
    let hidden = ben.send_message(&chat, "hidden words").await;
    admin.post(&format!("/r1/admin/messages/{}/hide", hidden["id"].as_str().unwrap()), json!({})).await.data();
    let body = json!({ "client_id": new_id(), "content": "", "forward_of": edited["id"] });
    anna.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201);

    for format in ["json", "html", "markdown"] {
        let id = begin(&anna, &chat, json!({ "format": format, "files": true })).await;
        let found = files(&anna, &id).await;
        assert_eq!(found.len(), 1, "{format}: {:?}", found.iter().map(|(name, _)| name).collect::<Vec<_>>());
        let written = String::from_utf8_lossy(&found[0].1);
        assert!(written.contains("Second thoughts"), "{format}: {written}");
        for gone in ["first wording", "withdrawn", "deleted words", "deleted reply", "hidden words"] {
            assert!(!written.contains(gone), "{format} contains {gone:?}: {written}");
        }
    }
}

#[tokio::test]
async fn limits_exports_to_authorized_members() {
    let app = Setup::new().set("realtime.small_conversation", 3).start().await;
    let [anna, ben, carl, dora] =
        [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await, app.sign_up("Dora").await];
    let wish = json!({ "format": "json" });
    let small = anna.open_group("Small", &[&ben, &carl]).await;
    begin(&ben, &small, wish.clone()).await;
    dora.post(&at(&small), wish.clone()).await.refused(404, "not_found");
    let large = anna.open_group("Large", &[&ben, &carl, &dora]).await;
    begin(&anna, &large, wish.clone()).await;
    ben.post(&at(&large), wish.clone()).await.refused(403, "forbidden");
    let body = json!({ "kind": "public_channel", "title": new_id(), "member_ids": [ben.id] });
    let channel = anna.post("/r1/conversations", body).await.data_with(201);
    let channel = channel["id"].as_str().unwrap();
    begin(&anna, channel, wish.clone()).await;
    ben.post(&at(channel), wish.clone()).await.refused(403, "forbidden");
    carl.post(&at(channel), wish.clone()).await.refused(403, "not_a_member");
    anna.post(&at(&small), json!({ "format": "pdf" })).await.names_field("format");
    anna.post(&at(&small), json!({})).await.names_field("format");
    let wrong = json!({ "format": "json", "from": "2030-01-01T00:00:00Z", "to": "2029-01-01T00:00:00Z" });
    anna.post(&at(&small), wrong).await.names_field("to");
}

#[tokio::test]
async fn exports_a_long_conversation_completely_and_in_order() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for n in 0..450 {
        anna.send_message(&chat, &format!("Message {n}")).await;
    }
    let read: Value = serde_json::from_str(&text(&ben, &chat, json!({ "format": "json" })).await).unwrap();
    let said: Vec<_> =
        read["messages"].as_array().unwrap().iter().map(|one| one["content"].as_str().unwrap().to_owned()).collect();
    assert_eq!(said, (0..450).map(|n| format!("Message {n}")).collect::<Vec<_>>());
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn finishes_an_export_after_its_instance_is_killed() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        anna.send_message(&chat, "Kept").await;
        let id = begin(&anna, &chat, json!({ "format": "markdown" })).await;
        app.instances[0].kill().await;
        let there = anna.at(&app.instances[1].url());
        let found = files(&there, &id).await;
        assert!(String::from_utf8(found[0].1.clone()).unwrap().contains("Kept"));
    }
}
