//! Custom status.

use appcore::Clock;
use std::time::Duration;
use support::{Application, json, new_id};

#[tokio::test]
async fn shows_a_status_with_its_owners_presence() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    anna.open_single(&ben).await;
    let (mut of_ben, _of_anna) = (ben.connect().await, anna.connect().await);
    let until = Clock::system().now().plus(Duration::from_secs(3_600)).to_string();
    let path = "/r1/users/me/status";
    let status = json!({ "emoji": "🌴", "text": "On holiday", "until": until });
    assert_eq!(anna.patch(path, status.clone()).await.data()["custom_status"], status);
    let told =
        of_ben.find("the status", |frame| frame.kind == "presence" && frame.payload["custom_status"] == status).await;
    assert_eq!(told.payload["user_id"], json!(anna.id));
    assert_eq!(ben.get(&format!("/r1/users/{}", anna.id)).await.data()["custom_status"], status);
    let watched = of_ben.request("presence.watch", json!({ "user_ids": [anna.id] })).await;
    assert_eq!(watched.payload["items"][0]["custom_status"], status);
    // First a part of the status is set, then none.
    let changed = anna.patch(path, json!({ "text": null, "until": null })).await.data();
    assert_eq!(changed["custom_status"], json!({ "emoji": "🌴", "text": null, "until": null }));
    let none = anna.patch(path, json!({ "emoji": null })).await.data();
    assert!(none.get("custom_status").is_none(), "{none}");
    for (field, wrong) in [
        ("emoji", json!({ "emoji": "palm" })),
        ("text", json!({ "text": "x".repeat(101) })),
        ("until", json!({ "text": "x", "until": "2020-01-01T00:00:00.000Z" })),
    ] {
        anna.patch(path, wrong).await.names_field(field);
    }
    assert_eq!(app.anonymous().patch(path, json!({ "text": new_id() })).await.status, 401);
}

#[tokio::test]
async fn manually_chosen_presence_applies_to_all_devices() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    anna.open_single(&ben).await;
    let (mut of_ben, mut phone, mut laptop) = (ben.connect().await, anna.connect().await, anna.connect().await);
    let me = "/r1/users/me";
    let seen = format!("/r1/users/{}", anna.id);
    for socket in [&mut phone, &mut laptop] {
        socket.send("presence", json!({ "status": "online" })).await;
        socket.request("ping", json!({})).await;
    }
    assert_eq!(anna.get(me).await.data()["chosen_presence"], "online");
    for chosen in ["away", "dnd"] {
        assert_eq!(anna.patch(me, json!({ "chosen_presence": chosen })).await.data()["chosen_presence"], chosen);
        // Both devices still report activity.
        laptop.send("presence", json!({ "status": "online" })).await;
        for socket in [&mut phone, &mut laptop] {
            assert_eq!(socket.expect("account.own").await.payload["user_id"], json!(anna.id));
        }
        of_ben.find(chosen, |frame| frame.kind == "presence" && frame.payload["status"] == chosen).await;
        assert_eq!(ben.get(&seen).await.data()["presence"], chosen);
    }
    assert!(ben.get(&seen).await.data().get("chosen_presence").is_none());
    anna.patch(me, json!({ "chosen_presence": "online" })).await.data();
    assert_eq!(ben.get(&seen).await.data()["presence"], "online");
}
