//! Sharing of a snapshot of a chat within its workspace.

use support::{Member, Setup, UpstreamKind, Value, json, new_id};

use super::Chat;

/// Creates a chat in one of Anna's workspaces.
async fn in_workspace() -> (Chat, String) {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let team = chat.anna.post("/r1/workspaces", json!({ "name": "Harbour" })).await.data_with(201);
    let workspace = team["id"].as_str().unwrap().to_owned();
    let new = json!({ "kind": "assistant", "workspace_id": workspace });
    chat.id = chat.anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
    (chat, workspace)
}

async fn join(chat: &Chat, workspace: &str, name: &str, role: &str) -> Member {
    let person = chat.app.sign_up(name).await;
    let members = format!("/r1/workspaces/{workspace}/members");
    chat.anna.post(&members, json!({ "user_id": person.id, "role": role })).await.data_with(201);
    person
}

/// Returns the texts of a shared chat.
async fn said(reader: &Member, link: &str) -> Vec<String> {
    let page = reader.get(&format!("{link}/messages")).await.data();
    page["items"].as_array().unwrap().iter().map(|one| one["content"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_shared_chat_is_a_snapshot_until_it_is_shared_again() {
    let (mut chat, workspace) = in_workspace().await;
    let ben = join(&chat, &workspace, "Ben", "member").await;
    let share = format!("/r1/conversations/{}/share", chat.id);
    assert_eq!(chat.anna.get(&share).await.data(), json!({ "share": null }));
    chat.anna.put(&share, json!({})).await.refused(409, "wrong_state");
    let (first, _) = chat.talk("Who are you?", "A helper.").await;
    let (second, answer) = chat.talk("What for?", "For you.").await;
    let shared = chat.anna.put(&share, json!({})).await.data();
    assert_eq!(shared["messages"], 4);
    let link = format!("/r1/shared/{}", shared["id"].as_str().unwrap());
    let shown = ben.get(&link).await.data();
    assert_eq!((&shown["shared_by"]["name"], &shown["workspace_id"]), (&json!("Anna"), &json!(workspace)));
    let all = ["Who are you?", "A helper.", "What for?", "For you."];
    assert_eq!(said(&ben, &link).await, all);
    let page = ben.get(&format!("{link}/messages?page=2&page_size=3")).await.data();
    assert_eq!((&page["total"], &page["items"][0]["id"]), (&json!(4), &json!(answer)));
    assert_eq!(page["items"][0]["sender"]["kind"], "assistant");

    // Later messages and other branches of the chat are not shown.
    chat.talk("Really?", "Really.").await;
    chat.ask_again(&first, "Who am I?", "You are Anna.").await;
    assert_eq!(said(&ben, &link).await, all);
    let again = chat.anna.put(&share, json!({})).await.data();
    assert_eq!((&again["id"], &again["messages"]), (&shared["id"], &json!(2)));
    assert_eq!(said(&ben, &link).await, ["Who am I?", "You are Anna."]);
    chat.show(&first, 1).await;
    assert_eq!(said(&ben, &link).await, ["Who am I?", "You are Anna."]);

    // Messages that are deleted also disappear from the shared chat.
    chat.anna.put(&share, json!({})).await.data();
    chat.anna.delete(&format!("/r1/messages/{second}")).await.data();
    assert!(!said(&ben, &link).await.contains(&"What for?".to_owned()));
    chat.anna.delete(&format!("/r1/conversations/{}", chat.id)).await.data();
    ben.get(&link).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_share_link_works_for_workspace_members_until_it_is_revoked() {
    let (mut chat, workspace) = in_workspace().await;
    let (ben, cara) = (join(&chat, &workspace, "Ben", "member").await, join(&chat, &workspace, "Cara", "guest").await);
    let mallory = chat.app.sign_up("Mallory").await;
    let (question, _) = chat.talk("Who are you?", "A helper.").await;
    let share = format!("/r1/conversations/{}/share", chat.id);
    for other in [&ben, &cara, &mallory] {
        other.get(&share).await.refused(404, "not_found");
        other.put(&share, json!({})).await.refused(404, "not_found");
        other.delete(&share).await.refused(404, "not_found");
    }
    let shared = chat.anna.put(&share, json!({})).await.data();
    let link = format!("/r1/shared/{}", shared["id"].as_str().unwrap());
    for outside in [&cara, &mallory] {
        outside.get(&link).await.refused(404, "not_found");
        outside.get(&format!("{link}/messages")).await.refused(404, "not_found");
    }
    ben.get(&format!("/r1/shared/{}", new_id())).await.refused(404, "not_found");
    assert_eq!(said(&ben, &link).await.len(), 2);
    // The chat itself stays private.
    ben.get(&format!("/r1/messages/{question}")).await.refused(404, "not_found");
    ben.get(&format!("/r1/conversations/{}", chat.id)).await.refused(404, "not_found");

    chat.anna.delete(&format!("/r1/workspaces/{workspace}/members/{}", ben.id)).await.data();
    ben.get(&link).await.refused(404, "not_found");
    assert_eq!(said(&chat.anna, &link).await.len(), 2);
    chat.anna.delete(&share).await.data();
    chat.anna.get(&link).await.refused(404, "not_found");
    let anew: Value = chat.anna.put(&share, json!({})).await.data();
    assert_ne!(anew["id"], shared["id"]);

    let single = chat.anna.open_single(&mallory).await;
    let path = format!("/r1/conversations/{single}/share");
    chat.anna.put(&path, json!({})).await.refused(409, "wrong_state");
}
