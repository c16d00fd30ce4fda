//! Conversations: kinds, members, ownership, and who sees them.

use support::{Application, json, new_id};

use crate::endpoints::{Args, SampleCall, plain, sample};

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    [conversations(), members(), sections()].into_iter().flatten().collect()
}

fn conversations() -> Vec<SampleCall> {
    vec![
        plain(&["ListConversations"]),
        sample(&["CreateConversation"], async |world| Args::body(world.new_group())),
        sample(&["ShowConversation", "DeleteConversation", "ListEvents"], async |world| Args::id(world.group().await)),
        sample(&["ChangeConversation"], async |world| {
            Args::id(world.group().await).with_body(json!({ "title": "Other plans", "topic": null }))
        }),
        sample(&["ChangeOwn"], async |world| {
            Args::id(world.group().await).with_body(json!({ "notify": "mentions", "muted_until": null }))
        }),
        sample(&["ReadConversation", "MarkUnread"], async |world| {
            Args::id(world.group().await).with_body(json!({ "seq": 1 }))
        }),
    ]
}

fn members() -> Vec<SampleCall> {
    vec![
        sample(&["ListMembers"], async |world| Args::id(world.group().await)),
        sample(&["ShowMember", "RemoveMember"], async |world| {
            Args::id(world.group().await).with("user_id", &world.friend.id)
        }),
        sample(&["ChangeMember"], async |world| {
            Args::id(world.group().await).with("user_id", &world.friend.id).with_body(json!({ "role": "admin" }))
        }),
        sample(&["AddMember"], async |world| {
            let (group, newcomer) = (world.group().await, &world.third.id);
            world.owner.delete(&format!("/r1/conversations/{group}/members/{newcomer}")).await.data_with(200);
            Args::id(group).with_body(json!({ "user_id": newcomer }))
        }),
        sample(&["LeaveConversation"], async |world| {
            // The owner must transfer the ownership before leaving.
            let group = world.group().await;
            let heir = format!("/r1/conversations/{group}/members/{}", world.friend.id);
            world.owner.patch(&heir, json!({ "role": "owner" })).await.data_with(200);
            Args::id(group)
        }),
    ]
}

fn sections() -> Vec<SampleCall> {
    vec![
        plain(&["ListSections"]),
        sample(&["CreateSection"], async |_| Args::body(json!({ "name": "Projects" }))),
        sample(&["DeleteSection", "ShowSectionInstructions"], async |world| Args::id(world.section().await)),
        sample(&["ChangeSection"], async |world| {
            Args::id(world.section().await).with_body(json!({ "name": "Clients", "position": 0 }))
        }),
        sample(&["SetSectionInstructions"], async |world| {
            Args::id(world.section().await).with_body(json!({ "instructions": "Be brief." }))
        }),
    ]
}

#[tokio::test]
async fn two_people_have_one_direct_conversation() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let first =
        anna.post("/r1/conversations", json!({ "kind": "single", "member_ids": [ben.id] })).await.data_with(201);
    let again =
        ben.post("/r1/conversations", json!({ "kind": "single", "member_ids": [anna.id] })).await.data_with(200);
    assert_eq!(first["id"], again["id"]);
    assert_eq!(first["last_seq"], 0);
    // Two concurrent requests create only one conversation.
    let carl = app.sign_up("Carl").await;
    let (one, other) = tokio::join!(
        anna.post("/r1/conversations", json!({ "kind": "single", "member_ids": [carl.id] })),
        carl.post("/r1/conversations", json!({ "kind": "single", "member_ids": [anna.id] })),
    );
    assert_eq!(one.data()["id"], other.data()["id"]);
}

#[tokio::test]
async fn the_same_client_id_creates_one_conversation() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = json!({ "kind": "assistant", "client_id": "one" });
    // The request is repeated, as after a lost response: while the first one is in progress, and
    // later.
    let (one, other) =
        tokio::join!(anna.post("/r1/conversations", chat.clone()), anna.post("/r1/conversations", chat.clone()));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    let again = anna.post("/r1/conversations", chat.clone()).await.data_with(200);
    assert_eq!(again["id"], one.data()["id"]);
    assert_eq!(again["id"], other.data()["id"]);
    // Another id of the same user, and the same id of another user, create different conversations.
    let next = anna.post("/r1/conversations", json!({ "kind": "assistant", "client_id": "two" })).await.data_with(201);
    let of_ben = ben.post("/r1/conversations", chat).await.data_with(201);
    assert!(next["id"] != again["id"] && of_ben["id"] != again["id"]);
    // A channel keeps the title that was given.
    let channel = json!({ "kind": "public_channel", "title": "Plans", "client_id": "three" });
    let plans = anna.post("/r1/conversations", channel.clone()).await.data_with(201);
    assert_eq!(anna.post("/r1/conversations", channel).await.data_with(200)["id"], plans["id"]);
    let unnamed = json!({ "kind": "assistant", "client_id": "" });
    anna.post("/r1/conversations", unnamed).await.names_field("client_id");
}

#[tokio::test]
async fn enforces_the_rules_of_every_conversation_kind() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let wrong = [
        (json!({ "kind": "single", "member_ids": [anna.id] }), "member_ids"),
        (json!({ "kind": "single", "member_ids": [] }), "member_ids"),
        (json!({ "kind": "single", "member_ids": [ben.id, new_id()] }), "member_ids"),
        (json!({ "kind": "single", "member_ids": [new_id()] }), "member_ids"),
        (json!({ "kind": "group", "title": "Two", "member_ids": [ben.id] }), "member_ids"),
        (json!({ "kind": "group", "title": "x".repeat(500), "member_ids": [ben.id, anna.id] }), "title"),
        (json!({ "kind": "assistant", "member_ids": [ben.id] }), "member_ids"),
        (json!({ "kind": "assistant", "assistant_id": new_id() }), "assistant_id"),
    ];
    for (body, field) in wrong {
        let answer = anna.post("/r1/conversations", body.clone()).await;
        assert_eq!(answer.status, 422, "{body} {answer:?}");
        answer.names_field(field);
    }
    let chats = [anna.open_assistant().await, anna.open_assistant().await];
    assert_ne!(chats[0], chats[1]);
    let single = anna.open_single(&ben).await;
    anna.post(&format!("/r1/conversations/{single}/leave"), json!({})).await.refused(409, "wrong_state");
    anna.patch(&format!("/r1/conversations/{single}"), json!({ "title": "Us" })).await.refused(409, "wrong_state");
}

#[tokio::test]
async fn conversations_of_others_return_not_found() {
    let app = Application::start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let chat = anna.open_single(&ben).await;
    let message = anna.send_message(&chat, "secret").await;
    let message = message["id"].as_str().unwrap();
    for path in [
        format!("/r1/conversations/{chat}"),
        format!("/r1/conversations/{chat}/members"),
        format!("/r1/conversations/{chat}/messages"),
        format!("/r1/conversations/{chat}/events"),
        format!("/r1/messages/{message}"),
    ] {
        eve.get(&path).await.refused(404, "not_found");
    }
    eve.send_as(&chat, &new_id(), "hello?").await.refused(404, "not_found");
    eve.patch(&format!("/r1/messages/{message}"), json!({ "content": "x" })).await.refused(404, "not_found");
    eve.delete(&format!("/r1/messages/{message}")).await.refused(404, "not_found");
    eve.post(&format!("/r1/conversations/{chat}/read"), json!({ "seq": 1 })).await.refused(404, "not_found");
    eve.post(&format!("/r1/conversations/{chat}/leave"), json!({})).await.refused(404, "not_found");
    eve.delete(&format!("/r1/conversations/{chat}")).await.refused(404, "not_found");
    assert_eq!(eve.get("/r1/conversations?kind=single").await.data()["total"], 0);
}

#[tokio::test]
async fn adds_removes_and_promotes_members() {
    let app = Application::start().await;
    let (anna, ben, carl, dora) =
        (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await, app.sign_up("Dora").await);
    let group = anna.open_group("Plan", &[&ben, &carl]).await;
    let members = format!("/r1/conversations/{group}/members");
    let mut watching = dora.connect().await;
    let mut bens = ben.connect().await;

    ben.post(&members, json!({ "user_id": dora.id })).await.refused(403, "forbidden");
    anna.post(&members, json!({ "user_id": new_id() })).await.names_field("user_id");
    anna.post(&members, json!({ "user_id": dora.id })).await.data_with(201);
    anna.post(&members, json!({ "user_id": dora.id })).await.refused(409, "already_member");
    // The new member receives this event and all later ones.
    let added = watching.expect_in("member.added", &group).await;
    assert_eq!(added.payload["member"]["user_id"], dora.id.as_str());
    anna.send_message(&group, "Welcome").await;
    assert_eq!(watching.expect_in("message.created", &group).await.payload["message"]["content"], "Welcome");

    // The owner must transfer the ownership before leaving.
    anna.post(&format!("/r1/conversations/{group}/leave"), json!({})).await.refused(409, "owner_must_transfer");
    ben.patch(&format!("{members}/{}", ben.id), json!({ "role": "owner" })).await.refused(403, "forbidden");
    let owner = anna.patch(&format!("{members}/{}", ben.id), json!({ "role": "owner" })).await.data();
    assert_eq!(owner["role"], "owner");
    anna.post(&format!("/r1/conversations/{group}/leave"), json!({})).await.data();
    anna.get(&format!("/r1/conversations/{group}")).await.refused(404, "not_found");

    // A removed member receives this event and no later ones.
    carl.delete(&format!("{members}/{}", dora.id)).await.refused(403, "forbidden");
    ben.delete(&format!("{members}/{}", dora.id)).await.data();
    let removed = watching
        .find("her own removal", |frame| frame.kind == "member.removed" && frame.payload["user_id"] == dora.id.as_str())
        .await;
    assert_eq!(removed.payload["conversation_id"], group.as_str());
    ben.send_message(&group, "Without her").await;
    bens.find("the message", |frame| frame.payload["message"]["content"] == "Without her").await;
    let last = removed.payload["seq"].as_i64();
    let after = watching.drain().await;
    assert!(
        after
            .iter()
            .all(|frame| frame.payload["conversation_id"] != group.as_str() || frame.payload["seq"].as_i64() < last),
        "{after:?}"
    );

    // The user is added again and can read on.
    ben.post(&members, json!({ "user_id": dora.id })).await.data_with(201);
    assert_eq!(dora.conversation(&group).await["title"], "Plan");
    let log = ben.event_log(&group).await;
    let seqs: Vec<i64> = log.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=i64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
}

#[tokio::test]
async fn publishes_renames_and_deletions() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let group = anna.open_group("Plan", &[&ben, &carl]).await;
    let mut socket = ben.connect().await;
    let path = format!("/r1/conversations/{group}");
    ben.patch(&path, json!({ "title": "Mine" })).await.refused(403, "forbidden");
    let renamed = anna.patch(&path, json!({ "title": "Plan B", "topic": "What else" })).await.data();
    assert_eq!((&renamed["title"], &renamed["topic"]), (&json!("Plan B"), &json!("What else")));
    assert_eq!(socket.expect_in("conversation.updated", &group).await.payload["title"], "Plan B");
    ben.delete(&path).await.refused(403, "forbidden");
    anna.delete(&path).await.data();
    socket.expect_in("conversation.deleted", &group).await;
    ben.get(&path).await.refused(404, "not_found");
    anna.send_as(&group, &new_id(), "Anybody?").await.refused(404, "not_found");
}

#[tokio::test]
async fn publishes_a_new_conversation_and_subscribes_its_members() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let mut socket = ben.connect().await;
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "hi").await;
    socket.expect_in("conversation.created", &chat).await;
    let event = socket.expect_in("message.created", &chat).await;
    assert_eq!(event.payload["seq"], 1);
}

#[tokio::test]
async fn conversations_show_their_member_count_and_ones_own_role() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut others = Vec::new();
    for n in 0..24 {
        others.push(app.sign_up(&format!("Person {n}")).await);
    }
    let group = anna.open_group("Many", &others.iter().collect::<Vec<_>>()).await;
    let last = others.last().unwrap();
    let member = format!("/r1/conversations/{group}/members/{}", last.id);
    anna.patch(&member, json!({ "role": "admin" })).await.data();
    anna.send_message(&group, "hello").await;
    for (person, role, unread) in [(&anna, "owner", 0), (last, "admin", 1), (&others[3], "member", 1)] {
        let listed = person.get("/r1/conversations").await.data()["items"][0].clone();
        assert_eq!(listed["members"].as_array().unwrap().len(), 20);
        for seen in [listed, person.conversation(&group).await] {
            assert_eq!(seen["member_count"], 25);
            assert_eq!(seen["members"].as_array().unwrap().len(), 20);
            let own = &seen["own"];
            assert_eq!(
                (&own["role"], &own["read_seq"], &own["unread"]),
                (&json!(role), &seen["read_seq"], &json!(unread))
            );
            assert_eq!(seen["unread"], unread);
        }
    }
    anna.delete(&member).await.data();
    assert_eq!(anna.conversation(&group).await["member_count"], 24);
    let single = anna.open_single(&others[0]).await;
    let seen = anna.conversation(&single).await;
    assert_eq!((&seen["member_count"], &seen["own"]["role"]), (&json!(2), &json!("member")));
}
