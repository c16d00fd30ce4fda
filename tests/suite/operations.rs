//! Operations: `natter doctor`, keys, backups, and a full disk.

mod backup;
mod checks;
mod faults;
mod keys;
mod moves;
mod portable_backup;
mod repairs;
mod storage;
mod traces;
mod upgrades;

use std::{path::Path, process::Stdio};

use support::{Application, Engine, PostgresServer, Setup, certified, free_port, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Runs a `natter` command with only these settings. Returns true on success, and the output.
pub(crate) async fn natter(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(support::natter());
    command.current_dir(folder).args(arguments);
    for (key, value) in settings {
        command.env(format!("NATTER__{}", key.replace('.', "__").to_uppercase()), value);
    }
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn the_doctor_reports_no_problem_on_a_healthy_server() {
    let app = Application::start().await;
    let output = app.command(&["doctor"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for about in ["configuration: ", "database: ", "disk: ", "redis: ", "mail: ", "ai: ", "files: "] {
        assert_eq!(said.lines().filter(|line| line.contains(about)).count(), 1, "{about} in {said}");
    }
    assert!(said.lines().any(|line| line.starts_with("ok       database: ") && line.contains("up to date")), "{said}");
    assert!(!said.contains("FAULT"), "{said}");
}

#[tokio::test]
async fn the_doctor_reports_each_problem_with_its_fix() {
    let app = Setup::new().start().await;
    let port = free_port();
    let redis = format!("redis://:hunter22@127.0.0.1:{port}");
    let mut settings: Vec<(&str, &str)> =
        app.settings().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let provider = format!("http://127.0.0.1:{port}/v1");
    let public = format!("http://127.0.0.1:{port}");
    settings.retain(|(key, _)| *key != "redis.url");
    settings.extend([
        ("redis.url", redis.as_str()),
        ("mail.smtp_url", "smtp://127.0.0.1:9"),
        ("ai.providers.fake.kind", "openai"),
        ("ai.providers.fake.base_url", &provider),
        ("ai.providers.fake.keys", "hunter22"),
        ("ai.providers.fake.models", "small"),
        ("server.public_url", &public),
    ]);
    let (is_well, said) = natter(app.folder(), &settings, &["doctor"]).await;
    assert!(!is_well);
    for (about, advice) in
        [("redis", "Start Redis"), ("mail", "Correct mail.smtp_url"), ("ai", "Check ai.providers.fake")]
    {
        let line = said.lines().find(|line| line.starts_with(&format!("FAULT    {about}: ")));
        assert!(line.is_some_and(|line| line.contains(advice)), "{about} in {said}");
    }
    // The server runs, so its address must not be dead.
    assert!(said.lines().any(|line| line.starts_with("FAULT    public address: ")), "{said}");
    assert!(!said.contains("hunter22"), "{said}");
    // One line per fault, which names host and port once.
    for (about, address) in [("redis", format!("127.0.0.1:{port}")), ("mail", "127.0.0.1:9".to_owned())] {
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(&format!(" {about}: "))).collect();
        assert_eq!(lines.len(), 1, "{said}");
        assert!(lines[0].contains(&format!("{about}: nothing listens at {address}. ")), "{said}");
        assert_eq!(lines[0].matches(&address).count(), 1, "{said}");
    }
}

#[tokio::test]
async fn the_doctor_detects_another_program_at_the_public_address() {
    let app = Setup::new().on(Engine::Sqlite).start().await;
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let public = format!("http://{}", other.local_addr().unwrap());
    let _server = tokio::spawn(async move {
        loop {
            let (mut caller, _) = other.accept().await.unwrap();
            let _ = caller.read(&mut [0; 4_096]).await.unwrap();
            caller.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK").await.unwrap();
        }
    });
    let mut settings: Vec<(&str, &str)> =
        app.settings().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    settings.push(("server.public_url", &public));
    let (_, said) = natter(app.folder(), &settings, &["doctor"]).await;
    assert!(said.contains(&format!("FAULT    public address: Another program answers at {public}")), "{said}");
}

#[tokio::test]
async fn the_doctor_detects_an_unavailable_and_an_outdated_database() {
    let app = Setup::new().on(Engine::Sqlite).start().await;
    let database = format!("sqlite://{}", app.folder().join("natter.db").display());
    let data = app.folder().display().to_string();
    let settings =
        [("database.url", database.as_str()), ("server.data_dir", &data), ("database.migrate_on_start", "false")];
    // The last migration is missing.
    app.database.run("DELETE FROM seaql_migrations WHERE version = (SELECT MAX(version) FROM seaql_migrations)").await;
    let (is_well, said) = natter(app.folder(), &settings, &["doctor"]).await;
    assert!(
        !is_well && said.contains("FAULT    database: the schema is 1 steps behind. Run natter migrate up"),
        "{said}"
    );
    if std::env::var_os("NATTER_TEST_POSTGRES").is_none() {
        return;
    }
    let mut postgres = PostgresServer::start();
    let url = postgres.url();
    postgres.stop();
    let settings = [("database.url", url.as_str()), ("server.data_dir", &data)];
    let (is_well, said) = natter(app.folder(), &settings, &["doctor"]).await;
    assert!(!is_well && said.contains("FAULT    database: "), "{said}");
    let address = url.rsplit_once('@').map_or(url.as_str(), |(_, rest)| rest);
    let (host, _) = address.trim_start_matches("postgres://").split_once('/').unwrap();
    assert!(
        said.contains(&format!("database: nothing listens at {host}. Start the database, or correct database.url")),
        "{said}"
    );
    let (is_well, said) = natter(app.folder(), &settings, &["serve"]).await;
    assert!(!is_well && said.contains(&format!("nothing listens at {host}")), "{said}");
}

#[tokio::test]
async fn the_doctor_names_another_program_at_the_servers_port() {
    let folder = tempfile::tempdir().unwrap();
    let app = Setup::new().on(Engine::Sqlite).start().await;
    let taken = app.instances[0].port().to_string();
    let data = folder.path().display().to_string();
    let settings = [("server.data_dir", data.as_str()), ("server.port", taken.as_str())];
    let (is_done, said) = natter(folder.path(), &settings, &["migrate", "up"]).await;
    assert!(is_done, "{said}");
    let (is_well, said) = natter(folder.path(), &settings, &["doctor"]).await;
    let line = format!("FAULT    configuration: Another installation of Natter listens at 127.0.0.1:{taken}.");
    assert!(!is_well && said.contains(&line), "{said}");
    assert!(said.contains("warning  backups: No backups are made"), "{said}");

    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().port().to_string();
    let settings = [("server.data_dir", data.as_str()), ("server.port", taken.as_str())];
    let (is_well, said) = natter(folder.path(), &settings, &["doctor"]).await;
    let line = format!("FAULT    configuration: Another program listens at 127.0.0.1:{taken}.");
    assert!(!is_well && said.contains(&line), "{said}");
}

/// On SQLite there is no other clock to compare with, but figures from the future show that the clock
/// was set back.
#[tokio::test]
async fn the_doctor_reports_a_clock_that_is_behind_the_database() {
    let mut app = Setup::new().on(Engine::Sqlite).start().await;
    app.instances[0].terminate().await;
    app.database
        .run("INSERT INTO figures (step, at, name, value) VALUES ('minute', 4102444800000, 'messages', 1)")
        .await;
    let output = app.command(&["doctor"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("FAULT    clock: This machine's clock is at least "), "{said}");
}

#[tokio::test]
async fn the_doctor_gives_the_end_of_a_certificate_that_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let [_, certificate, key] = certified(folder.path()).await;
    let port = free_port().to_string();
    let mut server = Command::new("openssl");
    server.args(["s_server", "-quiet", "-www", "-accept", &port]).arg("-cert").arg(&certificate).arg("-key").arg(&key);
    let _server = server.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let (public, data) = (format!("https://127.0.0.1:{port}"), folder.path().display().to_string());
    let settings = [("server.data_dir", data.as_str()), ("server.public_url", public.as_str())];
    wait_until("the server listens", async || {
        tokio::net::TcpStream::connect(&public["https://".len()..]).await.is_ok()
    })
    .await;
    let (_, said) = natter(folder.path(), &settings, &["doctor"]).await;
    let line = said.lines().find(|line| line.starts_with("warning  public address: ")).unwrap_or_default();
    assert!(line.contains(", valid until 20") && line.contains("is not trusted by this machine"), "{said}");
}
