//! Isolation of two tenants on one server: lists, searches and events of one never contain data of
//! the other.

use support::{Application, Member, Value, json};

use super::{apart, create, workspaces};

struct Tenant {
    owner: Member,
    friend: Member,
    workspace: String,
    /// Conversation of both users. The title of the group, the message and the assistant each name
    /// the tenant.
    chat: String,
    secrets: Vec<String>,
}

async fn tenant(app: &Application, name: &str) -> Tenant {
    let owner = app.sign_up(&format!("{name}-owner")).await;
    let (friend, third) = (app.sign_up(&format!("{name}-friend")).await, app.sign_up(&format!("{name}-third")).await);
    let workspace = create(&owner, &format!("{name}-workspace")).await;
    for person in [&friend, &third] {
        let body = json!({ "user_id": person.id });
        owner.post(&format!("/r1/workspaces/{workspace}/members"), body).await.data_with(201);
    }
    let begin = async |body: Value| {
        owner.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned()
    };
    let chat = begin(json!({ "kind": "single", "workspace_id": workspace, "member_ids": [friend.id] })).await;
    let title = format!("{name}-group");
    let group =
        json!({ "kind": "group", "title": title, "workspace_id": workspace, "member_ids": [friend.id, third.id] });
    let group = begin(group).await;
    let message = owner.send_message(&group, &format!("{name}-message")).await["id"].as_str().unwrap().to_owned();
    let assistant = json!({ "name": format!("{name}-assistant"), "workspace_id": workspace });
    owner.post("/r1/assistants", assistant).await.data_with(201);
    let secrets = vec![
        owner.id.clone(),
        friend.id.clone(),
        third.id.clone(),
        workspace.clone(),
        chat.clone(),
        group,
        message,
        format!("{name}-"),
    ];
    Tenant { owner, friend, workspace, chat, secrets }
}

/// Paths of all lists and searches.
const LISTS: [&str; 11] = [
    "/r1/workspaces?page_size=200",
    "/r1/workspaces/joinable",
    "/r1/conversations?page_size=200",
    "/r1/users?page_size=200",
    "/r1/users?q=one-",
    "/r1/users?workspace_id={workspace}&q=one-",
    "/r1/workspaces/{workspace}/members?page_size=200",
    "/r1/workspaces/{workspace}/members?q=one-",
    "/r1/workspaces/{workspace}/invitations",
    "/r1/assistants?page_size=200",
    "/r1/assistants?workspace_id={workspace}",
];

#[tokio::test]
async fn lists_search_and_ids_never_cross_workspaces() {
    let app = apart().await;
    let (one, other) = (tenant(&app, "one").await, tenant(&app, "other").await);
    for path in LISTS {
        let path = path.replace("{workspace}", &other.workspace);
        let answer = other.owner.get(&path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        for secret in &one.secrets {
            assert!(!answer.text().contains(secret.as_str()), "{path} shows {secret}");
        }
    }
    // Searching for the email address of a member finds nothing either.
    let found = other.owner.get(&format!("/r1/users?q={}", one.owner.email)).await.data();
    assert_eq!(found["total"], 0);
    // Users and assistants of another workspace can't be added to a conversation.
    let body = json!({ "kind": "single", "workspace_id": other.workspace, "member_ids": [one.owner.id] });
    other.owner.post("/r1/conversations", body).await.names_field("member_ids");
    // A user who is a member of both workspaces sees each of them separately.
    let path = format!("/r1/workspaces/{}/members", other.workspace);
    other.owner.post(&path, json!({ "email": one.owner.email })).await.data_with(201);
    assert_eq!(workspaces(&one.owner).await.len(), 3);
    let body = json!({ "kind": "single", "workspace_id": other.workspace, "member_ids": [one.friend.id] });
    one.owner.post("/r1/conversations", body).await.names_field("member_ids");
    let seen = one.owner.get(&format!("/r1/users?workspace_id={}&page_size=200", other.workspace)).await;
    assert!(!seen.text().contains(&one.friend.id));
    other.friend.get(&format!("/r1/users/{}", one.friend.id)).await.refused(404, "not_found");
}

#[tokio::test]
async fn event_streams_never_cross_workspaces() {
    let app = apart().await;
    let (one, other) = (tenant(&app, "one").await, tenant(&app, "other").await);
    let mut socket = other.owner.connect().await;
    let mut stream = other.owner.event_stream(None).await;

    // Performs all actions that publish events.
    let mut busy = one.owner.connect().await;
    let _here = one.friend.connect().await;
    busy.send("presence", json!({ "status": "dnd" })).await;
    busy.send_message(&one.chat, "one-message").await;
    busy.send("typing", json!({ "conversation_id": one.chat, "active": true })).await;
    busy.send("receipt", json!({ "conversation_id": one.chat, "seq": 1, "state": "read" })).await;
    busy.drain().await;
    // Ids of the other tenant are refused like unknown ids.
    for (kind, payload) in [
        ("message.send", json!({ "conversation_id": one.chat, "client_id": "x", "content": "x" })),
        ("typing", json!({ "conversation_id": one.chat, "active": true })),
    ] {
        let answer = socket.request(kind, payload).await;
        assert_eq!((answer.kind.as_str(), &answer.payload["code"]), ("error", &json!("not_found")), "{kind}");
    }
    let synced = socket.request("sync", json!({ "cursors": { &one.chat: 0 } })).await;
    assert!(synced.kind == "error" || synced.kind == "sync.done", "{synced:?}");

    // The later events show that the earlier ones were not delivered.
    other.friend.send_message(&other.chat, "other-message").await;
    socket.expect_in("message.created", &other.chat).await;
    let mut told: Vec<String> = socket.drain().await.into_iter().map(|frame| frame.payload.to_string()).collect();
    loop {
        let frame = stream.next().await;
        let is_last = frame.kind == "message.created";
        told.push(frame.payload.to_string());
        if is_last {
            break;
        }
    }
    for secret in one.secrets.iter().filter(|secret| **secret != one.chat) {
        assert!(told.iter().all(|text| !text.contains(secret.as_str())), "{secret} in {told:#?}");
    }
}
