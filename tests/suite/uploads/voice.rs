//! Voice notes: transcription for users, and for assistants that are addressed by voice.

use support::{Application, Member, Setup, Upstream, UpstreamKind, Value, json, wait_until};

pub(crate) const WEBM: &[u8] = &webm();

/// Start of a WebM recording, padded to 300 bytes.
const fn webm() -> [u8; 300] {
    let head = *b"\x1a\x45\xdf\xa3\x42\x82\x84webm voice";
    let (mut bytes, mut at) = ([0; 300], 0);
    while at < head.len() {
        bytes[at] = head[at];
        at += 1;
    }
    bytes
}

async fn start(upstream: &Upstream) -> Application {
    Setup::new().provider(upstream).set("ai.transcription_model", "small").start().await
}

async fn note(member: &Member) -> Value {
    member.send(member.uploading_as("?kind=voice", "note.webm", "audio/webm", WEBM)).await.data_with(201)
}

#[tokio::test]
async fn transcribes_a_voice_note_for_all_readers() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = start(&upstream).await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let upload = note(&anna).await;
    assert_eq!((&upload["kind"], &upload["transcript_state"]), (&json!("voice"), &json!("pending")), "{upload}");
    assert!(upstream.asked().is_empty(), "unsent recordings are not transcribed");
    let sent = anna.send_files(&chat, "", &[&upload]).await.data_with(201);
    let updated = socket.expect_in("message.updated", &chat).await.payload["message"].clone();
    let written = &updated["attachments"][0];
    assert_eq!(
        (&written["transcript"], &written["transcript_state"], &updated["edited_at"]),
        (&json!("What was said."), &json!("ready"), &Value::Null),
        "{updated}"
    );
    assert_eq!(updated["id"], sent["id"]);
    let asked = upstream.asked().remove(0);
    let form = String::from_utf8_lossy(&asked.bytes);
    assert!(asked.path.ends_with("/audio/transcriptions") && form.contains("webm voice"), "{form}");
    assert!(form.contains("filename=\"voice.webm\"") && form.contains("name=\"model\""), "{form}");
    // Users who read later, and a second message with the same file, have the transcript too. The
    // sender pays for it.
    let history = ben.history(&chat).await;
    assert_eq!(history[0]["attachments"][0]["transcript"], "What was said.");
    let again = anna.send_files(&chat, "once more", &[&upload]).await.data_with(201);
    assert_eq!(again["attachments"][0]["transcript"], "What was said.");
    let row = || async { anna.get("/r1/usage/requests").await.data() };
    wait_until("the call is in the ledger", || async { row().await["total"] == 1 }).await;
    assert_eq!(row().await["items"][0]["endpoint"], "transcriptions");
    assert_eq!(ben.get("/r1/usage/requests").await.data()["total"], 0);
    // A file that isn't a voice note is not transcribed.
    let file = anna.upload("a.webm", "audio/webm", WEBM).await;
    assert_eq!(file.get("transcript_state"), None, "{file}");
    assert_eq!(upstream.asked().len(), 1);
}

#[tokio::test]
async fn sends_the_transcript_to_an_assistant_asked_by_voice() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = start(&upstream).await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    let upload = note(&anna).await;
    anna.send_files(&chat, "", &[&upload]).await.data_with(201);
    let ended = socket.expect_in("message.completed", &chat).await.payload["message"].clone();
    let asked = upstream.asked();
    assert_eq!(asked.len(), 2, "first the transcript, then the answer");
    let question = asked[1].body["messages"].as_array().unwrap().last().unwrap().to_string();
    assert!(question.contains("What was said.") && question.contains("voice note"), "{question}");
    assert_eq!(ended["answer"]["files"][0]["how"], "whole", "{ended}");
}

#[tokio::test]
async fn reports_missing_transcription_without_delay() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    let upload = note(&anna).await;
    assert_eq!(upload.get("transcript_state"), None, "{upload}");
    anna.send_files(&chat, "", &[&upload]).await.data_with(201);
    let ended = socket.expect_in("message.completed", &chat).await.payload["message"].clone();
    assert_eq!(ended["answer"]["files"][0]["reason"], "no_transcript", "{ended}");
    assert!(upstream.asked()[0].body.to_string().contains("aren't written down"));
}

#[tokio::test]
async fn recordings_refused_by_the_provider_are_shown_as_failed() {
    let upstream = Upstream::start(UpstreamKind::Anthropic).await;
    let app = start(&upstream).await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let upload = note(&anna).await;
    anna.send_files(&chat, "", &[&upload]).await.data_with(201);
    let updated = socket.expect_in("message.updated", &chat).await.payload["message"].clone();
    let written = &updated["attachments"][0];
    assert_eq!((&written["transcript_state"], written.get("transcript")), (&json!("failed"), None), "{updated}");
}

#[tokio::test]
async fn dictation_returns_the_text_and_stores_nothing() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = start(&upstream).await;
    let anna = app.sign_up("Anna").await;
    let dictated = |media_type: &'static str, bytes: &'static [u8]| {
        let request = anna.request(reqwest::Method::POST, "/r1/transcriptions");
        anna.send(request.header("content-type", media_type).body(bytes))
    };
    assert_eq!(dictated("audio/webm", WEBM).await.data(), json!({ "text": "What was said." }));
    let asked = upstream.asked().remove(0);
    assert!(asked.path.ends_with("/audio/transcriptions"), "{}", asked.path);
    assert!(String::from_utf8_lossy(&asked.bytes).contains("filename=\"voice.webm\""));
    assert_eq!(app.database.number("SELECT count(*) FROM uploads").await, 0);
    // The transcription is charged like any other call.
    wait_until("the call is in the ledger", || async {
        anna.get("/r1/usage/requests").await.data()["items"][0]["endpoint"] == "transcriptions"
    })
    .await;
    dictated("audio/webm", b"no sound at all").await.refused(415, "type_refused");
    assert_eq!(app.anonymous().get("/r1/auth/policy").await.data()["transcriptions"], true);
    assert_eq!(upstream.asked().len(), 1);

    let without = Application::start().await;
    let ben = without.sign_up("Ben").await;
    let request = ben.request(reqwest::Method::POST, "/r1/transcriptions").header("content-type", "audio/webm");
    ben.send(request.body(WEBM)).await.refused(409, "wrong_state");
    assert_eq!(without.anonymous().get("/r1/auth/policy").await.data()["transcriptions"], false);
}
