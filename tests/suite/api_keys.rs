//! API keys: scopes, calls that are forbidden for keys, and revocation.

use std::time::Duration;

use support::{Application, Codec, Member, Setup, Socket, Value, json, wait_until};
use tokio::time::timeout;

use crate::{
    endpoints::{Args, SampleCall, World, create, plain, sample},
    raw::Raw,
};

async fn revoke(owner: &Member, program: &Member) {
    let id = program.tokens["api_key_id"].as_str().unwrap();
    owner.delete(&format!("/r1/api_keys/{id}")).await.data_with(200);
}

async fn sample_key(world: &World) -> String {
    create(&world.owner, "/r1/api_keys", new_sample_key()).await
}

fn new_sample_key() -> Value {
    json!({ "name": "A program", "scopes": ["read", "write"] })
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListApiKeys"]),
        sample(&["CreateApiKey"], async |_| Args::body(new_sample_key())),
        sample(&["RevokeApiKey"], async |world| Args::id(sample_key(world).await)),
        sample(&["ChangeApiKey"], async |world| {
            Args::id(sample_key(world).await).with_body(json!({ "name": "Another program", "rpm": 60 }))
        }),
        sample(&["RotateApiKey"], async |world| {
            Args::id(sample_key(world).await).with_body(json!({ "grace_seconds": 60 }))
        }),
    ]
}

#[tokio::test]
async fn shows_a_key_once_and_lists_it_without_its_secret() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let body = json!({ "name": " Robot ", "scopes": ["write", "read", "read"], "expires_at": "2099-01-01T00:00:00Z" });
    let made = anna.post("/r1/api_keys", body).await.data_with(201);
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("nk_") && key.len() >= 43, "{key}");
    assert!(key.starts_with(made["prefix"].as_str().unwrap()) && made["prefix"].as_str().unwrap().len() < 15);
    assert_eq!((&made["name"], &made["scopes"]), (&json!("Robot"), &json!(["read", "write"])));
    assert_eq!(made["expires_at"], "2099-01-01T00:00:00.000Z");

    let listed = anna.get("/r1/api_keys").await;
    assert!(!listed.text().contains(&key[11..]), "the list shows the key");
    let item = listed.data()["items"][0].clone();
    let mut fields: Vec<&str> = item.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let rules = [
        "budget",
        "end_user_budget",
        "end_user_budgets",
        "end_users",
        "endpoints",
        "model_budgets",
        "models",
        "parallel",
        "passthrough",
        "previous_until",
        "rpm",
        "tag_budgets",
        "tpm",
        "workspace_id",
    ];
    let mut expected = ["created_at", "expires_at", "id", "last_used_at", "name", "prefix", "scopes"].to_vec();
    expected.extend(rules);
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!((&item["id"], &item["last_used_at"]), (&made["id"], &Value::Null));
    assert_eq!(ben.get("/r1/api_keys").await.data()["total"], 0);
    let path = format!("/r1/api_keys/{}", made["id"].as_str().unwrap());
    ben.delete(&path).await.refused(404, "not_found");
    anna.delete(&path).await.data_with(200);
    anna.delete(&path).await.refused(404, "not_found");
    assert_eq!(anna.get("/r1/api_keys").await.data()["total"], 0);

    for (field, body) in [
        ("name", json!({ "name": " ", "scopes": ["read"] })),
        ("scopes", json!({ "name": "x", "scopes": [] })),
        ("scopes", json!({ "name": "x", "scopes": ["admin"] })),
        ("scopes", json!({ "name": "x" })),
        ("expires_at", json!({ "name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z" })),
    ] {
        anna.post("/r1/api_keys", body).await.names_field(field);
    }
}

#[tokio::test]
async fn a_key_is_limited_to_its_scopes_and_never_manages_credentials() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let [reader, writer, gateway] =
        [anna.program(&["read"]).await, anna.program(&["write"]).await, anna.program(&["gateway"]).await];
    let messages = format!("/r1/conversations/{chat}/messages");
    let hello = || json!({ "client_id": support::new_id(), "content": "from a program" });

    assert_eq!(reader.get("/r1/users/me").await.data()["id"], anna.id.as_str());
    reader.post(&messages, hello()).await.refused(403, "scope_missing");
    let sent = writer.post(&messages, hello()).await.data_with(201);
    assert_eq!(sent["sender"]["id"], anna.id.as_str());
    writer.get(&messages).await.refused(403, "scope_missing");
    gateway.get("/r1/users/me").await.refused(403, "scope_missing");
    gateway.post(&messages, hello()).await.refused(403, "scope_missing");

    let all = anna.program(&["read", "write", "gateway"]).await;
    for path in ["/r1/api_keys", "/r1/usersessions"] {
        all.get(path).await.refused(403, "scope_missing");
    }
    all.post("/r1/api_keys", json!({ "name": "x", "scopes": ["read"] })).await.refused(403, "scope_missing");
    all.post("/r1/auth/logout", json!({})).await.refused(403, "scope_missing");
    all.delete("/r1/usersessions").await.refused(403, "scope_missing");
    let password = json!({ "current_password": support::PASSWORD, "password": "Another-Horse-7" });
    all.post("/r1/auth/change-password", password.clone()).await.refused(403, "scope_missing");
    all.patch("/r1/users/me", password).await.refused(403, "scope_missing");
    all.patch("/r1/users/me", json!({ "display_name": "Robot" })).await.data_with(200);
    // A key gives no access to resources of other users.
    let cleo = app.sign_up("Cleo").await;
    cleo.program(&["read", "write"]).await.get(&messages).await.refused(404, "not_found");
    // A malformed key counts as missing authentication.
    for wrong in ["nk_", "nk_x", &format!("nk_{}", "A".repeat(43)), &format!("nk_{}", "A".repeat(5_000))] {
        let nobody = support::Caller::new(&app.url(), support::Credentials::Bearer((*wrong).to_owned()));
        nobody.get("/r1/users/me").await.refused(401, "unauthenticated");
    }
    wait_until("the last use of the key is recorded", || async {
        let keys = anna.get("/r1/api_keys?page_size=200").await.data();
        keys["items"].as_array().unwrap().iter().filter(|key| key["last_used_at"].is_string()).count() >= 3
    })
    .await;
}

#[tokio::test]
async fn the_admin_scope_requires_and_follows_the_administrator_role() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let role = async |role: &str| {
        let admin = app.admin().await;
        let change = json!({ "role": role, "reason": "A test" });
        admin.patch(&format!("/r1/admin/users/{}", anna.id), change).await.data();
    };
    role("admin").await;
    let fresh = anna.another_device().await;
    let (usual, administering) = (fresh.program(&["read", "write", "gateway"]).await, fresh.program(&["admin"]).await);
    let budget = format!("/r1/admin/budgets/user/{}", anna.id);
    let limit = || json!({ "limit": 1_000_000, "period": "month" });
    usual.get("/r1/admin/users").await.refused(403, "scope_missing");
    usual.get("/r1/broadcasts").await.refused(403, "scope_missing");
    usual.put(&budget, limit()).await.refused(403, "scope_missing");
    assert_eq!(usual.get("/r1/users/me").await.status, 200);
    administering.get("/r1/users/me").await.refused(403, "scope_missing");
    administering.get("/r1/admin/users").await.data();
    administering.get("/r1/api_keys").await.refused(403, "scope_missing");

    // Reading the usage of other users requires the same scope.
    let bens_usage = format!("/r1/usage?user_id={}", app.sign_up("Ben").await.id);
    usual.get(&bens_usage).await.refused(403, "forbidden");
    fresh.program(&["read", "admin"]).await.get(&bens_usage).await.data();

    // Calls with a key need no confirmation by the user.
    app.database.run("UPDATE user_sessions SET created_at = 0, confirmed_at = NULL").await;
    fresh.put(&budget, limit()).await.refused(403, "fresh_sign_in_required");
    administering.put(&budget, limit()).await.data();
    let body = json!({ "name": "Another", "scopes": ["admin"] });
    fresh.post("/r1/api_keys", body.clone()).await.refused(403, "fresh_sign_in_required");

    // The scope ends when the owner is no longer an administrator. Other users can't grant it.
    role("user").await;
    wait_until("the key loses the admin scope", || async { administering.get("/r1/admin/users").await.status == 403 })
        .await;
    administering.put(&budget, limit()).await.refused(403, "forbidden");
    let fresh = anna.another_device().await;
    fresh.post("/r1/api_keys", body).await.names_field("scopes");
    let key = fresh.program(&["read"]).await;
    let path = format!("/r1/api_keys/{}", key.tokens["api_key_id"].as_str().unwrap());
    fresh.patch(&path, json!({ "scopes": ["read", "admin"] })).await.names_field("scopes");
}

#[tokio::test]
async fn sockets_require_the_read_scope_and_sending_requires_write() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (reader, writer) = (anna.program(&["read"]).await, anna.program(&["write"]).await);
    let send = || json!({ "conversation_id": chat, "client_id": support::new_id(), "content": "hi" });

    let mut socket = reader.connect().await;
    assert_eq!(socket.hello["user_id"], anna.id.as_str());
    for (kind, payload) in [
        ("message.send", send()),
        ("typing", json!({ "conversation_id": chat, "active": true })),
        ("receipt", json!({ "conversation_id": chat, "seq": 1, "state": "read" })),
        ("presence", json!({ "status": "dnd" })),
        ("generation.stop", json!({ "message_id": support::new_id() })),
    ] {
        let answer = socket.request(kind, payload).await;
        assert_eq!((answer.kind.as_str(), &answer.payload["code"]), ("error", &json!("scope_missing")), "{kind}");
    }
    assert_eq!(socket.request("ping", json!({})).await.kind, "pong");
    assert_eq!(socket.request("sync", json!({ "cursors": { &chat: 0 } })).await.kind, "sync.done");
    anna.send_message(&chat, "for the robot").await;
    socket.expect_in("message.created", &chat).await;

    let refused = Socket::try_open(&app.url(), "/r1/websocket", writer.headers(), Codec::Json).await;
    assert!(matches!(&refused, Err((403, body)) if body.contains("scope_missing")));
    writer.get("/r1/events").await.refused(403, "scope_missing");
    reader.event_stream(None).await.expect("hello").await;
    // A ticket has no more scopes than the key by which it was requested.
    let ticket = writer.post("/r1/websocket/ticket", json!({})).await.data()["ticket"].as_str().unwrap().to_owned();
    let path = format!("/r1/websocket?ticket={ticket}");
    let by_ticket = Socket::try_open(&app.url(), &path, app.anonymous().headers(), Codec::Json).await;
    assert!(matches!(&by_ticket, Err((403, body)) if body.contains("scope_missing")));
    let mut raw = Raw::open(&app.url(), "/socket.io/?EIO=4&transport=websocket", "").await;
    assert!(raw.text().await.starts_with('0'));
    raw.send_text(&format!("40{}", json!({ "token": writer.access_token() }))).await;
    let answer = raw.text().await;
    assert!(answer.starts_with("44") && answer.contains("scope_missing"), "{answer}");
    let both = anna.program(&["read", "write"]).await;
    let mut speaker = both.connect().await;
    assert_eq!(speaker.request("message.send", send()).await.kind, "ack");
}

#[tokio::test]
async fn rejects_a_revoked_key_at_once_and_closes_its_sockets() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let (program, other) = (anna.program(&["read"]).await, anna.program(&["read"]).await);
    program.get("/r1/users/me").await.data_with(200);
    let (mut socket, mut kept) = (program.connect().await, other.connect().await);
    revoke(&anna, &program).await;
    program.get("/r1/users/me").await.refused(401, "unauthenticated");
    assert_eq!(socket.closed().await.code, 4401);
    assert_eq!(kept.request("ping", json!({})).await.kind, "pong");
    // Signing out the owner doesn't affect keys, and revoking keys doesn't affect sessions.
    anna.get("/r1/users/me").await.data_with(200);
    anna.post("/r1/auth/logout", json!({})).await.data_with(200);
    other.get("/r1/users/me").await.data_with(200);
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn rejects_a_key_revoked_on_another_instance() {
        let app = Setup::new().instances(2).start().await;
        let anna = Member::sign_up(&app.url(), "Anna").await;
        let program = anna.program(&["read"]).await;
        let there = program.at(&app.instances[1].url());
        there.get("/r1/users/me").await.data_with(200);
        let mut socket = there.connect().await;
        revoke(&anna, &program).await;
        assert_eq!(socket.closed().await.code, 4401);
        // Connections and requests learn of the revocation independently. Without the bus, the key
        // would be cached for five seconds.
        let refused = wait_until("the key is refused on the other instance", || async {
            there.get("/r1/users/me").await.status == 401
        });
        timeout(Duration::from_secs(4), refused).await.expect("request refused");
        there.get("/r1/users/me").await.refused(401, "unauthenticated");
    }
}
