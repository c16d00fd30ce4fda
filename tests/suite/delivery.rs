//! Delivery of events: in order, once and without gaps, even when clients reconnect, join or leave.

use support::{Application, Codec, Frame, Member, Setup, Socket, json, new_id};

fn seqs(frames: &[Frame], chat: &str) -> Vec<i64> {
    frames
        .iter()
        .filter(|frame| frame.payload["conversation_id"] == chat)
        .filter_map(|frame| frame.payload["seq"].as_i64())
        .collect()
}

/// Reads the frames up to the `sync.done` that answers the sync.
async fn sync(socket: &mut Socket, cursors: support::Value) -> (Vec<Frame>, Frame) {
    let id = socket.send("sync", json!({ "cursors": cursors })).await;
    let mut frames = Vec::new();
    loop {
        let frame = socket.next().await;
        if frame.kind == "sync.done" {
            assert_eq!(frame.reply_to.as_deref(), Some(id.as_str()));
            return (frames, frame);
        }
        frames.push(frame);
    }
}

#[tokio::test]
async fn delivers_every_message_to_every_connection_including_the_senders() {
    let app = Application::start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let mut others = eve.connect().await;
    let mut sockets = vec![anna.connect().await, anna.connect().await, ben.connect_with(Codec::MessagePack).await];
    let chat = anna.open_single(&ben).await;
    for socket in &mut sockets {
        socket.expect_in("conversation.created", &chat).await;
    }
    sockets[0].send_message(&chat, "one").await;
    let message = anna.send_message(&chat, "two").await;
    let path = format!("/r1/messages/{}", message["id"].as_str().unwrap());
    anna.patch(&path, json!({ "content": "two, better" })).await.data();
    anna.delete(&path).await.data();
    for socket in &mut sockets {
        let frames = socket.read_until_seq(&chat, 4).await;
        let kinds: Vec<&str> = frames.iter().map(|frame| frame.kind.as_str()).collect();
        assert_eq!(kinds, ["message.created", "message.created", "message.updated", "message.deleted"]);
        assert_eq!(seqs(&frames, &chat), [1, 2, 3, 4]);
    }
    assert!(seqs(&others.drain().await, &chat).is_empty(), "non-members receive nothing");
}

#[tokio::test]
async fn a_sync_returns_missed_events_in_order_and_continues_live() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut sender = anna.connect().await;
    for n in 0..450 {
        sender
            .send("message.send", json!({ "conversation_id": chat, "client_id": format!("{n}"), "content": "x" }))
            .await;
    }
    sender.read_until_seq(&chat, 450).await;
    let mut socket = ben.connect().await;
    assert_eq!(socket.hello["conversations"][0]["last_seq"], 450);
    let (missed, done) = sync(&mut socket, json!({ (chat.as_str()): 37 })).await;
    assert_eq!(seqs(&missed, &chat), (38..=450).collect::<Vec<_>>());
    assert_eq!(done.payload["conversations"], json!([{ "id": chat, "last_seq": 450 }]));
    // The log equals the live events.
    let log = ben.event_log(&chat).await;
    let first = missed.iter().find(|frame| frame.payload["seq"] == 38).unwrap();
    assert_eq!(first.payload, log[37]["payload"]);
    sender.send_message(&chat, "next").await;
    assert_eq!(seqs(&socket.read_until_seq(&chat, 451).await, &chat), [451]);
    let (nothing, _) = sync(&mut socket, json!({ (chat.as_str()): 451 })).await;
    assert!(seqs(&nothing, &chat).is_empty());
}

#[tokio::test]
async fn a_sync_under_load_has_no_gaps_or_duplicates() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    const COUNT: i64 = 1_500;
    let mut sender = anna.connect().await;
    let conversation = chat.clone();
    let sending = tokio::spawn(async move {
        for n in 0..COUNT {
            let body = json!({ "conversation_id": conversation, "client_id": format!("{n}"), "content": "x" });
            sender.send("message.send", body).await;
            if n % 50 == 0 {
                sender.expect("ack").await;
            }
        }
        sender.read_until_seq(&conversation, COUNT).await;
    });
    let mut last = 0;
    while last < COUNT {
        let mut socket = ben.connect().await;
        let id = socket.send("sync", json!({ "cursors": { (chat.as_str()): last } })).await;
        // The sync fetches the events between the cursor and the time of its start. From the first
        // event that is in order, there is no gap.
        let (mut is_in_order, mut is_done) = (false, false);
        while !is_done || last < COUNT {
            let frame = socket.next().await;
            if frame.kind == "sync.done" {
                assert_eq!(frame.reply_to.as_deref(), Some(id.as_str()));
                is_done = true;
                if last % 2 == 0 {
                    break;
                }
            }
            let Some(seq) = frame.payload["seq"].as_i64().filter(|_| frame.payload["conversation_id"] == chat) else {
                continue;
            };
            if seq == last + 1 {
                is_in_order = true;
                last = seq;
            } else {
                assert!(seq <= last || !(is_in_order || is_done), "{seq} came after {last}");
            }
        }
    }
    sending.await.unwrap();
}

#[tokio::test]
async fn a_sync_rejects_conversations_of_others_and_returns_the_rest() {
    let app = Application::start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let (mine, theirs) = (anna.open_single(&ben).await, ben.open_single(&eve).await);
    ben.send_message(&theirs, "secret").await;
    ben.send_message(&mine, "hello").await;
    let mut socket = anna.connect().await;
    let unknown = new_id();
    let (frames, done) =
        sync(&mut socket, json!({ (mine.as_str()): 0, (theirs.as_str()): 0, (unknown.as_str()): 0 })).await;
    assert_eq!(seqs(&frames, &mine), [1]);
    assert!(seqs(&frames, &theirs).is_empty());
    let refused: Vec<_> = frames.iter().filter(|frame| frame.kind == "error").collect();
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|frame| frame.payload["code"] == "not_found"));
    assert_eq!(done.payload["refused"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn joining_members_see_later_events_and_removed_members_none_after_removal() {
    let app = Application::start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let dora = app.sign_up("Dora").await;
    let chat = anna.open_group("us", &[&ben, &eve]).await;
    anna.send_message(&chat, "before").await;
    let before = anna.event_log(&chat).await.len() as i64;
    let mut socket = dora.connect().await;
    anna.post(&format!("/r1/conversations/{chat}/members"), json!({ "user_id": dora.id })).await;
    let joined = socket.expect_in("member.added", &chat).await;
    assert_eq!(joined.payload["seq"], before + 1);
    anna.send_message(&chat, "during").await;
    assert_eq!(socket.expect_in("message.created", &chat).await.payload["seq"], before + 2);
    anna.delete(&format!("/r1/conversations/{chat}/members/{}", dora.id)).await;
    assert_eq!(socket.expect_in("member.removed", &chat).await.payload["user_id"], *dora.id);
    anna.send_message(&chat, "after").await;
    let mut other = ben.connect().await;
    other.drain().await;
    assert!(seqs(&socket.drain().await, &chat).is_empty());
    let refused =
        socket.request("message.send", json!({ "conversation_id": chat, "client_id": "1", "content": "x" })).await;
    assert_eq!(refused.payload["code"], "not_found");
}

#[tokio::test]
async fn typing_is_published_to_members_and_expires() {
    let app = Application::start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let chat = anna.open_single(&ben).await;
    let (mut hers, mut his, mut others) = (anna.connect().await, ben.connect().await, eve.connect().await);
    hers.send("typing", json!({ "conversation_id": chat, "active": true })).await;
    let told = his.expect_in("typing", &chat).await;
    assert_eq!(
        (told.payload["user_id"].as_str(), told.payload["active"].as_bool()),
        (Some(anna.id.as_str()), Some(true))
    );
    let begun = std::time::Instant::now();
    assert_eq!(his.expect_in("typing", &chat).await.payload["active"], false);
    assert!(begun.elapsed() >= std::time::Duration::from_secs(5), "expired after {:?}", begun.elapsed());
    hers.send("typing", json!({ "conversation_id": chat, "active": true })).await;
    assert_eq!(his.expect_in("typing", &chat).await.payload["active"], true);
    drop(hers);
    assert_eq!(his.expect_in("typing", &chat).await.payload["active"], false, "typing ends with the connection");
    assert!(!others.drain().await.iter().any(|frame| frame.kind == "typing"));
}

#[tokio::test]
async fn a_member_removed_while_typing_is_not_shown_typing_again() {
    let app = Setup::new().set("rate_limit.enabled", true).start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let chat = anna.open_group("Team", &[&ben, &eve]).await;
    let (mut hers, mut his) = (anna.connect().await, ben.connect().await);
    for _ in 0..2 {
        // The second change is published 3 s after the first.
        his.send("typing", json!({ "conversation_id": chat, "active": true })).await;
    }
    his.drain().await;
    assert_eq!(hers.expect_in("typing", &chat).await.payload["active"], true);
    anna.delete(&format!("/r1/conversations/{chat}/members/{}", ben.id)).await.data_with(200);
    hers.expect_in("member.removed", &chat).await;
    assert_eq!(hers.expect_in("typing", &chat).await.payload["active"], false);
}

#[tokio::test]
async fn receipts_report_each_members_read_position() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (mut hers, mut his) = (anna.connect().await, ben.connect().await);
    for n in 1..=3 {
        hers.send_message(&chat, &n.to_string()).await;
    }
    his.read_until_seq(&chat, 3).await;
    his.send("receipt", json!({ "conversation_id": chat, "seq": 3, "state": "delivered" })).await;
    let told = hers.expect_in("receipt", &chat).await;
    assert_eq!(
        (told.payload["user_id"].as_str(), told.payload["delivered_seq"].as_i64()),
        (Some(ben.id.as_str()), Some(3))
    );
    assert_eq!(ben.conversation(&chat).await["unread"], 3);
    his.send("receipt", json!({ "conversation_id": chat, "seq": 2, "state": "read" })).await;
    let told = hers.find("read", |frame| frame.kind == "receipt" && frame.payload["read_seq"] == 2).await;
    assert_eq!(told.payload["delivered_seq"], 3, "positions only move forward");
    assert_eq!(ben.conversation(&chat).await["unread"], 1);
}

async fn presence_of(socket: &mut Socket, who: &Member, status: &str) -> Frame {
    socket
        .find(&format!("{} is {status}", who.name), |frame| {
            frame.kind == "presence" && frame.payload["user_id"] == *who.id && frame.payload["status"] == status
        })
        .await
}

#[tokio::test]
async fn presence_follows_connections_and_the_chosen_status() {
    let app = Application::start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    anna.open_single(&ben).await;
    // All members of the shared workspace are members of its default channel.
    let workspaces = eve.get("/r1/workspaces").await.data()["items"].clone();
    let shared = workspaces.as_array().unwrap().iter().find(|one| one["shared"] == true).unwrap();
    eve.post(&format!("/r1/workspaces/{}/leave", shared["id"].as_str().unwrap()), json!({})).await.data();
    let (mut hers, mut others) = (anna.connect().await, eve.connect().await);
    let mut his = ben.connect().await;
    presence_of(&mut hers, &ben, "online").await;
    his.send("presence", json!({ "status": "dnd" })).await;
    presence_of(&mut hers, &ben, "dnd").await;
    drop(his);
    let gone = presence_of(&mut hers, &ben, "offline").await;
    assert!(gone.payload["last_seen"].is_string());
    let _back = ben.connect().await;
    presence_of(&mut hers, &ben, "dnd").await;
    let strangers = others.drain().await;
    assert!(!strangers.iter().any(|frame| frame.kind == "presence" && frame.payload["user_id"] != *eve.id));
}

#[tokio::test]
async fn presence_uses_the_most_active_connection() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    anna.open_single(&ben).await;
    let mut hers = anna.connect().await;
    let (mut one, mut two) = (ben.connect().await, ben.connect().await);
    presence_of(&mut hers, &ben, "online").await;
    one.send("presence", json!({ "status": "away" })).await;
    presence_of(&mut hers, &ben, "away").await;
    two.send("presence", json!({ "status": "online" })).await;
    presence_of(&mut hers, &ben, "online").await;
    one.send("presence", json!({ "status": "dnd" })).await;
    presence_of(&mut hers, &ben, "dnd").await;
    // The user is away on one connection and active on another.
    one.send("presence", json!({ "status": "away" })).await;
    presence_of(&mut hers, &ben, "online").await;
    drop(two);
    presence_of(&mut hers, &ben, "away").await;
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn presence_ends_with_the_last_connection_even_on_a_dead_instance() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        anna.open_single(&ben).await;
        let there = ben.at(&app.instances[1].url());
        let mut hers = anna.connect().await;
        let (here, _far) = (ben.connect().await, there.connect().await);
        presence_of(&mut hers, &ben, "online").await;
        drop(here);
        let mut back = ben.connect().await;
        back.send("presence", json!({ "status": "away" })).await;
        presence_of(&mut hers, &ben, "away").await;
        let seen = hers.drain().await;
        assert!(
            !seen.iter().any(|frame| frame.payload["status"] == "offline"),
            "one connection was always there: {seen:?}"
        );
        drop(back);
        app.instances[1].terminate().await;
        presence_of(&mut hers, &ben, "offline").await;
    }

    #[tokio::test]
    async fn ephemeral_events_cross_instances() {
        let app = Setup::new().instances(2).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        let mut hers = anna.connect().await;
        let mut his = ben.at(&app.instances[1].url()).connect().await;
        hers.send("typing", json!({ "conversation_id": chat, "active": true })).await;
        assert_eq!(his.expect_in("typing", &chat).await.payload["active"], true);
    }

    #[tokio::test]
    async fn delivers_durable_events_without_redis_and_requests_a_resync() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        let mut his = ben.at(&app.instances[1].url()).connect().await;
        anna.send_message(&chat, "one").await;
        his.read_until_seq(&chat, 1).await;
        app.redis.as_mut().unwrap().stop().await;
        his.expect("resync").await;
        for n in 2..=20 {
            anna.send_message(&chat, &n.to_string()).await;
        }
        assert_eq!(seqs(&his.read_until_seq(&chat, 20).await, &chat), (2..=20).collect::<Vec<_>>());
        app.redis.as_mut().unwrap().start_again().await;
        his.expect("resync").await;
        anna.send_message(&chat, "21").await;
        assert_eq!(seqs(&his.read_until_seq(&chat, 21).await, &chat), [21]);
    }

    #[tokio::test]
    async fn disconnects_a_session_that_ends_during_a_redis_outage() {
        let mut app = Setup::new().instances(2).start().await;
        let anna = app.sign_up("Anna").await;
        let mut there = anna.at(&app.instances[1].url()).connect().await;
        app.redis.as_mut().unwrap().stop().await;
        there.expect("resync").await;
        anna.post("/r1/auth/logout", json!({})).await.data();
        assert_eq!(there.closed().await.code, 4401);
    }
}
