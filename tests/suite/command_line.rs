//! Commands below `natter admin`, beside a server and without one.

use std::process::Output;

use support::{Application, PASSWORD, Setup, Value, json, new_email};

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
    let log = admin.get(&format!("/r1/admin/audit_log?target={}", anna.id)).await.data();
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
