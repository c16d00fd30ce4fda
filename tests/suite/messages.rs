//! Messages: sending, editing, deleting, replying and reading.

use support::{Application, Setup, Value, json, new_id, wait_until};

use crate::endpoints::{Args, SampleCall, sample};

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        sample(&["ListMessages"], async |world| Args::id(world.group().await)),
        sample(&["SendMessage"], async |world| {
            Args::id(world.group().await).with_body(json!({ "client_id": new_id(), "content": "Hello" }))
        }),
        sample(&["ShowMessage", "DeleteMessage"], async |world| Args::id(world.message().await)),
        sample(&["EditMessage"], async |world| {
            Args::id(world.message().await).with_body(json!({ "content": "Hello again" }))
        }),
    ]
}

#[tokio::test]
async fn deduplicates_messages_by_client_id() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let client_id = new_id();
    let first = anna.send_as(&chat, &client_id, "hello").await.data_with(201);
    let again = anna.send_as(&chat, &client_id, "something else").await.data_with(200);
    assert_eq!(first, again);
    assert_eq!(first["seq"], 1);
    assert_eq!(first["client_id"], client_id.as_str());
    assert_eq!(first["sender"], json!({ "kind": "user", "id": anna.id, "name": "Anna" }));
    // With another sender, the same id denotes another message.
    assert_eq!(ben.send_as(&chat, &client_id, "hello").await.data_with(201)["seq"], 2);
    // Twenty concurrent requests to send a message create it only once.
    let racing = new_id();
    let answers = futures_util::future::join_all((0..20).map(|_| anna.send_as(&chat, &racing, "once"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(anna.history(&chat).await.len(), 3);
}

#[tokio::test]
async fn rejects_invalid_messages_by_field() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let path = format!("/r1/conversations/{chat}/messages");
    let other = anna.open_assistant().await;
    let elsewhere = anna.send_message(&other, "elsewhere").await;
    for (body, field) in [
        (json!({ "client_id": new_id(), "content": "" }), "content"),
        (json!({ "client_id": new_id(), "content": "  \n " }), "content"),
        (json!({ "client_id": new_id(), "content": "\u{200b}\u{3164} \u{2800}" }), "content"),
        (json!({ "client_id": new_id(), "content": "ơ".repeat(5001) }), "content"),
        (json!({ "client_id": new_id(), "content": "a\u{0}b" }), "content"),
        (json!({ "client_id": "", "content": "x" }), "client_id"),
        (json!({ "client_id": "y".repeat(65), "content": "x" }), "client_id"),
        (json!({ "client_id": new_id(), "content": "x", "reply_to": new_id() }), "reply_to"),
        (json!({ "client_id": new_id(), "content": "x", "reply_to": elsewhere["id"] }), "reply_to"),
    ] {
        let answer = anna.post(&path, body.clone()).await;
        assert_eq!(answer.status, 422, "{body} {answer:?}");
        answer.names_field(field);
    }
    assert!(anna.history(&chat).await.is_empty());
    anna.post(&path, json!({ "client_id": new_id(), "content": "ơ".repeat(5000) })).await.data_with(201);
}

#[tokio::test]
async fn its_sender_edits_and_deletes_a_message() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let sent = anna.send_message(&chat, "helo").await;
    let path = format!("/r1/messages/{}", sent["id"].as_str().unwrap());
    ben.patch(&path, json!({ "content": "hacked" })).await.refused(403, "forbidden");
    ben.delete(&path).await.refused(403, "forbidden");
    let edited = anna.patch(&path, json!({ "content": "hello" })).await.data();
    assert_eq!(edited["content"], "hello");
    assert!(edited["edited_at"].is_string());
    assert_eq!(socket.expect_in("message.updated", &chat).await.payload["message"]["content"], "hello");
    anna.delete(&path).await.data();
    let deleted = socket.expect_in("message.deleted", &chat).await;
    assert_eq!(deleted.payload["message_id"], sent["id"]);
    // The message keeps its position, but its text is removed everywhere.
    let history = ben.history(&chat).await;
    assert_eq!(history[0]["content"], "");
    assert!(history[0]["deleted_at"].is_string());
    anna.patch(&path, json!({ "content": "back" })).await.refused(404, "not_found");
    anna.delete(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn pages_history_by_number_and_by_time() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut sent = Vec::new();
    for n in 1..=25 {
        sent.push(anna.send_message(&chat, &format!("message {n}")).await);
    }
    let page = async |query: &str| anna.get(&format!("/r1/conversations/{chat}/messages?{query}")).await.data();
    let seqs = |page: &serde_json::Value| {
        page["items"].as_array().unwrap().iter().map(|item| item["seq"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let newest = page("limit=10").await;
    assert_eq!((seqs(&newest), &newest["has_more"]), ((16..=25).collect(), &json!(true)));
    let older = page("limit=10&before_seq=16").await;
    assert_eq!(seqs(&older), (6..=15).collect::<Vec<_>>());
    let oldest = page("limit=10&before_seq=6").await;
    assert_eq!((seqs(&oldest), &oldest["has_more"]), ((1..=5).collect(), &json!(false)));
    let newer = page("limit=10&after_seq=20").await;
    assert_eq!((seqs(&newer), &newer["has_more"]), ((21..=25).collect(), &json!(false)));
    let (from, to) = (sent[4]["created_at"].as_str().unwrap(), sent[9]["created_at"].as_str().unwrap());
    let between = page(&format!("from={from}&to={to}&limit=200")).await;
    assert!(seqs(&between).starts_with(&[5]) || seqs(&between).contains(&5), "{between}");
    assert!(
        between["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|item| item["created_at"].as_str().unwrap() >= from && item["created_at"].as_str().unwrap() <= to)
    );
    // A limit that is too high is reduced; invalid numbers and times are refused.
    assert_eq!(page("limit=100000").await["items"].as_array().unwrap().len(), 25);
    for query in ["before_seq=x", "from=yesterday", "limit=-1"] {
        let answer = anna.get(&format!("/r1/conversations/{chat}/messages?{query}")).await;
        assert!((400..500).contains(&answer.status), "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn counts_messages_of_others_after_the_read_position_as_unread() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for text in ["one", "two", "three", "four"] {
        anna.send_message(&chat, text).await;
    }
    assert_eq!(ben.conversation(&chat).await["unread"], 4);
    assert_eq!(anna.conversation(&chat).await["unread"], 0);
    let mut socket = anna.connect().await;
    ben.post(&format!("/r1/conversations/{chat}/read"), json!({ "seq": 2 })).await.data();
    let receipt = socket.expect_in("receipt", &chat).await;
    assert_eq!(
        (&receipt.payload["read_seq"], &receipt.payload["delivered_seq"], &receipt.payload["user_id"]),
        (&json!(2), &json!(2), &json!(ben.id))
    );
    assert_eq!(ben.conversation(&chat).await["unread"], 2);
    // The position never moves backwards or past the end.
    ben.post(&format!("/r1/conversations/{chat}/read"), json!({ "seq": 1 })).await.data();
    assert_eq!(ben.conversation(&chat).await["unread"], 2);
    ben.post(&format!("/r1/conversations/{chat}/read"), json!({ "seq": 999_999 })).await.data();
    let conversation = ben.conversation(&chat).await;
    assert_eq!((&conversation["unread"], &conversation["read_seq"]), (&json!(0), &json!(4)));
    let listed = ben.get("/r1/conversations").await.data();
    assert_eq!(listed["items"][0]["last_message"]["content"], "four");
}

#[tokio::test]
async fn deleting_messages_does_not_create_unread_counts() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let read =
        async |seq: &Value| ben.post(&format!("/r1/conversations/{chat}/read"), json!({ "seq": seq })).await.data();
    let kept = anna.send_message(&chat, "kept").await;
    let sent = anna.send_message(&chat, "only this is unread").await;
    anna.delete(&format!("/r1/messages/{}", sent["id"].as_str().unwrap())).await.data();
    // Reads up to the last message that remains. Deleted messages after it still count as unread.
    read(&kept["seq"]).await;
    assert_eq!(ben.conversation(&chat).await["unread"], 1);
    let end = ben.conversation(&chat).await["last_seq"].clone();
    assert!(end.as_i64() > sent["seq"].as_i64(), "the deletion has the last sequence number");
    read(&end).await;
    let conversation = ben.conversation(&chat).await;
    assert_eq!((&conversation["unread"], &conversation["read_seq"]), (&json!(0), &end));
}

#[tokio::test]
async fn sending_marks_earlier_messages_as_received_and_read() {
    let app = Application::start().await;
    let (anna, ben, cleo) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await);
    let chats = [anna.open_single(&ben).await, anna.open_group("All", &[&ben, &cleo]).await];
    for chat in &chats {
        anna.send_message(chat, "one").await;
    }
    // Sends by HTTP, without a receipt. Several messages at a time use a different statement than
    // one.
    let sent = futures_util::future::join_all(chats.iter().map(|chat| ben.send_message(chat, "two"))).await;
    for (chat, sent) in chats.iter().zip(&sent) {
        let conversation = ben.conversation(chat).await;
        assert_eq!((&conversation["unread"], &conversation["read_seq"]), (&json!(0), &sent["seq"]));
        let members = conversation["members"].as_array().unwrap();
        let own = members.iter().find(|member| member["user_id"] == json!(ben.id)).unwrap();
        assert_eq!((&own["read_seq"], &own["delivered_seq"]), (&sent["seq"], &sent["seq"]));
        // The positions of members who only read stay unchanged.
        let own = members.iter().find(|member| member["user_id"] == json!(anna.id)).unwrap();
        assert!(own["read_seq"].as_i64() < sent["seq"].as_i64(), "{own}");
    }
}

#[tokio::test]
async fn the_log_records_every_change_in_order() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let sent = anna.send_message(&chat, "a").await;
    ben.send_message(&chat, "b").await;
    anna.patch(&format!("/r1/messages/{}", sent["id"].as_str().unwrap()), json!({ "content": "A" })).await.data();
    let log = ben.event_log(&chat).await;
    let kinds: Vec<(i64, &str)> =
        log.iter().map(|event| (event["seq"].as_i64().unwrap(), event["type"].as_str().unwrap())).collect();
    assert_eq!(kinds, [(1, "message.created"), (2, "message.created"), (3, "message.updated")]);
    assert!(
        log.iter().all(
            |event| event["payload"]["conversation_id"] == chat.as_str() && event["payload"]["seq"] == event["seq"]
        )
    );
    app.database
        .run(&format!("DELETE FROM conversation_events WHERE seq < 2 AND kind = '{}'", "message.created"))
        .await;
    ben.get(&format!("/r1/conversations/{chat}/events?after_seq=0")).await.refused(410, "cursor_expired");
}

#[tokio::test]
async fn prompts_may_be_longer_than_messages_to_people() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let (people, chat) = (anna.open_single(&ben).await, anna.open_assistant().await);
    let policy = anna.get("/r1/auth/policy").await.data();
    assert_eq!(policy["messages"], json!({ "max_chars": 5_000, "max_prompt_chars": 100_000 }));
    let longest = "ơ".repeat(100_000);
    let mut socket = anna.connect().await;
    let sent = anna.send_message(&chat, &longest).await;
    assert_eq!(sent["content"], longest.as_str());
    let told = socket.expect_in("message.created", &chat).await;
    assert_eq!(told.payload["message"]["content"], longest.as_str());
    anna.send_as(&chat, &new_id(), &format!("{longest}ơ")).await.names_field("content");
    anna.send_as(&people, &new_id(), &"x".repeat(5_001)).await.names_field("content");
    let message = anna.send_message(&people, "short").await;
    let path = format!("/r1/messages/{}", message["id"].as_str().unwrap());
    anna.patch(&path, json!({ "content": "x".repeat(5_001) })).await.names_field("content");
    // The same by WebSocket, up to the maximum length of a frame.
    let frame = |conversation: &str, length: usize| json!({ "conversation_id": conversation, "client_id": new_id(), "content": "x".repeat(length) });
    assert_eq!(socket.request("message.send", frame(&chat, 60_000)).await.kind, "ack");
    assert_eq!(socket.request("message.send", frame(&people, 5_001)).await.kind, "error");
}

#[tokio::test]
async fn strips_control_characters_and_normalizes_line_breaks() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for control in ["\u{1}", "\u{8}", "\u{1b}", "\u{1b}[0;32m", "\u{7f}", "\u{9b}"] {
        assert_eq!(anna.send_message(&chat, &format!("a{control}b")).await["content"], "ab");
        anna.send_as(&chat, &new_id(), control).await.names_field("content");
    }
    for line in ["\r", "\u{b}", "\u{c}", "\u{85}"] {
        assert_eq!(anna.send_message(&chat, &format!("a{line}b")).await["content"], "a\nb");
    }
    let sent = anna.send_message(&chat, "one\r\n\ttwo\nthree").await;
    assert_eq!(sent["content"], "one\n\ttwo\nthree");
    let path = format!("/r1/messages/{}", sent["id"].as_str().unwrap());
    assert_eq!(anna.patch(&path, json!({ "content": "a\u{1}" })).await.data()["content"], "a");
}

#[tokio::test]
async fn the_length_of_a_message_is_configurable() {
    let app = Setup::new().set("messages.max_chars", 10).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "0123456789").await;
    anna.send_as(&chat, &new_id(), "0123456789x").await.names_field("content");
}

#[tokio::test]
async fn keeps_the_log_for_the_configured_retention() {
    let mut app = Setup::new().set("messages.event_retention_days", 7).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for text in ["old", "older", "new"] {
        anna.send_message(&chat, text).await;
    }
    let eight_days = 8 * 24 * 3_600 * 1_000_i64;
    app.database
        .run(&format!("UPDATE conversation_events SET created_at = created_at - {eight_days} WHERE seq < 3"))
        .await;
    app.instances[0].terminate().await;
    app.instances[0].start_again().await;
    wait_until("the removal of old events", || async {
        app.database.number("SELECT COUNT(*) FROM conversation_events WHERE seq > 0").await == 1
    })
    .await;
    ben.get(&format!("/r1/conversations/{chat}/events?after_seq=0")).await.refused(410, "cursor_expired");
    assert_eq!(
        ben.get(&format!("/r1/conversations/{chat}/events?after_seq=2")).await.data()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(ben.history(&chat).await.len(), 3);
}
