//! Custom emoji: permissions, validation, use and deletion.

use support::{Application, Member, Value, json, wait_until};

use super::workspaces;
use crate::uploads::pictures::png;

async fn home(member: &Member) -> String {
    workspaces(member).await[0]["id"].as_str().unwrap().to_owned()
}

async fn picture(member: &Member) -> Value {
    member.upload("cat.png", "image/png", png(64, 64)).await["id"].clone()
}

fn react(message: &Value, name: &str) -> String {
    format!("/r1/messages/{}/reactions/%3A{name}%3A", message["id"].as_str().unwrap())
}

#[tokio::test]
async fn adds_uses_and_removes_an_emoji() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let path = format!("/r1/workspaces/{}/emoji", home(&anna).await);
    let mut socket = ben.connect().await;
    let upload = picture(&anna).await;
    let added = anna.post(&path, json!({ "name": ":Party_Cat:", "upload_id": upload })).await.data_with(201);
    assert_eq!((&added["name"], &added["upload_id"]), (&json!("party_cat"), &upload));
    assert_eq!(added["author"], json!({ "id": anna.id, "name": "Anna" }));
    assert_eq!(added["may_remove"], true);
    socket.expect("emoji.changed").await;
    let listed = ben.get(&path).await.data();
    assert_eq!((&listed["total"], &listed["items"][0]["may_remove"]), (&json!(1), &json!(false)));
    // Members of the workspace can read the picture but not delete it. The user who has uploaded it
    // can't delete it as a file either.
    let file = format!("/files/{}/party_cat", upload.as_str().unwrap());
    let read = ben.get(&file).await;
    assert_eq!((read.status, read.header("content-type")), (200, Some("image/png")));
    let unmade = format!("/r1/uploads/{}", upload.as_str().unwrap());
    ben.delete(&unmade).await.refused(403, "forbidden");
    anna.delete(&unmade).await.refused(409, "wrong_state");
    let chat = anna.open_group("Team", &[&ben, &carl]).await;
    let sent = anna.send_message(&chat, "done :party_cat:").await;
    let reacted = ben.put(&react(&sent, "party_cat"), json!({})).await.data();
    assert_eq!(reacted["reactions"][0]["emoji"], ":party_cat:");
    socket.expect_in("reaction.added", &chat).await;
    ben.put(&react(&sent, "other_cat"), json!({})).await.names_field("emoji");
    // Other members can't delete the emoji.
    let own = format!("{path}/party_cat");
    carl.delete(&own).await.refused(403, "forbidden");
    anna.delete(&own).await.data();
    socket.expect("emoji.changed").await;
    anna.delete(&own).await.refused(404, "not_found");
    assert_eq!(ben.get(&path).await.data()["total"], 0);
    // Existing reactions with the emoji stay and can be removed, but no further ones can be added.
    assert_eq!(ben.history(&chat).await[0]["reactions"][0]["emoji"], ":party_cat:");
    anna.put(&react(&sent, "party_cat"), json!({})).await.names_field("emoji");
    assert_eq!(ben.delete(&react(&sent, "party_cat")).await.data()["reactions"], json!([]));
    ben.get(&file).await.refused(404, "not_found");
}

#[tokio::test]
async fn rejects_invalid_emoji() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let path = format!("/r1/workspaces/{}/emoji", home(&anna).await);
    let upload = picture(&anna).await;
    let add = async |name: &str, upload: &Value| anna.post(&path, json!({ "name": name, "upload_id": upload })).await;
    for wrong in ["", "a", "two words", "mèo", "tada", "+1", &"x".repeat(33)] {
        add(wrong, &upload).await.names_field("name");
    }
    add("ben_cat", &picture(&ben).await).await.refused(404, "not_found");
    let text = anna.upload("a.txt", "text/plain", "hello").await["id"].clone();
    add("own_cat", &text).await.refused(415, "type_refused");
    let wide = anna.upload("wide.png", "image/png", png(513, 20)).await["id"].clone();
    add("own_cat", &wide).await.refused(413, "too_large");
    add("own_cat", &upload).await.data_with(201);
    add("own_cat", &picture(&anna).await).await.names_field("name");
}

#[tokio::test]
async fn emoji_are_visible_to_members_and_deleted_with_their_workspace() {
    let app = super::apart().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let team = super::create(&anna, "Team").await;
    let path = format!("/r1/workspaces/{team}/emoji");
    let body = json!({ "email": ben.email, "role": "guest" });
    anna.post(&format!("/r1/workspaces/{team}/members"), body).await.data_with(201);
    let upload = picture(&anna).await;
    anna.post(&path, json!({ "name": "cat_a", "upload_id": upload })).await.data_with(201);
    let file = format!("/files/{}/cat_a", upload.as_str().unwrap());
    // Guests see the emoji but can't add any. Users outside the workspace see none.
    assert_eq!(ben.get(&path).await.data()["total"], 1);
    assert_eq!(ben.get(&file).await.status, 200);
    ben.post(&path, json!({ "name": "cat_b", "upload_id": picture(&ben).await })).await.refused(403, "forbidden");
    eve.get(&path).await.refused(404, "not_found");
    eve.get(&file).await.refused(404, "not_found");
    anna.delete(&format!("/r1/workspaces/{team}")).await.data();
    ben.get(&file).await.refused(404, "not_found");
    let gone = format!("/r1/uploads/{}", upload.as_str().unwrap());
    wait_until("the picture is deleted", || async { anna.get(&gone).await.status == 404 }).await;
}
