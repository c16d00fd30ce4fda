//! The process: start, configuration and shutdown.

use std::{path::Path, process::Output};

use support::{Application, Engine, PATIENCE, Setup, wait_until};

#[tokio::test]
async fn the_server_starts_with_only_a_database_configured() {
    let app = Setup::new().from_nothing().start().await;
    let health = app.anonymous().get("/health/simple").await;
    assert_eq!(health.status, 200, "{health:?}");
    // At the first start, the account that is created first is that of the administrator.
    let first = app.sign_up("First").await;
    let second = app.sign_up("Second").await;
    let role = |member: &support::Member| member.tokens["user"]["role"].as_str().map(str::to_owned);
    if app.redis.is_none() {
        assert_eq!(role(&first).as_deref(), Some("admin"));
    }
    assert_eq!(role(&second).as_deref(), Some("user"));
}

#[tokio::test]
async fn the_database_requires_its_key_file() {
    let mut app = Setup::new().on(Engine::Sqlite).start().await;
    let anna = app.sign_up("Anna").await;
    let clear =
        async |app: &Application| app.database.number("SELECT COUNT(*) FROM signing_keys WHERE NOT is_sealed").await;
    assert_eq!(clear(&app).await, 0);
    let file = app.folder().join("encryption-key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    app.instances[0].terminate().await;
    app.instances[0].start_again().await;
    anna.get("/r1/users/me").await.data();
    // Without the key file, the database can't be used. The error names the missing file.
    app.instances[0].terminate().await;
    std::fs::rename(&file, app.folder().join("elsewhere")).unwrap();
    let output = app.command(&["serve"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("encryption-key"), "{said}");
}

#[tokio::test]
async fn a_stopping_instance_is_deregistered() {
    let mut app = Setup::new().start().await;
    wait_until("the instance is registered", || async {
        app.database.number("SELECT COUNT(*) FROM instances").await == 1
    })
    .await;
    app.instances[0].terminate().await;
    assert_eq!(app.database.number("SELECT COUNT(*) FROM instances").await, 0);
}

#[tokio::test]
async fn locks_a_sqlite_folder_to_one_instance() {
    let mut app = Setup::new().on(Engine::Sqlite).start().await;
    let output = tokio::time::timeout(PATIENCE, app.command(&["serve"])).await.expect("not serving");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let holder = format!("process {} on ", app.instances[0].process_id());
    assert!(!output.status.success() && said.contains(&holder) && said.contains("server.data_dir"), "{said}");
    // Commands work while the server is running.
    let archive = app.folder().join("copy.tar").display().to_string();
    for command in [&["migrate", "status"][..], &["admin", "ledger", "verify"], &["backup", archive.as_str()]] {
        let output = app.command(command).await;
        assert!(output.status.success(), "{command:?}: {output:?}");
    }
    // The lock ends with the process, however that ends.
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    app.instances[0].terminate().await;
    app.instances[0].start_again().await;
    app.sign_up("Anna").await;
}

#[tokio::test]
async fn health_names_its_dependencies() {
    let app = Application::start().await;
    let health = app.anonymous().get("/health").await;
    assert_eq!(health.status, 200, "{health:?}");
    let names: &[&str] = if app.redis.is_some() { &["database", "redis"] } else { &["database"] };
    for name in names {
        let part = &health.body[*name];
        let part = if part.is_null() { &health.body["dependencies"][*name] } else { part };
        assert_eq!(part["status"], "up", "{health:?}");
        assert!(part["latency_ms"].is_number(), "{health:?}");
    }
}

#[tokio::test]
async fn sigterm_exits_with_status_zero() {
    let mut app = Application::start().await;
    let member = app.sign_up("Anna").await;
    let mut socket = member.connect().await;
    app.instances[0].ask_to_stop();
    assert_eq!(socket.closed().await.code, 1012);
    let ended = app.instances[0].ended().await;
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn an_invalid_setting_prevents_start_up_and_is_named() {
    let app = Setup::new().start().await;
    for (key, value) in [("server.port", "many"), ("server.prot", "1"), ("database.url", "mysql://root:hunter22@x/y")] {
        let variable = format!("NATTER__{}", key.replace('.', "__").to_uppercase());
        let output = tokio::process::Command::new(support::natter())
            .arg("serve")
            .env(&variable, value)
            .current_dir(app.folder())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(said.contains(key), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        assert!(!said.contains("hunter22"), "{said}");
    }
}

#[tokio::test]
async fn config_prints_each_value_with_its_source() {
    let app = Application::start().await;
    let output = app.command(&["config"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    let line =
        |key: &str| said.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("no {key} in {said}"));
    assert!(
        line("rate_limit.enabled").contains("false")
            && line("rate_limit.enabled").contains("NATTER__RATE_LIMIT__ENABLED")
    );
    assert!(line("server.port").contains("8080") && line("server.port").contains("default"));
}

async fn probe(folder: &Path, port: &str) -> Output {
    let mut command = tokio::process::Command::new(support::natter());
    command.arg("probe").env("NATTER__SERVER__PORT", port).env("NATTER__SERVER__HOST", "0.0.0.0");
    command.current_dir(folder).output().await.unwrap()
}

/// The command that containers use as health check.
#[tokio::test]
async fn the_health_command_reports_whether_the_server_is_ready() {
    let mut app = Application::start().await;
    let port = app.instances[0].port().to_string();
    let output = probe(app.folder(), &port).await;
    assert!(output.status.success(), "{output:?}");
    app.instances[0].kill().await;
    let output = probe(app.folder(), &port).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.starts_with("No server responds at 127.0.0.1:"), "{said}");
}

#[tokio::test]
async fn migrations_can_be_reverted_and_reapplied() {
    let app = Setup::new().start().await;
    let told = |output: std::process::Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let before = told(app.command(&["migrate", "status"]).await);
    assert!(!before.to_lowercase().contains("pending"), "{before}");
    told(app.command(&["migrate", "down", "--yes"]).await);
    let between = told(app.command(&["migrate", "status"]).await);
    assert!(between.to_lowercase().contains("pending"), "{between}");
    told(app.command(&["migrate", "up"]).await);
    assert_eq!(told(app.command(&["migrate", "status"]).await), before);
}

#[tokio::test]
async fn logs_one_line_per_request_with_its_id() {
    let app = Application::start().await;
    let answer = app.anonymous().get("/r1/nothing-here").await;
    let id = answer.header("x-request-id").unwrap().to_owned();
    answer.refused(404, "not_found");
    let mut app = app;
    app.instances[0].terminate().await;
    let lines: Vec<_> = app.instances[0].log().into_iter().filter(|line| line.contains(&id)).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
}
