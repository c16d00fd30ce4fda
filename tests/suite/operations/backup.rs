//! Test of a backup: generate load, back up, kill the server, restore elsewhere, start. Everything
//! that was acknowledged before the backup must exist.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use support::{
    Application, Caller, Engine, Instance, Member, PASSWORD, PostgresServer, S3Server, Setup, free_port, new_id,
    wait_until,
};

use super::natter;

/// Returns the settings of an installation in this folder.
fn own(folder: &Path) -> Vec<(String, String)> {
    let text = |path: &Path| path.display().to_string();
    vec![
        ("database.url".to_owned(), format!("sqlite://{}", text(&folder.join("natter.db")))),
        ("server.data_dir".to_owned(), text(folder)),
        ("uploads.url".to_owned(), text(&folder.join("uploads"))),
        ("workspaces.shared".to_owned(), "Home".to_owned()),
        ("rate_limit.enabled".to_owned(), "false".to_owned()),
    ]
}

async fn run(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let settings = own(folder);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    natter(folder, &settings, arguments).await
}

struct Stage {
    app: Application,
    anna: Member,
    chat: String,
}

impl Stage {
    async fn start() -> Self {
        let app = Setup::new().on(Engine::Sqlite).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        Self { app, anna, chat }
    }

    fn archive(&self) -> String {
        self.app.folder().join("backup.tar").display().to_string()
    }
}

#[tokio::test]
async fn restores_everything_acknowledged_before_a_backup() {
    let mut stage = Stage::start().await;
    let upload = stage.anna.upload("plan.txt", "text/plain", "our plan").await;
    stage.anna.send_files(&stage.chat, "look", &[&upload]).await.data_with(201);
    // Messages are written during the backup.
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (anna, chat, stop) = (stage.anna.clone(), stage.chat.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut sent = 0;
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(anna.send_as(&chat, &new_id(), "meanwhile").await.status, 201);
                sent += 1;
            }
            sent
        })
    };
    for _ in 0..20 {
        stage.anna.send_message(&stage.chat, "before").await;
    }
    let last = stage.anna.send_message(&stage.chat, "the last one before the backup").await;
    let archive = stage.archive();
    let (is_done, said) = run(stage.app.folder(), &["backup", &archive]).await;
    assert!(is_done && said.contains("1 uploaded files") && said.contains("backup.tar.key"), "{said}");
    stop.store(true, Ordering::SeqCst);
    assert!(writing.await.unwrap() > 0);
    stage.app.instances[0].kill().await;

    let elsewhere = tempfile::tempdir().unwrap();
    let (is_done, said) = run(elsewhere.path(), &["restore", &archive]).await;
    assert!(is_done && said.contains("all verified"), "{said}");
    let (is_done, said) = run(elsewhere.path(), &["admin", "ledger", "verify"]).await;
    assert!(is_done && said.contains("are consistent"), "{said}");
    let instance = Instance::start(elsewhere.path(), &own(elsewhere.path())).await;
    // Anna's session is still valid, because the signing key is restored.
    let anna = stage.anna.at(&instance.url());
    let history = anna.history(&stage.chat).await;
    assert!(history.iter().any(|message| message["id"] == last["id"]), "{} messages", history.len());
    assert_eq!(anna.get(&crate::uploads::address(&upload)).await.text(), "our plan");
    Member::sign_in(&instance.url(), &anna.email, PASSWORD).await;
    anna.send_message(&stage.chat, "and on it goes").await;
    // Settings and temporary files are not part of the archive.
    let names: Vec<String> = fs::read_dir(stage.app.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!names.iter().any(|name| name.contains("unfinished")), "{names:?}");
}

#[tokio::test]
async fn restore_refuses_existing_data_and_damaged_archives() {
    let stage = Stage::start().await;
    stage.anna.send_message(&stage.chat, "hello").await;
    let upload =
        stage.anna.upload("plan.txt", "text/plain", "our plan, which is seventy characters long, or nearly so").await;
    stage.anna.send_files(&stage.chat, "look", &[&upload]).await.data_with(201);
    let archive = stage.archive();
    assert!(run(stage.app.folder(), &["backup", &archive]).await.0);
    let (is_done, said) = run(stage.app.folder(), &["backup", &archive]).await;
    assert!(!is_done && said.contains("already exists"), "{said}");
    // Existing data is replaced only on request, and never beside a server.
    let (is_done, said) = run(stage.app.folder(), &["restore", &archive]).await;
    assert!(!is_done && said.contains("--yes"), "{said}");
    let (is_done, said) = run(stage.app.folder(), &["restore", &archive, "--yes"]).await;
    assert!(!is_done && said.contains("Stop it first"), "{said}");

    let elsewhere = tempfile::tempdir().unwrap();
    let bytes = fs::read(&archive).unwrap();
    let place = bytes.windows(8).position(|window| window == b"our plan").unwrap();
    let damaged = elsewhere.path().join("damaged.tar");
    fs::copy(format!("{archive}.key"), elsewhere.path().join("damaged.tar.key")).unwrap();
    let mut changed = bytes.clone();
    changed[place] ^= 1;
    for (contents, sentence) in [(&changed[..], "is damaged"), (&bytes[..bytes.len() / 2], "can't be restored")] {
        fs::write(&damaged, contents).unwrap();
        let target = elsewhere.path().join("target");
        fs::create_dir_all(&target).unwrap();
        let (is_done, said) = run(&target, &["restore", damaged.to_str().unwrap()]).await;
        assert!(!is_done && said.contains(sentence), "{said}");
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "partial files were left");
    }

    // A backup can't be restored without the encryption key.
    let target = elsewhere.path().join("without-key");
    fs::create_dir(&target).unwrap();
    let alone = elsewhere.path().join("alone.tar");
    fs::copy(&archive, &alone).unwrap();
    let (is_done, said) = run(&target, &["restore", alone.to_str().unwrap()]).await;
    assert!(!is_done && said.contains("Name it with --key"), "{said}");
    // Neither with the key of another installation. Nothing is left behind.
    let wrong = elsewhere.path().join("wrong.key");
    fs::write(&wrong, "A".repeat(43)).unwrap();
    let (is_done, said) = run(&target, &["restore", alone.to_str().unwrap(), "--key", wrong.to_str().unwrap()]).await;
    assert!(!is_done && said.contains("is not the key of this archive"), "{said}");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "partial files were left");
    let key = format!("{archive}.key");
    let (is_done, said) = run(&target, &["restore", alone.to_str().unwrap(), "--key", &key]).await;
    assert!(is_done, "{said}");
}

#[tokio::test]
async fn restore_names_archives_that_are_cut_short_and_other_files() {
    let stage = Stage::start().await;
    let archive = stage.archive();
    assert!(run(stage.app.folder(), &["backup", &archive]).await.0);
    let elsewhere = tempfile::tempdir().unwrap();
    let damaged = elsewhere.path().join("damaged.tar");
    let bytes = fs::read(&archive).unwrap();
    for (contents, sentence) in [
        (&bytes[..bytes.len() / 2], "The archive is cut short"),
        (b"no archive".as_slice(), "It is not a backup of Natter"),
    ] {
        fs::write(&damaged, contents).unwrap();
        let (is_done, said) = run(elsewhere.path(), &["restore", damaged.to_str().unwrap()]).await;
        assert!(!is_done && said.contains(sentence), "{said}");
    }
}

#[tokio::test]
async fn restore_refuses_archives_of_a_newer_version() {
    let stage = Stage::start().await;
    stage
        .app
        .database
        .run("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_of_the_future', 1)")
        .await;
    let archive = stage.archive();
    assert!(run(stage.app.folder(), &["backup", &archive]).await.0);
    let elsewhere = tempfile::tempdir().unwrap();
    let (is_done, said) = run(elsewhere.path(), &["restore", &archive]).await;
    assert!(!is_done && said.contains("it has the schema step m9999_of_the_future"), "{said}");
}

#[tokio::test]
async fn runs_scheduled_backups_and_keeps_the_newest() {
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().join("backups");
    fs::create_dir(&folder).unwrap();
    let old = folder.join("natter-2020-01-01T000000Z.tar");
    let (of_others, cut_off) = (folder.join("notes.tar"), folder.join("natter-2020-01-02T000000Z.tar.unfinished"));
    for file in [&old, &of_others, &cut_off] {
        fs::write(file, "x").unwrap();
    }
    let mut app = Setup::new()
        .on(Engine::Sqlite)
        .set("backup.every_hours", "24")
        .set("backup.keep", "1")
        .set("backup.url", folder.display())
        .start()
        .await;
    wait_until("the new backup replaces the oldest", async || {
        !old.exists() && fs::read_dir(&folder).unwrap().count() == 3
    })
    .await;
    assert!(of_others.exists() && !cut_off.exists());
    let named = |ending: &str| {
        let mut paths = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path().display().to_string());
        paths.find(|path| path.contains("natter-") && path.ends_with(ending)).unwrap()
    };
    let (archive, _key) = (named(".tar"), named(".tar.key"));
    let output = app.command(&["doctor"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("ok       backups: the last one was created at 20"), "{said}");
    // After a restart, no further backup is created yet.
    app.instances[0].kill().await;
    let again = Instance::start(app.folder(), app.settings()).await;
    assert_eq!(Caller::anonymous(&again.url()).get("/health").await.status, 200);
    assert_eq!(named(".tar"), archive);
    let target = tempfile::tempdir().unwrap();
    let (is_done, said) = run(target.path(), &["restore", &archive]).await;
    assert!(is_done && said.contains("all verified"), "{said}");
}

#[tokio::test]
async fn stores_s3_backups_without_the_encryption_key() {
    let s3 = S3Server::start().await;
    let setup = Setup::new().on(Engine::Sqlite).set("backup.every_hours", "24");
    let app = s3.configure(setup.set("backup.url", "s3://natter/backups")).start().await;
    wait_until("the backup is stored", async || !s3.names("backups/").await.is_empty()).await;
    let names = s3.names("").await;
    assert!(names.len() == 1 && names[0].ends_with("Z.tar"), "{names:?}");
    let target = tempfile::tempdir().unwrap();
    let archive = target.path().join("backup.tar");
    fs::write(&archive, s3.read(&names[0]).await).unwrap();
    let key = app.folder().join("encryption-key");
    let (archive, key) = (archive.display().to_string(), key.display().to_string());
    let (is_done, said) = run(target.path(), &["restore", &archive, "--key", &key]).await;
    assert!(is_done && said.contains("all verified"), "{said}");
    // A restore downloads the archive by itself.
    let straight = tempfile::tempdir().unwrap();
    let mut settings = app.settings().to_vec();
    settings.retain(|(name, _)| name.starts_with("uploads.s3_"));
    settings.extend(own(straight.path()));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let address = format!("s3://natter/{}", names[0]);
    let (is_done, said) = natter(straight.path(), &settings, &["restore", &address, "--key", &key]).await;
    assert!(is_done && said.contains("all verified"), "{said}");
    // No archive stays in the local folder.
    assert_eq!(fs::read_dir(app.folder().join("backups")).unwrap().count(), 0);
}

#[tokio::test]
async fn archives_are_listed_verified_and_pruned() {
    let stage = Stage::start().await;
    let folder = stage.app.folder();
    let mut settings = own(folder);
    settings.push(("backup.keep".to_owned(), "2".to_owned()));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let backup = async |arguments: &[&str]| natter(folder, &settings, &[&["backup"], arguments].concat()).await;
    let names = async || -> Vec<String> {
        let (is_done, said) = backup(&["list", "--json"]).await;
        assert!(is_done, "{said}");
        let listed: support::Value = serde_json::from_str(&said).unwrap();
        listed.as_array().unwrap().iter().map(|archive| archive["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names().await.is_empty());
    let (is_done, said) = backup(&["verify"]).await;
    assert!(!is_done && said.contains("There is no backup yet"), "{said}");
    let (is_done, said) = backup(&["create"]).await;
    assert!(is_done && said.contains("encryption key"), "{said}");
    let newest = names().await.pop().unwrap();
    let of = |name: &str| folder.join("backups").join(name);
    for name in ["natter-2026-01-02T000000Z.tar", "natter-2026-01-01T000000Z.tar"] {
        fs::copy(of(&newest), of(name)).unwrap();
    }
    assert_eq!(names().await, ["natter-2026-01-01T000000Z.tar", "natter-2026-01-02T000000Z.tar", newest.as_str()]);
    let (is_done, said) = backup(&["verify"]).await;
    assert!(is_done && said.starts_with(&format!("{newest} is intact")), "{said}");
    let damaged = "natter-2026-01-02T000000Z.tar";
    let bytes = fs::read(of(damaged)).unwrap();
    fs::write(of(damaged), &bytes[..bytes.len() / 2]).unwrap();
    let (is_done, said) = backup(&["verify", damaged]).await;
    assert!(!is_done && said.contains("can't be restored"), "{said}");
    assert!(!folder.join("verifying").exists());
    let (is_done, said) = backup(&["prune"]).await;
    assert!(!is_done && said.contains("--yes") && names().await.len() == 3, "{said}");
    let (is_done, said) = backup(&["prune", "--yes"]).await;
    assert!(is_done && said.contains("natter-2026-01-01T000000Z.tar was deleted"), "{said}");
    assert_eq!(names().await, [damaged, newest.as_str()]);
}

/// Adds metrics to the setup; also returns their URL.
pub(super) fn measured(setup: Setup) -> (Setup, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let url = format!("http://{address}/metrics");
    (setup.set("metrics.listen", address), url)
}

/// Returns the value of a metric without labels.
pub(super) async fn metric(url: &str, name: &str) -> f64 {
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

#[tokio::test]
async fn a_late_backup_is_measured_and_degrades_health() {
    let clock = tempfile::tempdir().unwrap();
    let file = clock.path().join("clock");
    fs::write(&file, "+0").unwrap();
    let setup = Setup::new().on(Engine::Sqlite).set("backup.every_hours", "24").set("clock", file.display());
    let (setup, url) = measured(setup);
    let app = setup.start().await;
    wait_until("the first backup", async || metric(&url, "natter_backup_age_seconds").await >= 0.0).await;
    wait_until("its duration", async || metric(&url, "natter_backup_duration_seconds").await > 0.0).await;
    assert!(metric(&url, "natter_backup_size_bytes").await > 1_000.0);
    assert_eq!(metric(&url, "natter_backup_failures_total").await, 0.0);
    assert_eq!(app.anonymous().get("/health").await.body["status"], "ok");
    // Without the key, the next backup fails.
    fs::remove_file(app.folder().join("encryption-key")).unwrap();
    fs::write(clock.path().join("new"), "+176400").unwrap();
    fs::rename(clock.path().join("new"), &file).unwrap();
    wait_until("the backup is late", async || {
        let health = app.anonymous().get("/health").await;
        let names_it = |reason: &support::Value| reason.as_str().unwrap().contains("backup.every_hours");
        health.status == 200
            && health.body["status"] == "degraded"
            && health.body["reasons"].as_array().unwrap().iter().any(names_it)
    })
    .await;
    assert!(metric(&url, "natter_backup_age_seconds").await > 172_800.0);
}

#[tokio::test]
async fn a_failed_backup_is_counted() {
    let s3 = S3Server::start().await;
    let setup =
        Setup::new().on(Engine::Sqlite).set("backup.every_hours", "24").set("backup.url", "s3://absent/backups");
    let (setup, url) = measured(s3.configure(setup));
    let app = setup.start().await;
    wait_until("the failure", async || metric(&url, "natter_backup_failures_total").await >= 1.0).await;
    assert_eq!(metric(&url, "natter_backup_age_seconds").await, -1.0);
    assert_eq!(metric(&url, "natter_backup_size_bytes").await, 0.0);
    // It is not late yet.
    assert_eq!(app.anonymous().get("/health").await.body["status"], "ok");
}

#[tokio::test]
async fn backups_may_be_stored_without_the_key() {
    let app =
        Setup::new().on(Engine::Sqlite).set("backup.every_hours", "24").set("backup.with_key", false).start().await;
    let is_logged = |line: &String| line.contains("without its encryption key");
    wait_until("the backup", async || app.instances[0].log().iter().any(is_logged)).await;
    let archives = fs::read_dir(app.folder().join("backups")).unwrap();
    let names: Vec<String> = archives.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() == 1 && names[0].ends_with("Z.tar"), "{names:?}");
    assert!(app.folder().join("encryption-key").exists());
}

/// The test follows the procedure in docs/operations.md.
#[tokio::test]
async fn restores_a_postgresql_dump_elsewhere() {
    if Engine::of_this_run() != Engine::Postgres {
        return;
    }
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for _ in 0..20 {
        anna.send_message(&chat, "before").await;
    }
    let last = anna.send_message(&chat, "the last one before the dump").await;
    let dump = app.folder().join("natter.dump");
    let done = |mut command: tokio::process::Command| async move {
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let mut taking = tokio::process::Command::new("pg_dump");
    taking.arg("--format=custom").arg("--file").arg(&dump).arg(&app.database.url);
    done(taking).await;
    let elsewhere = PostgresServer::start();
    let mut restoring = tokio::process::Command::new("pg_restore");
    restoring.args(["--exit-on-error", "--no-owner", "--dbname", &elsewhere.url()]).arg(&dump);
    done(restoring).await;

    let mut settings = app.settings().to_vec();
    settings.retain(|(key, _)| !["database.url", "redis.url"].contains(&key.as_str()));
    settings.push(("database.url".to_owned(), elsewhere.url()));
    let pairs: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let (is_done, said) = natter(app.folder(), &pairs, &["admin", "ledger", "verify"]).await;
    assert!(is_done && said.contains("are consistent"), "{said}");
    let instance = Instance::start(app.folder(), &settings).await;
    let anna = anna.at(&instance.url());
    assert!(anna.history(&chat).await.iter().any(|message| message["id"] == last["id"]));
    anna.send_message(&chat, "and on it goes").await;
}
