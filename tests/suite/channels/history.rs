//! Hidden history: users who join later never get earlier messages.

use support::{Application, Behaviour, Member, Setup, Upstream, UpstreamKind, Value, json, new_id};

use super::at;

const BEFORE: &str = "Said before";

async fn open(anna: &Member, ben: &Member, carl: &Member, kind: &str, history: &str) -> support::Answer {
    let others = if kind == "single" { vec![&ben.id] } else { vec![&ben.id, &carl.id] };
    let body = json!({ "kind": kind, "title": new_id(), "member_ids": others, "history": history });
    anna.post("/r1/conversations", body).await
}

/// Returns the content of a conversation that a user can read, in every possible way.
async fn told(member: &Member, id: &str) -> Vec<(&'static str, String)> {
    let list = async |path: &str| member.get(&at(id, path)).await.data().to_string();
    let mut socket = member.connect().await;
    let asked = socket.send("sync", json!({ "cursors": { id: 0 } })).await;
    let mut synced = String::new();
    loop {
        let frame = socket.next().await;
        if frame.kind == "sync.done" && frame.reply_to.as_ref() == Some(&asked) {
            break;
        }
        assert!(frame.kind != "error", "{frame:?}");
        synced.push_str(&frame.payload.to_string());
    }
    let mut stream = member.event_stream(Some("0")).await;
    let mut streamed = String::new();
    loop {
        let frame = stream.next().await;
        if frame.kind == "sync.done" {
            break;
        }
        assert!(frame.kind != "resync", "{frame:?}");
        streamed.push_str(&frame.payload.to_string());
    }
    vec![
        ("the newest messages", list("/messages").await),
        ("messages from the beginning", list("/messages?after_seq=0").await),
        ("messages before a number", list("/messages?before_seq=1000").await),
        ("messages since a moment", list("/messages?from=2020-01-01T00:00:00.000Z").await),
        ("messages up to a moment", list("/messages?to=2100-01-01T00:00:00.000Z").await),
        ("the log", list("/events").await),
        ("the log from the beginning", list("/events?after_seq=0").await),
        ("the conversation", list("").await),
        ("the list", member.get("/r1/conversations").await.data().to_string()),
        ("a sync", synced),
        ("a stream", streamed),
        ("the export", member.get("/r1/users/me/export").await.text()),
    ]
}

#[tokio::test]
async fn hides_earlier_messages_from_later_members_if_history_is_hidden() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let late = app.sign_up("Late").await;
    for kind in ["group", "private_channel"] {
        let opened = open(&anna, &ben, &carl, kind, "from_join").await.data_with(201);
        assert_eq!(opened["history"], "from_join");
        let id = opened["id"].as_str().unwrap();
        let body = json!({ "client_id": new_id(), "content": BEFORE, "mentions": [{ "kind": "all" }] });
        let before = anna.post(&at(id, "/messages"), body).await.data_with(201);
        let deleted = anna.send_message(id, BEFORE).await;
        anna.delete(&format!("/r1/messages/{}", deleted["id"].as_str().unwrap())).await.data();
        let path = format!("/r1/messages/{}", before["id"].as_str().unwrap());
        let mut socket = late.connect().await;
        anna.post(&at(id, "/members"), json!({ "user_id": late.id })).await.data_with(201);
        socket.expect_in("member.added", id).await;

        let seen = late.conversation(id).await;
        assert_eq!((&seen["last_message"], &seen["unread"]), (&json!(null), &json!(0)), "{kind}: {seen}");
        assert_eq!(seen["own"]["unread_mentions"], 0);
        late.get(&path).await.refused(404, "not_found");
        let reply = json!({ "client_id": new_id(), "content": "Re", "reply_to": before["id"] });
        late.post(&at(id, "/messages"), reply.clone()).await.names_field("reply_to");
        ben.post(&at(id, "/messages"), reply).await.data_with(201);
        // Managers of the conversation see its whole history.
        anna.patch(&at(id, &format!("/members/{}", late.id)), json!({ "role": "admin" })).await.data();
        late.delete(&path).await.refused(404, "not_found");
        anna.send_message(id, "Said since").await;
        assert_eq!(late.conversation(id).await["unread"], 2, "{kind}");
        for (way, text) in told(&late, id).await {
            assert!(!text.contains(BEFORE), "{kind}: {way} reveals it: {text}");
            assert!(
                text.contains("Said since") || way == "the export",
                "{kind}: {way} lacks what was said since: {text}"
            );
        }
        for (way, text) in told(&ben, id).await {
            let has_all = text.contains(BEFORE) || ["the conversation", "the list", "the export"].contains(&way);
            assert!(has_all, "{kind}: {way} lacks earlier messages: {text}");
        }
        // A member who returns sees only the messages from then on.
        late.post(&at(id, "/leave"), json!({})).await.data();
        anna.send_message(id, "Said in between").await;
        anna.post(&at(id, "/members"), json!({ "user_id": late.id })).await.data_with(201);
        anna.send_message(id, "Said at last").await;
        for (way, text) in told(&late, id).await {
            assert!(["Said since", "Said in between"].iter().all(|gone| !text.contains(gone)), "{kind}: {way}: {text}");
            assert!(text.contains("Said at last") || way == "the export", "{kind}: {way}: {text}");
        }
    }
}

#[tokio::test]
async fn shows_earlier_messages_to_later_members_if_history_is_visible() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let late = app.sign_up("Late").await;
    for kind in ["single", "assistant", "public_channel"] {
        open(&anna, &ben, &carl, kind, "from_join").await.names_field("history");
    }
    for kind in ["group", "private_channel", "public_channel"] {
        let opened = open(&anna, &ben, &carl, kind, "all").await.data_with(201);
        let id = opened["id"].as_str().unwrap();
        anna.send_message(id, BEFORE).await;
        anna.post(&at(id, "/members"), json!({ "user_id": late.id })).await.data_with(201);
        for (way, text) in told(&late, id).await {
            assert!(text.contains(BEFORE) || way == "the export", "{kind}: {way} lacks it: {text}");
        }
    }
    // When a channel becomes public, its history becomes visible for good.
    let opened = open(&anna, &ben, &carl, "private_channel", "from_join").await.data_with(201);
    let id = opened["id"].as_str().unwrap();
    anna.send_message(id, BEFORE).await;
    anna.post(&at(id, "/members"), json!({ "user_id": late.id })).await.data_with(201);
    let mut socket = late.connect().await;
    for kind in ["public_channel", "private_channel"] {
        anna.post(&at(id, "/convert"), json!({ "kind": kind })).await.data();
        assert_eq!(socket.expect_in("conversation.updated", id).await.payload["history"], "all");
        assert_eq!(late.history(id).await[0]["content"], BEFORE, "{kind}");
    }
    assert!((400..500).contains(&anna.patch(&at(id, ""), json!({ "history": "from_join" })).await.status));
}

#[tokio::test]
async fn an_assistant_reveals_no_history_that_the_asker_cannot_read() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let late = app.sign_up("Late").await;
    let opened = open(&anna, &ben, &carl, "group", "from_join").await.data_with(201);
    let id = opened["id"].as_str().unwrap();
    let chat = anna.open_assistant().await;
    let assistant = anna.conversation(&chat).await["assistants"][0].clone();
    anna.post(&at(id, "/members"), json!({ "assistant_id": assistant["id"] })).await.data_with(201);
    anna.send_message(id, BEFORE).await;
    anna.post(&at(id, "/members"), json!({ "user_id": late.id })).await.data_with(201);
    let ask = async |who: &Member| -> Value {
        upstream.always(Behaviour::answer("Well."));
        let mut socket = who.connect().await;
        who.send_message(id, &format!("@{} what was said?", assistant["name"].as_str().unwrap())).await;
        socket.expect_in("message.completed", id).await;
        upstream.asked().last().unwrap().body["messages"].clone()
    };
    let asked = ask(&late).await.to_string();
    assert!(!asked.contains(BEFORE) && asked.contains("what was said?"), "{asked}");
    let asked = ask(&ben).await.to_string();
    assert!(asked.contains(BEFORE), "{asked}");
}
