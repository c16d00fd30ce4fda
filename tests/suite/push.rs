//! Web Push: recipients, triggers and expired subscriptions.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::Method;
use support::{Application, Setup, json};

pub mod service;
mod survival;

use service::PushService;

use crate::endpoints::{Args, SampleCall, plain, sample};

const SUBSCRIPTIONS: &str = "/r1/push/subscriptions";

async fn allowed() -> Application {
    Setup::new().set("outgoing.allow", "127.0.0.1").start().await
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    const ENDPOINT: &str = "https://push.example.test/1";
    vec![
        plain(&["ShowPushKey"]),
        sample(&["SubscribeToPush"], async |_| {
            let key = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
            let keys = json!({ "p256dh": key, "auth": "BTBZMqHH6r4Tts7J_aSIgg" });
            Args::body(json!({ "endpoint": ENDPOINT, "keys": keys }))
        }),
        sample(&["UnsubscribeFromPush"], async |_| Args::body(json!({ "endpoint": ENDPOINT }))),
    ]
}

#[tokio::test]
async fn do_not_disturb_on_one_device_suppresses_push_on_all() {
    let (app, service) = (allowed().await, PushService::start().await);
    let (anna, ben, cleo) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await);
    ben.post(SUBSCRIPTIONS, service.subscription("phone")).await.data_with(201);
    cleo.post(SUBSCRIPTIONS, service.subscription("tablet")).await.data_with(201);
    let (chat, other) = (anna.open_single(&ben).await, anna.open_single(&cleo).await);
    ben.patch("/r1/users/me", json!({ "chosen_presence": "dnd" })).await.data();
    anna.send_message(&chat, "not now").await;
    anna.send_message(&other, "now").await;
    assert_eq!(service.wait_for(1).await[0].message["text"], "now");
}

#[tokio::test]
async fn pushes_for_conversations_that_are_not_on_screen() {
    let (app, service) = (allowed().await, PushService::start().await);
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let key = ben.get("/r1/push/key").await.data()["key"].as_str().unwrap().to_owned();
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(&key).unwrap().len(), 65);
    for _ in 0..2 {
        ben.post(SUBSCRIPTIONS, service.subscription("phone")).await.data_with(201);
    }
    let chat = anna.open_single(&ben).await;
    let sent = anna.send_message(&chat, "**hello**").await;
    let pushed = service.wait_for(1).await;
    let message = &pushed[0].message;
    assert_eq!(
        (&message["title"], &message["text"], &message["kind"]),
        (&json!("Anna"), &json!("hello"), &json!("message"))
    );
    assert_eq!((&message["message_id"], &message["conversation_id"]), (&sent["id"], &json!(chat)));
    assert_eq!((pushed[0].ttl.as_str(), pushed[0].urgency.as_str()), ("86400", "high"));
    assert!(!pushed[0].topic.is_empty() && pushed[0].topic.len() <= 32 && !pushed[0].topic.contains(&chat));
    // When the notification is read on another device, the push is withdrawn by its topic.
    ben.post(&format!("/r1/conversations/{chat}/read"), json!({ "seq": sent["seq"] })).await.data();
    let pushed = service.wait_for(2).await;
    assert_eq!((&pushed[1].message, &pushed[1].topic), (&json!(null), &pushed[0].topic));
    // Deleting the message withdraws the push as well.
    let slip = anna.send_message(&chat, "a slip").await;
    assert_eq!(service.wait_for(3).await[2].message["text"], "a slip");
    anna.delete(&format!("/r1/messages/{}", slip["id"].as_str().unwrap())).await.data();
    let pushed = service.wait_for(4).await;
    assert_eq!((&pushed[3].message, &pushed[3].topic), (&json!(null), &pushed[0].topic));
    // There is no push for a conversation that is visible, or during do-not-disturb.
    let mut socket = ben.connect().await;
    socket.send("view", json!({ "conversation_ids": [chat] })).await;
    socket.request("ping", json!({})).await;
    anna.send_message(&chat, "seen").await;
    let other = app.sign_up("Other").await;
    let elsewhere = other.open_single(&ben).await;
    other.send_message(&elsewhere, "not seen").await;
    let pushed = service.wait_for(5).await;
    assert_eq!(pushed[4].message["text"], "not seen");
    ben.patch("/r1/notifications/settings", json!({ "show_text": false })).await.data();
    other.send_message(&elsewhere, "a secret").await;
    assert_eq!(service.wait_for(6).await[5].message["text"], "");
    // The subscription no longer exists.
    let gone = json!({ "endpoint": service.subscription("phone")["endpoint"] });
    ben.send(ben.request(Method::DELETE, SUBSCRIPTIONS).json(&gone)).await.data();
    ben.post(SUBSCRIPTIONS, service.subscription("laptop")).await.data_with(201);
    other.send_message(&elsewhere, "more").await;
    assert_eq!(service.wait_for(7).await[6].device, "laptop");
    assert!(service.pushed().iter().all(|one| one.message["text"] != "seen"));
}

#[tokio::test]
async fn announcements_push_except_in_do_not_disturb() {
    let (app, service) = (allowed().await, PushService::start().await);
    let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
    ben.post(SUBSCRIPTIONS, service.subscription("bens")).await.data_with(201);
    anna.post(SUBSCRIPTIONS, service.subscription("annas")).await.data_with(201);
    ben.patch("/r1/notifications/settings", json!({ "dnd_until": "2030-01-01T00:00:00.000Z" })).await.data();
    let announce = async |title: &str, channels: &[&str]| {
        let audience = json!({ "user_ids": [anna.id, ben.id] });
        let body = json!({ "title": title, "body": "**Soon**", "audience": audience, "channels": channels });
        admin.post("/r1/broadcasts", body).await.data_with(201)
    };
    announce("Only in the list", &["notification"]).await;
    announce("Maintenance", &["push"]).await;
    let pushed = service.wait_for(1).await;
    assert_eq!((&pushed[0].message["title"], &pushed[0].message["text"]), (&json!("Maintenance"), &json!("Soon")));
    assert_eq!(pushed[0].device, "annas");
    assert_eq!(ben.get("/r1/notifications").await.data()["total"], json!(2));
}

#[tokio::test]
async fn honours_responses_of_the_push_service() {
    let (app, service) = (allowed().await, PushService::start().await);
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    ben.post(SUBSCRIPTIONS, service.subscription("a")).await.data_with(201);
    let chat = anna.open_single(&ben).await;
    // If the push service refuses temporarily, the push is retried.
    service.answer_next(429, "retry-after: 1\r\n");
    service.answer_next(406, "retry-after: 1\r\n");
    service.answer_next(503, "retry-after: 1\r\n");
    anna.send_message(&chat, "one").await;
    let pushed = service.wait_for(4).await;
    assert!(pushed.iter().all(|one| one.message["text"] == "one"), "{pushed:?}");
    // If the push is too large, it is sent again without the text of the message.
    service.answer_next(413, "");
    anna.send_message(&chat, "two").await;
    let pushed = service.wait_for(6).await;
    assert_eq!((&pushed[4].message["text"], &pushed[5].message["text"]), (&json!("two"), &json!("")));
    // If the subscription is gone, the push is never retried.
    service.answer_next(410, "");
    anna.send_message(&chat, "three").await;
    service.wait_for(7).await;
    ben.post(SUBSCRIPTIONS, service.subscription("b")).await.data_with(201);
    anna.send_message(&chat, "four").await;
    let pushed = service.wait_for(8).await;
    assert_eq!((pushed.len(), pushed[7].device.as_str()), (8, "b"));
    // After the user has signed out on a device, that device gets no pushes.
    ben.post("/r1/auth/logout", json!({})).await.data();
    let again = support::Member::sign_in(&app.url(), &ben.email, support::PASSWORD).await;
    again.post(SUBSCRIPTIONS, service.subscription("c")).await.data_with(201);
    anna.send_message(&chat, "five").await;
    let pushed = service.wait_for(9).await;
    assert_eq!((pushed.len(), pushed[8].device.as_str()), (9, "c"));
}

#[tokio::test]
async fn rejects_invalid_push_subscriptions() {
    let app = Application::start().await;
    let ben = app.sign_up("Ben").await;
    let service = PushService::start().await;
    let right = service.subscription("phone");
    let with = |field: &str, value: &str| {
        let mut changed = right.clone();
        changed["endpoint"] = json!("https://push.example.test/1");
        match field {
            "endpoint" => changed["endpoint"] = json!(value),
            field => changed["keys"][field.trim_start_matches("keys.")] = json!(value),
        }
        changed
    };
    // The server makes no requests to private addresses, to addresses without encryption, or to
    // invalid URLs.
    for endpoint in [
        right["endpoint"].as_str().unwrap(),
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "file:///etc/passwd",
        "nowhere",
    ] {
        ben.post(SUBSCRIPTIONS, with("endpoint", endpoint)).await.names_field("endpoint");
    }
    for (field, value) in
        [("keys.p256dh", "AAAA"), ("keys.p256dh", "not base64url!"), ("keys.auth", "AAAA"), ("keys.auth", "?")]
    {
        ben.post(SUBSCRIPTIONS, with(field, value)).await.names_field(field);
    }
    ben.post(SUBSCRIPTIONS, with("endpoint", &format!("https://push.example.test/{}", "x".repeat(2_000))))
        .await
        .names_field("endpoint");
    let program = ben.program(&["read", "write"]).await;
    program.post(SUBSCRIPTIONS, with("endpoint", "https://push.example.test/1")).await.refused(403, "scope_missing");
}
