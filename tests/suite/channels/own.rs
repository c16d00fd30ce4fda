//! A member's own state in a conversation: settings, sections, unread counts and mentions.

use support::{Application, Member, Value, json, new_id};

use super::at;

#[tokio::test]
async fn conversation_settings_reach_the_members_own_connections() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (mut here, mut others) = (anna.connect().await, ben.connect().await);
    let usual = &anna.conversation(&chat).await["own"];
    assert_eq!(
        (&usual["notify"], &usual["pinned"], &usual["muted_until"]),
        (&json!("all"), &json!(false), &json!(null))
    );
    let section = anna.post("/r1/sections", json!({ "name": "Clients" })).await.data_with(201);
    let change = json!({
        "notify": "mentions", "muted_until": "2030-01-01T00:00:00.000Z", "pinned": true, "section_id": section["id"]
    });
    let own = anna.patch(&at(&chat, "/own"), change.clone()).await.data();
    let told = here.expect_in("conversation.own", &chat).await;
    for (key, value) in change.as_object().unwrap() {
        assert_eq!((&own[key], &told.payload["own"][key]), (value, value), "{key}");
    }
    assert_eq!(anna.conversation(&chat).await["own"]["pinned"], true);
    assert_eq!(ben.conversation(&chat).await["own"]["pinned"], false);
    let cleared = json!({ "muted_until": null, "section_id": null });
    let own = anna.patch(&at(&chat, "/own"), cleared).await.data();
    assert_eq!((&own["muted_until"], &own["section_id"], &own["pinned"]), (&json!(null), &json!(null), &json!(true)));
    anna.patch(&at(&chat, "/own"), json!({ "section_id": new_id() })).await.names_field("section_id");
    ben.patch(&at(&chat, "/own"), json!({ "section_id": section["id"] })).await.names_field("section_id");
    assert!((400..500).contains(&anna.patch(&at(&chat, "/own"), json!({ "notify": "loudly" })).await.status));
    others.request("ping", json!({})).await;
    assert!(others.drain().await.iter().all(|frame| frame.kind != "conversation.own"));
}

#[tokio::test]
async fn sections_keep_their_order() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let mut ids = Vec::new();
    for name in ["A", "B", "C"] {
        let section = anna.post("/r1/sections", json!({ "name": name })).await.data_with(201);
        ids.push(section["id"].as_str().unwrap().to_owned());
    }
    let order = async || {
        let list = anna.get("/r1/sections").await.data();
        list["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<String>()
    };
    let moved = anna.patch(&format!("/r1/sections/{}", ids[2]), json!({ "position": 0, "name": "C!" })).await.data();
    assert_eq!((&moved["position"], &moved["name"]), (&json!(0), &json!("C!")));
    assert_eq!(order().await, "C!AB");
    anna.post("/r1/sections", json!({ "name": "D", "position": 1 })).await.data_with(201);
    assert_eq!(order().await, "C!DAB");
    ben.patch(&format!("/r1/sections/{}", ids[0]), json!({ "name": "x" })).await.refused(404, "not_found");
    ben.delete(&format!("/r1/sections/{}", ids[0])).await.refused(404, "not_found");
    let chat = anna.open_single(&ben).await;
    anna.patch(&at(&chat, "/own"), json!({ "section_id": ids[0] })).await.data();
    anna.delete(&format!("/r1/sections/{}", ids[0])).await.data();
    assert_eq!(order().await, "C!DB");
    assert_eq!(anna.conversation(&chat).await["own"]["section_id"], json!(null));
    anna.post("/r1/sections", json!({ "name": " " })).await.names_field("name");
}

#[tokio::test]
async fn publishes_section_changes_to_own_connections_only() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let (mut here, mut there, mut others) = (anna.connect().await, anna.connect().await, ben.connect().await);
    let mut told = async |expected: Value| {
        for socket in [&mut here, &mut there] {
            let frame = socket.expect("sections.changed").await;
            let sections = frame.payload["sections"].as_array().unwrap();
            let found: Vec<_> = sections.iter().map(|one| json!([one["name"], one["position"]])).collect();
            assert_eq!(json!(found), expected);
        }
    };
    let section = anna.post("/r1/sections", json!({ "name": "A" })).await.data_with(201);
    let path = format!("/r1/sections/{}", section["id"].as_str().unwrap());
    told(json!([["A", 0]])).await;
    anna.post("/r1/sections", json!({ "name": "B", "position": 0 })).await.data_with(201);
    told(json!([["B", 0], ["A", 1]])).await;
    anna.patch(&path, json!({ "name": "C", "position": 0 })).await.data();
    told(json!([["C", 0], ["B", 1]])).await;
    anna.delete(&path).await.data();
    told(json!([["B", 0]])).await;
    others.request("ping", json!({})).await;
    assert!(others.drain().await.iter().all(|frame| frame.kind != "sections.changed"));
}

#[tokio::test]
async fn limits_mentions_of_everybody_to_channel_admins() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let body = json!({
        "kind": "public_channel", "title": "Loud", "mention_all": "admins", "member_ids": [ben.id, carl.id]
    });
    let channel = anna.post("/r1/conversations", body).await.data_with(201);
    assert_eq!(channel["mention_all"], "admins");
    let id = channel["id"].as_str().unwrap();
    let send = async |who: &Member, kind: &str, confirm: bool| {
        let body = json!({
            "client_id": new_id(), "content": "Look", "mentions": [{ "kind": kind }], "confirm": confirm
        });
        who.post(&at(id, "/messages"), body).await
    };
    let refused = send(&ben, "all", false).await;
    refused.refused(403, "forbidden");
    assert_eq!(refused.body["message"], "Only admins can mention everyone in this channel.");
    send(&ben, "here", true).await.refused(403, "forbidden");
    let mut socket = ben.connect().await;
    let frame = json!({
        "conversation_id": id, "client_id": new_id(), "content": "Look", "mentions": [{ "kind": "all" }], "confirm": true
    });
    assert_eq!(socket.request("message.send", frame).await.payload["code"], "forbidden");
    ben.send_message(id, "@all in the text alone").await;
    send(&anna, "all", false).await.data_with(201);
    assert_eq!(carl.conversation(id).await["own"]["unread_mentions"], 1);
    let own = ben.send_message(id, "Look").await;
    let edit = json!({ "content": "Look, all", "mentions": [{ "kind": "all" }] });
    ben.patch(&format!("/r1/messages/{}", own["id"].as_str().unwrap()), edit).await.refused(403, "forbidden");
    anna.patch(&at(id, &format!("/members/{}", ben.id)), json!({ "role": "admin" })).await.data();
    send(&ben, "all", false).await.data_with(201);
    carl.patch(&at(id, ""), json!({ "mention_all": "everyone" })).await.refused(403, "forbidden");
    anna.patch(&at(id, ""), json!({ "mention_all": "everyone" })).await.data();
    assert_eq!(socket.expect_in("conversation.updated", id).await.payload["mention_all"], "everyone");
    send(&carl, "here", false).await.data_with(201);
    let group = anna.open_group("Quiet", &[&ben, &carl]).await;
    anna.patch(&at(&group, ""), json!({ "mention_all": "admins" })).await.refused(409, "wrong_state");
    let single = json!({ "kind": "single", "member_ids": [ben.id], "mention_all": "admins" });
    anna.post("/r1/conversations", single).await.names_field("mention_all");
}

#[tokio::test]
async fn counts_mentions_until_they_are_read() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let group = anna.open_group("Plan", &[&ben, &carl]).await;
    let send = async |mentions: Value| {
        let body = json!({ "client_id": new_id(), "content": "Look", "mentions": mentions });
        anna.post(&at(&group, "/messages"), body).await
    };
    let unread = async |who: &Member| {
        let own = who.conversation(&group).await["own"].clone();
        (own["unread"].as_i64().unwrap(), own["unread_mentions"].as_i64().unwrap())
    };
    let sent = send(json!([{ "kind": "user", "id": ben.id }, { "kind": "user", "id": ben.id }])).await.data_with(201);
    assert_eq!(sent["mentions"][0], json!({ "kind": "user", "id": ben.id }));
    send(json!([{ "kind": "all" }])).await.data_with(201);
    assert_eq!((unread(&ben).await, unread(&carl).await, unread(&anna).await), ((2, 2), (2, 1), (0, 0)));
    assert_eq!(carl.history(&group).await[1]["mentions"], json!([{ "kind": "all" }]));
    carl.post(&at(&group, "/read"), json!({ "seq": sent["seq"] })).await.data();
    assert_eq!(unread(&carl).await, (1, 1));
    carl.send_message(&group, "Seen").await;
    assert_eq!((unread(&carl).await, unread(&anna).await), ((0, 0), (1, 0)));
    let _here = carl.connect().await;
    send(json!([{ "kind": "here" }])).await.data_with(201);
    assert_eq!((unread(&carl).await, unread(&ben).await), ((1, 1), (4, 2)));
    for wrong in [json!([{ "kind": "user" }]), json!([{ "kind": "all", "id": ben.id }])] {
        send(wrong).await.names_field("mentions");
    }
    assert!((400..500).contains(&send(json!([{ "kind": "nobody" }])).await.status));
}

#[tokio::test]
async fn edits_add_and_remove_mentions() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let group = anna.open_group("Plan", &[&ben, &carl]).await;
    let counts = async || {
        let (ben, carl) = (ben.conversation(&group).await, carl.conversation(&group).await);
        let count = |it: Value| it["own"]["unread_mentions"].as_i64().unwrap();
        (count(ben), count(carl))
    };
    let sent = anna.send_message(&group, "Look").await;
    let path = format!("/r1/messages/{}", sent["id"].as_str().unwrap());
    let edit = async |content: &str, mentions: Value| {
        anna.patch(&path, json!({ "content": content, "mentions": mentions })).await.data()
    };
    let user = |who: &Member| json!({ "kind": "user", "id": who.id });
    let edited = edit("Look, Ben", json!([user(&ben)])).await;
    assert_eq!((&edited["mentions"], counts().await), (&json!([user(&ben)]), (1, 0)));
    // If the field is absent, the mentions stay.
    let edited = anna.patch(&path, json!({ "content": "Look here, Ben" })).await.data();
    assert_eq!((&edited["mentions"], counts().await), (&json!([user(&ben)]), (1, 0)));
    // The same text can be changed to mention other users.
    edit("Look here, Ben", json!([user(&carl)])).await;
    assert_eq!(counts().await, (0, 1));
    edit("Look, all", json!([{ "kind": "all" }, user(&ben)])).await;
    assert_eq!(counts().await, (1, 1));
    assert_eq!(carl.history(&group).await[0]["mentions"], json!([{ "kind": "all" }, user(&ben)]));
    // A mention of "here" notifies the users who are online at that time. They stay mentioned when
    // the message is edited later.
    let here = carl.connect().await;
    edit("Look, here", json!([{ "kind": "here" }])).await;
    assert_eq!(counts().await, (0, 1));
    drop(here);
    edit("Look, you who are here", json!([{ "kind": "here" }])).await;
    assert_eq!(counts().await, (0, 1));
    edit("Look", json!([])).await;
    assert_eq!(counts().await, (0, 0));
    edit("Look, both", json!([user(&ben), user(&carl)])).await;
    assert_eq!(counts().await, (1, 1));
    for wrong in [json!([{ "kind": "user" }]), json!([{ "kind": "all", "id": ben.id }])] {
        anna.patch(&path, json!({ "content": "Look", "mentions": wrong })).await.names_field("mentions");
    }
    let admin = app.admin().await;
    let deed = |name: &str| format!("/r1/admin/messages/{}/{name}", sent["id"].as_str().unwrap());
    admin.post(&deed("hide"), json!({})).await.data();
    assert_eq!((counts().await, &carl.history(&group).await[0]["mentions"]), ((0, 0), &Value::Null));
    admin.post(&deed("restore"), json!({})).await.data();
    assert_eq!(counts().await, (1, 1));
    anna.delete(&path).await.data();
    assert_eq!(counts().await, (0, 0));
    let log = carl.get(&at(&group, "/events?after_seq=0")).await.data().to_string();
    assert!(!log.contains("\"mentions\":"), "{log}");
}

#[tokio::test]
async fn marking_as_unread_is_private_and_lasts_until_read() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut seqs = Vec::new();
    for text in ["one", "two", "three"] {
        seqs.push(anna.send_message(&chat, text).await["seq"].as_i64().unwrap());
    }
    let read = async |seq: i64| ben.post(&at(&chat, "/read"), json!({ "seq": seq })).await.data();
    let unread = async |seq: i64| ben.post(&at(&chat, "/unread"), json!({ "seq": seq })).await.data();
    let counts = |own: &Value| (own["unread"].as_i64().unwrap(), own["read_seq"].as_i64().unwrap());
    let own = async || counts(&ben.conversation(&chat).await["own"]);
    read(seqs[2]).await;
    let (mut annas, mut bens) = (anna.connect().await, ben.connect().await);
    assert_eq!(counts(&unread(seqs[1]).await), (2, seqs[1] - 1));
    let told = bens.expect_in("conversation.unread", &chat).await.payload;
    assert_eq!((told["unread"].as_i64(), told["read_seq"].as_i64()), (Some(2), Some(seqs[1] - 1)));
    assert_eq!((told["unread_mentions"].as_i64(), own().await), (Some(0), (2, seqs[1] - 1)));
    // What Anna sees doesn't change, even while she is reading the messages again.
    let known = async || {
        let chat = anna.conversation(&chat).await;
        let members = chat["members"].as_array().unwrap();
        members.iter().find(|member| member["user_id"] == json!(ben.id)).unwrap()["read_seq"].as_i64().unwrap()
    };
    assert_eq!(known().await, seqs[2]);
    read(seqs[1]).await;
    assert_eq!((own().await, known().await), ((1, seqs[1]), seqs[2]));
    bens.expect_in("receipt", &chat).await;
    annas.request("ping", json!({})).await;
    let heard = annas.drain().await;
    assert!(heard.iter().all(|frame| frame.kind != "receipt" && frame.kind != "conversation.unread"), "{heard:?}");
    // Nothing is marked as read. With a position at the start, all messages are unread.
    assert_eq!(counts(&unread(seqs[2]).await), (1, seqs[1]));
    assert_eq!(counts(&unread(1).await), (3, 0));
    // Sending a message marks the earlier ones as read.
    ben.send_message(&chat, "four").await;
    assert_eq!(own().await.0, 0);
    anna.send_message(&chat, "five").await;
    let last = ben.conversation(&chat).await["last_seq"].as_i64().unwrap();
    read(last).await;
    assert_eq!(known().await, last);
    ben.post(&at(&chat, "/unread"), json!({ "seq": 0 })).await.names_field("seq");
}

#[tokio::test]
async fn an_earlier_read_receipt_does_not_clear_an_unread_mark() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    for n in 0..20 {
        let seq = anna.send_message(&chat, &format!("message {n}")).await["seq"].as_i64().unwrap();
        socket.send("receipt", json!({ "conversation_id": chat, "seq": seq, "state": "read" })).await;
        // The server has received the receipt and stores it later.
        socket.drain().await;
        ben.post(&at(&chat, "/unread"), json!({ "seq": seq })).await.data();
        let told = socket.expect_in("conversation.unread", &chat).await.payload;
        assert_eq!((told["unread"].as_i64(), told["read_seq"].as_i64()), (Some(1), Some(seq - 1)));
        assert_eq!(ben.conversation(&chat).await["own"]["unread"], 1);
    }
}

#[tokio::test]
async fn hidden_history_cannot_be_marked_as_unread() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let body = json!({ "kind": "private_channel", "title": "Plans", "history": "from_join", "member_ids": [ben.id] });
    let channel = anna.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned();
    anna.send_message(&channel, "before").await;
    anna.post(&at(&channel, "/members"), json!({ "user_id": carl.id })).await.data();
    anna.send_message(&channel, "after").await;
    let own = carl.post(&at(&channel, "/unread"), json!({ "seq": 1 })).await.data();
    assert_eq!(own["unread"], 1);
}

#[tokio::test]
async fn mentioning_many_people_requires_confirmation() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut others = Vec::new();
    for n in 0..20 {
        others.push(app.sign_up(&format!("Person {n}")).await);
    }
    let others: Vec<&Member> = others.iter().collect();
    let few = anna.open_group("Few", &others[..19]).await;
    let many = anna.open_group("Many", &others).await;
    let mut body = json!({ "client_id": new_id(), "content": "@all", "mentions": [{ "kind": "all" }] });
    anna.post(&at(&few, "/messages"), body.clone()).await.data_with(201);
    let refused = anna.post(&at(&many, "/messages"), body.clone()).await;
    assert_eq!((refused.status, &refused.body["details"]), (409, &json!({ "count": 20 })), "{refused:?}");
    refused.refused(409, "confirm_mention");
    let mut socket = anna.connect().await;
    let mut frame = body.clone();
    frame["conversation_id"] = json!(many);
    let refused = socket.request("message.send", frame).await;
    assert_eq!(
        (&refused.payload["code"], &refused.payload["details"]["count"]),
        (&json!("confirm_mention"), &json!(20))
    );
    body["confirm"] = json!(true);
    anna.post(&at(&many, "/messages"), body).await.data_with(201);
    assert_eq!(others[0].conversation(&many).await["own"]["unread_mentions"], 1);
    // An edit needs a confirmation only if it adds mentions.
    let sent = anna.send_message(&many, "Look").await;
    let path = format!("/r1/messages/{}", sent["id"].as_str().unwrap());
    let edit = async |content: &str, confirm: bool| {
        let body = json!({ "content": content, "mentions": [{ "kind": "all" }], "confirm": confirm });
        anna.patch(&path, body).await
    };
    edit("Look, all", false).await.refused(409, "confirm_mention");
    edit("Look, all", true).await.data();
    edit("Look, all of you", false).await.data();
    assert_eq!(others[0].conversation(&many).await["own"]["unread_mentions"], 2);
}
