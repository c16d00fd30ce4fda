//! Event stream for other programs, with a real broker.

use std::collections::HashMap;

use support::{BusServer, Setup, new_id, wait_until};

/// Sequence numbers of the events in the stream, by conversation, in the order of the stream.
fn positions(streamed: &[(String, support::Value)]) -> HashMap<String, Vec<i64>> {
    let mut found: HashMap<String, Vec<i64>> = HashMap::new();
    for (_, event) in streamed {
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
    let (subject, event) = streamed.last().unwrap();
    assert!(subject.starts_with("natter.chat.messages."), "{subject}");
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
