//! Drafts and scheduled messages. Drafts are synchronised across devices; scheduled messages are
//! sent on time and only once, despite crashes.

use std::time::Duration;

use appcore::{Clock, Timestamp};
use support::{Application, Member, Socket, Value, json, new_id, wait_until};

use crate::endpoints::{Args, SampleCall, World, plain, sample};

fn later(by: Duration) -> String {
    Clock::system().now().plus(by).to_string()
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

async fn drafts(who: &Member) -> Vec<String> {
    let listed = who.get("/r1/drafts").await.data();
    listed["items"].as_array().unwrap().iter().map(|one| one["content"].as_str().unwrap().to_owned()).collect()
}

async fn schedule(who: &Member, chat: &str, content: &str, send_at: &str, more: Value) -> Value {
    let mut body = json!({ "client_id": new_id(), "content": content, "send_at": send_at });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    who.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(202)
}

fn path(scheduled: &Value, deed: &str) -> String {
    format!("/r1/scheduled/{}{deed}", id(scheduled))
}

async fn told(socket: &mut Socket, scheduled: &Value) -> Value {
    let is_it = |frame: &support::Frame| frame.kind == "scheduled.updated" && frame.payload["id"] == scheduled["id"];
    socket.find("what became of the message", is_it).await.payload
}

async fn sample_scheduled(world: &World) -> String {
    let (group, in_an_hour) = (world.group().await, later(Duration::from_secs(3_600)));
    let scheduled = schedule(&world.owner, &group, "Hello", &in_an_hour, json!({})).await;
    id(&scheduled).to_owned()
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListDrafts", "ListScheduled"]),
        sample(&["PutDraft"], async |world| {
            Args::id(world.group().await).with_body(json!({ "content": "Hello later" }))
        }),
        sample(&["ShowScheduled", "SendScheduled", "DeleteScheduled"], async |world| {
            Args::id(sample_scheduled(world).await)
        }),
        sample(&["ChangeScheduled"], async |world| {
            Args::id(sample_scheduled(world).await).with_body(json!({ "content": "Hello later" }))
        }),
    ]
}

#[tokio::test]
async fn synchronizes_drafts_across_devices_with_the_newest_winning() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_single(&ben).await;
    let root = anna.send_message(&chat, "a question").await;
    let other = anna.another_device().await;
    let mut socket = other.connect().await;
    let mut bens = ben.connect().await;
    let draft = format!("/r1/conversations/{chat}/draft");
    let stored = anna.put(&draft, json!({ "content": "half a", "reply_to": root["id"] })).await.data();
    let frame = socket.expect_in("draft.updated", &chat).await;
    assert_eq!((&frame.payload["content"], &frame.payload["thread_id"]), (&json!("half a"), &Value::Null));
    assert_eq!(frame.payload["reply_to"], root["id"]);
    anna.put(&draft, json!({ "content": "in the thread", "thread_id": root["id"] })).await.data();
    assert_eq!(socket.expect_in("draft.updated", &chat).await.payload["thread_id"], root["id"]);
    assert_eq!(drafts(&other).await, ["in the thread", "half a"]);
    // An older version that arrives late is not stored.
    let before = json!({ "content": "older", "updated_at": later(Duration::ZERO).replace("202", "201") });
    assert_eq!(other.put(&draft, before).await.data()["content"], "half a");
    // A version from a device whose clock is ahead wins once, but later versions of other devices
    // are not blocked for good.
    let ahead = json!({ "content": "from tomorrow", "updated_at": later(Duration::from_secs(86_400)) });
    let ahead = other.put(&draft, ahead).await.data();
    assert!(ahead["updated_at"].as_str() > stored["updated_at"].as_str());
    assert_eq!(anna.put(&draft, json!({ "content": "half a thought" })).await.data()["content"], "half a thought");
    // An empty draft is deleted, and an older version doesn't restore it.
    let emptied = anna.put(&draft, json!({ "content": " " })).await.data();
    assert_eq!(emptied["content"], "");
    let again = json!({ "content": "half a thought", "updated_at": stored["updated_at"] });
    assert_eq!(other.put(&draft, again).await.data()["content"], "");
    assert_eq!(drafts(&anna).await, ["in the thread"]);
    // Drafts are private.
    assert!(drafts(&ben).await.is_empty());
    anna.send_message(&chat, "done").await;
    bens.expect_in("message.created", &chat).await;
    carl.put(&draft, json!({ "content": "x" })).await.refused(404, "not_found");
    anna.put(&draft, json!({ "content": "x", "thread_id": new_id() })).await.names_field("thread_id");
    anna.put(&draft, json!({ "content": "x".repeat(200_000) })).await.names_field("content");
    anna.put(&draft, json!({ "content": "a\u{0}b" })).await.names_field("content");
    anna.put(&draft, json!({})).await.refused(422, "invalid");
}

#[tokio::test]
async fn drafts_and_scheduled_messages_reply_only_to_messages_their_author_can_read() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let dora = app.sign_up("Dora").await;
    let chat = anna.open_single(&ben).await;
    let own = anna.send_message(&chat, "ours").await;
    let foreign = ben.send_message(&ben.open_single(&carl).await, "theirs").await;
    let elsewhere = anna.send_message(&anna.open_single(&carl).await, "hers, in another chat").await;
    let body = json!({ "kind": "group", "title": "Team", "member_ids": [carl.id, dora.id], "history": "from_join" });
    let group = id(&ben.post("/r1/conversations", body).await.data_with(201)).to_owned();
    let before = ben.send_message(&group, "said before she joined").await;
    ben.post(&format!("/r1/conversations/{group}/members"), json!({ "user_id": anna.id })).await.data_with(201);
    let refused = [
        (&chat, foreign["id"].clone()),
        (&chat, elsewhere["id"].clone()),
        (&chat, json!(new_id())),
        (&group, before["id"].clone()),
    ];
    for (chat, reply_to) in refused {
        let draft = format!("/r1/conversations/{chat}/draft");
        anna.put(&draft, json!({ "content": "a draft", "reply_to": reply_to })).await.refused(404, "not_found");
        let emptied = anna.put(&draft, json!({ "content": "", "reply_to": reply_to })).await.data();
        assert_eq!(emptied["reply_to"], Value::Null, "no unreadable id is stored with a removed draft");
        let messages = format!("/r1/conversations/{chat}/messages");
        let send_at = later(Duration::from_secs(3_600));
        for field in ["reply_to", "thread_id"] {
            let body = json!({ "client_id": new_id(), "content": "later", "send_at": send_at, field: reply_to });
            anna.post(&messages, body).await.names_field(field);
        }
    }
    assert_eq!(drafts(&anna).await, Vec::<String>::new());
    assert_eq!(anna.get("/r1/scheduled").await.data()["total"], 0);
    let draft = json!({ "content": "a draft", "reply_to": own["id"] });
    let stored = anna.put(&format!("/r1/conversations/{chat}/draft"), draft).await.data();
    assert_eq!(stored["reply_to"], own["id"]);
}

#[tokio::test]
async fn rescheduling_and_deleting_remove_the_old_job() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let root = anna.send_message(&chat, "a question").await;
    let count = async |kind: &str| {
        app.database.number(&format!("SELECT COUNT(*) FROM jobs WHERE kind = '{kind}' AND status = 'waiting'")).await
    };
    let month = later(Duration::from_secs(30 * 86_400));
    let first = schedule(&anna, &chat, "first", &month, json!({})).await;
    let second = schedule(&anna, &chat, "second", &month, json!({})).await;
    for days in [40, 50] {
        let moved = json!({ "send_at": later(Duration::from_secs(days * 86_400)) });
        anna.patch(&path(&first, ""), moved).await.data();
    }
    assert_eq!(count("scheduled_message").await, 2, "a moved message has one job");
    anna.delete(&path(&first, "")).await.data();
    anna.post(&path(&second, "/send"), json!({})).await.data_with(201);
    assert_eq!(count("scheduled_message").await, 0);

    let on = format!("/r1/messages/{}/reminders", id(&root));
    let kept = anna.post(&on, json!({ "at": month })).await.data_with(201);
    let removed = anna.post(&on, json!({ "at": month })).await.data_with(201);
    anna.delete(&format!("/r1/reminders/{}", id(&removed))).await.data();
    assert_eq!(count("reminder").await, 1);
    anna.delete(&format!("/r1/reminders/{}", id(&kept))).await.data();
    assert_eq!(count("reminder").await, 0);
}

#[tokio::test]
async fn sends_a_scheduled_message_at_its_time() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_single(&ben).await;
    let root = anna.send_message(&chat, "a question").await;
    let (mut annas, mut bens) = (anna.connect().await, ben.connect().await);
    let at = later(Duration::from_secs(10));
    let sent = schedule(&anna, &chat, "good morning", &at, json!({ "reply_to": root["id"] })).await;
    assert_eq!(told(&mut annas, &sent).await["scheduled"]["content"], "good morning");
    assert_eq!((&sent["send_at"], &sent["failure"]), (&json!(at), &Value::Null));
    // Scheduled messages are private.
    ben.get(&path(&sent, "")).await.refused(404, "not_found");
    ben.patch(&path(&sent, ""), json!({ "content": "x" })).await.refused(404, "not_found");
    ben.delete(&path(&sent, "")).await.refused(404, "not_found");
    ben.post(&path(&sent, "/send"), json!({})).await.refused(404, "not_found");
    assert_eq!(ben.get("/r1/scheduled").await.data()["total"], 0);
    assert_eq!(anna.get(&format!("/r1/scheduled?conversation_id={chat}")).await.data()["total"], 1);
    // Repeating the request returns the message that was already scheduled.
    let same = json!({ "client_id": sent["client_id"] });
    assert_eq!(schedule(&anna, &chat, "good morning", &at, same).await["id"], sent["id"]);
    let changed = anna.patch(&path(&sent, ""), json!({ "content": "good morning!" })).await.data();
    assert_eq!(changed["content"], "good morning!");
    let frame = bens.expect_in("message.created", &chat).await;
    let message = &frame.payload["message"];
    assert_eq!((&message["content"], &message["reply_to"]), (&json!("good morning!"), &root["id"]));
    assert_eq!(message["client_id"], sent["client_id"]);
    let late = Timestamp::parse(message["created_at"].as_str().unwrap()).unwrap().0 - Timestamp::parse(&at).unwrap().0;
    assert!(late >= 0, "{} ms early", -late);
    loop {
        if told(&mut annas, &sent).await["scheduled"].is_null() {
            break;
        }
    }
    anna.get(&path(&sent, "")).await.refused(404, "not_found");
    // A message is validated when it is scheduled.
    let messages = format!("/r1/conversations/{chat}/messages");
    for (field, send_at) in
        [("send_at", later(Duration::from_secs(5))), ("send_at", later(Duration::from_secs(400 * 86_400)))]
    {
        let body = json!({ "client_id": new_id(), "content": "x", "send_at": send_at });
        anna.post(&messages, body).await.names_field(field);
    }
    let body =
        json!({ "client_id": new_id(), "content": "x".repeat(6_000), "send_at": later(Duration::from_secs(60)) });
    anna.post(&messages, body).await.names_field("content");
    let body = json!({ "client_id": new_id(), "content": "x", "send_at": later(Duration::from_secs(60)) });
    carl.post(&messages, body).await.refused(404, "not_found");
    anna.patch(&path(&sent, ""), json!({ "content": "x" })).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_scheduled_message_can_be_sent_now_postponed_or_cancelled() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_group("Team", &[&ben, &carl]).await;
    let root = anna.send_message(&chat, "a question").await;
    let day = later(Duration::from_secs(86_400));
    let in_thread = json!({ "thread_id": root["id"], "also_to_conversation": true });
    let first = schedule(&anna, &chat, "first", &day, in_thread).await;
    let upload = anna.upload("a.txt", "text/plain", "hello").await;
    let second = schedule(&anna, &chat, "second", &day, json!({ "attachment_ids": [upload["id"]] })).await;
    let listed = anna.get("/r1/scheduled").await.data();
    assert_eq!(listed["total"], 2);
    let message = anna.post(&path(&first, "/send"), json!({})).await.data_with(201);
    assert_eq!((&message["content"], &message["thread_id"]), (&json!("first"), &root["id"]));
    anna.delete(&path(&second, "")).await.data();
    assert_eq!(anna.get("/r1/scheduled").await.data()["total"], 0);
    // The attachment is deleted together with the message.
    let file = format!("/r1/uploads/{}", id(&upload));
    wait_until("the file is deleted", async || anna.get(&file).await.status == 404).await;
    // If a message is refused when it is due, it is kept with the reason.
    let put_off = schedule(&ben, &chat, "too late", &day, json!({})).await;
    anna.delete(&format!("/r1/conversations/{chat}/members/{}", ben.id)).await.data();
    let mut socket = ben.connect().await;
    ben.patch(&path(&put_off, ""), json!({ "send_at": later(Duration::from_secs(10)) })).await.data();
    let failed = loop {
        let payload = told(&mut socket, &put_off).await;
        if !payload["scheduled"]["failure"].is_null() {
            break payload;
        }
    };
    assert_eq!(failed["scheduled"]["failure"]["code"], "not_found");
    let reason = failed["scheduled"]["failure"]["message"].as_str().unwrap();
    assert!(reason.contains("no longer have access"), "{reason}");
    ben.delete(&path(&put_off, "")).await.data();
}

#[tokio::test]
async fn drafts_and_scheduled_messages_stay_after_their_author_loses_access() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_group("Team", &[&ben, &carl]).await;
    let scheduled = schedule(&ben, &chat, "sent later", &later(Duration::from_secs(86_400)), json!({})).await;
    let draft = format!("/r1/conversations/{chat}/draft");
    ben.put(&draft, json!({ "content": "half a thought" })).await.data();
    anna.delete(&format!("/r1/conversations/{chat}/members/{}", ben.id)).await.data();
    ben.get(&format!("/r1/conversations/{chat}")).await.refused(404, "not_found");
    let listed = ben.get("/r1/scheduled").await.data();
    assert_eq!((&listed["total"], &listed["items"][0]["content"]), (&json!(1), &json!("sent later")));
    let listed = ben.get(&format!("/r1/scheduled?conversation_id={chat}")).await.data();
    assert_eq!(listed["total"], 1);
    assert_eq!(drafts(&ben).await, ["half a thought"]);
    // Both can be deleted, but not written to.
    ben.put(&draft, json!({ "content": "another thought" })).await.refused(404, "not_found");
    ben.patch(&path(&scheduled, ""), json!({ "content": "changed" })).await.refused(404, "not_found");
    ben.put(&draft, json!({ "content": "" })).await.data();
    ben.delete(&path(&scheduled, "")).await.data();
    assert!(drafts(&ben).await.is_empty());
    assert_eq!(ben.get("/r1/scheduled").await.data()["total"], 0);
    // Without a stored draft, the conversation's existence isn't revealed.
    let stranger = app.sign_up("Dora").await;
    stranger.put(&draft, json!({ "content": "" })).await.refused(404, "not_found");
}

#[tokio::test]
async fn sends_a_scheduled_message_once_despite_a_kill() {
    let mut app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let at = later(Duration::from_secs(10));
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(schedule(&anna, &chat, &format!("message {n}"), &at, json!({})).await);
    }
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    let here = ben.at(&app.url());
    let sent = async || here.history(&chat).await.len();
    wait_until("the first message is sent", async || sent().await > 0).await;
    // The instance is killed while it sends the message.
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    let (here, author) = (ben.at(&app.url()), anna.at(&app.url()));
    wait_until("all messages are sent", async || here.history(&chat).await.len() >= all.len()).await;
    wait_until("none waits", async || author.get("/r1/scheduled").await.data()["total"] == 0).await;
    let mut texts: Vec<String> =
        here.history(&chat).await.iter().map(|one| one["content"].as_str().unwrap().to_owned()).collect();
    texts.sort_unstable();
    assert_eq!(texts, (0..5).map(|n| format!("message {n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_can_be_forwarded_without_text() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let root = anna.send_message(&chat, "worth reading").await;
    let messages = format!("/r1/conversations/{chat}/messages");
    let body = json!({ "client_id": new_id(), "content": "", "forward_of": root["id"] });
    let passed_on = anna.post(&messages, body).await.data_with(201);
    assert_eq!((&passed_on["content"], &passed_on["forwarded"]["message_id"]), (&json!(""), &root["id"]));
    anna.post(&messages, json!({ "client_id": new_id(), "content": "" })).await.names_field("content");
}

mod cluster {
    use std::collections::BTreeSet;

    use support::Setup;

    use super::*;

    #[tokio::test]
    async fn sends_a_scheduled_message_once_across_instances() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        let at = later(Duration::from_secs(10));
        for n in 0..20 {
            schedule(&anna, &chat, &format!("message {n}"), &at, json!({})).await;
        }
        let here = ben.at(&app.instances[1].url());
        wait_until("some messages are sent", async || !here.history(&chat).await.is_empty()).await;
        app.instances[0].kill().await;
        wait_until("all are there", async || here.history(&chat).await.len() >= 20).await;
        let author = anna.at(&app.instances[1].url());
        wait_until("no scheduled message is left", async || author.get("/r1/scheduled").await.data()["total"] == 0)
            .await;
        let history = here.history(&chat).await;
        assert_eq!(history.len(), 20);
        let late = |message: &Value| {
            Timestamp::parse(message["created_at"].as_str().unwrap()).unwrap().0 - Timestamp::parse(&at).unwrap().0
        };
        assert!(history.iter().all(|message| late(message) < 15_000), "{:?}", history.iter().map(late).max());
    }

    #[tokio::test]
    async fn drafts_scheduled_messages_and_reminders_reach_the_other_instance() {
        let app = Setup::new().instances(2).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        let root = anna.send_message(&chat, "a question").await;
        let there = anna.at(&app.instances[1].url());
        let (mut socket, mut bens) = (there.connect().await, ben.at(&app.instances[1].url()).connect().await);
        let on = |rest: &str| format!("/r1/messages/{}/{rest}", id(&root));

        let draft = format!("/r1/conversations/{chat}/draft");
        anna.put(&draft, json!({ "content": "half a thought" })).await.data();
        assert_eq!(socket.expect("draft.updated").await.payload["content"], "half a thought");
        let sent = schedule(&anna, &chat, "later", &later(Duration::from_secs(3_600)), json!({})).await;
        assert_eq!(told(&mut socket, &sent).await["scheduled"]["content"], "later");
        let at = json!({ "at": later(Duration::from_secs(3_600)) });
        let reminder = anna.post(&on("reminders"), at).await.data_with(201);
        assert_eq!(socket.expect("reminders.own").await.payload["reminder_id"], reminder["id"]);
        anna.put(&on("saved"), json!({})).await.data();
        assert_eq!(socket.expect("saved.updated").await.payload["message_id"], root["id"]);
        anna.delete(&on("follow")).await.data();
        assert_eq!(socket.expect_in("thread.own", &chat).await.payload["following"], false);
        // Drafts and scheduled messages can be read and changed on the other instance.
        assert_eq!(drafts(&there).await, ["half a thought"]);
        assert_eq!(there.get("/r1/scheduled").await.data()["items"][0]["id"], sent["id"]);
        assert_eq!(there.get("/r1/reminders").await.data()["items"][0]["id"], reminder["id"]);
        assert_eq!(there.get("/r1/saved").await.data()["items"][0]["message"]["id"], root["id"]);
        let mut here = anna.connect().await;
        there.post(&path(&sent, "/send"), json!({})).await.data_with(201);
        assert_eq!(told(&mut here, &sent).await["scheduled"], Value::Null);
        assert_eq!(here.expect_in("message.created", &chat).await.payload["message"]["content"], "later");
        // Other users receive none of these events.
        let heard = bens.find("the message", |frame| frame.kind == "message.created").await;
        assert_eq!(heard.payload["message"]["content"], "later");
        let own = ["draft.updated", "scheduled.updated", "reminders.own", "saved.updated", "thread.own"];
        let others = bens.drain().await;
        assert!(others.iter().all(|frame| !own.contains(&frame.kind.as_str())), "{others:#?}");
    }

    /// Kills all instances and starts them again.
    async fn blackout(app: &mut Application) {
        for instance in &mut app.instances {
            instance.kill().await;
        }
        for instance in &mut app.instances {
            instance.start_again().await;
        }
    }

    #[tokio::test]
    async fn delivers_due_messages_and_reminders_once_after_all_instances_are_killed() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        let root = anna.send_message(&chat, "Pay the invoice").await;
        let at = later(Duration::from_secs(15));
        for n in 0..10 {
            schedule(&anna, &chat, &format!("message {n}"), &at, json!({})).await;
            ben.post(&format!("/r1/messages/{}/reminders", id(&root)), json!({ "at": at })).await.data_with(201);
        }
        blackout(&mut app).await;
        wait_until("some messages are sent", async || ben.history(&chat).await.len() > 1).await;
        // The instances are killed while they send the messages.
        blackout(&mut app).await;
        wait_until("all are there", async || ben.history(&chat).await.len() > 10).await;
        wait_until("no scheduled message or reminder is left", async || {
            anna.get("/r1/scheduled").await.data()["total"] == 0 && ben.get("/r1/reminders").await.data()["total"] == 0
        })
        .await;
        let texts: BTreeSet<String> =
            ben.history(&chat).await.iter().map(|one| one["content"].as_str().unwrap().to_owned()).collect();
        assert_eq!((texts.len(), ben.history(&chat).await.len()), (11, 11), "{texts:?}");
        let listed = ben.get("/r1/notifications?page_size=100").await.data();
        let told = listed["items"].as_array().unwrap().iter().filter(|one| one["kind"] == "reminder").count();
        assert_eq!(told, 10);
    }
}
