//! Notifications and pushes if the server is killed at any point. There is one notification, one
//! push per device, and a repeated push replaces the earlier one by its topic.

use support::{Application, Member, Value, wait_until};

use super::{SUBSCRIPTIONS, allowed, service::PushService};

/// Kills all instances and starts them again.
async fn blackout(app: &mut Application) {
    for instance in &mut app.instances {
        instance.kill().await;
    }
    for instance in &mut app.instances {
        instance.start_again().await;
    }
}

async fn until_told(member: &Member, count: i64) {
    let told = || async {
        let listed = member.get("/r1/notifications").await.data();
        listed["items"][0]["count"] == count
    };
    wait_until(&format!("{count} messages are told of"), told).await;
}

async fn until_nothing_waits(app: &Application) {
    let waiting = "SELECT COUNT(*) FROM jobs WHERE kind = 'push'";
    wait_until("no push is pending", || async { app.database.number(waiting).await == 0 }).await;
}

/// Waits until all devices have got their pushes. Returns the list of notifications, which contains
/// one for the whole conversation.
async fn settled(app: &Application, member: &Member) -> Value {
    until_nothing_waits(app).await;
    assert_eq!(app.database.number("SELECT COUNT(*) FROM notifications").await, 1);
    member.get("/r1/notifications").await.data()["items"][0].clone()
}

/// Number of pushes that have this text.
fn times(service: &PushService, text: &str) -> usize {
    service.pushed().iter().filter(|one| one.message["text"] == *text).count()
}

async fn until_pushed(service: &PushService, text: &str, count: usize) {
    wait_until(&format!("{text:?} is pushed {count} times"), || async { times(service, text) >= count }).await;
}

#[tokio::test]
async fn killing_the_server_at_any_step_pushes_each_notification_once() {
    let (mut app, service) = (allowed().await, PushService::start().await);
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    ben.post(SUBSCRIPTIONS, service.subscription("phone")).await.data_with(201);
    let chat = anna.open_single(&ben).await;
    // The message is committed, but its recipients have not been resolved.
    anna.send_message(&chat, "first").await;
    blackout(&mut app).await;
    until_told(&ben, 1).await;
    until_pushed(&service, "first", 1).await;
    // The recipients have been resolved, but no device has got a push.
    anna.send_message(&chat, "second").await;
    until_told(&ben, 2).await;
    blackout(&mut app).await;
    until_pushed(&service, "second", 1).await;
    until_nothing_waits(&app).await;
    // The push service has received the push but not responded.
    service.hold();
    anna.send_message(&chat, "third").await;
    until_pushed(&service, "third", 1).await;
    app.instances[0].kill().await;
    service.let_go();
    // The lease of the job has expired.
    app.database.run("UPDATE jobs SET due_at = 0 WHERE kind = 'push'").await;
    app.instances[0].start_again().await;
    until_pushed(&service, "third", 2).await;
    let told = settled(&app, &ben).await;
    assert_eq!((&told["count"], &told["text"]), (&Value::from(3), &Value::from("third")));
    let pushed = service.pushed();
    assert!(pushed.iter().all(|one| one.topic == pushed[0].topic && one.message["id"] == told["id"]), "{pushed:?}");
}

mod cluster {
    use support::{Setup, Stop, json, new_id};

    use super::*;

    /// Number of members that are created by SQL.
    const CROWD: i64 = 1_200;

    /// Adds this number of members to a channel, as copies of a member.
    async fn fill(app: &Application, channel: &str, somebody: &Member) {
        let somebody = &somebody.id;
        let copies = format!(
            "CREATE TEMP TABLE crowd AS SELECT u.* FROM users u, generate_series(1, {CROWD}) WHERE u.id = '{somebody}'; \
             UPDATE crowd SET id = gen_random_uuid(); UPDATE crowd SET email = id || '@crowd.test'; \
             INSERT INTO users SELECT * FROM crowd; \
             CREATE TEMP TABLE seats AS SELECT m.*, p.id AS who FROM conversation_members m, crowd p \
               WHERE m.conversation_id = '{channel}' AND m.user_id = '{somebody}'; \
             UPDATE seats SET user_id = who; ALTER TABLE seats DROP COLUMN who; \
             INSERT INTO conversation_members SELECT * FROM seats; \
             UPDATE conversation_counts SET members = members + {CROWD} WHERE conversation_id = '{channel}'"
        );
        app.database.run(&copies).await;
    }

    #[tokio::test]
    async fn notifications_are_sent_once_after_a_kill_between_two_batches() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_channel("private_channel", "crowd").await;
        let joined = anna.post(&format!("/r1/conversations/{chat}/members"), json!({ "user_id": ben.id })).await;
        assert!(joined.status < 300, "{joined:?}");
        fill(&app, &chat, &ben).await;
        // Notifications are stored in the order of the user ids. So those of the first five hundred
        // users are stored, and the rest waits.
        let upper_half = "NEW.user_id > '80000000-0000-0000-0000-000000000000'";
        let stopped = app.database.stop("INSERT", "notifications", upper_half, Stop::BeforeCommit).await;
        let body =
            json!({ "client_id": new_id(), "content": "all of you", "mentions": [{ "kind": "all" }], "confirm": true });
        anna.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201);
        stopped.reached().await;
        for instance in &mut app.instances {
            instance.kill().await;
        }
        stopped.end().await;
        let told = "SELECT COUNT(*) FROM notifications";
        assert_eq!(app.database.number(told).await, 500);
        for instance in &mut app.instances {
            instance.start_again().await;
        }
        let behind = format!(
            "SELECT COUNT(*) FROM conversations c LEFT JOIN notification_positions p ON p.conversation_id = c.id \
             WHERE c.id = '{chat}' AND c.last_seq > COALESCE(p.seq, 0)"
        );
        wait_until("the recipients are resolved", || async { app.database.number(&behind).await == 0 }).await;
        assert_eq!(app.database.number(told).await, CROWD + 1);
        assert_eq!(ben.get("/r1/notifications").await.data()["total"], 1);
    }

    #[tokio::test]
    async fn pending_notifications_are_sent_once_after_every_instance_was_killed() {
        let service = PushService::start().await;
        let mut app = Setup::new().instances(2).set("outgoing.allow", "127.0.0.1").start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        ben.post(SUBSCRIPTIONS, service.subscription("phone")).await.data_with(201);
        let chat = anna.open_single(&ben).await;
        let stopped = app.database.stop("INSERT", "notifications", "TRUE", Stop::BeforeCommit).await;
        anna.send_message(&chat, "once").await;
        stopped.reached().await;
        for instance in &mut app.instances {
            instance.kill().await;
        }
        stopped.end().await;
        for instance in &mut app.instances {
            instance.start_again().await;
        }
        until_told(&ben, 1).await;
        // One of two instances is killed during the push.
        service.hold();
        until_pushed(&service, "once", 1).await;
        app.instances[0].kill().await;
        service.let_go();
        app.database.run("UPDATE jobs SET due_at = 0 WHERE kind = 'push'").await;
        let there = ben.at(&app.instances[1].url());
        let told = settled(&app, &there).await;
        assert_eq!((&told["count"], &told["text"]), (&Value::from(1), &Value::from("once")));
        let pushed = service.pushed();
        assert!(pushed.iter().all(|one| one.topic == pushed[0].topic && one.message["id"] == told["id"]), "{pushed:?}");
    }
}
