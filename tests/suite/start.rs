//! The process: start, configuration, log and shutdown.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use support::{Application, Engine, PATIENCE, Setup, Value, free_port, new_id, wait_until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

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
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    app.instances[0].terminate().await;
    app.instances[0].start_again().await;
    anna.get("/r1/users/me").await.data();
    // Without the key file, the database can't be used. The error names the missing file.
    app.instances[0].terminate().await;
    fs::rename(&file, app.folder().join("elsewhere")).unwrap();
    let output = app.command(&["serve"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("key file is missing"), "{said}");
    let missing = async |command: &[&str]| {
        let output = app.command(command).await;
        assert!(!output.status.success(), "{command:?}: {output:?}");
        assert!(!file.exists(), "{command:?} created a key");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    missing(&["serve"]).await;
    let doctor = missing(&["doctor"]).await;
    assert!(doctor.contains("FAULT    key: The database's key file is missing. Put "), "{doctor}");
    // Another key is a fault as well.
    std::fs::write(&file, "another key").unwrap();
    let output = app.command(&["doctor"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("FAULT    key: The key does not open the database"), "{said}");
    let output = app.command(&["serve"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("The key does not open the database"), "{said}");
    // With the right one, everything works again.
    std::fs::rename(app.folder().join("elsewhere"), &file).unwrap();
    app.instances[0].start_again().await;
    anna.get("/r1/users/me").await.data();
}

#[tokio::test]
async fn the_database_requires_its_configured_secret() {
    let secret = "a long random text that nobody guesses";
    let mut app = Setup::new().from_nothing().set("auth.key_encryption_secret", secret).start().await;
    app.sign_up("Anna").await;
    app.instances[0].terminate().await;
    let mut settings = app.settings().to_vec();
    settings.retain(|(key, _)| key != "auth.key_encryption_secret");
    let mut pairs: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    pairs.push(("auth.key_encryption_secret", "another long random text"));
    for command in ["doctor", "serve"] {
        let (is_done, said) = crate::operations::natter(app.folder(), &pairs, &[command]).await;
        assert!(!is_done && said.contains("The key does not open the database"), "{said}");
        assert!(said.contains("Put back the former value of auth.key_encryption_secret"), "{said}");
    }
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
    let mut app = Setup::new().start().await;
    let told = |output: std::process::Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let before = told(app.command(&["migrate", "status"]).await);
    assert!(!before.to_lowercase().contains("pending"), "{before}");
    let refusal = app.command(&["migrate", "down", "--yes"]).await;
    assert!(!refusal.status.success(), "beside a server: {refusal:?}");
    app.instances[0].terminate().await;
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

/// Returns the log lines with this text as JSON.
fn lines_with(app: &Application, text: &str) -> Vec<Value> {
    let log = app.instances[0].log();
    log.iter().filter(|line| line.contains(text)).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_log_explains_refused_requests_without_queries() {
    let mut app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let program = anna.program(&["read"]).await;
    let path = format!("/r1/conversations/{}", new_id());
    anna.get(&path).await.refused(404, "not_found");
    anna.get("/r1/users?q=a-secret-question").await.data();
    app.anonymous().get("/r1/users/me").await.refused(401, "unauthenticated");
    program.get("/r1/users/me").await.data();
    for probe in ["/health", "/health/simple"] {
        assert_eq!(app.anonymous().get(probe).await.status, 200);
    }
    app.instances[0].terminate().await;
    let lines = lines_with(&app, &path);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!(
        (&line["method"], &line["route"], &line["path"], &line["status"], &line["error"], &line["address"]),
        (
            &Value::from("GET"),
            &Value::from("/r1/conversations/{id}"),
            &Value::from(path.as_str()),
            &Value::from(404),
            &Value::from("not_found"),
            &Value::from("127.0.0.1")
        )
    );
    assert_eq!(line["user_id"], anna.id.as_str());
    let own = lines_with(&app, "\"path\":\"/r1/users/me\"");
    assert!(own.iter().any(|line| line["error"] == "unauthenticated" && line["user_id"].is_null()), "{own:?}");
    assert!(own.iter().any(|line| line["key_id"].is_string() && line["error"].is_null()), "{own:?}");
    let log = app.instances[0].log().join("\n");
    assert!(!log.contains("a-secret-question") && !log.contains("\"path\":\"/health"), "{log}");
}

#[tokio::test]
async fn repeated_warnings_are_counted() {
    let mut app = Setup::new().set("auth.access_ttl", 3600).start().await;
    for name in ["Anna", "Ben", "Carl", "Dora"] {
        let member = app.sign_up(name).await;
        app.anonymous().refresh(member.refresh_token()).await.data();
        app.anonymous().refresh(member.refresh_token()).await.refused(401, "refresh_reused");
    }
    app.instances[0].terminate().await;
    let lines = lines_with(&app, "refresh token reused");
    let (counted, single): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["repeated"].is_number());
    assert_eq!(single.len(), 1, "{lines:?}");
    let repeated: i64 = counted.iter().map(|line| line["repeated"].as_i64().unwrap()).sum();
    assert!(repeated == 3 && counted.iter().all(|line| line["level"] == "WARN"), "{lines:?}");
}

#[tokio::test]
async fn sighup_is_ignored() {
    let app = Application::start().await;
    let member = app.sign_up("Anna").await;
    let mut socket = member.connect().await;
    app.instances[0].hang_up();
    // The signal is delivered before the answer to a later frame.
    socket.send("ping", support::json!({})).await;
    socket.expect("pong").await;
    member.get("/r1/users/me").await.data();
}

/// Opens a connection, reads the response to one request, and leaves the connection open.
async fn idle_connection(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}

#[tokio::test]
async fn idle_connections_do_not_delay_a_stop() {
    let metrics = format!("127.0.0.1:{}", free_port());
    let mut app = Setup::new().set("metrics.listen", &metrics).start().await;
    let address = format!("127.0.0.1:{}", app.instances[0].port());
    let _open = [
        idle_connection(&address, "/health/simple").await,
        idle_connection(&metrics, "/metrics").await,
        TcpStream::connect(&address).await.unwrap(),
    ];
    let begun = Instant::now();
    assert_eq!(app.instances[0].terminate().await.code(), Some(0));
    // With a third of the grace period for each idle connection, it would be 10 s.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let errors = lines_with(&app, "\"level\":\"ERROR\"");
    assert!(errors.is_empty(), "{errors:?}");
}

#[tokio::test]
async fn the_first_start_names_the_address_and_creates_private_folders() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let setup = Setup::new().on(Engine::Sqlite).from_nothing().set("server.data_dir", data.display());
    let mut app = setup.set("uploads.url", data.join("uploads").display()).start().await;
    for private in [&data, &data.join("uploads"), &data.join("uploads/incoming"), &data.join("usage")] {
        let mode = fs::metadata(private).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", private.display());
    }
    let is_ready = "the first account becomes the administrator";
    wait_until("the server is ready", async || !lines_with(&app, is_ready).is_empty()).await;
    assert_eq!(lines_with(&app, "database schema").len(), 1);
    app.sign_up("First").await;
    app.instances[0].terminate().await;
    app.instances[0].start_again().await;
    app.instances[0].terminate().await;
    assert!(lines_with(&app, is_ready).is_empty());
}

#[tokio::test]
async fn a_refused_database_connection_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let output = tokio::process::Command::new(support::natter())
        .arg("serve")
        .env("NATTER__DATABASE__URL", format!("postgres://natter@{address}/natter"))
        .env("NATTER__AUTH__KEY_ENCRYPTION_SECRET", "correct horse battery staple, and more of them")
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(&format!("nothing listens at {address}")), "{said}");
    assert!(!said.contains("timed out") && said.trim().lines().count() == 1, "{said}");
}
