//! Upgrades: this release runs at the same time as the previous or a newer one, as in a rolling
//! upgrade or after a rollback. It works with the schema of a newer release, and ignores the newer
//! release's jobs and events.

use support::{Application, Engine, Member, Setup, json, new_id, wait_until};

use super::{
    backup::{measured, metric},
    natter,
};

/// Migration of a future release.
const NEWER: &str = "m9999_of_the_future";

async fn said(app: &Application, arguments: &[&str]) -> (bool, String) {
    let output = app.command(arguments).await;
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Simulates `natter migrate up` of a newer release: adds a column and records a migration.
async fn upgrade(app: &Application) {
    app.database.run("ALTER TABLE messages ADD COLUMN of_the_future TEXT").await;
    app.database.run(&format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{NEWER}', 1)")).await;
}

/// Simulates `natter migrate down` of the newer release.
async fn downgrade(app: &Application) {
    app.database.run("ALTER TABLE messages DROP COLUMN of_the_future").await;
    app.database.run(&format!("DELETE FROM seaql_migrations WHERE version = '{NEWER}'")).await;
}

async fn pair(app: &Application) -> (Member, Member, String) {
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    (anna, ben, chat)
}

#[tokio::test]
async fn serves_a_schema_one_migration_ahead_and_reports_it() {
    let (setup, metrics) = measured(Setup::new());
    let mut app = setup.start().await;
    let (anna, _, chat) = pair(&app).await;
    anna.send_message(&chat, "before").await;
    upgrade(&app).await;
    // The running instance works with the newer schema.
    anna.send_message(&chat, "beside it").await;
    // An instance is started again, as after a crash during the upgrade.
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    anna.send_message(&chat, "after a start").await;
    let lines = app.instances[0].log();
    assert!(
        lines.iter().any(|line| line.contains("1 steps ahead of this version") && line.contains(NEWER)),
        "{lines:?}"
    );
    assert_eq!(metric(&metrics, "natter_schema_newer_steps").await, 1.0);
    let admin = app.admin().await;
    let checks = admin.get("/r1/admin/checks").await.data();
    let ahead = |check: &support::Value| {
        check["about"] == "database" && check["verdict"] == "warning" && check["says"].as_str().unwrap().contains(NEWER)
    };
    assert!(checks["checks"].as_array().unwrap().iter().any(ahead), "{checks:#}");
    assert_eq!(anna.get("/health").await.body["status"], "ok");
    let (is_well, doctor) = said(&app, &["doctor"]).await;
    assert!(is_well && doctor.contains("warning  database: the schema is 1 steps ahead"), "{doctor}");
    let (_, status) = said(&app, &["migrate", "status"]).await;
    assert!(status.contains(&format!("Newer    {NEWER}")) && !status.contains("Pending"), "{status}");
    let (is_done, refusal) = said(&app, &["migrate", "up"]).await;
    assert!(is_done, "{refusal}");
    app.instances[0].terminate().await;
    // Only the newer release can revert its own migration.
    let (is_done, refusal) = said(&app, &["migrate", "down", "--yes"]).await;
    assert!(!is_done && refusal.contains("natter migrate down of that version"), "{refusal}");
    downgrade(&app).await;
    app.instances[0].start_again().await;
    anna.send_message(&chat, "and back").await;
    assert_eq!(anna.history(&chat).await.len(), 4);
}

#[tokio::test]
async fn rejects_a_schema_of_another_migration_history() {
    let mut app = Setup::new().start().await;
    app.instances[0].terminate().await;
    app.database.run("DELETE FROM seaql_migrations WHERE version = (SELECT MAX(version) FROM seaql_migrations)").await;
    app.database.run(&format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{NEWER}', 1)")).await;
    let (is_well, refusal) = said(&app, &["serve"]).await;
    assert!(
        !is_well && refusal.contains("changed by another version") && refusal.contains("lacks 1 steps"),
        "{refusal}"
    );
}

#[tokio::test]
async fn rejects_a_database_of_an_unreleased_build() {
    let mut app = Setup::new().start().await;
    app.instances[0].terminate().await;
    app.database.run("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0001_accounts', 1)").await;
    for arguments in [&["serve"][..], &["migrate", "up"], &["migrate", "status"]] {
        let (is_done, refusal) = said(&app, arguments).await;
        assert!(!is_done && refusal.contains("unreleased build") && refusal.contains("empty database"), "{refusal}");
    }
}

#[tokio::test]
async fn rejects_an_outdated_schema_and_reapplies_reverted_migrations() {
    let mut app = Setup::new().start().await;
    let (anna, _, chat) = pair(&app).await;
    anna.send_message(&chat, "before").await;
    app.instances[0].terminate().await;
    let (is_done, down) = said(&app, &["migrate", "down", "--yes"]).await;
    assert!(is_done, "{down}");
    let mut settings: Vec<(&str, &str)> =
        app.settings().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    settings.retain(|(key, _)| *key != "database.migrate_on_start");
    settings.push(("database.migrate_on_start", "false"));
    let (is_well, refusal) = natter(app.folder(), &settings, &["serve"]).await;
    assert!(!is_well && refusal.contains("is 1 steps behind") && refusal.contains("natter migrate up"), "{refusal}");
    let (is_done, up) = said(&app, &["migrate", "up"]).await;
    assert!(is_done, "{up}");
    app.instances[0].start_again().await;
    assert_eq!(anna.history(&chat).await[0]["content"], "before");
    anna.send_message(&chat, "after").await;
}

#[tokio::test]
async fn ignores_jobs_and_events_of_a_newer_release() {
    let app = Setup::new().start().await;
    let (anna, ben, chat) = pair(&app).await;
    let mut socket = ben.connect().await;
    anna.send_message(&chat, "before").await;
    socket.expect_in("message.created", &chat).await;
    let id = if app.database.engine == Engine::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" };
    app.database
        .run(&format!(
            "INSERT INTO jobs (id, kind, concurrency_key, subject, payload, status, attempt, attempts_before, due_at, stop_requested, is_blocked, created_at, updated_at) \
             VALUES ({id}, 'newer.job', 'newer', {id}, '{{\"of\": [\"the\", \"future\"]}}', 'waiting', 0, 0, 1, FALSE, FALSE, 1, 1)"
        ))
        .await;
    app.database
        .run(&format!(
            "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) \
             SELECT id, last_seq + 1, 'newer.event', \
               '{{\"conversation_id\": \"{chat}\", \"of\": \"the future\", \"seq\": ' || (last_seq + 1) || '}}', last_activity_at \
             FROM conversations WHERE last_no = 1"
        ))
        .await;
    app.database.run("UPDATE conversations SET last_seq = last_seq + 1 WHERE last_no = 1").await;

    // Later events are delivered, whether or not the client knows this type of event.
    let after = anna.send_message(&chat, "after").await;
    let frames = socket.read_until_seq(&chat, after["seq"].as_i64().unwrap()).await;
    let told: Vec<_> = frames.iter().map(|frame| frame.kind.as_str()).collect();
    assert!(told.ends_with(&["newer.event", "message.created"]), "{told:?}");
    assert_eq!(frames[frames.len() - 2].payload["of"], "the future");
    let kinds: Vec<_> = anna.event_log(&chat).await.iter().map(|event| event["type"].clone()).collect();
    assert!(kinds.contains(&json!("newer.event")), "{kinds:?}");
    assert_eq!(anna.history(&chat).await.len(), 2);

    // Known jobs are run meanwhile. The unknown one waits, and that doesn't count as a failure.
    let carl = app.sign_up("Carl").await;
    app.outbox(&carl.email, "verify-email").await;
    let jobs = app.database.text("SELECT status || ' ' || attempt FROM jobs WHERE kind = 'newer.job'").await;
    assert_eq!(jobs, "waiting 0");
    let listed = app.admin().await.get("/r1/admin/jobs?kind=newer.job").await.data();
    assert_eq!((&listed["total"], &listed["items"][0]["status"]), (&json!(1), &json!("queued")), "{listed:#}");
}

mod cluster {
    use std::{env, path::PathBuf};

    use super::*;

    /// Environment variable with the path of the previous release's program, which `scripts/test
    /// long` builds.
    const PREVIOUS: &str = "NATTER_TEST_PREVIOUS";

    async fn steps(app: &Application) -> usize {
        app.database.text("SELECT CAST(COUNT(*) AS TEXT) FROM seaql_migrations").await.parse().unwrap()
    }

    /// Two instances of the previous release run under load. The schema is upgraded, and this
    /// release joins and then replaces the previous one. After that, everything is rolled back.
    #[tokio::test]
    async fn the_previous_release_and_this_one_run_side_by_side_without_loss() {
        let Some(previous) = env::var_os(PREVIOUS).map(PathBuf::from) else {
            println!("left out: {PREVIOUS} is not set; `scripts/test long` sets it where there is a tag");
            return;
        };
        let mut app = Setup::new().program(&previous).from_nothing().instances(2).start().await;
        let (anna, ben, chat) = pair(&app).await;
        let mut socket = ben.at(&app.instances[1].url()).connect().await;
        let writing = {
            let (anna, chat) = (anna.clone(), chat.clone());
            tokio::spawn(async move {
                for _ in 0..200 {
                    assert_eq!(anna.send_as(&chat, &new_id(), "meanwhile").await.status, 201);
                }
            })
        };
        let before = steps(&app).await;
        app.upgrade();
        let (is_done, up) = said(&app, &["migrate", "up"]).await;
        assert!(is_done, "{up}");
        let new_steps = steps(&app).await - before;
        app.add_instance().await;
        let newest = ben.at(&app.instances[2].url());
        newest.send_message(&chat, "by this release").await;
        let after = anna.send_message(&chat, "by the release before").await;
        socket.read_until_seq(&chat, after["seq"].as_i64().unwrap()).await;
        writing.await.unwrap();
        assert_eq!(newest.history(&chat).await.len(), 202);

        // Behind the load balancer, the old instances are replaced one by one.
        for _ in 0..2 {
            assert!(app.instances[0].terminate().await.success());
            app.instances.remove(0);
            app.add_instance().await;
        }
        let (anna, ben) = (anna.at(&app.instances[1].url()), ben.at(&app.instances[2].url()));
        anna.send_message(&chat, "by this release alone").await;
        assert_eq!(ben.history(&chat).await.len(), 203);

        // Rolls back: this release reverts its migrations, and the previous one is started.
        for instance in &mut app.instances {
            assert!(instance.terminate().await.success());
        }
        if new_steps > 0 {
            let (is_done, down) = said(&app, &["migrate", "down", "--yes", "--steps", &new_steps.to_string()]).await;
            assert!(is_done, "{down}");
        }
        app.instances.clear();
        app.downgrade(&previous);
        app.add_instance().await;
        let (anna, ben) = (anna.at(&app.url()), ben.at(&app.url()));
        anna.send_message(&chat, "by the release before, again").await;
        assert_eq!(ben.history(&chat).await.len(), 204);
        let seqs: Vec<_> = ben.event_log(&chat).await.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
        assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    }

    /// Runs instances under load that were started before and after a change of the schema. Then
    /// reverts the change.
    #[tokio::test]
    async fn migrating_up_and_down_under_load_loses_nothing() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, ben, chat) = pair(&app).await;
        let mut socket = ben.at(&app.instances[1].url()).connect().await;
        let writing = {
            let (anna, chat) = (anna.clone(), chat.clone());
            tokio::spawn(async move {
                let mut sent = 0;
                while sent < 200 {
                    assert_eq!(anna.send_as(&chat, &new_id(), "meanwhile").await.status, 201);
                    sent += 1;
                }
            })
        };
        upgrade(&app).await;
        app.add_instance().await;
        let newest = anna.at(&app.instances[2].url());
        newest.send_message(&chat, "by one that was started on it").await;
        downgrade(&app).await;
        newest.send_message(&chat, "and after it was taken back").await;
        writing.await.unwrap();
        wait_until("all messages arrive", || async { ben.history(&chat).await.len() == 202 }).await;
        let seqs: Vec<_> = ben.event_log(&chat).await.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
        assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
        socket.read_until_seq(&chat, *seqs.last().unwrap()).await;
    }
}
