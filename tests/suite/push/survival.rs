//! What somebody is told of, and the pushes for it, when the server is killed in the middle: a notification is there once, a device is woken, and
//! what wakes it twice takes the place of itself.

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
    wait_until("nothing is left to push", || async { app.database.number(waiting).await == 0 }).await;
}

/// All devices were woken. Ends with what is listed: one notification for all of the conversation.
async fn settled(app: &Application, member: &Member) -> Value {
    until_nothing_waits(app).await;
    assert_eq!(app.database.number("SELECT COUNT(*) FROM notifications").await, 1);
    member.get("/r1/notifications").await.data()["items"][0].clone()
}

/// How often a device was woken with this text.
fn times(service: &PushService, text: &str) -> usize {
    service.pushed().iter().filter(|one| one.message["text"] == *text).count()
}

async fn until_pushed(service: &PushService, text: &str, count: usize) {
    wait_until(&format!("{text:?} is pushed {count} times"), || async { times(service, text) >= count }).await;
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_told_twice_wherever_the_server_is_killed() {
    let (mut app, service) = (allowed().await, PushService::start().await);
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    ben.post(SUBSCRIPTIONS, service.subscription("phone")).await.data_with(201);
    let chat = anna.open_single(&ben).await;
    // The message is committed, and it was not looked yet whom it concerns.
    anna.send_message(&chat, "first").await;
    blackout(&mut app).await;
    until_told(&ben, 1).await;
    until_pushed(&service, "first", 1).await;
    // It is known whom it concerns, and no device was woken yet.
    anna.send_message(&chat, "second").await;
    until_told(&ben, 2).await;
    blackout(&mut app).await;
    until_pushed(&service, "second", 1).await;
    until_nothing_waits(&app).await;
    // The push service has it, and has not said so yet.
    service.hold();
    anna.send_message(&chat, "third").await;
    until_pushed(&service, "third", 1).await;
    app.instances[0].kill().await;
    service.let_go();
    // Its lease has run out.
    app.database.run("UPDATE jobs SET due_at = 0 WHERE kind = 'push'").await;
    app.instances[0].start_again().await;
    until_pushed(&service, "third", 2).await;
    let told = settled(&app, &ben).await;
    assert_eq!((&told["count"], &told["text"]), (&Value::from(3), &Value::from("third")));
    let pushed = service.pushed();
    assert!(pushed.iter().all(|one| one.topic == pushed[0].topic && one.message["id"] == told["id"]), "{pushed:?}");
}

mod cluster {
    use support::{Setup, Stop};

    use super::*;

    #[tokio::test]
    async fn who_was_about_to_be_told_is_told_once_though_every_instance_was_killed() {
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
        // One of two dies with the push under way.
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
