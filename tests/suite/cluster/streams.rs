//! Event stream for other programs, with a real broker.

use std::collections::{HashMap, HashSet};

use reqwest::Method;
use support::{BusServer, KafkaServer, PASSWORD, Setup, json, new_id, wait_until};

/// Sequence numbers of the events in the stream, by conversation, in the order of the stream.
fn positions(streamed: &[(String, support::Value)]) -> HashMap<String, Vec<i64>> {
    let mut found: HashMap<String, Vec<i64>> = HashMap::new();
    for (_, event) in streamed.iter().filter(|(subject, _)| subject.contains(".chat.messages.")) {
        let conversation = event["payload"]["conversation_id"].as_str().unwrap().to_owned();
        found.entry(conversation).or_default().push(event["payload"]["seq"].as_i64().unwrap_or(0));
    }
    found
}

#[tokio::test]
async fn every_event_is_streamed_once_and_in_order_whatever_is_killed() {
    let Some(mut broker) = BusServer::jetstream().await else { return };
    let mut app = Setup::new().instances(2).set("events.url", broker.url()).start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chats = [anna.open_single(&ben).await, anna.open_group("Group", &[&ben, &carl]).await];
    let admin = app.admin().await;
    for round in 0..6 {
        let senders = [&anna, &ben].map(|member| member.at(&app.instances[round % 2].url()));
        for n in 0..20 {
            for chat in &chats {
                // A killed instance may have committed the message whose response was lost.
                let id = new_id();
                senders[n % 2].send_as(chat, &id, &format!("{round} {n}")).await.data_with(201);
            }
        }
        match round {
            0 | 3 => {
                broker.kill().await;
                anna.at(&app.instances[1].url()).send_message(&chats[0], "while the broker is away").await;
                broker.start_again().await;
            }
            1 | 4 => {
                let victim = round % 2;
                app.instances[victim].kill().await;
                app.instances[victim].start_again().await;
            }
            _ => {}
        }
    }
    let state = async || admin.get("/r1/admin/streams").await.data();
    wait_until("all events are confirmed", async || {
        let state = state().await;
        state["waiting"] == 0 && state["connected"] == true
    })
    .await;
    let streamed = broker.streamed().await;
    assert_eq!(state().await["published_seq"].as_u64(), Some(streamed.len() as u64));
    let found = positions(&streamed);
    for chat in &chats {
        let log: Vec<i64> =
            anna.event_log(chat).await.iter().map(|event| event["payload"]["seq"].as_i64().unwrap()).collect();
        let of_chat: Vec<i64> = found[chat].iter().copied().filter(|seq| *seq > 0).collect();
        assert_eq!(of_chat, log, "each event once, in order");
    }
    let (_, event) = streamed.iter().rfind(|(subject, _)| subject.starts_with("natter.chat.messages.")).unwrap();
    assert_eq!(event["type"], "message.created");
    assert!(event["workspace_id"].is_string() && event["id"].is_string() && event["timestamp"].is_string());
}

#[tokio::test]
async fn an_unreachable_broker_delays_nobody_and_is_reported() {
    let Some(mut broker) = BusServer::jetstream().await else { return };
    broker.kill().await;
    let app = Setup::new().set("events.url", broker.url()).start().await;
    let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "Hello").await;
    wait_until("the failure is shown", async || {
        let state = admin.get("/r1/admin/streams").await.data();
        state["connected"] == false && state["last_error"].is_string() && state["waiting"].as_u64() > Some(0)
    })
    .await;
    let health = anna.get("/health").await;
    assert_eq!(health.status, 200);
    assert!(health.text().contains("events.url"), "{}", health.text());
    broker.start_again().await;
    wait_until("the events arrive", async || admin.get("/r1/admin/streams").await.data()["waiting"] == 0).await;
    assert!(broker.streamed().await.iter().any(|(_, event)| event["payload"]["message"]["content"] == "Hello"));
    anna.get("/r1/admin/streams").await.refused(403, "forbidden");
}

#[tokio::test]
async fn every_change_of_an_account_is_streamed_once_and_in_order_whatever_is_killed() {
    let Some(mut broker) = BusServer::jetstream().await else { return };
    let mut app = Setup::new().instances(2).set("events.url", broker.url()).start().await;
    let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data()["id"].as_str().unwrap().to_owned();
    let members = format!("/r1/workspaces/{team}/members");
    anna.post(&members, json!({ "user_id": ben.id })).await.data_with(201);
    let of_ben = format!("{members}/{}", ben.id);
    let mut expected: Vec<(String, String)> = Vec::new();
    let mut expect = |kind: &str, value: &str| expected.push((kind.to_owned(), value.to_owned()));
    for round in 0..6 {
        let there = app.instances[round % 2].url();
        for n in 0..5 {
            let name = format!("Ben {round} {n}");
            ben.at(&there).patch("/r1/users/me", json!({ "display_name": name })).await.data();
            expect("user.updated", &name);
        }
        let role = if round % 2 == 0 { "admin" } else { "member" };
        anna.at(&there).patch(&of_ben, json!({ "role": role })).await.data();
        expect("workspace.role_changed", role);
        match round {
            0 | 3 => {
                broker.kill().await;
                ben.at(&there).patch("/r1/users/me", json!({ "title": format!("Title {round}") })).await.data();
                expect("user.updated", &format!("Ben {round} 4"));
                broker.start_again().await;
            }
            1 | 4 => {
                let victim = round % 2;
                app.instances[victim].kill().await;
                app.instances[victim].start_again().await;
            }
            _ => {}
        }
    }
    anna.delete(&of_ben).await.data_with(200);
    expect("workspace.member_removed", "");
    let path = format!("/r1/admin/users/{}", ben.id);
    for (status, kind) in [("suspended", "user.suspended"), ("active", "user.reinstated")] {
        admin.patch(&path, json!({ "status": status })).await.data();
        expect(kind, "Ben 5 4");
    }
    let all_confirmed = async || admin.get("/r1/admin/streams").await.data()["waiting"] == 0;
    // The deletion removes the data of events that are still waiting.
    wait_until("all events are confirmed", &all_confirmed).await;
    let device = ben.another_device().await;
    device
        .send(device.request(Method::DELETE, "/r1/users/me").json(&json!({ "password": PASSWORD })))
        .await
        .data_with(200);
    wait_until("the deletion is confirmed", &all_confirmed).await;

    let streamed = broker.streamed().await;
    let of_ben: Vec<&support::Value> = streamed
        .iter()
        .filter(|(subject, event)| subject == "natter.user_events" && event["payload"]["user_id"] == ben.id.as_str())
        .map(|(_, event)| event)
        .collect();
    let kinds: Vec<&str> = of_ben.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[0], "user.created");
    let first = kinds.iter().position(|kind| *kind == "user.updated").unwrap();
    let found: Vec<(String, String)> = of_ben[first..]
        .iter()
        .zip(&kinds[first..])
        .map(|(event, kind)| {
            let field = if *kind == "workspace.role_changed" { "role" } else { "display_name" };
            ((*kind).to_owned(), event["payload"][field].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    let (found, rest) = found.split_at(expected.len());
    assert_eq!(found, expected, "each change once, in order");
    assert!(rest.iter().any(|(kind, _)| kind == "user.deleted"), "{rest:?}");
    let ids: HashSet<&str> = of_ben.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), of_ben.len());
    let joined = of_ben.iter().find(|event| event["workspace_id"] == team.as_str()).unwrap();
    assert_eq!((&joined["type"], &joined["payload"]["role"]), (&json!("workspace.joined"), &json!("member")));
    assert!(!streamed.iter().any(|(_, event)| event.to_string().contains("password")));
}

#[tokio::test]
async fn kafka_gets_every_event_at_least_once_and_in_order_whatever_is_killed() {
    let Some(broker) = KafkaServer::start().await else { return };
    let mut app = Setup::new().instances(2).set("events.url", broker.url()).start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let admin = app.admin().await;
    let chats = [anna.open_single(&ben).await, anna.open_group("Group", &[&ben, &carl]).await];
    let state = async || admin.get("/r1/admin/streams").await.data();
    for round in 0..6 {
        let senders = [&anna, &ben].map(|member| member.at(&app.instances[round % 2].url()));
        for n in 0..20 {
            for chat in &chats {
                senders[n % 2].send_as(chat, &new_id(), &format!("{round} {n}")).await.data_with(201);
            }
        }
        senders[1].patch("/r1/users/me", json!({ "display_name": format!("Ben {round}") })).await.data();
        match round {
            0 | 3 => {
                broker.cut_off();
                anna.at(&app.instances[1].url()).send_message(&chats[0], "while the broker is away").await;
                wait_until("the failure is shown", async || {
                    let state = state().await;
                    state["connected"] == false
                        && state["last_error"].is_string()
                        && state["waiting"].as_u64() > Some(0)
                })
                .await;
                let health = anna.get("/health").await;
                assert_eq!(health.status, 200);
                assert!(health.text().contains("events.url"), "{}", health.text());
                broker.restore();
            }
            1 | 4 => {
                let victim = round % 2;
                app.instances[victim].kill().await;
                app.instances[victim].start_again().await;
            }
            _ => {}
        }
    }
    wait_until("all events are confirmed", async || {
        let state = state().await;
        state["waiting"] == 0 && state["connected"] == true
    })
    .await;
    assert_eq!(state().await["kind"], "kafka");

    let mut found: HashMap<String, Vec<i64>> = HashMap::new();
    let mut seen = HashSet::new();
    let mut partitions: HashMap<String, i64> = HashMap::new();
    for message in broker.messages("chat.messages").await {
        let (id, event) = (message["id"].as_str().unwrap(), &message["event"]);
        assert_eq!((&message["partitions"], event["id"].as_str()), (&json!(16), Some(id)));
        assert_eq!(message["key"], event["payload"]["conversation_id"]);
        let key = message["key"].as_str().unwrap().to_owned();
        let partition = message["partition"].as_i64().unwrap();
        assert_eq!(*partitions.entry(key.clone()).or_insert(partition), partition, "a conversation has one partition");
        if seen.insert(id.to_owned()) {
            found.entry(key).or_default().push(event["payload"]["seq"].as_i64().unwrap_or(0));
        }
    }
    for chat in &chats {
        let log: Vec<i64> =
            anna.event_log(chat).await.iter().map(|event| event["payload"]["seq"].as_i64().unwrap()).collect();
        let of_chat: Vec<i64> = found[chat].iter().copied().filter(|seq| *seq > 0).collect();
        assert_eq!(of_chat, log, "each event, in order after the repeats are dropped");
    }
    let mut names = Vec::new();
    for message in broker.messages("user-events").await {
        if message["key"] == ben.id.as_str()
            && message["event"]["type"] == "user.updated"
            && seen.insert(message["id"].as_str().unwrap().to_owned())
        {
            names.push(message["event"]["payload"]["display_name"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(names, (0..6).map(|round| format!("Ben {round}")).collect::<Vec<_>>());
}
