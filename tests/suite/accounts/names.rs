//! Notifications of changed names and pictures and of deleted accounts.

use reqwest::Method;
use support::{Member, PASSWORD, Setup, Value, json};

use crate::uploads::pictures::png;

const OWN: &str = "/r1/users/me";
const PICTURE: &str = "/r1/users/me/picture";

fn known_as(who: &Member, name: &str, picture: &Value, deleted: bool) -> Value {
    json!({ "user_id": who.id, "display_name": name, "picture": picture, "deleted": deleted })
}

#[tokio::test]
async fn changes_of_name_and_picture_reach_members_of_common_conversations() {
    // The shared channel is a large conversation.
    let app = Setup::new().set("workspaces.shared", "none").set("realtime.small_conversation", 2).start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let members = format!("/r1/workspaces/{}/members", team["id"].as_str().unwrap());
    for member in [&ben, &app.sign_up("Carl").await] {
        anna.post(&members, json!({ "user_id": member.id })).await.data_with(201);
    }
    let (mut his, mut of_eve, mut own) = (ben.connect().await, eve.connect().await, anna.connect().await);
    let mut stream = ben.event_stream(None).await;
    stream.expect("hello").await;

    // If the name stays the same, nothing is published.
    anna.patch(OWN, json!({ "display_name": "Anna" })).await.data();
    anna.patch(OWN, json!({ "timezone": "Asia/Tokyo" })).await.data();
    anna.patch(OWN, json!({ "display_name": "Anna Bell" })).await.data();
    let renamed = known_as(&anna, "Anna Bell", &Value::Null, false);
    assert_eq!(his.expect("user.changed").await.payload, renamed);
    assert_eq!(own.expect("user.changed").await.payload, renamed);
    assert_eq!(stream.expect("user.changed").await.payload, renamed);

    let picture = anna.upload("me.png", "image/png", png(64, 64)).await["id"].clone();
    // If the picture stays the same, nothing is published.
    for _ in 0..2 {
        anna.put(PICTURE, json!({ "upload_id": picture })).await.data();
    }
    assert_eq!(his.expect("user.changed").await.payload, known_as(&anna, "Anna Bell", &picture, false));
    for _ in 0..2 {
        anna.delete(PICTURE).await.data();
    }
    assert_eq!(his.expect("user.changed").await.payload, renamed);

    anna.send(anna.request(Method::DELETE, OWN).json(&json!({ "password": PASSWORD }))).await.data_with(200);
    let gone = known_as(&anna, "Deleted user", &Value::Null, true);
    assert_eq!(his.expect("user.changed").await.payload, gone);

    // This event arrives after all earlier ones.
    eve.patch(OWN, json!({ "timezone": "Asia/Tokyo" })).await.data();
    let mut heard = Vec::new();
    loop {
        let frame = of_eve.next().await;
        if frame.kind == "account.own" {
            break;
        }
        heard.push(frame.kind);
    }
    assert!(!heard.iter().any(|kind| kind == "user.changed"), "{heard:?}");
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn publishes_a_name_change_to_every_instance() {
        let app = Setup::new().instances(2).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        anna.open_single(&ben).await;
        let mut his = ben.at(&app.instances[1].url()).connect().await;
        anna.patch(OWN, json!({ "display_name": "Anna Bell" })).await.data();
        let renamed = known_as(&anna, "Anna Bell", &Value::Null, false);
        assert_eq!(his.expect("user.changed").await.payload, renamed);
    }
}
