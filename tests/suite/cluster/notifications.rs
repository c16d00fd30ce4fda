//! Notifications across instances: they are delivered once, even if an instance dies.

use support::{Setup, Socket, Value, json, new_id, wait_until};

use crate::push::service::PushService;

async fn texts(socket: &mut Socket) -> Vec<String> {
    socket.request("ping", json!({})).await;
    let told = socket.drain().await.into_iter().filter(|frame| frame.kind == "notification");
    told.map(|frame| frame.payload["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn notifications_arrive_once_on_whichever_instance() {
    let app = Setup::new().instances(2).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let there = ben.at(&app.instances[1].url());
    let mut socket = there.connect().await;
    let senders = [anna.at(&app.instances[0].url()), anna.at(&app.instances[1].url())];
    let chat = anna.open_channel("private_channel", &format!("c {}", new_id())).await;
    let members = format!("/r1/conversations/{chat}/members");
    assert!(anna.post(&members, json!({ "user_id": ben.id })).await.status < 300);
    let sending = (0..20).map(|n| {
        let (sender, chat) = (&senders[n % 2], &chat);
        let mentions: Vec<Value> = vec![json!({ "kind": "user", "id": ben.id })];
        let body = json!({ "client_id": new_id(), "content": format!("{n}"), "mentions": mentions });
        async move { sender.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201) }
    });
    futures_util::future::join_all(sending).await;
    wait_until("all notifications are listed", || async {
        there.get("/r1/notifications?unread=true").await.data()["total"] == 20
    })
    .await;
    let mut told = texts(&mut socket).await;
    while told.len() < 20 {
        told.extend(texts(&mut socket).await);
    }
    told.sort();
    let mut expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn no_push_is_sent_for_conversations_open_on_another_instance() {
    let app = Setup::new().instances(2).set("outgoing.allow", "127.0.0.1").start().await;
    let service = PushService::start().await;
    let anna = app.sign_up("Anna").await;
    let keys: Vec<Value> = futures_util::future::join_all(
        app.instances.iter().map(|instance| async { anna.at(&instance.url()).get("/r1/push/key").await.data() }),
    )
    .await;
    assert_eq!(keys[0], keys[1], "all instances share the VAPID key");
    let carl = app.sign_up("Carl").await;
    // The connections stay open until the end, because the push of the first message may be decided
    // after the second message was sent.
    let mut sockets = Vec::new();
    // A different user for each instance, so that no instance has cached the user.
    for (n, instance) in app.instances.iter().enumerate() {
        let ben = app.sign_up(&format!("Ben {n}")).await;
        ben.post("/r1/push/subscriptions", service.subscription(&format!("phone-{n}"))).await.data_with(201);
        let shown = anna.open_single(&ben).await;
        let elsewhere = anna.open_group("Three", &[&ben, &carl]).await;
        let mut socket = ben.at(&instance.url()).connect().await;
        socket.send("view", json!({ "conversation_ids": [shown] })).await;
        socket.request("ping", json!({})).await;
        for other in &app.instances {
            wait_until("Ben is online on the other instance", || async {
                anna.at(&other.url()).get(&format!("/r1/users/{}", ben.id)).await.data()["presence"] == "online"
            })
            .await;
        }
        let before = service.pushed().len();
        anna.send_message(&shown, "before one's eyes").await;
        anna.send_message(&elsewhere, "elsewhere").await;
        let pushed = service.wait_for(before + 1).await;
        assert_eq!(pushed[before].message["text"], "elsewhere");
        sockets.push(socket);
    }
    assert!(service.pushed().iter().all(|one| one.message["text"] != "before one's eyes"));
}
