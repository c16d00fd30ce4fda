//! Instances whose database is behind PgBouncer.

use support::{Application, Engine, Instance, PgBouncer, Setup, free_port};

/// Settings of an instance behind PgBouncer.
fn behind(app: &Application, bouncer: &PgBouncer, pooler: &str) -> Vec<(String, String)> {
    let replaced = ["database.url", "database.pooler", "database.migrate_on_start"];
    let mut settings = app.settings().to_vec();
    settings.retain(|(key, _)| !replaced.contains(&key.as_str()));
    let values = [bouncer.url(), pooler, "false"];
    settings.extend(replaced.into_iter().zip(values).map(|(key, value)| (key.to_owned(), value.to_owned())));
    settings
}

/// Returns the log of an instance that refuses to start.
async fn refusal(app: &Application, settings: &[(String, String)]) -> String {
    let mut instance = Instance::spawn(app.folder(), settings, free_port());
    assert!(!instance.ended().await.success());
    instance.log().join("\n")
}

#[tokio::test]
async fn instances_share_a_pooler_in_session_mode() {
    let app = Setup::new().on(Engine::Postgres).start().await;
    let bouncer = PgBouncer::start(&app.database.url, "session").await;
    let settings = behind(&app, &bouncer, "session");
    let says = refusal(&app, &settings).await;
    assert!(says.contains("ALTER ROLE") && says.contains("statement_timeout"), "{says}");
    let name = app.database.url.rsplit_once('/').unwrap().1;
    for setting in [
        "statement_timeout = '10000'",
        "idle_in_transaction_session_timeout = '5000'",
        "plan_cache_mode = 'force_custom_plan'",
        "jit = 'off'",
    ] {
        app.database.run(&format!("ALTER ROLE natter IN DATABASE {name} SET {setting}")).await;
    }
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
        let says = refusal(&app, &behind(&app, &bouncer, pooler)).await;
        assert!(says.contains("1.21") && says.contains("max_prepared_statements"), "{pooler}: {says}");
    }
}
