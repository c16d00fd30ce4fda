//! Channels: browsing, joining, reading without joining, leaving, roles and settings.

mod access;
mod cluster;
mod deeds;
mod history;
mod members;
mod own;

use support::{Application, Member, json, new_id};

use crate::endpoints::{Args, SampleCall, sample};

/// Returns the titles of the channels that are listed for a user.
async fn browsed(member: &Member, query: &str) -> Vec<String> {
    let found = member.get(&format!("/r1/conversations?scope=browse{query}")).await.data();
    found["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect()
}

fn at(id: &str, rest: &str) -> String {
    format!("/r1/conversations/{id}{rest}")
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        sample(&["JoinConversation", "ArchiveConversation", "UnarchiveConversation"], async |world| {
            Args::id(world.channel().await)
        }),
        sample(&["ConvertConversation"], async |world| {
            Args::id(world.channel().await).with_body(json!({ "kind": "private_channel" }))
        }),
    ]
}

#[tokio::test]
async fn public_channels_can_be_found_read_joined_and_left() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let channel = anna.open_channel("public_channel", "Launch").await;
    let secret = anna.open_channel("private_channel", "Secret").await;
    anna.send_message(&channel, "Welcome").await;
    assert_eq!(browsed(&ben, "&q=LAUN").await, ["Launch"]);
    assert!(!browsed(&ben, "").await.contains(&"Secret".to_owned()));

    // Reading without joining publishes and stores nothing.
    let seen = ben.conversation(&channel).await;
    assert_eq!((&seen["own"], &seen["member_count"], &seen["unread"]), (&json!(null), &json!(1), &json!(0)));
    let history = ben.history(&channel).await;
    assert_eq!(history[0]["content"], "Welcome");
    let message = format!("/r1/messages/{}", history[0]["id"].as_str().unwrap());
    ben.get(&message).await.data();
    assert_eq!(ben.event_log(&channel).await.len(), 1);
    ben.get(&at(&channel, "/members")).await.data();
    let mut socket = ben.connect().await;
    ben.send_as(&channel, &new_id(), "Hello?").await.refused(403, "not_a_member");
    ben.patch(&message, json!({ "content": "x" })).await.refused(403, "not_a_member");
    ben.post(&at(&channel, "/read"), json!({ "seq": 1 })).await.refused(403, "not_a_member");
    ben.post(&at(&channel, "/leave"), json!({})).await.refused(403, "not_a_member");
    ben.patch(&at(&channel, ""), json!({ "title": "Mine" })).await.refused(403, "forbidden");
    ben.patch(&at(&channel, "/own"), json!({ "pinned": true })).await.refused(403, "not_a_member");
    for path in ["", "/members", "/messages", "/events"] {
        ben.get(&at(&secret, path)).await.refused(404, "not_found");
    }
    ben.post(&at(&secret, "/join"), json!({})).await.refused(404, "not_found");
    ben.send_as(&secret, &new_id(), "Hello?").await.refused(404, "not_found");
    anna.send_message(&channel, "Unheard").await;

    // After joining, the user gets new events, and earlier messages count as read.
    let joined = ben.post(&at(&channel, "/join"), json!({})).await.data();
    assert_eq!(
        (&joined["own"]["role"], &joined["member_count"], &joined["unread"]),
        (&json!("member"), &json!(2), &json!(0))
    );
    ben.post(&at(&channel, "/join"), json!({})).await.data_with(200);
    let added = socket.expect_in("member.added", &channel).await;
    assert_eq!(added.payload["member"]["user_id"], ben.id.as_str());
    assert!(added.payload.get("seq").is_none(), "{added:?}");
    // Joining again publishes the event again, because the event may have been lost together with
    // the response.
    assert_eq!(socket.expect_in("member.added", &channel).await.payload, added.payload);
    anna.send_message(&channel, "Heard").await;
    let heard = socket.expect_in("message.created", &channel).await;
    assert_eq!((&heard.payload["message"]["content"], &heard.payload["message"]["no"]), (&json!("Heard"), &json!(3)));
    assert_eq!(ben.conversation(&channel).await["unread"], 1);
    ben.send_message(&channel, "Hi").await;
    // Sending a message marks the earlier ones as read.
    assert_eq!(ben.conversation(&channel).await["unread"], 0);
    assert_eq!(anna.conversation(&channel).await["unread"], 1);
    // Joining uses no sequence number.
    let kinds: Vec<String> =
        anna.event_log(&channel).await.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["message.created"; 4]);

    // After leaving, the user gets no events and can't send messages.
    ben.post(&at(&channel, "/leave"), json!({})).await.data();
    socket
        .find("the leave", |frame| frame.kind == "member.removed" && frame.payload["user_id"] == ben.id.as_str())
        .await;
    ben.send_as(&channel, &new_id(), "Still?").await.refused(403, "not_a_member");
    anna.send_message(&channel, "Gone").await;
    socket.request("ping", json!({})).await;
    let after = socket.drain().await;
    assert!(after.iter().all(|frame| frame.payload["message"]["content"] != "Gone"), "{after:?}");
    assert_eq!(anna.conversation(&channel).await["member_count"], 1);
}

#[tokio::test]
async fn public_channel_titles_are_unique_per_workspace() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    anna.open_channel("public_channel", "Thảo luận").await;
    let taken = json!({ "kind": "public_channel", "title": "THẢO LUẬN" });
    ben.post("/r1/conversations", taken.clone()).await.refused(409, "name_taken");
    for title in ["thao luan", "Tha\u{309}o luâ\u{323}n", "ＴＨẢＯ\u{3000}LUẬN"] {
        let same = json!({ "kind": "public_channel", "title": title });
        ben.post("/r1/conversations", same).await.refused(409, "name_taken");
    }
    let other = ben.open_channel("public_channel", "Other").await;
    ben.patch(&at(&other, ""), json!({ "title": "thảo luận" })).await.refused(409, "name_taken");
    ben.patch(&at(&other, ""), json!({ "title": "OTHER" })).await.data();
    ben.patch(&at(&other, ""), json!({ "title": null })).await.names_field("title");
    // The title of a private channel can be used by others until the channel becomes public.
    let private = ben.open_channel("private_channel", "Thảo luận").await;
    ben.post(&at(&private, "/convert"), json!({ "kind": "public_channel" })).await.refused(409, "name_taken");
    ben.post("/r1/conversations", json!({ "kind": "public_channel" })).await.names_field("title");
    let elsewhere = ben.post("/r1/workspaces", json!({ "name": "Elsewhere" })).await.data_with(201);
    let mut elsewhere_too = taken;
    elsewhere_too["workspace_id"] = elsewhere["id"].clone();
    ben.post("/r1/conversations", elsewhere_too).await.data_with(201);
}

#[tokio::test]
async fn lists_channels_by_size_and_archived_ones_separately() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let small = anna.open_channel("public_channel", "zz small").await;
    let big = anna.open_channel("public_channel", "zz big").await;
    ben.post(&at(&big, "/join"), json!({})).await.data();
    assert_eq!(browsed(&carl, "&q=zz").await, ["zz big", "zz small"]);
    assert_eq!(browsed(&ben, "&q=zz&joined=false").await, ["zz small"]);
    assert_eq!(browsed(&ben, "&q=zz&joined=true").await, ["zz big"]);
    anna.post(&at(&big, "/archive"), json!({})).await.data();
    assert_eq!(browsed(&carl, "&q=zz").await, ["zz small"]);
    assert_eq!(browsed(&carl, "&q=zz&archived=true").await, ["zz big"]);
    assert_eq!(browsed(&carl, "&q=zz%25").await, Vec::<String>::new());
    assert!((400..500).contains(&carl.get("/r1/conversations?scope=everything").await.status));
    carl.get(&format!("/r1/conversations?scope=browse&workspace_id={}", new_id())).await.refused(404, "not_found");
    let own = anna.get("/r1/conversations?kind=public_channel&q=zz").await.data();
    assert_eq!((&own["total"], &own["items"][0]["id"]), (&json!(1), &json!(small)));
}

#[tokio::test]
async fn an_archived_channel_is_read_only() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let channel = anna.open_channel("public_channel", "Old").await;
    ben.post(&at(&channel, "/join"), json!({})).await.data();
    let mut socket = ben.connect().await;
    let bens = format!("/r1/messages/{}", ben.send_message(&channel, "Mine").await["id"].as_str().unwrap());
    ben.post(&at(&channel, "/archive"), json!({})).await.refused(403, "forbidden");
    let archived = anna.post(&at(&channel, "/archive"), json!({})).await.data();
    assert!(archived["archived_at"].is_string(), "{archived}");
    let told = socket.expect_in("conversation.archived", &channel).await;
    assert_eq!(told.payload["archived_at"], archived["archived_at"]);
    anna.post(&at(&channel, "/archive"), json!({})).await.data_with(200);
    for member in [&anna, &ben] {
        member.send_as(&channel, &new_id(), "More?").await.refused(409, "archived");
    }
    ben.patch(&bens, json!({ "content": "Other" })).await.refused(409, "archived");
    ben.delete(&bens).await.refused(409, "archived");
    assert_eq!(ben.history(&channel).await.len(), 1);
    let carl = app.sign_up("Carl").await;
    carl.post(&at(&channel, "/join"), json!({})).await.refused(409, "archived");
    anna.delete(&bens).await.data();
    anna.post(&at(&channel, "/unarchive"), json!({})).await.data();
    socket.expect_in("conversation.unarchived", &channel).await;
    ben.send_message(&channel, "Back").await;
    let group = anna.open_group("Group", &[&ben, &carl]).await;
    anna.post(&at(&group, "/archive"), json!({})).await.refused(409, "wrong_state");
}

#[tokio::test]
async fn an_archived_chat_with_an_assistant_is_left_out_of_the_list() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    let listed = async |query: &str| {
        let found = anna.get(&format!("/r1/conversations?kind=assistant{query}")).await.data();
        found["items"].as_array().unwrap().iter().any(|one| one["id"] == json!(chat))
    };
    let archived = anna.post(&at(&chat, "/archive"), json!({})).await.data();
    assert!(archived["archived_at"].is_string(), "{archived}");
    socket.expect_in("conversation.archived", &chat).await;
    assert_eq!((listed("").await, listed("&archived=true").await), (false, true));
    anna.send_as(&chat, &new_id(), "More?").await.refused(409, "archived");
    anna.post(&at(&chat, "/unarchive"), json!({})).await.data();
    assert_eq!((listed("").await, listed("&archived=true").await), (true, false));
    anna.send_message(&chat, "More?").await;
}

#[tokio::test]
async fn converts_a_conversation_to_another_kind() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let group = anna.open_group("Plan", &[&ben, &carl]).await;
    let mut socket = ben.connect().await;
    let convert = |kind: &str| json!({ "kind": kind });
    ben.post(&at(&group, "/convert"), convert("private_channel")).await.refused(403, "forbidden");
    anna.post(&at(&group, "/convert"), convert("public_channel")).await.refused(409, "wrong_state");
    let converted = anna.post(&at(&group, "/convert"), convert("private_channel")).await.data();
    assert_eq!((&converted["kind"], &converted["member_count"]), (&json!("private_channel"), &json!(3)));
    let told = socket.expect_in("conversation.updated", &group).await;
    assert_eq!(told.payload["kind"], "private_channel");
    let said = socket.expect_in("message.created", &group).await;
    assert_eq!(said.payload["message"]["sender"]["kind"], "system");
    let dora = app.sign_up("Dora").await;
    dora.get(&at(&group, "")).await.refused(404, "not_found");
    anna.post(&at(&group, "/convert"), convert("public_channel")).await.data();
    assert_eq!(dora.history(&group).await.len(), 2);
    // From now on, membership changes use no sequence numbers.
    dora.post(&at(&group, "/join"), json!({})).await.data();
    dora.send_message(&group, "I'm in").await;
    anna.post(&at(&group, "/convert"), convert("group")).await.refused(409, "wrong_state");
}

#[tokio::test]
async fn only_admins_post_in_an_announcement_channel() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let body = json!({ "kind": "public_channel", "title": "News", "topic": "What is new", "posting": "admins" });
    let made = anna.post("/r1/conversations", body).await.data_with(201);
    let channel = made["id"].as_str().unwrap().to_owned();
    assert_eq!((&made["posting"], &made["topic"]), (&json!("admins"), &json!("What is new")));
    ben.post(&at(&channel, "/join"), json!({})).await.data();
    ben.send_as(&channel, &new_id(), "Me too").await.refused(403, "forbidden");
    anna.send_message(&channel, "News").await;
    anna.patch(&at(&channel, &format!("/members/{}", ben.id)), json!({ "role": "admin" })).await.data();
    ben.send_message(&channel, "As an admin").await;
    anna.patch(&at(&channel, &format!("/members/{}", ben.id)), json!({ "role": "member" })).await.data();
    ben.send_as(&channel, &new_id(), "And now?").await.refused(403, "forbidden");
    anna.patch(&at(&channel, ""), json!({ "posting": "everyone" })).await.data();
    ben.send_message(&channel, "Everybody").await;
    // Administrators of the workspace may also post there when they are members.
    anna.patch(&at(&channel, ""), json!({ "posting": "admins" })).await.data();
    let admin = app.admin().await;
    admin.send_as(&channel, &new_id(), "Attention").await.refused(403, "not_a_member");
    admin.post(&at(&channel, "/join"), json!({})).await.data();
    admin.send_message(&channel, "Attention").await;
}

#[tokio::test]
async fn adds_everybody_but_guests_to_the_default_channel() {
    let app = Application::start().await;
    let (anna, ben, guest) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Guest").await);
    assert_eq!(browsed(&ben, "").await, ["general"]);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let team = team["id"].as_str().unwrap();
    let own = async |who: &Member| {
        let found = who.get(&format!("/r1/conversations?workspace_id={team}")).await.data()["items"].clone();
        found.as_array().unwrap().iter().find(|item| item["is_default"] == true).cloned()
    };
    let general = own(&anna).await.unwrap();
    assert_eq!((&general["title"], &general["member_count"]), (&json!("general"), &json!(1)));
    let id = general["id"].as_str().unwrap();
    let mut socket = ben.connect().await;
    let members = format!("/r1/workspaces/{team}/members");
    anna.post(&members, json!({ "email": ben.email })).await.data_with(201);
    anna.post(&members, json!({ "email": guest.email, "role": "guest" })).await.data_with(201);
    socket.expect_in("member.added", id).await;
    anna.send_message(id, "Hello everybody").await;
    socket.expect_in("message.created", id).await;
    assert_eq!(own(&ben).await.unwrap()["member_count"], 2);
    assert!(own(&guest).await.is_none());
    guest.get(&at(id, "")).await.refused(404, "not_found");
    // No user can leave the default channel, be removed from it or delete it.
    ben.post(&at(id, "/leave"), json!({})).await.refused(409, "default_channel");
    anna.delete(&at(id, &format!("/members/{}", ben.id))).await.refused(409, "default_channel");
    anna.delete(&at(id, "")).await.refused(409, "default_channel");
    anna.post(&at(id, "/archive"), json!({})).await.refused(409, "default_channel");
    anna.post(&at(id, "/convert"), json!({ "kind": "private_channel" })).await.refused(409, "default_channel");
    ben.patch(&at(id, ""), json!({ "title": "Mine" })).await.refused(403, "forbidden");
    anna.patch(&at(id, ""), json!({ "title": "Lobby" })).await.data();
    // A user who becomes a guest is removed; when they become a member again, they are added again.
    anna.patch(&format!("{members}/{}", ben.id), json!({ "role": "guest" })).await.data();
    socket.find("his removal", |frame| frame.kind == "member.removed").await;
    ben.get(&at(id, "")).await.refused(404, "not_found");
    anna.patch(&format!("{members}/{}", guest.id), json!({ "role": "member" })).await.data();
    guest.send_message(id, "At last").await;
}

#[tokio::test]
async fn guests_see_only_channels_they_were_added_to() {
    let app = Application::start().await;
    let (anna, guest) = (app.sign_up("Anna").await, app.sign_up("Guest").await);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let team = team["id"].as_str().unwrap();
    let invited = json!({ "email": guest.email, "role": "guest" });
    anna.post(&format!("/r1/workspaces/{team}/members"), invited).await.data_with(201);
    let body = json!({ "kind": "public_channel", "title": "Open", "workspace_id": team });
    let open = anna.post("/r1/conversations", body.clone()).await.data_with(201);
    let open = open["id"].as_str().unwrap();
    guest.post("/r1/conversations", body).await.refused(403, "forbidden");
    guest.get(&format!("/r1/conversations?scope=browse&workspace_id={team}")).await.refused(403, "forbidden");
    guest.get(&at(open, "")).await.refused(404, "not_found");
    guest.post(&at(open, "/join"), json!({})).await.refused(404, "not_found");
    anna.post(&at(open, "/members"), json!({ "user_id": guest.id })).await.data_with(201);
    guest.send_message(open, "Hello").await;
}
