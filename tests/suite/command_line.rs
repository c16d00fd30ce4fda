//! Commands below `natter admin`, beside a server and without one.

use std::process::Output;

use support::{Application, Engine, PASSWORD, Setup, Value, json, new_email};

/// Runs a command with the settings of the first instance.
async fn run(app: &Application, arguments: &[&str]) -> Output {
    let settings: Vec<(&str, &str)> =
        app.settings().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut command = tokio::process::Command::new(support::natter());
    command.current_dir(app.folder()).args(arguments);
    for (key, value) in settings.into_iter().chain([("server.port", app.instances[0].port().to_string().as_str())]) {
        command.env(format!("NATTER__{}", key.replace('.', "__").to_uppercase()), value);
    }
    command.output().await.unwrap()
}

/// Runs a command that succeeds, and returns its JSON.
async fn done(app: &Application, arguments: &[&str]) -> Value {
    let output = run(app, &[arguments, &["--json"]].concat()).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"))
}

/// Runs a command that fails with the exit status 1, and returns its error.
async fn refused(app: &Application, arguments: &[&str]) -> String {
    let output = run(app, arguments).await;
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn emails(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn users_are_managed_beside_a_server() {
    let app = Application::start().await;
    let (anna, admin) = (app.sign_up("Anna").await, app.admin().await);
    assert!(emails(&done(&app, &["admin", "users", "list"]).await).contains(&anna.email.as_str()));
    assert_eq!(emails(&done(&app, &["admin", "users", "list", "--search", &anna.email]).await), [&anna.email]);
    let shown = done(&app, &["admin", "users", "show", &anna.email]).await;
    assert_eq!(shown, admin.get(&format!("/r1/admin/users/{}", anna.id)).await.data());

    assert_eq!(done(&app, &["admin", "users", "promote", &anna.id]).await["role"], "admin");
    anna.get("/r1/admin/users").await.data();
    assert_eq!(done(&app, &["admin", "users", "demote", &anna.email]).await["role"], "user");
    anna.get("/r1/admin/users").await.refused(403, "forbidden");

    let suspended = done(&app, &["admin", "users", "suspend", &anna.email, "--reason", "left"]).await;
    assert_eq!((&suspended["status"], &suspended["suspended_reason"]), (&json!("suspended"), &json!("left")));
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    assert_eq!(done(&app, &["admin", "users", "list", "--status", "suspended"]).await.as_array().unwrap().len(), 1);
    assert_eq!(done(&app, &["admin", "users", "restore", &anna.email]).await["status"], "active");

    let anna = support::Member::sign_in(&app.url(), &anna.email, PASSWORD).await;
    done(&app, &["admin", "users", "sign_out", &anna.email]).await;
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    let refusal = refused(&app, &["admin", "users", "remove_second_factor", &anna.email, "--yes"]).await;
    assert!(refusal.contains("doesn't use two-step verification"), "{refusal}");

    // The audit log has no actor, because the operator has no account.
    let log = admin.get(&format!("/r1/admin/audit_log?q={}", anna.id)).await.data();
    let entries: Vec<&Value> =
        log["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "admin.user_suspended").collect();
    assert!(entries.iter().any(|entry| entry["actor"].is_null()), "{log}");
}

#[tokio::test]
async fn accounts_are_created_and_deleted() {
    let app = Application::start().await;
    let email = new_email("new");
    let made = done(&app, &["admin", "users", "create", &email, "--name", "Newcomer", "--role", "admin"]).await;
    assert_eq!(
        (&made["email"], &made["display_name"], &made["role"]),
        (&json!(email), &json!("Newcomer"), &json!("admin"))
    );
    let link = done(&app, &["admin", "users", "reset_link", &email]).await;
    assert!(link["url"].as_str().unwrap().contains("/reset-password?token="), "{link}");

    let anna = app.sign_up("Anna").await;
    let refusal = refused(&app, &["admin", "users", "delete", &anna.email]).await;
    assert!(refusal.contains(&anna.email) && refusal.contains("--yes"), "{refusal}");
    anna.get("/r1/users/me").await.data();
    done(&app, &["admin", "users", "delete", &anna.email, "--yes"]).await;
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    let refusal = refused(&app, &["admin", "users", "show", &anna.email]).await;
    assert!(refusal.contains("There is no account"), "{refusal}");
}

#[tokio::test]
async fn commands_work_without_a_server() {
    let mut app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    app.instances[0].terminate().await;
    assert!(emails(&done(&app, &["admin", "users", "list"]).await).contains(&anna.email.as_str()));
    assert_eq!(done(&app, &["admin", "users", "suspend", &anna.email]).await["status"], "suspended");
    assert_eq!(done(&app, &["admin", "jobs", "list", "--dead"]).await, json!([]));
    app.instances[0].start_again().await;
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn bans_jobs_and_workspaces_are_managed() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    assert_eq!(done(&app, &["admin", "bans", "add", "203.0.113.0/24"]).await["address"], "203.0.113.0/24");
    let bans = done(&app, &["admin", "bans", "list"]).await;
    assert_eq!((&bans[0]["address"], &bans[0]["created_by"]), (&json!("203.0.113.0/24"), &Value::Null));
    assert_eq!(done(&app, &["admin", "bans", "lift", "203.0.113.0/24"]).await["lifted"], 1);
    assert_eq!(done(&app, &["admin", "bans", "list"]).await, json!([]));

    assert_eq!(done(&app, &["admin", "jobs", "requeue", "--all"]).await, json!({ "requeued": 0 }));
    let team = anna.post("/r1/workspaces", json!({ "name": "Team of the night" })).await.data_with(201);
    let shown = done(&app, &["admin", "workspaces", "show", "Team of the night"]).await;
    assert_eq!((&shown["id"], &shown["members"]), (&team["id"], &json!(1)));
    let members = done(&app, &["admin", "workspaces", "members", "Team of the night"]).await;
    assert_eq!(emails(&members), [&anna.email]);
    let refusal = refused(&app, &["admin", "workspaces", "delete", "Team of the night"]).await;
    assert!(refusal.contains("--yes"), "{refusal}");
    done(&app, &["admin", "workspaces", "delete", "Team of the night", "--yes"]).await;
    let refusal = refused(&app, &["admin", "mail", "test", "ann@example.org"]).await;
    assert!(refusal.contains("mail.smtp_url is not set"), "{refusal}");
}

#[tokio::test]
async fn invitations_are_created_listed_and_revoked() {
    let app = Application::start().await;
    let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team of invitations" })).await.data_with(201);
    let create = ["admin", "invitations", "create", "Team of invitations", "--role", "guest"];
    let link = done(&app, &[&create[..], &["--max-uses", "3", "--days", "2"]].concat()).await;
    // The operator has no account, so the invitation is that of the owner.
    assert_eq!((&link["role"], &link["created_by"]), (&json!("guest"), &json!(anna.id)));
    assert!(link["url"].as_str().unwrap().contains("/invite?token="), "{link}");
    let email = new_email("invited");
    let mailed = done(&app, &[&create[..], &["--email", &email]].concat()).await;
    app.outbox(&email, "Team of invitations").await;

    let list = ["admin", "invitations", "list", "--workspace", "Team of invitations"];
    let listed = done(&app, &list).await;
    let ids: Vec<&Value> = listed.as_array().unwrap().iter().map(|invitation| &invitation["id"]).collect();
    assert_eq!(ids, [&mailed["id"], &link["id"]]);
    assert_eq!((&listed[0]["email"], &listed[0]["workspace"]["id"]), (&json!(email), &team["id"]));
    assert!(listed[0].get("token").is_none() && listed[0].get("url").is_none(), "{listed}");
    assert!(done(&app, &["admin", "invitations", "list"]).await.as_array().unwrap().len() >= 2);

    done(&app, &["admin", "invitations", "revoke", link["id"].as_str().unwrap()]).await;
    let accepted = ben.post("/r1/invitations/accept", json!({ "token": link["token"] })).await;
    accepted.refused(410, "invitation_expired");
    assert_eq!(done(&app, &list).await.as_array().unwrap().len(), 1);
    let refusal = refused(&app, &["admin", "invitations", "revoke", link["id"].as_str().unwrap()]).await;
    assert!(!refusal.is_empty());
    let log = admin.get("/r1/admin/audit_log").await.data();
    let is_about_link = |entry: &&Value| entry.to_string().contains(link["id"].as_str().unwrap());
    let entries: Vec<&Value> = log["items"].as_array().unwrap().iter().filter(is_about_link).collect();
    let actions: Vec<&Value> = entries.iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, [&json!("workspace.invitation_revoked"), &json!("workspace.invitation_created")]);
    assert!(entries.iter().all(|entry| entry["actor"].is_null()), "{log}");
    for wrong in [&create[..], &[&create[..], &["--max-uses", "1", "--email", &email]].concat()] {
        assert_eq!(run(&app, wrong).await.status.code(), Some(2), "{wrong:?}");
    }
}

#[tokio::test]
async fn administrators_invite_people_to_workspaces_of_others() {
    let app = Application::start().await;
    let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let wanted = |role: &str| json!({ "workspace_id": team["id"], "max_uses": 1, "role": role });
    anna.post("/r1/admin/invitations", wanted("member")).await.refused(403, "forbidden");
    admin.post("/r1/admin/invitations", wanted("owner")).await.names_field("role");
    let unknown = json!({ "workspace_id": support::new_id(), "max_uses": 1 });
    admin.post("/r1/admin/invitations", unknown).await.names_field("workspace_id");
    let made = admin.post("/r1/admin/invitations", wanted("member")).await.data_with(201);
    assert_eq!(made["created_by"], json!(admin.id));
    let led_to = ben.post("/r1/invitations/accept", json!({ "token": made["token"] })).await.data();
    assert_eq!((&led_to["workspace"]["id"], &led_to["role"]), (&team["id"], &json!("member")));
    // It is used up.
    let listed = admin.get(&format!("/r1/admin/invitations?workspace_id={}", team["id"].as_str().unwrap())).await;
    assert_eq!(listed.data()["total"], 0);
    let mine = anna.get("/r1/workspaces").await.data();
    let personal = mine["items"].as_array().unwrap().iter().find(|workspace| workspace["personal"] == true).unwrap();
    let wanted = json!({ "workspace_id": personal["id"], "max_uses": 1 });
    admin.post("/r1/admin/invitations", wanted).await.refused(409, "wrong_state");
}

#[tokio::test]
async fn api_keys_of_users_are_listed_and_revoked() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let (program, other) = (anna.program(&["read"]).await, anna.program(&["read"]).await);
    let keys = done(&app, &["admin", "keys", "list", &anna.email]).await;
    assert_eq!(keys, anna.get("/r1/api_keys").await.data()["items"]);
    assert_eq!(keys.as_array().unwrap().len(), 2);
    assert_eq!(done(&app, &["admin", "keys", "list", &ben.id]).await, json!([]));

    program.get("/r1/users/me").await.data();
    let (newest, oldest) = (&keys[0], &keys[1]);
    let revoked = done(&app, &["admin", "keys", "revoke", &anna.email, oldest["id"].as_str().unwrap()]).await;
    assert_eq!(revoked["id"], oldest["id"]);
    program.get("/r1/users/me").await.refused(401, "unauthenticated");
    other.get("/r1/users/me").await.data();
    // The first characters name a key too.
    done(&app, &["admin", "keys", "revoke", &anna.email, newest["prefix"].as_str().unwrap()]).await;
    other.get("/r1/users/me").await.refused(401, "unauthenticated");
    let refusal = refused(&app, &["admin", "keys", "revoke", &anna.email, "nk_absent"]).await;
    assert!(refusal.contains("has no API key nk_absent"), "{refusal}");

    let admin = app.admin().await;
    let key = ben.post("/r1/api_keys", json!({ "name": "Robot", "scopes": ["read"] })).await.data_with(201);
    let path = |user: &str| format!("/r1/admin/users/{user}/api_keys/{}", key["id"].as_str().unwrap());
    admin.get(&format!("/r1/admin/users/{}/api_keys", support::new_id())).await.refused(404, "not_found");
    admin.delete(&path(&anna.id)).await.refused(404, "not_found");
    anna.delete(&path(&ben.id)).await.refused(403, "forbidden");
    admin.delete(&path(&ben.id)).await.data();
    let log = admin.get(&format!("/r1/admin/audit_log?q={}", key["id"].as_str().unwrap())).await.data();
    let entry = &log["items"][0];
    assert_eq!((&entry["action"], &entry["actor"]), (&json!("auth.api_key_revoked"), &json!(admin.id)), "{log}");
}

#[tokio::test]
async fn no_command_creates_a_database() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["admin", "users", "list"][..],
        &["admin", "create", "--email", "ann@example.org"],
        &["admin", "bans", "lift", "203.0.113.5"],
        &["admin", "ledger", "verify"],
        &["keys", "rotate", "signing"],
    ] {
        let output = tokio::process::Command::new(support::natter())
            .current_dir(folder.path())
            .args(arguments)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains("There is no database at"), "{arguments:?}: {said}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}");
    }
}

#[tokio::test]
async fn output_is_a_table_json_or_nothing() {
    let app = Setup::new().start().await;
    let table = String::from_utf8(run(&app, &["admin", "users", "list"]).await.stdout).unwrap();
    assert!(table.starts_with("EMAIL ") && table.lines().count() > 1, "{table}");
    let quiet = run(&app, &["admin", "users", "list", "--quiet"]).await;
    assert!(quiet.status.success() && quiet.stdout.is_empty(), "{quiet:?}");
    let steps = done(&app, &["migrate", "status"]).await;
    assert!(steps.as_array().unwrap().iter().all(|step| step["status"] == "applied"), "{steps}");
    let settings = done(&app, &["config"]).await;
    assert!(settings.as_array().unwrap().iter().any(|setting| setting["key"] == "server.port"), "{settings}");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&app, &["completion", shell]).await.stdout;
        assert!(String::from_utf8(script).unwrap().contains("remove_second_factor"), "{shell}");
    }
    for wrong in [&["admin", "users", "rename"][..], &["admin", "jobs", "requeue"], &["admin", "users", "show"]] {
        assert_eq!(run(&app, wrong).await.status.code(), Some(2), "{wrong:?}");
    }
    let refusal = refused(&app, &["migrate", "down"]).await;
    assert!(refusal.contains("--yes"), "{refusal}");
}

#[tokio::test]
async fn models_are_checked_by_real_calls() {
    let upstream = support::Upstream::start(support::UpstreamKind::OpenAi).await;
    let mut setup = Setup::new().provider(&upstream).set("outgoing.allow", "127.0.0.1");
    // With SQLite, the key for encryption is in a file.
    if Engine::of_this_run() == Engine::Postgres {
        setup = setup.set("auth.key_encryption_secret", "a long random text that nobody guesses");
    }
    let app = setup.start().await;
    let refusal = refused(&app, &["models", "check", "fake", "small"]).await;
    assert!(refusal.contains("8 calls") && refusal.contains("--yes"), "{refusal}");
    assert!(upstream.asked().is_empty(), "calls without a confirmation");

    let output = run(&app, &["models", "check", "fake", "small", "--yes", "--json"]).await;
    assert!(output.status.success(), "{output:?}");
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    let verdict = |capability: &str| {
        let found = checks.as_array().unwrap().iter().find(|check| check["capability"] == capability).unwrap();
        found["verdict"].as_str().unwrap()
    };
    // The provider of the tests answers every request with the same text.
    for (capability, expected) in [("plain", "ok"), ("stream", "ok"), ("tools", "ignored"), ("images", "ignored")] {
        assert_eq!(verdict(capability), expected, "{checks}");
    }

    let added =
        json!({ "name": "added", "kind": "openai", "base_url": upstream.url(), "keys": ["k"], "models": ["small"] });
    assert_eq!(app.admin().await.post("/r1/admin/providers", added).await.status, 201);
    let output = run(&app, &["models", "check", "added", "--yes"]).await;
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("ok       added/small plain\n"));

    upstream.always(support::Behaviour::Refuse(401, None));
    let output = run(&app, &["models", "check", "fake", "small", "--yes"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("fault") && text.lines().count() == 1, "{text}");
}
