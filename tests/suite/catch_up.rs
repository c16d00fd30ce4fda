//! Catch-up summaries. They contain only messages that the user can read, and only the user who
//! requests one sees it.

use support::{Application, Behaviour, Member, Setup, Upstream, UpstreamKind, Value, json, wait_until};

use crate::endpoints::{Args, SampleCall, sample};

async fn with_model() -> (Upstream, Application) {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).set("ai.providers.fake.models", "gpt-5-mini").start().await;
    (upstream, app)
}

fn read_by_model(upstream: &Upstream) -> String {
    upstream.asked().last().unwrap().body["messages"].to_string()
}

fn path(chat: &str) -> String {
    format!("/r1/conversations/{chat}/catch-up")
}

async fn read(member: &Member, chat: &str, message: &Value) {
    member.post(&format!("/r1/conversations/{chat}/read"), json!({ "seq": message["seq"] })).await.data();
    let is_read = async || member.conversation(chat).await["own"]["read_seq"] == message["seq"];
    wait_until("the conversation is read", is_read).await;
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        // Neither has any new messages, so the calls are refused after the access checks.
        sample(&["CatchUpConversation"], async |world| Args::id(world.group().await).with_body(json!({}))),
        sample(&["CatchUpAll"], async |world| Args::body(json!({ "workspace_id": world.workspace }))),
    ]
}

#[tokio::test]
async fn catch_up_summarizes_a_conversation() {
    let (upstream, app) = with_model().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let dora = app.sign_up("Dora").await;
    let chat = anna.open_group("Launch", &[&ben, &dora]).await;
    let known = anna.send_message(&chat, "we begin in May").await;
    read(&ben, &chat, &known).await;
    ben.send_message(&chat, "fine with me").await;
    let gone = anna.send_message(&chat, "the secret is out").await;
    let news = anna.send_message(&chat, "no, we begin in June").await;
    anna.delete(&format!("/r1/messages/{}", gone["id"].as_str().unwrap())).await.data();
    upstream.then(Behaviour::answer("It begins in June.[1]"));
    let told = ben.post(&path(&chat), json!({})).await.data();
    assert_eq!(
        (&told["text"], &told["read_count"], &told["has_more"]),
        (&json!("It begins in June.[1]"), &json!(1), &json!(false))
    );
    assert_eq!(told["sources"][0]["message_id"], news["id"]);
    let asked = read_by_model(&upstream);
    assert!(asked.contains("in June") && asked.contains("in Launch") && asked.contains("Ben"), "{asked}");
    for unread in ["in May", "fine with me", "secret"] {
        assert!(!asked.contains(unread), "{asked}");
    }
    // A summary from an earlier position is possible although all messages are read.
    read(&ben, &chat, &news).await;
    ben.post(&path(&chat), json!({})).await.refused(409, "wrong_state");
    upstream.then(Behaviour::answer("In May, then in June.[1][2]"));
    let all = ben.post(&path(&chat), json!({ "since": 0 })).await.data();
    assert_eq!((all["read_count"].as_u64(), all["sources"].as_array().unwrap().len()), (Some(2), 2));
    // The summary is charged to Ben. No conversation contains it.
    let used = async || ben.get("/r1/usage/requests").await.data()["total"].as_u64().unwrap_or_default();
    wait_until("the usage is recorded", async || used().await == 2).await;
    assert!(anna.history(&chat).await.iter().all(|message| message["sender"]["kind"] != "assistant"));
    carl.post(&path(&chat), json!({})).await.refused(404, "not_found");
    upstream.always(Behaviour::Refuse(500, None));
    ben.post(&path(&chat), json!({ "since": 0 })).await.refused(503, "unavailable");
}

#[tokio::test]
async fn catch_up_summarizes_all_conversations_of_a_workspace() {
    let (upstream, app) = with_model().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let home = ben.get("/r1/workspaces").await.data()["items"][0]["id"].clone();
    let wanted = json!({ "workspace_id": home });
    ben.post("/r1/catch-up", wanted.clone()).await.refused(409, "wrong_state");
    let (loud, quiet) = (anna.open_group("Loud", &[&ben, &carl]).await, anna.open_group("Quiet", &[&ben, &carl]).await);
    let private = anna.open_channel("private_channel", "Secrets").await;
    for n in 0..45 {
        anna.send_message(&loud, &format!("loud number {n}.")).await;
    }
    anna.send_message(&quiet, "a quiet word").await;
    anna.send_message(&private, "the heron is a spy").await;
    upstream.then(Behaviour::answer("Much in Loud.[1]"));
    let told = ben.post("/r1/catch-up", wanted.clone()).await.data();
    assert_eq!((&told["read_count"], &told["has_more"]), (&json!(41), &json!(true)));
    let asked = read_by_model(&upstream);
    assert!(asked.contains("a quiet word") && asked.contains("loud number 44."), "{asked}");
    assert!(!asked.contains("loud number 4.") && !asked.contains("spy"), "{asked}");
    // Muted conversations are not summarised.
    let own = format!("/r1/conversations/{loud}/own");
    ben.patch(&own, json!({ "muted_until": "2100-01-01T00:00:00Z" })).await.data();
    upstream.then(Behaviour::answer("A word.[1]"));
    let told = ben.post("/r1/catch-up", wanted).await.data();
    assert_eq!((&told["read_count"], &told["has_more"]), (&json!(1), &json!(false)));
}
