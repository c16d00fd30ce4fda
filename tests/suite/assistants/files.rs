//! Files as context: pictures for models with vision, text for all models, and a note about files
//! of other types.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use support::{Member, Setup, UpstreamKind, Value, json, new_id};

use super::Chat;
use crate::uploads::{address, pictures::png};

/// Starts an application with two models. The first is known to see pictures; nothing is known
/// about the second.
async fn start(kind: UpstreamKind) -> Chat {
    let upstream = support::Upstream::start(kind).await;
    let app = Setup::new().provider(&upstream).set("ai.providers.fake.models", "gpt-5-mini,small").start().await;
    let anna = app.sign_up("Anna").await;
    let id = anna.open_assistant().await;
    let socket = anna.connect().await;
    Chat { app, upstream, anna, id, socket }
}

async fn ask(chat: &mut Chat, model: &str, text: &str, uploads: &[&Value]) -> Value {
    let ids: Vec<&Value> = uploads.iter().map(|upload| &upload["id"]).collect();
    let body = json!({ "client_id": new_id(), "content": text, "attachment_ids": ids, "model": model });
    chat.anna.post(&format!("/r1/conversations/{}/messages", chat.id), body).await.data_with(201);
    chat.ended("message.completed").await["message"].clone()
}

/// Returns the turns of the last request to the provider, in its own format, as text with sorted
/// fields.
fn asked(chat: &Chat) -> String {
    let body = chat.upstream.asked().last().unwrap().body.clone();
    let mut turns = if body["contents"].is_null() { body["messages"].clone() } else { body["contents"].clone() };
    turns.sort_all_objects();
    turns.to_string()
}

async fn seen(anna: &Member, upload: &Value) -> String {
    STANDARD.encode(&anna.get(&format!("{}?size=1280", address(upload))).await.bytes)
}

#[tokio::test]
async fn sends_pictures_and_text_to_the_model_and_names_other_files() {
    for kind in UpstreamKind::ALL {
        let mut chat = start(kind).await;
        let picture = chat.anna.upload("chart.png", "image/png", png(1200, 400)).await;
        let text = chat.anna.upload("plan.md", "text/markdown", "# Step one</file>").await;
        let other = chat.anna.upload("a.zip", "application/zip", "PK\u{3}\u{4}\u{1}").await;
        let data = seen(&chat.anna, &picture).await;
        for (model, sees) in [("gpt-5-mini", true), ("small", false)] {
            let answer = ask(&mut chat, model, "What is it?", &[&picture, &text, &other]).await;
            let asked = asked(&chat);
            let shown = match kind {
                UpstreamKind::OpenAi => format!("\"url\":\"data:image/jpeg;base64,{data}\""),
                UpstreamKind::Gemini => format!("\"inlineData\":{{\"data\":\"{data}\",\"mimeType\":\"image/jpeg\"}}"),
                UpstreamKind::Anthropic => {
                    format!("\"source\":{{\"data\":\"{data}\",\"media_type\":\"image/jpeg\",\"type\":\"base64\"}}")
                }
            };
            assert_eq!(asked.contains(&shown), sees, "{kind:?} {model}: {}", &asked[..asked.len().min(2_000)]);
            assert_eq!(asked.contains(&data), sees, "{kind:?} {model}");
            let last = asked.replace(&data, "");
            assert!(last.contains("What is it?") && last.contains("# Step one"), "{kind:?} {model}: {last}");
            assert!(last.contains("# Step one<\\\\/file>"), "file content can't close the file element: {last}");
            assert!(last.contains("a.zip") && last.contains("you can't read files of this type"), "{kind:?}: {last}");
            assert_eq!(last.contains("you can't see pictures"), !sees, "{kind:?} {model}: {last}");
            let files = answer["answer"]["files"].as_array().unwrap();
            let told: Vec<_> = files.iter().take(3).map(|file| (file["name"].as_str(), file["how"].as_str())).collect();
            let how = if sees { "whole" } else { "unseen" };
            let expected =
                [(Some("chart.png"), Some(how)), (Some("plan.md"), Some("whole")), (Some("a.zip"), Some("unseen"))];
            assert_eq!(told, expected, "{kind:?} {model}");
            assert_eq!(files[2]["reason"], "type");
            assert_eq!(files[0]["reason"], if sees { Value::Null } else { json!("model_blind") });
            assert_eq!(files[0]["tokens"].is_u64(), sees);
        }
    }
}

#[tokio::test]
async fn scales_pictures_to_the_models_image_size() {
    let mut chat = start(UpstreamKind::OpenAi).await;
    let large = chat.anna.upload("plan.png", "image/png", png(3000, 1500)).await;
    // The limits are 2,048 pixels per side and 1.57 megapixels. The next request contains the same
    // picture again.
    for uploads in [vec![&large], Vec::new()] {
        let answer = ask(&mut chat, "gpt-5-mini", "What is it?", &uploads).await;
        let asked = asked(&chat);
        let data = asked.split("data:image/jpeg;base64,").last().unwrap().split('"').next().unwrap();
        let picture = image::load_from_memory(&STANDARD.decode(data).unwrap()).unwrap();
        assert_eq!(picture.width(), 1773, "{} x {}", picture.width(), picture.height());
        let tokens = answer["answer"]["files"][0]["tokens"].as_u64().unwrap();
        assert_eq!(tokens, 1773 * 886 / 750, "tokens follow the sent size");
    }
}

#[tokio::test]
async fn resends_earlier_files_unless_they_were_deleted() {
    let mut chat = start(UpstreamKind::OpenAi).await;
    let upload = chat.anna.upload("a.txt", "text/plain", "the secret is 42").await;
    ask(&mut chat, "small", "Read this", &[&upload]).await;
    ask(&mut chat, "small", "And now?", &[]).await;
    assert!(asked(&chat).contains("the secret is 42"));
    let question = chat.anna.history(&chat.id).await[0]["id"].as_str().unwrap().to_owned();
    // Versions that are not shown are not part of the context.
    let path = format!("/r1/messages/{question}/versions");
    chat.anna.post(&path, json!({ "content": "Read this instead" })).await.data_with(201);
    chat.ended("message.completed").await;
    let again = asked(&chat);
    assert!(again.contains("the secret is 42") && !again.contains("And now?"), "{again}");
    chat.anna.delete(&format!("/r1/messages/{question}")).await.data();
    ask(&mut chat, "small", "What was it?", &[]).await;
    assert!(!asked(&chat).contains("the secret is 42"));
}

#[tokio::test]
async fn a_message_with_unreadable_files_does_not_end_the_chat() {
    let mut chat = start(UpstreamKind::OpenAi).await;
    let upload = chat.anna.upload("a.txt", "text/plain", "the secret is 42").await;
    ask(&mut chat, "small", "Read this", &[&upload]).await;
    chat.app.database.run("UPDATE messages SET attachments = '{' WHERE content = 'Read this'").await;
    ask(&mut chat, "small", "And now?", &[]).await;
    let asked = asked(&chat);
    assert!(asked.contains("Read this") && asked.contains("And now?") && !asked.contains("secret"), "{asked}");
}

#[tokio::test]
async fn limits_files_to_a_share_of_the_context_window() {
    let mut chat = start(UpstreamKind::OpenAi).await;
    let mut uploads = vec![chat.anna.upload("long.txt", "text/plain", "word ".repeat(40_000)).await];
    uploads.push(chat.anna.upload("more.txt", "text/plain", "more").await);
    let uploads: Vec<&Value> = uploads.iter().collect();
    let answer = ask(&mut chat, "small", "Sum it up", &uploads).await;
    let files = &answer["answer"]["files"];
    assert_eq!((&files[0]["how"], &files[1]["reason"]), (&json!("part"), &json!("too_large")), "{files}");
    let asked = asked(&chat);
    assert!(asked.contains("The rest of the file is left out") && asked.contains("there is no room left"), "{asked}");
    assert!(asked.len() < 100_000 && asked.contains("Sum it up"));
    let mut pictures = Vec::new();
    for place in 0..10 {
        pictures.push(chat.anna.upload(&format!("{place}.png"), "image/png", png(40, 30)).await);
    }
    let pictures: Vec<&Value> = pictures.iter().collect();
    let answer = ask(&mut chat, "gpt-5-mini", "Which is odd?", &pictures).await;
    let files = answer["answer"]["files"].as_array().unwrap();
    let shown = files.iter().filter(|file| file["how"] == "whole").count();
    let left_out = files.iter().filter(|file| file["reason"] == "too_many").count();
    assert_eq!((shown, left_out), (8, 2), "{files:?}");
}

#[tokio::test]
async fn answers_to_later_members_exclude_earlier_files() {
    let mut chat = start(UpstreamKind::OpenAi).await;
    let (ben, carl) = (chat.app.sign_up("Ben").await, chat.app.sign_up("Carl").await);
    let dora = chat.app.sign_up("Dora").await;
    let assistant = chat.anna.conversation(&chat.id).await["assistants"][0].clone();
    let body = json!({ "kind": "group", "title": "Team", "member_ids": [ben.id, dora.id], "history": "from_join" });
    chat.id = chat.anna.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let members = format!("/r1/conversations/{}/members", chat.id);
    chat.anna.post(&members, json!({ "assistant_id": assistant["id"] })).await.data_with(201);
    let upload = chat.anna.upload("a.txt", "text/plain", "before Carl").await;
    chat.anna.send_files(&chat.id, "for us two", &[&upload]).await.data_with(201);
    chat.anna.post(&members, json!({ "user_id": carl.id })).await.data_with(201);
    let question = format!("@{} what is in the file?", assistant["name"].as_str().unwrap());
    for (who, reads) in [(&carl, false), (&ben, true)] {
        who.send_message(&chat.id, &question).await;
        let answer = chat.ended("message.completed").await["message"].clone();
        assert_eq!(asked(&chat).contains("before Carl"), reads, "{}", asked(&chat));
        assert!(!answer.to_string().contains("a.txt"), "Carl also reads the answer: {answer}");
    }
}

/// Creates a PDF with these words on its only page.
fn pdf(words: &str) -> Vec<u8> {
    let content = format!("BT /F1 24 Tf 72 700 Td ({words}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut places = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
    }
    let start = file.len();
    file.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    for place in places {
        file.push_str(&format!("{place:010} 00000 n \n"));
    }
    file.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1));
    file.into_bytes()
}

#[tokio::test]
async fn sends_a_pdf_natively_if_supported_and_its_text_otherwise() {
    for kind in UpstreamKind::ALL {
        let mut chat = start(kind).await;
        let bytes = pdf("Turnover rose by eleven percent");
        let data = STANDARD.encode(&bytes);
        let report = chat.anna.upload("report.pdf", "application/pdf", bytes).await;
        let scan = chat.anna.upload("scan.pdf", "application/pdf", pdf("")).await;
        for (model, reads) in [("gpt-5-mini", true), ("small", false)] {
            let answer = ask(&mut chat, model, "What does it say?", &[&report, &scan]).await;
            let asked = asked(&chat);
            let given = match kind {
                UpstreamKind::OpenAi => {
                    format!("\"file_data\":\"data:application/pdf;base64,{data}\",\"filename\":\"report.pdf\"")
                }
                UpstreamKind::Gemini => {
                    format!("\"inlineData\":{{\"data\":\"{data}\",\"mimeType\":\"application/pdf\"}}")
                }
                UpstreamKind::Anthropic => format!(
                    "\"source\":{{\"data\":\"{data}\",\"media_type\":\"application/pdf\",\"type\":\"base64\"}},\"title\":\"report.pdf\",\"type\":\"document\""
                ),
            };
            assert_eq!(asked.contains(&given), reads, "{kind:?} {model}: {}", &asked[..asked.len().min(2_000)]);
            assert_eq!(asked.contains("Turnover rose by eleven"), !reads, "{kind:?} {model}: {asked}");
            assert_eq!(asked.contains("pictures without text"), !reads, "{kind:?} {model}: {asked}");
            let files = &answer["answer"]["files"];
            assert_eq!(files[0]["how"], "whole", "{files}");
            let of_scan = if reads { ("whole", Value::Null) } else { ("unseen", json!("no_text")) };
            assert_eq!((files[1]["how"].as_str().unwrap(), files[1]["reason"].clone()), of_scan, "{files}");
            // The picture of a page takes more tokens than its five words.
            assert_eq!(files[0]["tokens"].as_u64().unwrap() > 1_000, reads, "{files}");
        }
    }
}

#[tokio::test]
async fn extracts_documents_and_survives_malicious_ones() {
    let mut chat = start(UpstreamKind::OpenAi).await;
    let good = chat.anna.upload("report.pdf", "application/pdf", pdf("Turnover rose by eleven percent")).await;
    let deep = [b"%PDF-1.4\n1 0 obj\n".as_slice(), &b"[".repeat(20_000)].concat();
    let deep = chat.anna.upload("deep.pdf", "application/pdf", deep).await;
    let answer = ask(&mut chat, "small", "What does it say?", &[&good, &deep]).await;
    let asked = asked(&chat);
    assert!(asked.contains("Turnover rose") && asked.contains("it can't be read"), "{asked}");
    let files = &answer["answer"]["files"];
    assert_eq!((&files[0]["how"], &files[1]["reason"]), (&json!("whole"), &json!("unreadable")), "{files}");
    assert_eq!(chat.app.anonymous().get("/health").await.status, 200);
}
