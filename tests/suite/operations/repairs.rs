//! `natter doctor --fix`: permissions and the search index are repaired.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use support::{Application, Engine, Setup, Value};

use crate::search::finds;

/// Runs `doctor --fix`. Returns whether all checks passed, and the result.
async fn fix(app: &Application) -> (bool, Value) {
    let output = app.command(&["doctor", "--fix", "--json"]).await;
    let result = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.success(), result)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_doctor_restricts_permissions() {
    let app = Setup::new().on(Engine::Sqlite).start().await;
    let loose = [("", 0o755), ("encryption-key", 0o644), ("natter.db", 0o640), ("uploads", 0o750)];
    for (name, mode) in loose {
        let path = app.folder().join(name);
        if name == "uploads" {
            fs::create_dir_all(&path).unwrap();
        }
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let (is_well, result) = fix(&app).await;
    assert!(is_well, "{result}");
    let fixed: Vec<&str> = result["fixed"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    for (name, former) in loose {
        let path = app.folder().join(name);
        let line = fixed.iter().find(|line| line.contains(&format!("had the permissions {former:o};")));
        assert!(line.is_some_and(|line| line.contains(name)), "{name} in {fixed:?}");
        assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{name}");
    }
    assert_eq!(fix(&app).await.1["fixed"].as_array().unwrap().len(), 0);
    app.sign_up("Anna").await;
}

#[tokio::test]
async fn the_doctor_replaces_a_broken_search_index() {
    let mut app = Setup::new().on(Engine::Sqlite).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "a cormorant").await;
    finds(&ben, "cormorant", &["a cormorant"]).await;
    app.instances[0].terminate().await;
    let files = fs::read_dir(app.folder().join("search/0")).unwrap().map(|entry| entry.unwrap().path());
    let terms = files.filter(|path| path.extension().is_some_and(|end| end == "term")).last().unwrap();
    fs::write(terms, "no terms").unwrap();
    let (is_well, result) = fix(&app).await;
    assert!(is_well, "{result}");
    assert!(result["fixed"].to_string().contains("search index"), "{result}");
    let checks = result["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["verdict"] != "fault"), "{result}");
    app.instances[0].start_again().await;
    finds(&ben.at(&app.url()), "cormorant", &["a cormorant"]).await;
}
