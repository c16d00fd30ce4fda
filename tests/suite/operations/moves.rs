//! `natter move`: an installation is moved from SQLite to PostgreSQL, and back.

use std::{collections::BTreeMap, fs, path::Path};

use support::{Application, Engine, Instance, PostgresServer, Setup, Value, json};

use super::natter;

type Settings = BTreeMap<String, String>;

async fn run(folder: &Path, settings: &Settings, arguments: &[&str]) -> (bool, String) {
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    natter(folder, &settings, arguments).await
}

fn settings(app: &Application) -> Settings {
    app.settings().iter().cloned().collect()
}

async fn start(folder: &Path, settings: &Settings) -> Instance {
    let settings: Vec<(String, String)> = settings.clone().into_iter().collect();
    Instance::start(folder, &settings).await
}

#[tokio::test]
async fn an_installation_moves_to_postgres_and_back() {
    let mut app = Setup::new().on(Engine::Sqlite).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for number in 0..50 {
        anna.send_message(&chat, &format!("message {number}: Grüße 👋")).await;
    }
    let upload = anna.upload("plan.txt", "text/plain", "our plan").await;
    anna.send_files(&chat, "look", &[&upload]).await.data_with(201);
    let before = anna.history(&chat).await;
    let server = PostgresServer::start();
    let (url, folder) = (server.url(), app.folder().to_owned());
    let on_sqlite = settings(&app);
    let (is_done, said) = run(&folder, &on_sqlite, &["move", "--to", &url]).await;
    assert!(!is_done && said.contains("Stop it first"), "{said}");
    app.instances[0].terminate().await;

    let (is_done, said) = run(&folder, &on_sqlite, &["move", "--to", &url, "--json"]).await;
    assert!(is_done, "{said}");
    let moved: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(moved["tables"]["messages"], json!(51), "{moved}");
    let (is_done, said) = run(&folder, &on_sqlite, &["move", "--to", &url, "--verify"]).await;
    assert!(is_done && said.contains("are the same in both databases"), "{said}");
    let (is_done, said) = run(&folder, &on_sqlite, &["move", "--to", &url]).await;
    assert!(!is_done && said.contains("has data already"), "{said}");

    // Sessions, messages and files are there, and writing goes on.
    let mut on_postgres = on_sqlite.clone();
    on_postgres.insert("database.url".to_owned(), url);
    if let Ok(key) = fs::read_to_string(folder.join("encryption-key")) {
        on_postgres.insert("auth.key_encryption_secret".to_owned(), key.trim().to_owned());
    }
    let mut instance = start(&folder, &on_postgres).await;
    let anna = anna.at(&instance.url());
    assert_eq!(anna.history(&chat).await, before);
    assert_eq!(anna.get(&crate::uploads::address(&upload)).await.text(), "our plan");
    let last = anna.send_message(&chat, "on PostgreSQL").await;
    instance.terminate().await;
    let (is_done, said) = run(&folder, &on_sqlite, &["move", "--to", &on_postgres["database.url"], "--verify"]).await;
    assert!(!is_done && said.contains("differs"), "{said}");

    let file = folder.join("back.db");
    let back = format!("sqlite://{}", file.display());
    let (is_done, said) = run(&folder, &on_postgres, &["move", "--to", &back]).await;
    assert!(is_done, "{said}");
    let mut on_sqlite = on_sqlite;
    on_sqlite.insert("database.url".to_owned(), back);
    let instance = start(&folder, &on_sqlite).await;
    let anna = anna.at(&instance.url());
    assert_eq!(anna.history(&chat).await.len(), before.len() + 1);
    assert!(anna.history(&chat).await.contains(&last));
    anna.send_message(&chat, "and on SQLite again").await;
}
