//! Guests are members only of conversations to which they were added, and see only the users there.

use support::{Member, json};

use super::{apart, create};

#[tokio::test]
async fn guests_see_only_their_conversations_and_the_people_in_them() {
    let app = apart().await;
    let (anna, ben, cleo, guest) =
        (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await, app.sign_up("Guest").await);
    let team = create(&anna, "Team").await;
    let path = format!("/r1/workspaces/{team}/members");
    for person in [&ben, &cleo] {
        anna.post(&path, json!({ "user_id": person.id })).await.data_with(201);
    }
    anna.post(&path, json!({ "user_id": guest.id, "role": "guest" })).await.data_with(201);
    let assistant = json!({ "name": "Ada", "workspace_id": team });
    let assistant = anna.post("/r1/assistants", assistant).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let names = async |member: &Member, path: &str| {
        let page = member.get(path).await.data();
        let named = |item: &support::Value| {
            let name =
                item["user"]["display_name"].as_str().or(item["display_name"].as_str()).or(item["name"].as_str());
            name.unwrap().to_owned()
        };
        let names: Vec<String> = page["items"].as_array().unwrap().iter().map(named).collect();
        assert_eq!(page["total"], names.len());
        names
    };
    let (users, assistants) = (format!("/r1/users?workspace_id={team}"), format!("/r1/assistants?workspace_id={team}"));

    // The guest doesn't see any other user yet.
    assert_eq!(names(&guest, &path).await, ["Guest"]);
    assert_eq!(names(&guest, &users).await, ["Guest"]);
    assert_eq!(names(&guest, &assistants).await.len(), 1, "only the default assistant");
    guest.get(&format!("/r1/users/{}", anna.id)).await.refused(404, "not_found");
    guest.get(&format!("/r1/assistants/{assistant}")).await.refused(404, "not_found");
    assert_eq!(names(&anna, &path).await, ["Anna", "Ben", "Cleo", "Guest"], "members see guests");
    assert_eq!(names(&anna, &format!("{path}?q=cl")).await, ["Cleo"]);
    anna.get(&format!("/r1/users/{}", guest.id)).await.data_with(200);

    // Guests can't create conversations.
    for body in [
        json!({ "kind": "single", "workspace_id": team, "member_ids": [anna.id] }),
        json!({ "kind": "group", "workspace_id": team, "member_ids": [anna.id, ben.id] }),
        json!({ "kind": "assistant", "workspace_id": team }),
    ] {
        guest.post("/r1/conversations", body).await.refused(403, "forbidden");
    }
    guest.post("/r1/assistants", json!({ "name": "Eve", "workspace_id": team })).await.refused(403, "forbidden");

    // In a group, a guest sees its members and assistants.
    let body = json!({ "kind": "group", "title": "Open", "workspace_id": team, "member_ids": [ben.id, guest.id], "assistant_id": assistant });
    let group = anna.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned();
    assert_eq!(names(&guest, &path).await, ["Anna", "Ben", "Guest"]);
    assert_eq!(names(&guest, &users).await, ["Anna", "Ben", "Guest"]);
    assert_eq!(names(&guest, &format!("{users}&q={}", cleo.email)).await.len(), 0);
    guest.get(&format!("/r1/users/{}", ben.id)).await.data_with(200);
    guest.get(&format!("/r1/users/{}", cleo.id)).await.refused(404, "not_found");
    guest.get(&format!("/r1/assistants/{assistant}")).await.data_with(200);
    assert_eq!(names(&guest, &assistants).await.len(), 2);
    guest.send_message(&group, "hello").await;
    // A role in a conversation doesn't change the role in the workspace.
    anna.patch(&format!("/r1/conversations/{group}/members/{}", guest.id), json!({ "role": "admin" })).await.data();
    let add = format!("/r1/conversations/{group}/members");
    guest.post(&add, json!({ "user_id": cleo.id })).await.refused(403, "forbidden");
    // After the removal from the group, they no longer see each other.
    anna.delete(&format!("/r1/conversations/{group}/members/{}", guest.id)).await.data_with(200);
    guest.get(&format!("/r1/users/{}", ben.id)).await.refused(404, "not_found");
    assert_eq!(names(&guest, &path).await, ["Guest"]);
    // Users who are members of another common workspace see each other everywhere.
    let other = create(&guest, "Other").await;
    guest.post(&format!("/r1/workspaces/{other}/members"), json!({ "email": cleo.email })).await.data_with(201);
    guest.get(&format!("/r1/users/{}", cleo.id)).await.data_with(200);
    assert_eq!(names(&guest, &path).await, ["Guest"]);
}
