//! Notification settings.

use support::{Application, json};

use super::{channel, listed, mention, told};

#[tokio::test]
async fn settings_are_private_and_validated() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let path = "/r1/notifications/settings";
    let usual = json!({ "level": "mentions", "keywords": [], "quiet": null, "dnd_until": null, "mail_after_minutes": null,
        "push": true, "show_text": true });
    assert_eq!(anna.get(path).await.data(), usual);
    let quiet = json!({ "from": "22:00", "to": "07:00", "days": [1, 2, 3, 4, 5], "timezone": "Asia/Ho_Chi_Minh" });
    let change = json!({ "level": "all", "keywords": ["eu-west", "EU West", "hoá đơn", "C", "C++"], "quiet": quiet, "mail_after_minutes": 30 });
    let changed = anna.patch(path, change).await.data();
    assert_eq!((&changed["keywords"], &changed["quiet"]), (&json!(["eu-west", "hoá đơn", "C", "C++"]), &quiet));
    let changed = anna.patch(path, json!({ "quiet": null, "push": false })).await.data();
    assert_eq!((&changed["quiet"], &changed["level"], &changed["push"]), (&json!(null), &json!("all"), &json!(false)));
    assert_eq!(changed["keywords"], json!(["eu-west", "hoá đơn", "C", "C++"]));
    assert_eq!(anna.get(path).await.data(), changed);
    assert_eq!(ben.get(path).await.data(), usual);
    let too_many: Vec<String> = (0..51).map(|n| format!("word {n}")).collect();
    for (field, wrong) in [
        ("keywords", json!({ "keywords": too_many })),
        ("keywords", json!({ "keywords": ["!!!"] })),
        ("keywords", json!({ "keywords": ["x".repeat(61)] })),
        ("quiet", json!({ "quiet": { "from": "22:00", "to": "22:00", "days": [1], "timezone": "UTC" } })),
        ("quiet", json!({ "quiet": { "from": "22:00", "to": "23:00", "days": [], "timezone": "UTC" } })),
        ("quiet", json!({ "quiet": { "from": "22:00", "to": "23:00", "days": [1], "timezone": "Nowhere" } })),
        ("mail_after_minutes", json!({ "mail_after_minutes": 1 })),
    ] {
        anna.patch(path, wrong).await.names_field(field);
    }
}

#[tokio::test]
async fn levels_select_the_notified_events() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let (one, other) = (channel(&anna, &[&ben]).await, channel(&anna, &[&ben]).await);
    let mut of_ben = ben.connect().await;
    assert_eq!(ben.conversation(&one).await["own"]["notify"], "mentions");
    ben.patch(&format!("/r1/conversations/{one}/own"), json!({ "notify": "all" })).await.data();
    anna.send_message(&other, "not told").await;
    anna.send_message(&one, "told").await;
    told(&mut of_ben, "message", "told").await;
    let own = &ben.conversation(&one).await["own"];
    assert_eq!((&own["notify"], &own["notify_chosen"]), (&json!("all"), &json!(true)));
    // The default level applies to conversations without a chosen level.
    ben.patch("/r1/notifications/settings", json!({ "level": "all" })).await.data();
    assert_eq!(ben.conversation(&other).await["own"]["notify"], "all");
    ben.patch(&format!("/r1/conversations/{one}/own"), json!({ "notify": "none" })).await.data();
    mention(&anna, &one, "not even so", &[&ben]).await;
    anna.send_message(&other, "told too").await;
    told(&mut of_ben, "message", "told too").await;
    // The level is reset to the default, on all devices.
    let mut here = ben.connect().await;
    let left = ben.patch(&format!("/r1/conversations/{one}/own"), json!({ "notify": null })).await.data();
    let frame = here.expect_in("conversation.own", &one).await;
    for own in [&left, &frame.payload["own"], &ben.conversation(&one).await["own"]] {
        assert_eq!((&own["notify"], &own["notify_chosen"]), (&json!("all"), &json!(false)));
    }
    ben.patch(&format!("/r1/conversations/{one}/own"), json!({ "pinned": true })).await.data();
    assert_eq!(ben.conversation(&one).await["own"]["notify_chosen"], false);
    anna.send_message(&one, "told again").await;
    told(&mut of_ben, "message", "told again").await;
    // In a muted conversation, there are only notifications of mentions, and these are silent.
    ben.patch(&format!("/r1/conversations/{other}/own"), json!({ "muted_until": "2030-01-01T00:00:00.000Z" }))
        .await
        .data();
    anna.send_message(&other, "muted").await;
    mention(&anna, &other, "for Ben", &[&ben]).await;
    assert_eq!(told(&mut of_ben, "mention", "for Ben").await["silent"], true);
    ben.patch("/r1/notifications/settings", json!({ "dnd_until": "2030-01-01T00:00:00.000Z" })).await.data();
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "later").await;
    assert_eq!(told(&mut of_ben, "message", "later").await["silent"], true);
    let kinds: Vec<String> = listed(&ben, "").await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(kinds, ["later", "for Ben", "told again", "told too"]);
}
