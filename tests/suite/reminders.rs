//! Reminders of messages: they come on time and once, and only their owner sees them.

use std::time::Duration;

use appcore::Clock;
use support::{Application, Value, json, new_id, wait_until};

use crate::endpoints::{Args, SampleCall, create, plain, sample};

fn later(by: Duration) -> String {
    Clock::system().now().plus(by).to_string()
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    let in_an_hour = || json!({ "at": later(Duration::from_secs(3_600)) });
    vec![
        plain(&["ListReminders"]),
        sample(&["CreateReminder"], async move |world| Args::id(world.message().await).with_body(in_an_hour())),
        sample(&["DeleteReminder"], async move |world| {
            let path = format!("/r1/messages/{}/reminders", world.message().await);
            Args::id(create(&world.owner, &path, in_an_hour()).await)
        }),
    ]
}

#[tokio::test]
async fn reminds_the_owner_of_a_message() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_single(&ben).await;
    let message = anna.send_message(&chat, "Pay the invoice").await;
    let gone = anna.send_message(&chat, "Never mind").await;
    let mut socket = ben.connect().await;
    let reminders = |message: &Value| format!("/r1/messages/{}/reminders", id(message));
    let soon = later(Duration::from_secs(2));
    ben.post(&reminders(&gone), json!({ "at": soon })).await.data_with(201);
    anna.delete(&format!("/r1/messages/{}", id(&gone))).await.data();
    let asked = ben.post(&reminders(&message), json!({ "at": soon, "note": " before noon " })).await.data_with(201);
    assert_eq!((&asked["note"], &asked["message"]["id"]), (&json!("before noon"), &message["id"]));
    let much_later = json!({ "at": later(Duration::from_secs(3_600)) });
    let other = ben.post(&reminders(&message), much_later).await.data_with(201);
    assert_eq!(ben.get("/r1/reminders").await.data()["total"], 2);
    assert_eq!(anna.get("/r1/reminders").await.data()["total"], 0);
    let told =
        socket.find("the reminder", |frame| frame.kind == "notification" && frame.payload["kind"] == "reminder").await;
    assert_eq!((&told.payload["message_id"], &told.payload["conversation_id"]), (&message["id"], &json!(chat)));
    assert_eq!((&told.payload["title"], &told.payload["text"]), (&json!("Anna"), &json!("before noon")));
    wait_until("the past reminder is done", async || ben.get("/r1/reminders").await.data()["total"] == 1).await;
    let listed = ben.get("/r1/notifications").await.data();
    let kinds = listed["items"].as_array().unwrap().iter().filter(|one| one["kind"] == "reminder").count();
    assert_eq!(kinds, 1, "deleted messages have no reminder: {listed}");
    let path = format!("/r1/reminders/{}", id(&other));
    anna.delete(&path).await.refused(404, "not_found");
    ben.delete(&path).await.data();
    ben.delete(&path).await.refused(404, "not_found");
    // Reminders that are not valid.
    carl.post(&reminders(&message), json!({ "at": later(Duration::from_secs(60)) })).await.refused(404, "not_found");
    let unknown = json!({ "id": new_id() });
    ben.post(&reminders(&unknown), json!({ "at": later(Duration::from_secs(60)) })).await.refused(404, "not_found");
    for at in [later(Duration::ZERO), later(Duration::from_secs(400 * 86_400))] {
        ben.post(&reminders(&message), json!({ "at": at })).await.names_field("at");
    }
    let long = json!({ "at": later(Duration::from_secs(60)), "note": "x".repeat(201) });
    ben.post(&reminders(&message), long).await.names_field("note");
}

#[tokio::test]
async fn delivers_reminders_once_after_a_kill() {
    let mut app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let message = anna.send_message(&chat, "Pay the invoice").await;
    let path = format!("/r1/messages/{}/reminders", id(&message));
    for _ in 0..5 {
        ben.post(&path, json!({ "at": later(Duration::from_secs(2)) })).await.data_with(201);
    }
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    let here = ben.at(&app.url());
    let told = async || {
        let listed = here.get("/r1/notifications").await.data();
        listed["items"].as_array().unwrap().iter().filter(|one| one["kind"] == "reminder").count()
    };
    wait_until("a reminder is delivered", async || told().await > 0).await;
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    let here = ben.at(&app.url());
    wait_until("none waits", async || here.get("/r1/reminders").await.data()["total"] == 0).await;
    let listed = here.get("/r1/notifications").await.data();
    let reminders = listed["items"].as_array().unwrap().iter().filter(|one| one["kind"] == "reminder").count();
    assert_eq!(reminders, 5);
}

#[tokio::test]
async fn reminders_reach_the_owners_other_devices() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let message = anna.send_message(&chat, "Pay the invoice").await;
    let mut socket = ben.connect().await;
    let path = format!("/r1/messages/{}/reminders", id(&message));
    let kept = ben.post(&path, json!({ "at": later(Duration::from_secs(3_600)) })).await.data_with(201);
    assert_eq!(socket.expect("reminders.own").await.payload["reminder_id"], kept["id"]);
    ben.delete(&format!("/r1/reminders/{}", id(&kept))).await.data();
    assert_eq!(socket.expect("reminders.own").await.payload["reminder_id"], kept["id"]);
    // The devices are also notified when a reminder is due. Then it is no longer listed.
    let soon = ben.post(&path, json!({ "at": later(Duration::from_secs(1)) })).await.data_with(201);
    socket.expect("reminders.own").await;
    assert_eq!(socket.expect("reminders.own").await.payload["reminder_id"], soon["id"]);
    assert_eq!(ben.get("/r1/reminders").await.data()["total"], 0);
}
