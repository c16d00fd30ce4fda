//! Tables that are partitioned by time while instances write to them.

use std::time::{SystemTime, UNIX_EPOCH};

use support::{Application, Balancer, Engine, Instance, Setup, TestDatabase, Value, json, new_id, wait_until};

use super::Load;

const DAY_MILLIS: i64 = 86_400_000;
const TABLES: [&str; 2] = ["conversation_events", "messages"];

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// Bound of a partition at this time, as an SQL literal.
fn bound(table: &str, millis: i64) -> String {
    let digits = format!("{millis:012x}");
    if table == "messages" {
        format!("'{}-{}-0000-0000-000000000000'", &digits[..8], &digits[8..])
    } else {
        millis.to_string()
    }
}

async fn is_partitioned(database: &TestDatabase, table: &str) -> bool {
    database.number(&format!("SELECT COUNT(*) FROM pg_class WHERE oid = '{table}'::regclass AND relkind = 'p'")).await
        == 1
}

async fn wait_until_partitioned(database: &TestDatabase) {
    for table in TABLES {
        let partitions = format!("SELECT COUNT(*) FROM pg_inherits WHERE inhparent = '{table}'::regclass");
        // Before the cut-over, at least one month after it, and the default partition.
        wait_until(&format!("{table} is partitioned"), async || {
            is_partitioned(database, table).await && database.number(&partitions).await >= 3
        })
        .await;
    }
}

async fn monthly(setup: Setup) -> Application {
    let mut app = setup.set("database.partitions", "monthly").start().await;
    wait_until_partitioned(&app.database).await;
    // An instance finds out at its start, or within an hour. Rows reach another partition only
    // weeks later.
    restart(&mut app, async |_| {}).await;
    app
}

/// Stops all instances, changes the database and starts them again.
async fn restart(app: &mut Application, change: impl AsyncFnOnce(&TestDatabase)) {
    for instance in &mut app.instances {
        assert!(instance.terminate().await.success());
    }
    change(&app.database).await;
    for instance in &mut app.instances {
        instance.start_again().await;
    }
}

/// Ends the first partition at this time, and adds one from there to its former end.
async fn split_first(database: &TestDatabase, table: &str, at: i64) {
    let end = format!(
        "SELECT substring(pg_get_expr(relpartbound, oid) FROM 'TO \\((.*)\\)') FROM pg_class WHERE relname = '{table}_before'"
    );
    let (end, at) = (database.text(&end).await, bound(table, at));
    database
        .run(&format!(
            "BEGIN; ALTER TABLE {table} DETACH PARTITION {table}_before; \
             ALTER TABLE {table} ATTACH PARTITION {table}_before FOR VALUES FROM (MINVALUE) TO ({at}); \
             CREATE TABLE {table}_since (LIKE {table}_default INCLUDING ALL); \
             ALTER TABLE {table} ATTACH PARTITION {table}_since FOR VALUES FROM ({at}) TO ({end}); COMMIT"
        ))
        .await;
}

fn client_ids(history: &[Value]) -> Vec<String> {
    history.iter().map(|message| message["client_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn tables_are_converted_under_load_whatever_is_killed() {
    let mut app = Setup::new().instances(2).start().await;
    let balancer = Balancer::start(&app.instances).await;
    let load = Load::start(&balancer.url()).await;
    // An instance was killed after the first step of the conversion of the messages.
    let cutover = bound("messages", now() + 40 * DAY_MILLIS);
    let constraint = "ALTER TABLE messages ADD CONSTRAINT messages_cutover";
    app.database.run(&format!("{constraint} CHECK (id < {cutover}) NOT VALID")).await;
    let dump = app.database.read_table("messages").await;
    let mut settings = app.settings().to_vec();
    settings.push(("database.partitions".to_owned(), "monthly".to_owned()));
    let mut converting = Instance::start(app.folder(), &settings).await;
    let validated = "SELECT COUNT(*) FROM pg_constraint WHERE conname = 'messages_cutover' AND convalidated";
    wait_until("the conversion waits for the dump", async || {
        let is_blocked = converting.log().iter().any(|line| line.contains("partitioning blocked by a table in use"));
        is_blocked
            && is_partitioned(&app.database, "conversation_events").await
            && app.database.number(validated).await == 1
    })
    .await;
    load.go_on(50).await;
    converting.kill().await;
    assert!(!is_partitioned(&app.database, "messages").await);
    drop(dump);
    converting.start_again().await;
    wait_until_partitioned(&app.database).await;
    load.go_on(50).await;
    for victim in 0..2 {
        app.instances[victim].kill().await;
        load.go_on(50).await;
        app.instances[victim].start_again().await;
    }
    load.finish().await;
    let constraints = "SELECT COUNT(*) FROM pg_constraint WHERE conname LIKE '%_cutover'";
    assert_eq!(app.database.number(constraints).await, 0);
    for table in TABLES {
        let elsewhere = format!("SELECT COUNT(*) FROM {table} WHERE tableoid <> '{table}_before'::regclass");
        assert_eq!(app.database.number(&elsewhere).await, 0, "{table}: everything is before the cut-over");
    }
}

#[tokio::test]
async fn a_message_is_sent_once_across_the_bound_of_a_partition() {
    let mut app = monthly(Setup::new().instances(2)).await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let sent: Vec<String> = (0..20).map(|_| new_id()).collect();
    let mut ids = Vec::new();
    for client_id in &sent {
        ids.push(anna.send_as(&chat, client_id, "an old osprey").await.data_with(201)["id"].clone());
    }
    restart(&mut app, async |database| {
        for table in TABLES {
            split_first(database, table, now() + 1).await;
        }
    })
    .await;
    let there = anna.at(&app.instances[1].url());
    for (client_id, id) in sent.iter().zip(&ids) {
        // Some retries come together with a new message of the same conversation.
        let new = new_id();
        let (one, other, added) = tokio::join!(
            anna.send_as(&chat, client_id, "an old osprey"),
            there.send_as(&chat, client_id, "an old osprey"),
            ben.send_as(&chat, &new, "a new osprey"),
        );
        for again in [one, other] {
            assert_eq!(&again.data_with(200)["id"], id);
        }
        added.data_with(201);
    }
    for n in 0..30 {
        let client_id = new_id();
        let (one, other) =
            tokio::join!(anna.send_as(&chat, &client_id, "once"), there.send_as(&chat, &client_id, "once"));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201], "{n}: {one:?} {other:?}");
    }
    let history = anna.history(&chat).await;
    let mut once = client_ids(&history);
    once.sort_unstable();
    once.dedup();
    assert_eq!((history.len(), once.len()), (70, 70));
    let log = anna.event_log(&chat).await;
    let seqs: Vec<i64> = log.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=70).collect::<Vec<_>>());
    for table in TABLES {
        let database = &app.database;
        let doubles = format!("SELECT COUNT(*) - COUNT(DISTINCT (conversation_id, seq)) FROM {table}");
        assert_eq!(database.number(&doubles).await, 0, "{table}");
        let partitions = format!("SELECT COUNT(DISTINCT tableoid) FROM {table} WHERE seq > 0");
        assert_eq!(database.number(&partitions).await, 2, "{table}");
    }

    // Pages, spans of time, changes and search reach both partitions.
    let get = async |query: &str| anna.get(&format!("/r1/conversations/{chat}/messages?{query}")).await.data();
    let page = get("limit=30&before_seq=36").await;
    let items = page["items"].as_array().unwrap();
    assert_eq!(
        items.iter().map(|item| item["seq"].as_i64().unwrap()).collect::<Vec<_>>(),
        (6..=35).collect::<Vec<_>>()
    );
    let (from, to) = (history[18]["created_at"].as_str().unwrap(), history[25]["created_at"].as_str().unwrap());
    let between = get(&format!("from={from}&to={to}&limit=200")).await;
    assert!(between["items"].as_array().unwrap().iter().any(|item| item["id"] == ids[19]), "{between}");
    assert!(between["items"].as_array().unwrap().iter().any(|item| item["id"] == history[24]["id"]), "{between}");
    let old = ids[0].as_str().unwrap();
    anna.patch(&format!("/r1/messages/{old}"), json!({ "content": "an edited osprey" })).await.data();
    wait_until("the edited message is found", async || {
        let found = anna.get("/r1/search?q=edited+osprey").await;
        found.status == 200 && found.text().contains(old)
    })
    .await;
    assert_eq!(anna.history(&chat).await[0]["content"], "an edited osprey");
    let diagnosis = app.command(&["doctor"]).await;
    let says = String::from_utf8_lossy(&diagnosis.stdout).into_owned();
    assert!(says.contains("partitions of conversation_events: "), "{says}");
    let archive = app.folder().join("backup.tar").display().to_string();
    let backup = app.command(&["backup", "create", &archive]).await;
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));

    // A restored database has no partitions, and is converted again.
    for instance in &mut app.instances {
        assert!(instance.terminate().await.success());
    }
    let restored = app.command(&["restore", &archive, "--yes"]).await;
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(!is_partitioned(&app.database, "messages").await);
    for instance in &mut app.instances {
        instance.start_again().await;
    }
    wait_until_partitioned(&app.database).await;
    assert_eq!(anna.history(&chat).await.len(), 70);
}

#[tokio::test]
async fn expired_partitions_of_the_log_are_dropped() {
    let mut app = monthly(Setup::new().on(Engine::Postgres).set("messages.event_retention_days", 7)).await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for text in ["old", "older", "oldest"] {
        anna.send_message(&chat, text).await;
    }
    let created = app.database.number("SELECT COUNT(*) FROM conversation_events WHERE seq = 0").await;
    assert!(created > 0);
    restart(&mut app, async |database| {
        let moved = format!("UPDATE conversation_events SET created_at = created_at - {}", 40 * DAY_MILLIS);
        database.run(&moved).await;
        split_first(database, "conversation_events", now() - 20 * DAY_MILLIS).await;
    })
    .await;
    let left = "SELECT COUNT(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE '%conversation_events_before'";
    wait_until("the partition is dropped", async || app.database.number(left).await == 0).await;
    assert_eq!(app.database.number("SELECT COUNT(*) FROM conversation_events WHERE seq > 0").await, 0);
    // The creation of a conversation stays in the log.
    assert_eq!(app.database.number("SELECT COUNT(*) FROM conversation_events WHERE seq = 0").await, created);
    ben.get(&format!("/r1/conversations/{chat}/events?after_seq=1")).await.refused(410, "cursor_expired");
    let mut socket = ben.connect().await;
    anna.send_message(&chat, "new").await;
    socket.read_until_seq(&chat, 4).await;
    assert_eq!(ben.history(&chat).await.len(), 4, "messages don't expire with the log");
    let caught_up = ben.get(&format!("/r1/conversations/{chat}/events?after_seq=3")).await.data();
    assert_eq!(caught_up["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_clock_refuses_no_message() {
    let mut app = monthly(Setup::new().on(Engine::Postgres)).await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "before").await;
    // The event of a message that was sent with a clock years ahead has no partition of its own.
    let ahead = now() + 3_000 * DAY_MILLIS;
    app.database.run(&format!("UPDATE conversation_events SET created_at = {ahead} WHERE seq = 1")).await;
    let strays = "SELECT COUNT(*) FROM conversation_events_default WHERE seq = 1";
    assert_eq!(app.database.number(strays).await, 1);
    anna.send_message(&chat, "after").await;
    let log = anna.event_log(&chat).await;
    assert_eq!(log.iter().map(|event| event["seq"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    let says = app.command(&["doctor"]).await;
    assert!(String::from_utf8_lossy(&says.stdout).contains("Check the clocks"), "{says:?}");

    // A partition that is created late gets the rows that are in the default one.
    let last = "SELECT MAX(relname)::text FROM pg_class WHERE relname ~ '^conversation_events_[0-9]{4}_[0-9]{2}$'";
    let last = app.database.text(last).await;
    let bounds = format!("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = '{last}'");
    let bounds = app.database.text(&bounds).await;
    let from = bounds.split('\'').nth(1).unwrap().to_owned();
    restart(&mut app, async |database| {
        database.run(&format!("DROP TABLE {last}")).await;
        database.run(&format!("UPDATE conversation_events SET created_at = {from} WHERE seq = 2")).await;
    })
    .await;
    let moved = format!(
        "SELECT COUNT(*) FROM pg_class c JOIN conversation_events e ON e.tableoid = c.oid WHERE c.relname = '{last}' AND e.seq = 2"
    );
    wait_until("the event has a partition", async || app.database.number(&moved).await == 1).await;
    assert_eq!(anna.event_log(&chat).await.len(), 2);
}

#[tokio::test]
async fn an_abandoned_conversion_refuses_no_message() {
    let mut app = Setup::new().on(Engine::Postgres).start().await;
    for table in TABLES {
        let key = if table == "messages" { "id" } else { "created_at" };
        let add =
            format!("ALTER TABLE {table} ADD CONSTRAINT {table}_cutover CHECK ({key} < {}) NOT VALID", bound(table, 1));
        restart(&mut app, async |database| database.run(&add).await).await;
    }
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "written").await;
}

#[tokio::test]
async fn rows_with_a_future_time_delay_only_the_conversion() {
    let app = Setup::new().on(Engine::Postgres).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "before").await;
    let set_time = async |millis: i64| {
        app.database.run(&format!("UPDATE conversation_events SET created_at = {millis} WHERE seq = 1")).await;
    };
    set_time(now() + 300 * DAY_MILLIS).await;
    let mut settings = app.settings().to_vec();
    settings.push(("database.partitions".to_owned(), "monthly".to_owned()));
    let converting = Instance::start(app.folder(), &settings).await;
    let says = "partitioning blocked by rows with a time in the future";
    wait_until("the reason is logged", async || converting.log().iter().any(|line| line.contains(says))).await;
    assert!(!is_partitioned(&app.database, "conversation_events").await);
    anna.send_message(&chat, "meanwhile").await;
    set_time(now()).await;
    wait_until_partitioned(&app.database).await;
    assert_eq!(anna.event_log(&chat).await.len(), 2);
}
