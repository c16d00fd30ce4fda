//! Backups between the databases: an archive of SQLite is restored into PostgreSQL, and the reverse.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use support::{Application, Engine, Instance, Member, PostgresServer, Setup, TestDatabase, new_id, wait_until};

use super::natter;

type Settings = BTreeMap<String, String>;

/// Returns the settings of an installation in this folder, with the database at `url`.
fn settings(folder: &Path, url: &str) -> Settings {
    let path = |name: &str| folder.join(name).display().to_string();
    [
        ("database.url", url.to_owned()),
        ("server.data_dir", folder.display().to_string()),
        ("uploads.url", path("uploads")),
        ("workspaces.shared", "Home".to_owned()),
        ("rate_limit.enabled", "false".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

async fn run(folder: &Path, settings: &Settings, arguments: &[&str]) -> (bool, String) {
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    natter(folder, &settings, arguments).await
}

async fn start(folder: &Path, settings: &Settings) -> Instance {
    let settings: Vec<(String, String)> = settings.clone().into_iter().collect();
    Instance::start(folder, &settings).await
}

/// Conversation with messages and a file.
struct Stage {
    app: Application,
    anna: Member,
    chat: String,
    file: support::Value,
}

impl Stage {
    async fn new(app: Application) -> Self {
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        for number in 0..20 {
            anna.send_message(&chat, &format!("message {number}: Grüße 👋")).await;
        }
        let file = anna.upload("plan.txt", "text/plain", "our plan").await;
        anna.send_files(&chat, "look", &[&file]).await.data_with(201);
        Self { app, anna, chat, file }
    }

    fn archive(&self) -> String {
        self.app.folder().join("backup.tar").display().to_string()
    }

    /// Verifies that a restored installation has the history and the file, and accepts messages.
    async fn verify(&self, folder: &Path, settings: &Settings, expected: &[support::Value]) -> Instance {
        let (is_done, said) = run(folder, settings, &["admin", "ledger", "verify"]).await;
        assert!(is_done && said.contains("are consistent"), "{said}");
        let instance = start(folder, settings).await;
        // Anna's session is still valid, because the signing key is restored.
        let anna = self.anna.at(&instance.url());
        let history = anna.history(&self.chat).await;
        assert!(expected.iter().all(|message| history.contains(message)), "{} messages", history.len());
        assert_eq!(anna.get(&crate::uploads::address(&self.file)).await.text(), "our plan");
        anna.send_message(&self.chat, "and on it goes").await;
        instance
    }
}

#[tokio::test]
async fn a_backup_of_sqlite_is_restored_into_postgresql() {
    let mut stage = Stage::new(Setup::new().on(Engine::Sqlite).start().await).await;
    let archive = stage.archive();
    let before = stage.anna.history(&stage.chat).await;
    let source = settings(stage.app.folder(), &stage.app.database.url);
    let (is_done, said) = run(stage.app.folder(), &source, &["backup", "create", &archive]).await;
    assert!(is_done && said.contains("1 uploaded files"), "{said}");
    stage.app.instances[0].kill().await;

    let server = PostgresServer::start();
    let database = TestDatabase::of_a_server(server.url());
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path();
    let mut target = settings(folder, &server.url());
    // On PostgreSQL the key is a setting, and it must be that of the archive.
    let (is_done, said) = run(folder, &target, &["restore", &archive]).await;
    assert!(!is_done && said.contains("Set auth.key_encryption_secret to the content of the key file"), "{said}");
    target.insert("auth.key_encryption_secret".to_owned(), "A".repeat(43));
    let (is_done, said) = run(folder, &target, &["restore", &archive]).await;
    assert!(!is_done && said.contains("is not the key of this archive"), "{said}");
    let schemas = "SELECT COUNT(*) FROM pg_namespace WHERE nspname LIKE '%_natter%'";
    assert_eq!(database.number(schemas).await, 0);
    let key = fs::read_to_string(format!("{archive}.key")).unwrap();
    target.insert("auth.key_encryption_secret".to_owned(), key.trim().to_owned());
    let (is_done, said) = run(folder, &target, &["restore", &archive]).await;
    assert!(is_done && said.contains("all verified") && !said.contains("natter@"), "{said}");
    assert!(!folder.join("restoring").exists());
    let mut instance = stage.verify(folder, &target, &before).await;

    // Existing tables are set aside only on request, and never beside a server.
    wait_until("the instance reports", async || database.number("SELECT COUNT(*) FROM instances").await > 0).await;
    let (is_done, said) = run(folder, &target, &["restore", &archive, "--yes"]).await;
    assert!(!is_done && said.contains("Stop them first"), "{said}");
    instance.terminate().await;
    let (is_done, said) = run(folder, &target, &["restore", &archive]).await;
    assert!(!is_done && said.contains("--yes"), "{said}");
    let (is_done, said) = run(folder, &target, &["restore", &archive, "--yes"]).await;
    assert!(is_done && said.contains("the schema replaced_natter_"), "{said}");
    assert_eq!(database.number("SELECT COUNT(*) FROM messages").await, 21);
    let schema = database.text("SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'replaced_natter%'").await;
    assert_eq!(database.number(&format!("SELECT COUNT(*) FROM {schema}.messages")).await, 22);
    assert_eq!(database.number(schemas).await, 1);
    stage.verify(folder, &target, &before).await;
}

#[tokio::test]
async fn a_backup_of_postgresql_is_restored_into_sqlite() {
    let server = PostgresServer::start();
    let setup = Setup::new().database(&server.url()).set("auth.key_encryption_secret", "B".repeat(43));
    let mut stage = Stage::new(setup.start().await).await;
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
    let last = stage.anna.send_message(&stage.chat, "the last one before the backup").await;
    let archive = stage.archive();
    let output = stage.app.command(&["backup", "create", &archive]).await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("1 uploaded files"), "{said}");
    stop.store(true, Ordering::SeqCst);
    assert!(writing.await.unwrap() > 0);
    // The key is a setting, which is not part of a backup.
    assert!(!Path::new(&format!("{archive}.key")).exists());
    let mut names = fs::read_dir(stage.app.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.all(|name| !name.to_string_lossy().contains("unfinished")));
    stage.app.instances[0].kill().await;

    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path();
    let target = settings(folder, &format!("sqlite://{}", folder.join("natter.db").display()));
    let (is_done, said) = run(folder, &target, &["restore", &archive]).await;
    assert!(!is_done && said.contains("Set auth.key_encryption_secret"), "{said}");
    let key = folder.join("key");
    fs::write(&key, "B".repeat(43)).unwrap();
    let (is_done, said) = run(folder, &target, &["restore", &archive, "--key", &key.display().to_string()]).await;
    assert!(is_done && said.contains("all verified"), "{said}");
    stage.verify(folder, &target, &[last]).await;
}

#[tokio::test]
async fn a_server_on_postgresql_creates_scheduled_backups() {
    let server = PostgresServer::start();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().join("backups");
    let setup = Setup::new().database(&server.url()).set("backup.every_hours", "24");
    let app = setup.set("backup.url", folder.display()).start().await;
    app.sign_up("Anna").await;
    let archives = || -> Vec<String> {
        let entries = fs::read_dir(&folder).into_iter().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().path().display().to_string())
            .filter(|name| name.ends_with("Z.tar"))
            .collect();
        names.sort();
        names
    };
    wait_until("the backup", async || !archives().is_empty()).await;
    let output = app.command(&["doctor"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("ok       backups: the last one was created at 20"), "{said}");
    let (is_done, said) = natter(&folder, &[], &["backup", "verify", &archives()[0]]).await;
    assert!(is_done && said.contains("is intact"), "{said}");
}

#[tokio::test]
async fn instances_need_a_common_place_for_scheduled_backups() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("database.url", "postgres://nobody@127.0.0.1:9/nothing"),
        ("redis.url", "redis://127.0.0.1:9"),
        ("backup.every_hours", "24"),
        ("server.data_dir", folder.path().to_str().unwrap()),
    ];
    let (is_done, said) = natter(folder.path(), &settings, &["serve"]).await;
    assert!(!is_done && said.contains("backup.every_hours is set without backup.url"), "{said}");
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn one_instance_creates_the_scheduled_backup() {
        let elsewhere = tempfile::tempdir().unwrap();
        let folder = elsewhere.path().join("backups");
        let setup = Setup::new().instances(2).set("backup.every_hours", "24").set("backup.url", folder.display());
        let mut app = setup.start().await;
        let created = |instance: &Instance| {
            instance.log().iter().filter(|line| line.contains("contains the database as of")).count()
        };
        wait_until("the backup", async || app.instances.iter().any(|instance| created(instance) > 0)).await;
        // A third instance finds the archive.
        app.add_instance().await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(app.instances.iter().map(created).sum::<usize>(), 1);
    }
}
