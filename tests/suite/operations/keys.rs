//! `natter keys`: the key that encrypts secrets in the database is checked, lost and replaced.

use std::{
    fs,
    path::{Path, PathBuf},
};

use support::{
    Application, Authenticator, Engine, Instance, Member, PASSWORD, PostgresServer, Setup, Value, json, wait_until,
};

use super::natter;

/// Runs a command with the settings of the application, some of which are replaced.
async fn run(app: &Application, replaced: &[(&str, &str)], arguments: &[&str]) -> (bool, String) {
    let kept = app.settings().iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let kept = kept.filter(|(key, _)| replaced.iter().all(|(other, _)| key != other));
    let settings: Vec<(&str, &str)> = kept.chain(replaced.iter().copied()).collect();
    natter(app.folder(), &settings, arguments).await
}

fn key_file(app: &Application) -> PathBuf {
    app.folder().join("encryption-key")
}

/// Returns the number of secrets of a kind, and of those that can't be decrypted.
fn counts(report: &str, kind: &str) -> (u64, u64) {
    // The sentence about unreadable secrets follows the report.
    let json = report.rsplit_once('}').map_or(report, |(json, _)| json);
    let report: Value = serde_json::from_str(&format!("{json}}}")).unwrap();
    let secrets = report["secrets"].as_array().unwrap().iter().find(|secrets| secrets["kind"] == kind).unwrap();
    (secrets["count"].as_u64().unwrap(), secrets["unreadable"].as_u64().unwrap())
}

#[tokio::test]
async fn a_lost_key_is_reported_and_its_secrets_are_removed() {
    let mut app = Setup::new().on(Engine::Sqlite).start().await;
    let anna = app.sign_up("Anna").await;
    let (ben, _) = Authenticator::set_up_for_somebody(&app.url()).await;
    app.anonymous().sign_in(&ben.email, PASSWORD).await.data_with(202);
    let (is_ok, said) = run(&app, &[], &["keys", "check", "--json"]).await;
    assert!(is_ok, "{said}");
    let (count, unreadable) = counts(&said, "signing_keys");
    assert!(count > 0 && unreadable == 0, "{said}");
    let (is_done, said) = run(&app, &[], &["keys", "reset", "--yes"]).await;
    assert!(!is_done && said.contains("Stop it first"), "{said}");

    app.instances[0].terminate().await;
    fs::write(key_file(&app), "").unwrap();
    let (is_well, said) = run(&app, &[], &["doctor"]).await;
    let about: Vec<&str> = said.lines().filter(|line| line.contains(" key: ")).collect();
    assert!(!is_well && about.len() == 1 && about[0].contains("is empty. Put it back"), "{said}");
    fs::write(key_file(&app), "A".repeat(43)).unwrap();
    let (is_ok, said) = run(&app, &[], &["keys", "check", "--json"]).await;
    assert!(!is_ok && said.contains("does not decrypt all secrets"), "{said}");
    assert_eq!(counts(&said, "signing_keys"), (count, count));
    let (is_well, said) = run(&app, &[], &["doctor"]).await;
    assert!(!is_well && said.contains("FAULT    key: The key does not open the database"), "{said}");
    let (is_done, said) = run(&app, &[], &["keys", "reset"]).await;
    assert!(!is_done && said.contains("signing keys") && said.contains("--yes"), "{said}");
    let (is_done, said) = run(&app, &[], &["keys", "reset", "--yes", "--json"]).await;
    assert!(is_done, "{said}");
    let removed: Value = serde_json::from_str(&said).unwrap();
    assert!(removed.as_array().unwrap().iter().any(|one| one["kind"] == "signing_keys"), "{said}");
    let (is_done, said) = run(&app, &[], &["keys", "reset"]).await;
    assert!(is_done && said.contains("Nothing was removed"), "{said}");

    // Sessions are gone with the signing keys; passwords are not encrypted with the key.
    app.instances[0].start_again().await;
    anna.at(&app.url()).get("/r1/users/me").await.refused(401, "unauthenticated");
    Member::sign_in(&app.url(), &anna.email, PASSWORD).await;
    // No code is required, because the authenticator app is gone.
    let ben = Member::sign_in(&app.url(), &ben.email, PASSWORD).await;
    assert_eq!(ben.tokens["user"]["second_factor"], false);
    assert!(run(&app, &[], &["keys", "check"]).await.0);
}

#[tokio::test]
async fn the_key_file_is_replaced() {
    let mut app = Setup::new().on(Engine::Sqlite).start().await;
    let anna = app.sign_up("Anna").await;
    let (is_done, said) = run(&app, &[], &["keys", "rotate", "encryption"]).await;
    assert!(!is_done && said.contains("Stop it first"), "{said}");
    app.instances[0].terminate().await;
    let former = fs::read_to_string(key_file(&app)).unwrap();
    let (is_done, said) = run(&app, &[], &["keys", "rotate", "encryption", "--json"]).await;
    assert!(is_done, "{said}");
    let rotated: Value = serde_json::from_str(&said).unwrap();
    assert!(rotated["count"].as_u64() > Some(0) && rotated["new_secret_file"].is_null(), "{said}");
    assert_ne!(fs::read_to_string(key_file(&app)).unwrap(), former);
    assert!(!app.folder().join("encryption-key.new").exists());
    assert!(run(&app, &[], &["keys", "check"]).await.0);
    app.instances[0].start_again().await;
    assert_eq!(anna.at(&app.url()).get("/r1/users/me").await.data()["id"], json!(anna.id));
}

#[tokio::test]
async fn a_configured_key_is_replaced_by_the_operator() {
    const SETTING: &str = "auth.key_encryption_secret";
    let server = PostgresServer::start();
    let former = "B".repeat(43);
    let mut app = Setup::new().database(&server.url()).set(SETTING, &former).start().await;
    let anna = app.sign_up("Anna").await;
    wait_until("the instance reports", async || app.database.number("SELECT COUNT(*) FROM instances").await > 0).await;
    let (is_done, said) = run(&app, &[], &["keys", "rotate", "encryption"]).await;
    assert!(!is_done && said.contains("Stop them first"), "{said}");
    app.instances[0].terminate().await;
    let (is_done, said) = run(&app, &[], &["keys", "rotate", "encryption", "--json"]).await;
    assert!(is_done, "{said}");
    let rotated: Value = serde_json::from_str(&said).unwrap();
    let file = rotated["new_secret_file"].as_str().unwrap();
    let current = fs::read_to_string(Path::new(file)).unwrap().trim().to_owned();
    assert!(!run(&app, &[], &["keys", "check"]).await.0);
    let (is_ok, said) = run(&app, &[(SETTING, &current)], &["keys", "check", "--json"]).await;
    assert!(is_ok && counts(&said, "signing_keys").0 > 0, "{said}");

    let mut settings = app.settings().to_vec();
    settings.retain(|(key, _)| key != SETTING);
    settings.push((SETTING.to_owned(), current));
    let instance = Instance::start(app.folder(), &settings).await;
    assert_eq!(anna.at(&instance.url()).get("/r1/users/me").await.data()["id"], json!(anna.id));
}
