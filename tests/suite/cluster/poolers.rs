//! Instances whose database is behind PgBouncer.

use std::path::Path;

use support::{
    Application, Balancer, Engine, Instance, Member, PgBouncer, RedisServer, Setup, TestDatabase, free_port,
};

use super::Load;
use crate::operations::natter;

/// Settings of the role that an instance needs behind a pooler.
const ROLE_SETTINGS: [&str; 4] = [
    "statement_timeout = '10000'",
    "idle_in_transaction_session_timeout = '5000'",
    "plan_cache_mode = 'force_custom_plan'",
    "jit = 'off'",
];

async fn set_role(database: &TestDatabase) {
    let name = database.url.rsplit_once('/').unwrap().1;
    for setting in ROLE_SETTINGS {
        database.run(&format!("ALTER ROLE natter IN DATABASE {name} SET {setting}")).await;
    }
}

/// Settings of an instance behind PgBouncer.
fn behind(app: &Application, bouncer: &PgBouncer, pooler: &str) -> Vec<(String, String)> {
    let replaced = ["database.url", "database.pooler", "database.migrate_on_start"];
    let mut settings = app.settings().to_vec();
    settings.retain(|(key, _)| !replaced.contains(&key.as_str()));
    let values = [bouncer.url(), pooler, "false"];
    settings.extend(replaced.into_iter().zip(values).map(|(key, value)| (key.to_owned(), value.to_owned())));
    settings
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Returns the log of an instance that refuses to start.
async fn refusal(folder: &Path, settings: &[(String, String)]) -> String {
    let mut instance = Instance::spawn(folder, settings, free_port());
    assert!(!instance.ended().await.success());
    instance.log().join("\n")
}

#[tokio::test]
async fn instances_share_a_pooler_in_session_mode() {
    let app = Setup::new().on(Engine::Postgres).start().await;
    let bouncer = PgBouncer::start(&app.database.url, "session").await;
    let settings = behind(&app, &bouncer, "session");
    let says = refusal(app.folder(), &settings).await;
    assert!(says.contains("ALTER ROLE") && says.contains("statement_timeout"), "{says}");
    set_role(&app.database).await;
    // Connections that PgBouncer has opened before don't have the settings.
    let bouncer = PgBouncer::start(&app.database.url, "session").await;
    let settings = behind(&app, &bouncer, "session");
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let pooled = [Instance::start(app.folder(), &settings).await, Instance::start(app.folder(), &settings).await];
    let mut socket = ben.at(&pooled[1].url()).connect().await;
    for n in 0..100 {
        anna.at(&pooled[n % 2].url()).send_message(&chat, &format!("{n}")).await;
    }
    socket.read_until_seq(&chat, 100).await;
    assert_eq!(anna.history(&chat).await.len(), 100);
    assert_eq!(ben.at(&pooled[0].url()).history(&chat).await.len(), 100);
}

#[tokio::test]
async fn a_pooler_that_mixes_up_statements_is_refused() {
    let app = Setup::new().on(Engine::Postgres).start().await;
    // PgBouncer before 1.21 doesn't know prepared statements.
    let bouncer = PgBouncer::start(&app.database.url, "transaction").await;
    for pooler in ["none", "session", "transaction"] {
        let says = refusal(app.folder(), &behind(&app, &bouncer, pooler)).await;
        assert!(says.contains("1.21") && says.contains("max_prepared_statements"), "{pooler}: {says}");
    }
}

#[tokio::test]
async fn instances_share_a_pooler_in_transaction_mode() {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::empty(Engine::Postgres, folder.path()).await;
    set_role(&database).await;
    let (redis, bouncer) = (RedisServer::start().await, PgBouncer::start_with_prepared_statements(&database.url).await);
    let (redis_url, data) = (redis.url(), folder.path().display().to_string());
    let uploads = folder.path().join("uploads").display().to_string();
    let settings = |url, pooler| {
        vec![
            ("database.url", url),
            ("database.pooler", pooler),
            ("redis.url", redis_url.as_str()),
            ("server.data_dir", data.as_str()),
            ("uploads.url", uploads.as_str()),
            ("workspaces.shared", "Home"),
            ("rate_limit.enabled", "false"),
        ]
    };
    // The schema is changed by a direct connection only.
    let pooled = settings(bouncer.url(), "transaction");
    let (is_well, said) = natter(folder.path(), &pooled, &["migrate", "up"]).await;
    assert!(!is_well && said.contains("the schema can't be changed through a connection pooler"), "{said}");
    let (is_well, said) = natter(folder.path(), &settings(&database.url, "none"), &["migrate", "up"]).await;
    assert!(is_well, "{said}");
    let says = refusal(folder.path(), &owned(&settings(bouncer.url(), "session"))).await;
    assert!(says.contains("Set database.pooler = \"transaction\""), "{says}");

    let pooled = owned(&pooled);
    let mut instances =
        vec![Instance::start(folder.path(), &pooled).await, Instance::start(folder.path(), &pooled).await];
    let balancer = Balancer::start(&instances).await;
    let load = Load::start(&balancer.url()).await;
    for victim in [0, 1] {
        instances[victim].kill().await;
        load.go_on(50).await;
        instances[victim].start_again().await;
        load.go_on(50).await;
    }
    // Beside the load, each of many users gets their own results, whichever server process executes the statements.
    let users: Vec<Member> = futures_util::future::join_all((0..10).map(|n| {
        let url = instances[n % 2].url();
        async move { Member::sign_up(&url, &format!("User {n}")).await }
    }))
    .await;
    let reading = users.iter().map(|user| async {
        for _ in 0..60 {
            assert_eq!(user.get("/r1/users/me").await.data()["email"], user.email.as_str());
        }
    });
    futures_util::future::join_all(reading).await;
    load.finish().await;
}
