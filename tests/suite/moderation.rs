//! Moderation: reports, slow mode and blocked words.

use support::{Application, Member, Setup, Value, json, new_id, wait_until};

use crate::endpoints::{Args, SampleCall, World, create, plain, sample};

const SLOW: u64 = 3;

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

async fn report(by: &Member, message: &Value, reason: &str) -> Value {
    let path = format!("/r1/messages/{}/report", id(message));
    by.post(&path, json!({ "reason": reason, "words": " Look at this. " })).await.data_with(201)
}

async fn queue(admin: &Member, filter: &str) -> Vec<Value> {
    admin.get(&format!("/r1/admin/reports?{filter}")).await.data()["items"].as_array().unwrap().clone()
}

async fn actions(admin: &Member) -> Vec<String> {
    let log = admin.get("/r1/admin/audit_log?page_size=50").await.data();
    let items = log["items"].as_array().unwrap().iter();
    items
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .filter(|name| name.starts_with("moderation."))
        .collect()
}

/// Creates a channel of Anna's with the other users as members.
async fn channel(anna: &Member, others: &[&Member]) -> String {
    let ids: Vec<&str> = others.iter().map(|other| other.id.as_str()).collect();
    let body = json!({ "kind": "public_channel", "title": new_id(), "member_ids": ids });
    id(&anna.post("/r1/conversations", body).await.data_with(201)).to_owned()
}

/// Sends a message of the friend in a channel of the owner.
async fn foreign_message(world: &World) -> String {
    id(&world.friend.send_message(&world.channel().await, "Hello").await).to_owned()
}

async fn sample_report(world: &World) -> String {
    let path = format!("/r1/messages/{}/report", foreign_message(world).await);
    create(&world.owner, &path, json!({ "reason": "spam" })).await
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListWarnings", "ListReports"]),
        // The owner has no warning.
        sample(&["SeeWarning"], async |_| Args::id(new_id())),
        sample(&["ReportMessage"], async |world| {
            Args::id(foreign_message(world).await).with_body(json!({ "reason": "spam" }))
        }),
        sample(&["ShowReport", "TakeReport", "ReleaseReport"], async |world| Args::id(sample_report(world).await)),
        sample(&["ResolveReport"], async |world| {
            Args::id(sample_report(world).await).with_body(json!({ "actions": [] }))
        }),
        sample(&["HideMessage", "RestoreMessage"], async |world| Args::id(foreign_message(world).await)),
        sample(&["ShowHiddenMessage"], async |world| {
            let message = world.owner.send_message(&world.channel().await, "Hello").await;
            world.admin.post(&format!("/r1/admin/messages/{}/hide", id(&message)), json!({})).await.data();
            Args::id(id(&message))
        }),
        sample(&["ShowWordFilter"], async |world| Args::id(world.channel().await)),
        sample(&["SetWordFilter"], async |world| {
            Args::id(world.channel().await).with_body(json!({ "action": "mask", "words": ["darn"] }))
        }),
    ]
}

#[tokio::test]
async fn resolves_a_report_and_warns_the_author() {
    let app = Application::start().await;
    let [anna, ben, carl] = [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await];
    let (admin, place) = (app.admin().await, channel(&anna, &[&ben, &carl]).await);
    let earlier = ben.send_message(&place, "Buy pills").await;
    report(&carl, &earlier, "spam").await;
    let sent = ben.send_message(&place, "You are all fools").await;
    let made = report(&anna, &sent, "harassment").await;
    // Reporting a message again returns the same report.
    let path = format!("/r1/messages/{}/report", id(&sent));
    assert_eq!(anna.post(&path, json!({ "reason": "spam" })).await.data_with(200)["id"], made["id"]);
    report(&carl, &sent, "hate").await;
    assert_eq!(queue(&admin, "").await.len(), 3);
    assert_eq!(queue(&admin, "status=open&reason=harassment").await.len(), 1);
    assert_eq!(queue(&admin, &format!("author_id={}", ben.id)).await.len(), 3);
    assert_eq!(queue(&admin, &format!("author_id={}", anna.id)).await.len(), 0);

    let path = format!("/r1/admin/reports/{}", id(&made));
    let shown = admin.get(&path).await.data();
    assert_eq!((&shown["content"], &shown["words"]), (&json!("You are all fools"), &json!("Look at this.")));
    assert_eq!((&shown["reporter"]["name"], &shown["author"]["name"]), (&json!("Anna"), &json!("Ben")));
    assert_eq!((&shown["reports"], &shown["earlier"], &shown["warnings"]), (&json!(2), &json!(1), &json!(0)));
    assert_eq!(shown["others"][0]["message_id"], earlier["id"]);
    assert_eq!(shown["others"][0]["content"], Value::Null);
    assert_eq!(
        (&shown["place"]["conversation_id"], &shown["place"]["kind"]),
        (&json!(place), &json!("public_channel"))
    );

    let taken = admin.post(&format!("{path}/take"), json!({})).await.data();
    assert_eq!((&taken["status"], &taken["assigned_to"]["id"]), (&json!("taken"), &json!(admin.id)));
    assert_eq!(queue(&admin, "status=taken").await.len(), 1);
    let released = admin.post(&format!("{path}/release"), json!({})).await.data();
    assert_eq!((&released["status"], &released["assigned_to"]), (&json!("open"), &Value::Null));

    let mut socket = ben.connect().await;
    let deeds = json!({ "actions": ["hide", "warn"], "words": "Be kind." });
    let closed = admin.post(&format!("{path}/resolve"), deeds.clone()).await.data();
    assert_eq!((&closed["status"], &closed["actions"]), (&json!("closed"), &json!(["hide", "warn"])));
    assert_eq!((&closed["content"], &closed["closed_by"]["id"]), (&Value::Null, &json!(admin.id)));
    assert!(closed["hidden_at"].is_string());
    admin.post(&format!("{path}/resolve"), deeds).await.refused(409, "wrong_state");
    admin.post(&format!("{path}/take"), json!({})).await.refused(409, "wrong_state");
    // Closing a report also closes the other reports of the same message, but not those of other
    // messages.
    assert_eq!(queue(&admin, "status=closed").await.len(), 2);
    assert_eq!(queue(&admin, "status=open").await.len(), 1);

    let told = socket.expect("warning").await;
    assert_eq!(
        (&told.payload["warning"]["words"], &told.payload["warning"]["reason"]),
        (&json!("Be kind."), &json!("harassment"))
    );
    let unseen = ben.get("/r1/users/me/warnings?unseen=true").await.data();
    assert_eq!((&unseen["total"], &unseen["items"][0]["message_id"]), (&json!(1), &sent["id"]));
    let seen = format!("/r1/users/me/warnings/{}/seen", id(&unseen["items"][0]));
    anna.post(&seen, json!({})).await.refused(404, "not_found");
    assert!(ben.post(&seen, json!({})).await.data()["seen_at"].is_string());
    assert_eq!(ben.get("/r1/users/me/warnings?unseen=true").await.data()["total"], 0);
    assert_eq!(ben.get("/r1/users/me/warnings").await.data()["total"], 1);
    assert_eq!(admin.get(&path).await.data()["warnings"], 1);

    let open = queue(&admin, "status=open").await;
    let dismissed =
        admin.post(&format!("/r1/admin/reports/{}/resolve", id(&open[0])), json!({ "actions": [] })).await.data();
    assert_eq!(dismissed["actions"], json!([]));
    let mut done = actions(&admin).await;
    done.sort();
    let names =
        ["author_warned", "message_hidden", "report_closed", "report_dismissed", "report_released", "report_taken"];
    assert_eq!(done, names.map(|name| format!("moderation.{name}")));
}

#[tokio::test]
async fn reading_an_unreported_message_requires_confirmation_and_is_audited() {
    let app = Setup::new().set("auth.fresh_for", 1).start().await;
    let [anna, ben] = [app.sign_up("Anna").await, app.sign_up("Ben").await];
    let admin = app.admin().await;
    let chat = anna.open_single(&ben).await;
    let (private, reported) = (ben.send_message(&chat, "private").await, ben.send_message(&chat, "reported").await);
    report(&anna, &reported, "harassment").await;
    let keys = [admin.program(&["read", "write"]).await, admin.program(&["read", "admin"]).await];
    wait_until("the sign-in is not fresh any more", || async {
        admin.get("/r1/auth/confirm").await.data()["fresh_until"].is_null()
    })
    .await;
    let reads = async || actions(&admin).await.iter().filter(|action| *action == "moderation.message_read").count();
    let hidden = |message: &Value| format!("/r1/messages/{}/hidden", id(message));
    for message in [&private, &reported] {
        admin.post(&format!("/r1/admin/messages/{}/hide", id(message)), json!({})).await.data();
        keys[0].get(&hidden(message)).await.refused(404, "not_found");
        keys[1].get(&hidden(message)).await.refused(403, "scope_missing");
        // The author can read the hidden message without a confirmation or an entry in the audit
        // log.
        assert_eq!(ben.get(&hidden(message)).await.data()["content"], message["content"]);
    }
    admin.get(&hidden(&private)).await.refused(403, "fresh_sign_in_required");
    assert_eq!(reads().await, 0, "refused reads are not audited");
    assert_eq!(admin.get(&hidden(&reported)).await.data()["content"], "reported");
    assert_eq!(reads().await, 1);
    let log = admin.get("/r1/admin/audit_log?action=moderation.message_read").await.data();
    assert_eq!((&log["items"][0]["target"], &log["items"][0]["actor"]), (&reported["id"], &json!(admin.id)), "{log}");
}

#[tokio::test]
async fn only_its_author_and_administrators_read_a_hidden_message() {
    let app = Application::start().await;
    let [anna, ben, dora] = [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Dora").await];
    let (admin, place) = (app.admin().await, channel(&anna, &[&ben]).await);
    let file = ben.upload("secret.txt", "text/plain", "the secret").await;
    let sent = ben.send_files(&place, "Something bad", &[&file]).await.data_with(201);
    let mut socket = anna.connect().await;
    let (hide, restore) =
        (format!("/r1/admin/messages/{}/hide", id(&sent)), format!("/r1/admin/messages/{}/restore", id(&sent)));
    for other in [&anna, &ben, &dora] {
        other.post(&hide, json!({})).await.refused(403, "forbidden");
        other.post(&restore, json!({})).await.refused(403, "forbidden");
    }
    assert!(admin.post(&hide, json!({})).await.data()["hidden_at"].is_string());
    let told = socket.expect_in("message.updated", &place).await;
    assert!(told.payload["message"]["hidden_at"].is_string());
    assert_eq!(
        (&told.payload["message"]["content"], &told.payload["message"]["attachments"]),
        (&json!(""), &json!([]))
    );
    // Hiding it again publishes no event.
    admin.post(&hide, json!({})).await.data();
    let log = anna.event_log(&place).await;
    assert!(!Value::from(log.clone()).to_string().contains("Something bad"), "{log:?}");
    let shown = &anna.history(&place).await[0];
    assert_eq!((&shown["content"], &shown["attachments"], &shown["edited_at"]), (&json!(""), &json!([]), &Value::Null));
    assert!(shown["hidden_at"].is_string());
    assert_eq!(anna.conversation(&place).await["last_message"]["content"], "");

    let path = format!("/r1/messages/{}/hidden", id(&sent));
    for who in [&ben, &admin] {
        let hidden = who.get(&path).await.data();
        assert_eq!(
            (&hidden["content"], &hidden["attachments"][0]["name"]),
            (&json!("Something bad"), &json!("secret.txt"))
        );
    }
    for who in [&anna, &dora] {
        who.get(&path).await.refused(404, "not_found");
    }
    let bytes = format!("/files/{}/secret.txt", id(&file));
    assert_eq!(anna.get(&bytes).await.status, 404);
    assert_eq!(ben.get(&bytes).await.status, 200);

    // A hidden message can't be edited until it is restored.
    let own = format!("/r1/messages/{}", id(&sent));
    ben.patch(&own, json!({ "content": "Something else" })).await.refused(409, "wrong_state");
    anna.post(&format!("{own}/report"), json!({ "reason": "spam" })).await.refused(409, "wrong_state");
    assert_eq!(admin.post(&restore, json!({})).await.data()["hidden_at"], Value::Null);
    let told = socket.expect_in("message.updated", &place).await;
    assert_eq!(
        (&told.payload["message"]["content"], &told.payload["message"]["hidden_at"]),
        (&json!("Something bad"), &Value::Null)
    );
    assert_eq!(told.payload["message"]["attachments"][0]["name"], "secret.txt");
    assert_eq!(anna.history(&place).await[0]["content"], "Something bad");
    assert_eq!(anna.get(&bytes).await.status, 200);
    ben.get(&path).await.refused(404, "not_found");
    // Members who reconnect get the current state.
    let log = anna.event_log(&place).await;
    let last = log.iter().rev().find(|event| event["type"] == "message.updated").unwrap();
    assert_eq!(last["payload"]["message"]["content"], "Something bad");

    // A hidden message can be deleted.
    admin.post(&hide, json!({})).await.data();
    ben.delete(&own).await.data();
    admin.get(&path).await.refused(404, "not_found");
    admin.post(&restore, json!({})).await.refused(404, "not_found");
    assert!(anna.history(&place).await[0]["deleted_at"].is_string());
}

#[tokio::test]
async fn members_report_messages_they_can_read_but_not_their_own() {
    let app = Application::start().await;
    let [anna, ben, dora] = [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Dora").await];
    let (admin, chat) = (app.admin().await, anna.open_single(&ben).await);
    let sent = ben.send_message(&chat, "Hello").await;
    let path = format!("/r1/messages/{}/report", id(&sent));
    dora.post(&path, json!({ "reason": "spam" })).await.refused(404, "not_found");
    ben.post(&path, json!({ "reason": "spam" })).await.refused(409, "wrong_state");
    anna.post(&path, json!({ "reason": "dull" })).await.names_field("reason");
    anna.post(&path, json!({ "reason": "spam", "words": "x".repeat(1_001) })).await.names_field("words");
    let made = report(&anna, &sent, "other").await;
    // Administrators can read the reported message but not the conversation.
    let shown = admin.get(&format!("/r1/admin/reports/{}", id(&made))).await.data();
    assert_eq!((&shown["content"], &shown["place"]["may_read"]), (&json!("Hello"), &json!(false)));
    for who in [&anna, &ben] {
        for call in ["", &format!("/{}", id(&made))] {
            who.get(&format!("/r1/admin/reports{call}")).await.refused(403, "forbidden");
        }
        for call in ["take", "release", "resolve"] {
            let path = format!("/r1/admin/reports/{}/{call}", id(&made));
            who.post(&path, json!({ "actions": [] })).await.refused(403, "forbidden");
        }
    }
    // A reported message can be reviewed even after its author has deleted it. Its content is
    // removed when the report is closed.
    ben.delete(&format!("/r1/messages/{}", id(&sent))).await.data();
    anna.post(&path, json!({ "reason": "spam" })).await.refused(404, "not_found");
    let shown = admin.get(&format!("/r1/admin/reports/{}", id(&made))).await.data();
    assert_eq!(shown["content"], "Hello");
    assert!(shown["deleted_at"].is_string());
    let resolve = format!("/r1/admin/reports/{}/resolve", id(&made));
    admin.post(&resolve, json!({ "actions": ["burn"] })).await.names_field("actions");
    let closed = admin.post(&resolve, json!({ "actions": ["warn"] })).await.data();
    assert_eq!(closed["content"], Value::Null);
    assert_eq!(ben.get("/r1/users/me/warnings").await.data()["total"], 1);
}

#[tokio::test]
async fn slow_mode_delays_members_but_not_channel_managers() {
    let app = Application::start().await;
    let [anna, ben, carl] = [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await];
    let (admin, place) = (app.admin().await, channel(&anna, &[&ben, &carl]).await);
    let path = format!("/r1/conversations/{place}");
    ben.patch(&path, json!({ "slow_mode_seconds": SLOW })).await.refused(403, "forbidden");
    anna.patch(&path, json!({ "slow_mode_seconds": 21_601 })).await.names_field("slow_mode_seconds");
    anna.patch(&path, json!({ "slow_mode_seconds": -1 })).await.names_field("slow_mode_seconds");
    let group = anna.open_group("Team", &[&ben, &carl]).await;
    let of_group = format!("/r1/conversations/{group}");
    anna.patch(&of_group, json!({ "slow_mode_seconds": SLOW })).await.refused(409, "wrong_state");
    ben.send_message(&place, "before it").await;
    let mut socket = ben.connect().await;
    let changed = anna.patch(&path, json!({ "slow_mode_seconds": SLOW })).await.data();
    assert_eq!(changed["slow_mode_seconds"], SLOW);
    assert_eq!(socket.expect_in("conversation.updated", &place).await.payload["slow_mode_seconds"], SLOW);

    let first = new_id();
    let sent = ben.send_as(&place, &first, "one").await.data_with(201);
    let refused = ben.send_as(&place, &new_id(), "two").await;
    refused.refused(429, "slow_mode");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=SLOW).contains(&wait), "{wait}");
    // A message that is resent doesn't count as a second message.
    assert_eq!(ben.send_as(&place, &first, "one").await.data_with(200)["id"], sent["id"]);
    let frame = json!({ "conversation_id": place, "client_id": new_id(), "content": "two" });
    let error = socket.request("message.send", frame).await;
    assert_eq!(error.payload["code"], "slow_mode");
    assert!(error.payload["retry_after"].as_u64().is_some_and(|wait| (1..=SLOW).contains(&wait)));
    // Slow mode applies to each user separately, and not to managers of the channel.
    carl.send_message(&place, "three").await;
    for n in 0..3 {
        anna.send_message(&place, &format!("from above {n}")).await;
    }
    // An edit doesn't count as a message.
    ben.patch(&format!("/r1/messages/{}", id(&sent)), json!({ "content": "one, again" })).await.data();
    let second = new_id();
    let is_sent = || async { ben.send_as(&place, &second, "two").await.status == 201 };
    wait_until("Ben may write again", is_sent).await;
    ben.send_as(&place, &new_id(), "three").await.refused(429, "slow_mode");
    anna.patch(&path, json!({ "slow_mode_seconds": 0 })).await.data();
    ben.send_message(&place, "three").await;
    ben.send_message(&place, "four").await;
    assert_eq!(actions(&admin).await, ["moderation.slow_mode_changed", "moderation.slow_mode_changed"]);
}

#[tokio::test]
async fn rejects_or_masks_blocked_words() {
    let app = Application::start().await;
    let [anna, ben] = [app.sign_up("Anna").await, app.sign_up("Ben").await];
    let (admin, place) = (app.admin().await, channel(&anna, &[&ben]).await);
    let path = format!("/r1/conversations/{place}/word_filter");
    ben.get(&path).await.refused(403, "forbidden");
    ben.put(&path, json!({ "action": "mask", "words": ["darn"] })).await.refused(403, "forbidden");
    let empty = anna.get(&path).await.data();
    assert_eq!(empty, json!({ "action": "refuse", "words": [] }));
    let many: Vec<String> = (0..201).map(|n| format!("word{n}")).collect();
    anna.put(&path, json!({ "action": "mask", "words": many })).await.names_field("words");
    anna.put(&path, json!({ "action": "mask", "words": ["x".repeat(61)] })).await.names_field("words");
    let group = anna.open_group("Team", &[&ben, &app.sign_up("Carl").await]).await;
    let of_group = format!("/r1/conversations/{group}/word_filter");
    anna.put(&of_group, json!({ "action": "mask", "words": ["darn"] })).await.refused(409, "wrong_state");

    let set = anna.put(&path, json!({ "action": "refuse", "words": [" Darn ", "dárn", "đồ đểm"] })).await.data();
    assert_eq!(set["words"], json!(["Darn", "đồ đểm"]));
    for text in ["so DÄRN bad", "do dem!"] {
        let refused = ben.send_as(&place, &new_id(), text).await;
        refused.refused(422, "word_refused");
    }
    let sent = ben.send_message(&place, "darning socks").await;
    let own = format!("/r1/messages/{}", id(&sent));
    ben.patch(&own, json!({ "content": "darn socks" })).await.refused(422, "word_refused");
    // The word filter applies to all members, including managers.
    anna.send_as(&place, &new_id(), "darn").await.refused(422, "word_refused");

    anna.put(&path, json!({ "action": "mask", "words": ["darn"] })).await.data();
    let sent = ben.send_message(&place, "Oh Darn, really").await;
    assert_eq!(sent["content"], "Oh ****, really");
    assert_eq!(ben.patch(&own, json!({ "content": "därn socks" })).await.data()["content"], "**** socks");
    assert_eq!(anna.history(&place).await[1]["content"], "Oh ****, really");
    anna.put(&path, json!({ "action": "mask", "words": [] })).await.data();
    assert_eq!(ben.send_message(&place, "darn").await["content"], "darn");
    assert_eq!(actions(&admin).await, ["moderation.word_filter_changed"; 3]);
    // Only managers of the channel see the list of words.
    assert!(ben.conversation(&place).await.get("word_filter").is_none());
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn slow_mode_blocked_words_and_hiding_apply_on_every_instance() {
        let app = Setup::new().instances(2).start().await;
        let [anna, ben] = [app.sign_up("Anna").await, app.sign_up("Ben").await];
        let there = ben.at(&app.instances[1].url());
        let (admin, mut place) = (app.admin().await, String::new());
        for round in 0..3 {
            place = channel(&anna, &[&ben]).await;
            let path = format!("/r1/conversations/{place}");
            let words = format!("{path}/word_filter");
            // From here on, both instances have cached the channel.
            ben.send_message(&place, "here").await;
            there.send_message(&place, "there").await;
            anna.patch(&path, json!({ "slow_mode_seconds": 60 + round })).await.data();
            there.send_message(&place, "once").await;
            ben.send_as(&place, &new_id(), "twice").await.refused(429, "slow_mode");
            there.send_as(&place, &new_id(), "twice").await.refused(429, "slow_mode");
            anna.patch(&path, json!({ "slow_mode_seconds": 0 })).await.data();
            anna.put(&words, json!({ "action": "refuse", "words": ["darn"] })).await.data();
            there.send_as(&place, &new_id(), "darn").await.refused(422, "word_refused");
            anna.put(&words, json!({ "action": "refuse", "words": [] })).await.data();
            there.send_message(&place, "darn").await;
        }
        let mut socket = there.connect().await;
        let sent = ben.send_message(&place, "Something bad").await;
        socket.find("the message", |frame| frame.payload["message"]["content"] == "Something bad").await;
        admin.post(&format!("/r1/admin/messages/{}/hide", id(&sent)), json!({})).await.data();
        socket.find("that it is hidden", |frame| frame.payload["message"]["hidden_at"].is_string()).await;
        there
            .patch(&format!("/r1/messages/{}", id(&sent)), json!({ "content": "Other" }))
            .await
            .refused(409, "wrong_state");
        let made = {
            let sent = there.send_message(&place, "Something else").await;
            report(&anna, &sent, "other").await
        };
        admin.post(&format!("/r1/admin/reports/{}/resolve", id(&made)), json!({ "actions": ["warn"] })).await.data();
        socket.expect("warning").await;
    }

    /// When a user sends messages to two instances at the same time, one of them is refused.
    #[tokio::test]
    async fn slow_mode_limits_concurrent_messages_on_two_instances() {
        let app = Setup::new().instances(2).start().await;
        let [anna, ben] = [app.sign_up("Anna").await, app.sign_up("Ben").await];
        let there = ben.at(&app.instances[1].url());
        let place = channel(&anna, &[&ben]).await;
        anna.patch(&format!("/r1/conversations/{place}"), json!({ "slow_mode_seconds": 600 })).await.data();
        let ids: Vec<String> = (0..10).map(|_| new_id()).collect();
        let sends = ids.iter().enumerate().map(|(n, id)| [&ben, &there][n % 2].send_as(&place, id, "now"));
        let answers = futures_util::future::join_all(sends).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 9);
    }
}
