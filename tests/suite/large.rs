//! Large conversations: views, read receipts and presence subscriptions.

use std::{
    collections::{BTreeSet, HashSet},
    time::Instant,
};

use futures_util::{StreamExt as _, stream};
use support::{Application, Codec, Frame, Member, Setup, Socket, Value, json};

/// Number of users who connect at the same time.
const AT_ONCE: usize = 16;

/// Creates a group of `first` and the others.
async fn group(first: &Member, others: &[Member]) -> String {
    first.open_group("Everybody", &others.iter().collect::<Vec<_>>()).await
}

async fn connect_all(people: &[Member]) -> Vec<Socket> {
    stream::iter(people).map(|person| person.connect()).buffered(AT_ONCE).collect().await
}

/// Sends a view of these conversations and waits until the server has processed it.
async fn show(socket: &mut Socket, conversations: &[&str]) {
    socket.send("view", json!({ "conversation_ids": conversations })).await;
    socket.drain().await;
}

async fn receipt(socket: &mut Socket, chat: &str, seq: i64, state: &str) {
    socket.send("receipt", json!({ "conversation_id": chat, "seq": seq, "state": state })).await;
}

async fn types(socket: &mut Socket, chat: &str, active: bool) {
    socket.send("typing", json!({ "conversation_id": chat, "active": active })).await;
}

/// Sends a message and reads the frames up to it; the returned frames include earlier events.
async fn said(sender: &Member, reader: &mut Socket, chat: &str) -> Vec<Frame> {
    let seq = sender.send_message(chat, "and now?").await["seq"].as_i64().unwrap();
    reader.read_until_seq(chat, seq).await;
    reader.drain().await
}

fn of_kind<'a>(frames: &'a [Frame], kind: &str) -> Vec<&'a Frame> {
    frames.iter().filter(|frame| frame.kind == kind).collect()
}

fn ids(people: &[Member]) -> Vec<&str> {
    people.iter().map(|person| person.id.as_str()).collect()
}

#[tokio::test]
async fn delivers_a_message_to_three_hundred_members_without_receipts() {
    const PEOPLE: usize = 300;
    const VIEWERS: usize = 5;
    let app = Application::start().await;
    let people = app.crowd(PEOPLE).await;
    let chat = group(&people[0], &people[1..]).await;
    let mut sockets = connect_all(&people).await;
    for socket in &mut sockets[..VIEWERS] {
        show(socket, &[&chat]).await;
    }
    let seq = people[0].send_message(&chat, "to all").await["seq"].as_i64().unwrap();
    let mut durable = 0;
    for socket in &mut sockets {
        durable += socket.read_until_seq(&chat, seq).await.len();
        receipt(socket, &chat, seq, "delivered").await;
        receipt(socket, &chat, seq, "read").await;
    }
    assert_eq!(durable, PEOPLE);
    types(&mut sockets[PEOPLE - 1], &chat, true).await;
    for socket in &mut sockets[..VIEWERS] {
        socket.find("who types", |frame| frame.kind == "typing").await;
    }
    for (at, (person, socket)) in people.iter().zip(&mut sockets).enumerate() {
        // Each connection gets the position of its own user. The author has read their own message.
        if at > 0 {
            let own = socket.expect_in("receipt", &chat).await;
            assert_eq!((&own.payload["user_id"], &own.payload["read_seq"]), (&json!(person.id), &json!(seq)));
        }
        let rest = said(&people[0], socket, &chat).await;
        for kind in ["receipt", "receipts", "typing", "presence", "presences"] {
            assert!(of_kind(&rest, kind).is_empty(), "{:?}", of_kind(&rest, kind));
        }
    }
}

#[tokio::test]
async fn coalesces_receipts_of_up_to_a_hundred_members_for_viewers() {
    let app = Application::start().await;
    let people = app.crowd(25).await;
    let chat = group(&people[0], &people[1..]).await;
    let mut sockets = connect_all(&people).await;
    show(&mut sockets[0], &[&chat]).await;
    let seq = people[0].send_message(&chat, "to all").await["seq"].as_i64().unwrap();
    let begun = Instant::now();
    for socket in &mut sockets[1..] {
        receipt(socket, &chat, seq, "delivered").await;
        receipt(socket, &chat, seq, "read").await;
    }
    let (mut frames, mut readers) = (0, BTreeSet::new());
    while readers.len() < 24 {
        let told = sockets[0].expect_in("receipts", &chat).await;
        for item in told.payload["items"].as_array().unwrap() {
            assert_eq!(item["read_seq"], seq);
            readers.insert(item["user_id"].as_str().unwrap().to_owned());
        }
        frames += 1;
    }
    let allowed = 2 + usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!(frames <= allowed, "{frames} frames, {allowed} allowed");
    assert_eq!(readers, ids(&people[1..]).into_iter().map(str::to_owned).collect());
    sockets[1].expect_in("receipt", &chat).await;
    let rest = said(&people[0], &mut sockets[1], &chat).await;
    assert!(of_kind(&rest, "receipts").is_empty() && of_kind(&rest, "receipt").is_empty(), "{rest:?}");
    // Delivered positions are not stored.
    let next = people[0].send_message(&chat, "again").await["seq"].as_i64().unwrap();
    receipt(&mut sockets[2], &chat, next, "delivered").await;
    sockets[2].drain().await;
    let members = people[0].get(&format!("/r1/conversations/{chat}/members/{}", people[2].id)).await;
    if members.status == 200 {
        assert_eq!(members.data()["delivered_seq"], seq);
    }
}

#[tokio::test]
async fn groups_above_twenty_members_send_ephemeral_events_to_viewers_only() {
    let app = Application::start().await;
    let people = app.crowd(21).await;
    let chat = group(&people[0], &people[1..20]).await;
    let (mut hers, mut his) = (people[0].connect().await, people[1].connect().await);
    types(&mut hers, &chat, true).await;
    his.expect_in("typing", &chat).await;
    receipt(&mut hers, &chat, 0, "read").await;
    let seq = people[0].send_message(&chat, "hello").await["seq"].as_i64().unwrap();
    receipt(&mut his, &chat, seq, "delivered").await;
    let told = hers.expect_in("receipt", &chat).await;
    assert_eq!((&told.payload["user_id"], &told.payload["delivered_seq"]), (&json!(people[1].id), &json!(seq)));
    people[0].post(&format!("/r1/conversations/{chat}/members"), json!({ "user_id": people[20].id })).await;
    his.expect_in("member.added", &chat).await;
    his.drain().await;
    types(&mut hers, &chat, false).await;
    let rest = said(&people[0], &mut his, &chat).await;
    assert!(of_kind(&rest, "typing").is_empty(), "{rest:?}");
    show(&mut his, &[&chat]).await;
    types(&mut hers, &chat, true).await;
    his.expect_in("typing", &chat).await;
    people[0].delete(&format!("/r1/conversations/{chat}/members/{}", people[20].id)).await;
    his.expect_in("member.removed", &chat).await;
    show(&mut his, &[]).await;
    types(&mut hers, &chat, false).await;
    his.expect_in("typing", &chat).await;
}

#[tokio::test]
async fn limits_a_view_to_eight_conversations_and_ends_it_with_the_membership() {
    let app = Setup::new().set("realtime.small_conversation", 2).start().await;
    let people = app.crowd(3).await;
    let (chat, other) = (group(&people[0], &people[1..]).await, group(&people[0], &people[1..]).await);
    let (mut hers, mut his) = (people[0].connect().await, people[1].connect_with(Codec::MessagePack).await);
    show(&mut his, &[&chat]).await;
    let refused = his.request("view", json!({ "conversation_ids": vec![&other; 9] })).await;
    assert_eq!((refused.kind.as_str(), &refused.payload["code"]), ("error", &json!("too_many")));
    types(&mut hers, &chat, true).await;
    his.expect_in("typing", &chat).await;
    show(&mut his, &[&other]).await;
    types(&mut hers, &chat, false).await;
    types(&mut hers, &other, true).await;
    his.expect_in("typing", &other).await;
    assert!(of_kind(&said(&people[0], &mut his, &chat).await, "typing").is_empty());
    people[0].delete(&format!("/r1/conversations/{other}/members/{}", people[1].id)).await;
    his.expect_in("member.removed", &other).await;
    show(&mut his, &[&other]).await;
    types(&mut hers, &other, false).await;
    assert!(of_kind(&said(&people[0], &mut his, &chat).await, "typing").is_empty(), "removed members receive nothing");
    people[0].post(&format!("/r1/conversations/{other}/members"), json!({ "user_id": people[1].id })).await;
    his.expect_in("member.added", &other).await;
    types(&mut hers, &other, true).await;
    his.expect_in("typing", &other).await;
}

#[tokio::test]
async fn event_streams_select_their_view_in_the_url() {
    let app = Setup::new().set("realtime.small_conversation", 2).start().await;
    let people = app.crowd(3).await;
    let chat = group(&people[0], &people[1..]).await;
    let mut hers = people[0].connect().await;
    let mut shown = people[1].event_stream_at(&format!("/r1/events?view={chat}"), None).await;
    let mut plain = people[1].event_stream(None).await;
    shown.expect("hello").await;
    plain.expect("hello").await;
    types(&mut hers, &chat, true).await;
    shown.expect("typing").await;
    people[0].send_message(&chat, "hello").await;
    assert_eq!(plain.next().await.kind, "message.created");
    let nine = [chat.as_str(); 9].join(",");
    people[1].get(&format!("/r1/events?view={nine}")).await.refused(422, "too_many");
    people[1].get("/r1/events?view=everything").await.refused(422, "invalid");
}

/// Returns the user ids and statuses in a `presences` frame.
fn statuses(payload: &Value) -> HashSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = payload["items"].as_array().unwrap();
    items.iter().map(|item| (text(&item["user_id"]), text(&item["status"]))).collect()
}

fn is(who: &Member, status: &str) -> HashSet<(String, String)> {
    HashSet::from([(who.id.clone(), status.to_owned())])
}

#[tokio::test]
async fn publishes_presence_of_watched_and_visible_users_only() {
    // The default channel, of which all users are members, is a large conversation.
    let app = Setup::new().set("workspaces.shared", "none").set("realtime.small_conversation", 2).start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let members = format!("/r1/workspaces/{}/members", team["id"].as_str().unwrap());
    for member in [&ben, &app.sign_up("Carl").await] {
        anna.post(&members, json!({ "user_id": member.id })).await.data_with(201);
    }
    let mut hers = anna.connect().await;
    let answer = hers.request("presence.watch", json!({ "user_ids": [ben.id, eve.id, ben.id] })).await;
    assert_eq!((answer.kind.as_str(), statuses(&answer.payload)), ("presences", is(&ben, "offline")));
    let (mut his, _others) = (ben.connect().await, eve.connect().await);
    assert_eq!(statuses(&hers.expect("presences").await.payload), is(&ben, "online"));
    his.send("presence", json!({ "status": "dnd" })).await;
    assert_eq!(statuses(&hers.expect("presences").await.payload), is(&ben, "dnd"));
    let refused = hers.request("presence.watch", json!({ "user_ids": vec![&ben.id; 501] })).await;
    assert_eq!(refused.payload["code"], "too_many");
    his.send("presence", json!({ "status": "away" })).await;
    assert_eq!(statuses(&hers.expect("presences").await.payload), is(&ben, "away"));
    // A user who has left the workspace is not visible and sees no other user.
    let answer = his.request("presence.watch", json!({ "user_ids": [anna.id] })).await;
    assert_eq!(statuses(&answer.payload), is(&anna, "online"));
    anna.delete(&format!("{members}/{}", ben.id)).await;
    his.expect("workspace.changed").await;
    support::wait_until("the presence watches end", || async {
        let seen = anna.get(&format!("/r1/users/{}", ben.id)).await;
        seen.status == 404
    })
    .await;
    let answer = hers.request("presence.watch", json!({ "user_ids": [ben.id] })).await;
    assert!(statuses(&answer.payload).is_empty());
    // The next list of watched users replaces the previous one.
    anna.post(&members, json!({ "user_id": ben.id })).await.data_with(201);
    hers.request("presence.watch", json!({ "user_ids": [ben.id] })).await;
    hers.request("presence.watch", json!({ "user_ids": [] })).await;
    his.send("presence", json!({ "status": "online" })).await;
    his.drain().await;
    hers.request("presence.watch", json!({ "user_ids": [anna.id] })).await;
    let rest = hers.drain().await;
    assert!(of_kind(&rest, "presences").is_empty() && of_kind(&rest, "presence").is_empty(), "{rest:?}");
}

#[tokio::test]
async fn coalesces_mass_presence_changes_to_one_frame_a_second() {
    const PEOPLE: usize = 40;
    let app = Application::start().await;
    let people = app.crowd(PEOPLE + 1).await;
    let mut watcher = people[PEOPLE].connect().await;
    let answer = watcher.request("presence.watch", json!({ "user_ids": ids(&people[..PEOPLE]) })).await;
    assert_eq!(answer.payload["items"].as_array().unwrap().len(), PEOPLE);
    let begun = Instant::now();
    let _sockets = connect_all(&people[..PEOPLE]).await;
    let (mut frames, mut online) = (0, HashSet::new());
    while online.len() < PEOPLE {
        online.extend(statuses(&watcher.expect("presences").await.payload));
        frames += 1;
    }
    let allowed = 2 + usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!(frames <= allowed, "{frames} frames, {allowed} allowed");
}

#[tokio::test]
async fn views_and_watches_count_against_the_ephemeral_frame_limit() {
    let app = Setup::new()
        .set("rate_limit.enabled", true)
        .set("rate_limit.ephemeral.limit", 2)
        .set("rate_limit.ephemeral.window", 86_400)
        .start()
        .await;
    let mut socket = app.sign_up("Anna").await.connect().await;
    assert_eq!(socket.request("presence.watch", json!({ "user_ids": [] })).await.kind, "presences");
    show(&mut socket, &[]).await;
    for (kind, payload) in [("view", json!({ "conversation_ids": [] })), ("presence.watch", json!({ "user_ids": [] }))]
    {
        assert_eq!(socket.request(kind, payload).await.payload["code"], "rate_limited");
    }
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn viewers_receipts_and_presence_cross_instances() {
        let app = Setup::new().instances(2).start().await;
        let people = app.crowd(25).await;
        let chat = group(&people[0], &people[1..]).await;
        let mut hers = people[0].connect().await;
        let there = people[1].at(&app.instances[1].url());
        let (mut viewer, mut reader) = (there.connect().await, there.connect().await);
        show(&mut viewer, &[&chat]).await;
        let watched = json!({ "user_ids": [people[0].id, people[2].id] });
        assert_eq!(viewer.request("presence.watch", watched).await.payload["items"].as_array().unwrap().len(), 2);
        types(&mut hers, &chat, true).await;
        viewer.expect_in("typing", &chat).await;
        let seq = people[0].send_message(&chat, "hello").await["seq"].as_i64().unwrap();
        let mut his = people[3].connect().await;
        receipt(&mut his, &chat, seq, "read").await;
        let told = viewer.expect_in("receipts", &chat).await;
        assert_eq!(told.payload["items"], json!([{ "user_id": people[3].id, "read_seq": seq }]));
        let _third = people[2].connect().await;
        assert_eq!(statuses(&viewer.expect("presences").await.payload), is(&people[2], "online"));
        let rest = said(&people[0], &mut reader, &chat).await;
        for kind in ["typing", "receipts", "presence", "presences"] {
            assert!(of_kind(&rest, kind).is_empty(), "{rest:?}");
        }
    }
}
