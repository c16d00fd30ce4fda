//! Service accounts: owners of API keys that are not people.

use support::{Application, Caller, Credentials, new_id, wait_until};

use super::{keys::program, *};
use crate::endpoints::{Args, SampleCall, World, plain, sample};

const ACCOUNTS: &str = "/r1/admin/service_accounts";

/// Creates a service account.
async fn create(admin: &Member, name: &str) -> Value {
    admin.post(ACCOUNTS, json!({ "name": name })).await.data_with(201)
}

fn path(account: &Value) -> String {
    format!("{ACCOUNTS}/{}", account["id"].as_str().unwrap())
}

fn keys_path(account: &Value) -> String {
    format!("{}/api_keys", path(account))
}

fn key_path(account: &Value, key: &Value) -> String {
    format!("{}/{}", keys_path(account), key["id"].as_str().unwrap())
}

/// Creates a key with these rules.
async fn create_key(admin: &Member, account: &Value, rules: Value) -> Value {
    let mut body = json!({ "name": "A program" });
    body.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    admin.post(&keys_path(account), body).await.data_with(201)
}

pub(super) fn sample_calls() -> Vec<SampleCall> {
    async fn with_key(world: &World) -> Args {
        let account = create(&world.admin, "A program").await;
        let key = create_key(&world.admin, &account, json!({})).await;
        Args::id(account["id"].as_str().unwrap()).with("key_id", key["id"].as_str().unwrap())
    }
    vec![
        plain(&["ListServiceAccounts"]),
        sample(&["CreateServiceAccount"], async |_| Args::body(json!({ "name": "A program" }))),
        sample(&["ShowServiceAccount", "DeleteServiceAccount", "ListServiceAccountKeys"], async |world| {
            Args::id(create(&world.admin, "A program").await["id"].as_str().unwrap())
        }),
        sample(&["ChangeServiceAccount", "CreateServiceAccountKey"], async |world| {
            let account = create(&world.admin, "A program").await;
            Args::id(account["id"].as_str().unwrap()).with_body(json!({ "name": "Another name" }))
        }),
        sample(&["ChangeServiceAccountKey"], async |world| {
            with_key(world).await.with_body(json!({ "name": "Another name" }))
        }),
        sample(&["RotateServiceAccountKey"], async |world| with_key(world).await.with_body(json!({}))),
        sample(&["RevokeServiceAccountKey"], async |world| with_key(world).await),
    ]
}

#[tokio::test]
async fn keys_of_a_service_account_call_models_and_nothing_else() {
    let stage = Stage::start().await;
    let admin = stage.app.admin().await;
    let body = json!({ "name": " Nightly report ", "description": "Sums up the day", "contact_id": stage.anna.id });
    let account = admin.post(ACCOUNTS, body).await.data_with(201);
    assert_eq!((&account["name"], &account["enabled"]), (&json!("Nightly report"), &json!(true)));
    assert_eq!(account["contact"]["id"], stage.anna.id.as_str());
    let key =
        create_key(&admin, &account, json!({ "models": ["small"], "endpoints": ["chat", "files", "gemini"] })).await;
    assert_eq!(key["scopes"], json!(["gateway"]));
    let caller = program(&stage.app, &key);
    let answer = caller.post(API_STYLES[0], question(false)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello?" }] }] });
    let gemini = caller.post("/v1beta/models/small:generateContent", contents).await;
    assert_eq!(gemini.status, 200, "{gemini:?}");
    let file = files::upload(&caller, &[("purpose", "user_data")], "one").await;
    assert_eq!(file.status, 200, "{file:?}");
    assert_eq!(caller.post("/v1/messages", question(false)).await.status, 403);

    for path in ["/r1/users/me", "/r1/conversations", "/r1/users", "/r1/usage", ACCOUNTS] {
        caller.get(path).await.refused(403, "scope_missing");
    }
    caller.get("/r1/api_keys").await.refused(403, "scope_missing");
    caller.post("/r1/workspaces", json!({ "name": "Theirs" })).await.refused(403, "scope_missing");

    let shown = admin.get(&path(&account)).await.data();
    assert_eq!((&shown["keys"], shown["last_used_at"].is_string()), (&json!(1), true), "{shown}");
    let listed = admin.get(&format!("{ACCOUNTS}?q=NIGHTLY")).await.data();
    assert_eq!((&listed["total"], &listed["items"][0]["id"]), (&json!(1), &account["id"]));
    assert_eq!(admin.get(&format!("{ACCOUNTS}?q=daily")).await.data()["total"], 0);
}

#[tokio::test]
async fn a_service_account_is_not_a_person() {
    let app = Application::start().await;
    let admin = app.admin().await;
    let before = admin.get("/r1/admin/users").await.data()["total"].clone();
    let account = create(&admin, "Zanzibar").await;
    let id = account["id"].as_str().unwrap();

    assert_eq!(admin.get("/r1/admin/users").await.data()["total"], before);
    for path in ["/r1/admin/users?q=Zanzibar", "/r1/users?q=Zanzibar", &format!("/r1/admin/users?q={id}")] {
        assert_eq!(admin.get(path).await.data()["total"], 0, "{path}");
    }
    for path in [format!("/r1/users/{id}"), format!("/r1/admin/users/{id}"), format!("/r1/admin/users/{id}/api_keys")] {
        admin.get(&path).await.refused(404, "not_found");
    }
    admin.patch(&format!("/r1/admin/users/{id}"), json!({ "role": "admin" })).await.refused(404, "not_found");
    admin.delete(&format!("/r1/admin/users/{id}")).await.refused(404, "not_found");
    admin.post(&format!("/r1/admin/users/{id}/password-reset"), json!({})).await.refused(404, "not_found");
    let address = format!("{id}@service-account.invalid");
    app.anonymous().sign_in(&address, "correct horse battery staple").await.refused(401, "invalid_credentials");

    let team = admin.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let members = format!("/r1/workspaces/{}/members", team["id"].as_str().unwrap());
    let added = admin.post(&members, json!({ "user_id": id })).await;
    assert!(added.status == 404 || added.status == 422, "{added:?}");
    assert_eq!(admin.get(&members).await.data()["total"], 1);
    // The same name as a person's isn't taken, and neither is the address.
    app.sign_up("Zanzibar").await;
}

#[tokio::test]
async fn a_disabled_service_account_is_refused_at_once() {
    let stage = Stage::start().await;
    let admin = stage.app.admin().await;
    let account = create(&admin, "A program").await;
    let (first, second) =
        (create_key(&admin, &account, json!({})).await, create_key(&admin, &account, json!({})).await);
    let callers = [program(&stage.app, &first), program(&stage.app, &second)];
    for caller in &callers {
        assert_eq!(caller.post(API_STYLES[0], question(false)).await.status, 200);
    }
    let bens = stage.app.sign_up("Ben").await;
    let ben = bens.program(&["gateway"]).await;
    admin.patch(&format!("/r1/admin/users/{}", bens.id), json!({ "status": "suspended" })).await.data();
    let suspended = ben.post(API_STYLES[0], question(false)).await;

    assert_eq!(admin.patch(&path(&account), json!({ "enabled": false })).await.data()["enabled"], false);
    for caller in &callers {
        let refused = caller.post(API_STYLES[0], question(false)).await;
        assert_eq!((refused.status, &refused.body["error"]), (401, &suspended.body["error"]), "{refused:?}");
    }
    // A disabled service account can be changed, and its keys keep being refused.
    admin.patch(&path(&account), json!({ "enabled": false, "name": "Paused" })).await.data();
    let third = create_key(&admin, &account, json!({})).await;
    assert_eq!(program(&stage.app, &third).post(API_STYLES[0], question(false)).await.status, 401);

    assert_eq!(admin.patch(&path(&account), json!({ "enabled": true })).await.data()["enabled"], true);
    for caller in callers.iter().chain([&program(&stage.app, &third)]) {
        assert_eq!(caller.post(API_STYLES[0], question(false)).await.status, 200);
    }
}

#[tokio::test]
async fn a_budget_covers_all_keys_of_a_service_account() {
    let stage = Stage::start().await;
    let admin = stage.app.admin().await;
    let price = json!({ "price": { "input": 1_000_000, "output": 1_000_000 } });
    admin.put("/r1/admin/models/small", price).await.data();
    let limit = json!({ "limit": 100_000, "period": "month" });
    let account = admin.post(ACCOUNTS, json!({ "name": "A program", "budget": limit })).await.data_with(201);
    let (first, second) =
        (create_key(&admin, &account, json!({})).await, create_key(&admin, &account, json!({})).await);
    let (first, second) = (program(&stage.app, &first), program(&stage.app, &second));
    let answer = first.post(API_STYLES[0], question(false)).await;
    let cost: i64 = answer.header("x-natter-cost").unwrap().parse().unwrap();
    let budget = async || {
        admin.get("/r1/usage").await.data();
        admin.get(&path(&account)).await.data()["budget"].clone()
    };
    wait_until("the reservation is released", async || budget().await["held"] == 0).await;
    assert_eq!(budget().await["spent"], cost);
    assert_eq!(admin.get(ACCOUNTS).await.data()["items"][0]["budget"]["spent"], cost);

    let used_up = json!({ "budget": { "limit": cost, "period": "month" } });
    admin.patch(&path(&account), used_up).await.data();
    for caller in [&first, &second] {
        let refused = caller.post(API_STYLES[0], question(false)).await;
        assert_eq!(
            (refused.status, &refused.body["error"]["type"]),
            (429, &json!("insufficient_quota")),
            "{refused:?}"
        );
    }
    admin.patch(&path(&account), json!({ "budget": null })).await.data();
    assert_eq!(second.post(API_STYLES[0], question(false)).await.status, 200);

    // The general endpoints of budgets and model lists accept service accounts too.
    let id = account["id"].as_str().unwrap();
    admin.put(&format!("/r1/admin/budgets/user/{id}"), limit).await.data();
    assert_eq!(admin.get(&path(&account)).await.data()["budget"]["limit"], 100_000);
    admin.put(&format!("/r1/admin/model_lists/user/{id}"), json!({ "models": ["large"] })).await.data();
    assert_eq!(second.post(API_STYLES[0], question(false)).await.status, 404);
}

#[tokio::test]
async fn keys_are_changed_rotated_and_revoked() {
    let stage = Stage::start().await;
    let admin = stage.app.admin().await;
    let (account, other) = (create(&admin, "One").await, create(&admin, "Two").await);
    let key = create_key(&admin, &account, json!({ "rpm": 5 })).await;
    let changed = admin.patch(&key_path(&account, &key), json!({ "rpm": null, "name": "Renamed" })).await.data();
    assert_eq!((&changed["rpm"], &changed["name"]), (&Value::Null, &json!("Renamed")));

    let rotate = format!("{}/rotate", key_path(&account, &key));
    let second = admin.post(&rotate, json!({ "grace_seconds": 3600 })).await.data();
    assert_eq!(second["id"], key["id"]);
    for secret in [&key, &second] {
        assert_eq!(program(&stage.app, secret).post(API_STYLES[0], question(false)).await.status, 200);
    }
    let third = admin.post(&rotate, json!({})).await.data();
    for secret in [&key, &second] {
        assert_eq!(program(&stage.app, secret).post(API_STYLES[0], question(false)).await.status, 401);
    }
    assert_eq!(program(&stage.app, &third).post(API_STYLES[0], question(false)).await.status, 200);

    for wrong in [key_path(&other, &key), format!("{}/{}", keys_path(&account), new_id())] {
        admin.patch(&wrong, json!({ "rpm": 1 })).await.refused(404, "not_found");
        admin.post(&format!("{wrong}/rotate"), json!({})).await.refused(404, "not_found");
        admin.delete(&wrong).await.refused(404, "not_found");
    }
    // The keys of people can't be reached by these paths.
    let annas = keys::make(&stage.anna, json!({})).await;
    let by_person = format!("{ACCOUNTS}/{}/api_keys", stage.anna.id);
    admin.get(&by_person).await.refused(404, "not_found");
    admin.post(&by_person, json!({ "name": "Stolen" })).await.refused(404, "not_found");
    admin.delete(&format!("{by_person}/{}", annas["id"].as_str().unwrap())).await.refused(404, "not_found");

    admin.delete(&key_path(&account, &key)).await.data();
    assert_eq!(program(&stage.app, &third).post(API_STYLES[0], question(false)).await.status, 401);
    assert_eq!(admin.get(&keys_path(&account)).await.data()["total"], 0);
}

#[tokio::test]
async fn survives_the_deletion_of_the_person_who_created_it() {
    let stage = Stage::start().await;
    let admin = stage.app.admin().await;
    let ben = stage.app.sign_up("Ben").await;
    let bens = format!("/r1/admin/users/{}", ben.id);
    admin.patch(&bens, json!({ "role": "admin" })).await.data();
    let body = json!({ "name": "A program", "contact_id": ben.id });
    let account = ben.post(ACCOUNTS, body).await.data_with(201);
    let key = create_key(&ben, &account, json!({})).await;
    let caller = program(&stage.app, &key);
    assert_eq!(caller.post(API_STYLES[0], question(false)).await.status, 200);

    admin.delete(&bens).await.data();
    assert_eq!(caller.post(API_STYLES[0], question(false)).await.status, 200);
    let shown = admin.get(&path(&account)).await.data();
    assert_eq!((&shown["name"], &shown["contact"], &shown["keys"]), (&json!("A program"), &Value::Null, &json!(1)));
}

#[tokio::test]
async fn a_deleted_service_account_loses_its_keys_and_keeps_its_usage() {
    let stage = Stage::start().await;
    let admin = stage.app.admin().await;
    let account = create(&admin, "A program").await;
    let key = create_key(&admin, &account, json!({})).await;
    let caller = program(&stage.app, &key);
    let answer = caller.post(API_STYLES[0], question(false)).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    admin.delete(&path(&account)).await.data();
    assert_eq!(caller.post(API_STYLES[0], question(false)).await.status, 401);
    for path in [path(&account), keys_path(&account)] {
        admin.get(&path).await.refused(404, "not_found");
    }
    admin.delete(&path(&account)).await.refused(404, "not_found");
    admin.patch(&path(&account), json!({ "enabled": true })).await.refused(404, "not_found");
    admin.post(&keys_path(&account), json!({ "name": "Late" })).await.refused(404, "not_found");
    let rows = admin.get(&format!("/r1/usage/requests?user_id={}", account["id"].as_str().unwrap())).await.data();
    assert_eq!((&rows["total"], rows["items"][0]["request_id"].as_str()), (&json!(1), answer.header("x-request-id")));
    let csv = admin.get("/r1/usage/requests/export").await.text();
    assert!(csv.trim_end().ends_with(",A program"), "{csv}");
}

#[tokio::test]
async fn usage_names_the_service_account() {
    let stage = Stage::start().await;
    let admin = stage.app.admin().await;
    let account = create(&admin, "Nightly report").await;
    let key = create_key(&admin, &account, json!({})).await;
    assert_eq!(program(&stage.app, &key).post(API_STYLES[0], question(false)).await.status, 200);
    assert_eq!(stage.program.post(API_STYLES[0], question(false)).await.status, 200);

    let id = account["id"].as_str().unwrap();
    let groups = admin.get("/r1/usage?group=user").await.data();
    let found = groups["items"].as_array().unwrap().iter().find(|group| group["key"] == id);
    assert_eq!(found.map(|group| &group["requests"]), Some(&json!(1)), "{groups}");
    let rows = admin.get(&format!("/r1/usage/requests?user_id={id}")).await.data();
    assert_eq!((&rows["total"], &rows["items"][0]["key_id"]), (&json!(1), &key["id"]));
    let csv = admin.get(&format!("/r1/usage/requests/export?user_id={id}")).await.text();
    let lines: Vec<&str> = csv.trim_end().lines().collect();
    assert_eq!(lines.len(), 2, "{csv}");
    assert!(lines[0].ends_with(",tries,service_account") && lines[1].ends_with(",Nightly report"), "{csv}");
    let own = stage.anna.get("/r1/usage/requests/export").await.text();
    assert!(own.lines().count() == 2 && !own.contains("Nightly"), "{own}");
    stage.anna.get(&format!("/r1/usage?user_id={id}")).await.refused(403, "forbidden");
}

#[tokio::test]
async fn every_change_is_in_the_audit_log() {
    let app = Application::start().await;
    let admin = app.admin().await;
    let account = create(&admin, "A program").await;
    let budget = json!({ "limit": 5, "period": "day" });
    for change in [
        json!({ "name": "Renamed" }),
        json!({ "enabled": false }),
        json!({ "enabled": true }),
        json!({ "budget": budget }),
        json!({ "budget": null }),
    ] {
        admin.patch(&path(&account), change).await.data();
    }
    let key = create_key(&admin, &account, json!({})).await;
    admin.patch(&key_path(&account, &key), json!({ "name": "Renamed" })).await.data();
    admin.post(&format!("{}/rotate", key_path(&account, &key)), json!({})).await.data();
    admin.delete(&key_path(&account, &key)).await.data();
    admin.delete(&path(&account)).await.data();

    let actions = async |target: &Value| {
        let log = admin.get(&format!("/r1/admin/audit_log?q={}", target.as_str().unwrap())).await.data();
        let entries = log["items"].as_array().unwrap().iter();
        entries.map(|entry| entry["action"].as_str().unwrap().to_owned()).rev().collect::<Vec<_>>()
    };
    assert_eq!(
        actions(&account["id"]).await,
        [
            "gateway.service_account_created",
            "gateway.service_account_changed",
            "gateway.service_account_disabled",
            "gateway.service_account_enabled",
            "gateway.budget_changed",
            "gateway.budget_removed",
            "gateway.service_account_deleted",
        ]
    );
    assert_eq!(
        actions(&key["id"]).await,
        ["auth.api_key_created", "auth.api_key_changed", "auth.api_key_rotated", "auth.api_key_revoked"]
    );
}

#[tokio::test]
async fn only_administrators_manage_service_accounts() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let account = create(&admin, "A program").await;
    let key = create_key(&admin, &account, json!({})).await;
    for path in [ACCOUNTS.to_owned(), path(&account), keys_path(&account)] {
        anna.get(&path).await.refused(403, "forbidden");
    }
    anna.post(ACCOUNTS, json!({ "name": "Mine" })).await.refused(403, "forbidden");
    anna.patch(&path(&account), json!({ "enabled": false })).await.refused(403, "forbidden");
    anna.delete(&path(&account)).await.refused(403, "forbidden");
    anna.post(&keys_path(&account), json!({ "name": "Mine" })).await.refused(403, "forbidden");
    anna.post(&format!("{}/rotate", key_path(&account, &key)), json!({})).await.refused(403, "forbidden");
    anna.delete(&key_path(&account, &key)).await.refused(403, "forbidden");
    let automation = admin.program(&["admin"]).await;
    assert_eq!(automation.get(ACCOUNTS).await.data()["total"], 1);
}

#[tokio::test]
async fn rejects_invalid_input_by_field() {
    let app = Application::start().await;
    let admin = app.admin().await;
    let account = create(&admin, "A program").await;
    let long = "a".repeat(501);
    for (field, body) in [
        ("name", json!({})),
        ("name", json!({ "name": " " })),
        ("name", json!({ "name": "a".repeat(81) })),
        ("description", json!({ "name": "One", "description": long })),
        ("contact_id", json!({ "name": "One", "contact_id": new_id() })),
        // A service account isn't a person.
        ("contact_id", json!({ "name": "One", "contact_id": account["id"] })),
        ("budget.limit", json!({ "name": "One", "budget": { "limit": -1, "period": "day" } })),
        ("role", json!({ "name": "One", "role": "admin" })),
    ] {
        admin.post(ACCOUNTS, body).await.names_field(field);
    }
    for (field, body) in [
        ("name", json!({ "name": "" })),
        ("contact_id", json!({ "contact_id": new_id() })),
        ("enabled", json!({ "enabled": "no" })),
    ] {
        admin.patch(&path(&account), body).await.names_field(field);
    }
    for (field, body) in [
        ("name", json!({ "name": "" })),
        ("models", json!({ "name": "One", "models": ["no-such-model"] })),
        ("rpm", json!({ "name": "One", "rpm": 0 })),
        ("expires_at", json!({ "name": "One", "expires_at": "2001-01-01T00:00:00Z" })),
        ("scopes", json!({ "name": "One", "scopes": ["admin"] })),
    ] {
        admin.post(&keys_path(&account), body).await.names_field(field);
    }
    assert_eq!(admin.get(ACCOUNTS).await.data()["total"], 1);
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn instances_agree_on_a_disabled_service_account() {
        let stage = Stage::with(Setup::new().instances(2), UpstreamKind::OpenAi).await;
        let admin = stage.app.admin().await;
        let account = create(&admin, "A program").await;
        let key = create_key(&admin, &account, json!({})).await;
        let credentials = Credentials::Bearer(key["key"].as_str().unwrap().to_owned());
        let there = Caller::new(&stage.app.instances[1].url(), credentials);
        assert_eq!(there.post(API_STYLES[0], question(false)).await.status, 200);
        for (enabled, status) in [(false, 401), (true, 200)] {
            admin.patch(&path(&account), json!({ "enabled": enabled })).await.data();
            wait_until("the other instance has learned it", async || {
                there.post(API_STYLES[0], question(false)).await.status == status
            })
            .await;
        }
        admin.delete(&path(&account)).await.data();
        wait_until("the other instance refuses the key", async || {
            there.post(API_STYLES[0], question(false)).await.status == 401
        })
        .await;
    }
}
