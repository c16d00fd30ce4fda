//! Broadcasts: their audience, schedule, dismissal and history.

use std::time::Duration;

use appcore::{Clock, Timestamp};
use futures_util::{StreamExt as _, stream};
use support::{Application, Member, Setup, Socket, Value, json, wait_until};

use crate::endpoints::{Args, SampleCall, World, create, plain, sample};

fn later(by: Duration) -> String {
    Clock::system().now().plus(by).to_string()
}

async fn announce(admin: &Member, title: &str, audience: Value, more: Value) -> Value {
    let mut body = json!({ "title": title, "body": "**Soon**", "audience": audience });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.post("/r1/broadcasts", body).await.data_with(201)
}

fn path(broadcast: &Value, deed: &str) -> String {
    format!("/r1/broadcasts/{}{deed}", broadcast["id"].as_str().unwrap())
}

async fn titles(member: &Member) -> Vec<String> {
    let shown = member.get("/r1/broadcasts/active").await.data();
    shown["items"].as_array().unwrap().iter().map(|one| one["title"].as_str().unwrap().to_owned()).collect()
}

async fn told(socket: &mut Socket, broadcast: &Value) -> Value {
    let frame = socket
        .find("the announcement", |frame| frame.kind == "broadcast" && frame.payload["id"] == broadcast["id"])
        .await;
    frame.payload
}

/// Returns the delivery counts of a broadcast.
async fn counts(admin: &Member, broadcast: &Value) -> [i64; 4] {
    let read = admin.get(&path(broadcast, "")).await.data();
    ["recipients", "delivered", "seen", "dismissed"].map(|name| read[name].as_i64().unwrap())
}

async fn settled(admin: &Member, broadcast: &Value, expected: [i64; 4]) {
    let what = format!("{expected:?} of {}", broadcast["title"]);
    wait_until(&what, || async { counts(admin, broadcast).await == expected }).await;
}

async fn team(owner: &Member, members: &[&Member]) -> String {
    let made = owner.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let id = made["id"].as_str().unwrap().to_owned();
    for member in members {
        let path = format!("/r1/workspaces/{id}/members");
        owner.post(&path, json!({ "user_id": member.id })).await.data_with(201);
    }
    id
}

async fn actions(admin: &Member) -> Vec<String> {
    let log = admin.get("/r1/admin/audit_log?page_size=200").await.data();
    log["items"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap().to_owned()).collect()
}

async fn sample_broadcast(world: &World) -> String {
    create(&world.admin, "/r1/broadcasts", sample_announcement()).await
}

fn sample_announcement() -> Value {
    json!({ "title": "Maintenance", "body": "Tonight", "audience": { "all": true } })
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListBroadcasts", "ListShownBroadcasts"]),
        sample(&["CreateBroadcast"], async |_| Args::body(sample_announcement())),
        sample(&["PreviewBroadcast"], async |_| Args::body(json!({ "audience": { "all": true } }))),
        sample(&["ReadBroadcast", "WithdrawBroadcast", "SeeBroadcast", "DismissBroadcast"], async |world| {
            Args::id(sample_broadcast(world).await)
        }),
        sample(&["ChangeBroadcast"], async |world| {
            let body = json!({ "title": "Maintenance at ten", "ends_at": null });
            Args::id(sample_broadcast(world).await).with_body(body)
        }),
    ]
}

#[tokio::test]
async fn announcements_reach_everyone_online_and_later_visitors() {
    let app = Application::start().await;
    let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
    let mut socket = anna.connect().await;
    let sent = announce(&admin, "Maintenance at ten", json!({ "all": true }), json!({ "severity": "warning" })).await;
    assert_eq!((&sent["status"], &sent["channels"]), (&json!("active"), &json!(["banner"])));
    let frame = told(&mut socket, &sent).await;
    let keys = ["title", "body", "severity", "dismissible", "status", "withdrawn_at"];
    assert_eq!(
        keys.map(|key| frame[key].clone()),
        [json!("Maintenance at ten"), json!("**Soon**"), json!("warning"), json!(true), json!("active"), json!(null)]
    );
    assert!(frame.get("audience").is_none() && frame.get("created_by").is_none(), "{frame}");
    assert_eq!(titles(&ben).await, ["Maintenance at ten"], "Ben signed up later");
    // Anna gets the broadcast over her connection, Ben by a request.
    settled(&admin, &sent, [3, 2, 0, 0]).await;
    for _ in 0..2 {
        anna.post(&path(&sent, "/seen"), json!({})).await.data();
        ben.post(&path(&sent, "/dismiss"), json!({})).await.data();
    }
    settled(&admin, &sent, [3, 2, 2, 1]).await;
    assert_eq!((titles(&anna).await.len(), titles(&ben).await.len()), (1, 0));
    let again = app.sign_up("Cy").await;
    assert_eq!(titles(&again).await.len(), 1, "accounts created later have it too");

    let withdrawn = admin.post(&path(&sent, "/withdraw"), json!({})).await.data();
    assert_eq!(withdrawn["status"], "withdrawn");
    let frame = told(&mut socket, &sent).await;
    assert_eq!((&frame["status"], &frame["withdrawn_at"]), (&json!("withdrawn"), &withdrawn["withdrawn_at"]));
    assert!(titles(&anna).await.is_empty());
    // Withdrawing again changes nothing, and later changes are refused. A user may still mark it as
    // seen.
    assert_eq!(admin.post(&path(&sent, "/withdraw"), json!({})).await.data(), admin.get(&path(&sent, "")).await.data());
    admin.patch(&path(&sent, ""), json!({ "title": "Later" })).await.refused(409, "wrong_state");
    anna.post(&path(&sent, "/seen"), json!({})).await.data();
    let done = actions(&admin).await;
    let times = |action: &str| done.iter().filter(|other| *other == action).count();
    assert_eq!((times("admin.broadcast_created"), times("admin.broadcast_withdrawn")), (1, 1), "{done:?}");
    assert!(socket.drain().await.iter().all(|frame| frame.kind != "broadcast"), "each connection gets it once");
}

#[tokio::test]
async fn announcements_reach_exactly_their_audience() {
    let setup = Setup::new().set("payment.demo.enabled", true);
    let app = setup.start().await;
    let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
    let workspace = team(&anna, &[]).await;
    let (mut to_anna, mut to_ben, mut to_admin) = (anna.connect().await, ben.connect().await, admin.connect().await);
    let plans = app.anonymous().get("/r1/pricing_plans").await.data();
    let plan = plans["items"].as_array().unwrap().iter().find(|plan| plan["name"] == "Team").unwrap()["id"].clone();
    let begun = ben.post("/r1/payments/checkout", json!({ "plan_id": plan, "gateway": "demo" })).await.data_with(201);
    let end = format!("/r1/payments/{}/demo", begun["payment_id"].as_str().unwrap());
    ben.post(&end, json!({ "outcome": "paid" })).await.data();

    let cases = [
        ("all", json!({ "all": true }), [true, true, true]),
        ("workspaces", json!({ "workspace_ids": [workspace] }), [true, false, false]),
        ("roles", json!({ "roles": ["admin"] }), [false, false, true]),
        ("plans", json!({ "plan_ids": [plan] }), [false, true, false]),
        ("people", json!({ "user_ids": [anna.id, ben.id] }), [true, true, false]),
        ("both", json!({ "user_ids": [anna.id, ben.id], "workspace_ids": [workspace] }), [true, false, false]),
        ("neither", json!({ "roles": ["admin"], "workspace_ids": [workspace] }), [false, false, false]),
    ];
    for (title, audience, reached) in cases {
        let count = reached.iter().filter(|is| **is).count() as i64;
        let preview = admin.post("/r1/broadcasts/preview", json!({ "audience": audience })).await.data();
        assert_eq!(preview, json!({ "recipients": count, "online": count }), "{title}");
        let sent = announce(&admin, title, audience, json!({})).await;
        // Other users would have been notified by the time the audience was. The counts show that
        // they weren't.
        settled(&admin, &sent, [count, count, 0, 0]).await;
        let sockets = [&mut to_anna, &mut to_ben, &mut to_admin];
        for ((socket, member), is_reached) in sockets.into_iter().zip([&anna, &ben, &admin]).zip(reached) {
            let frames = socket.drain().await;
            let is_told = frames.iter().any(|frame| frame.kind == "broadcast" && frame.payload["id"] == sent["id"]);
            assert_eq!(is_told, is_reached, "{title}");
            assert_eq!(titles(member).await.contains(&title.to_owned()), is_reached, "{title}");
            let seen = member.post(&path(&sent, "/seen"), json!({})).await;
            assert_eq!(seen.status, if is_reached { 200 } else { 404 }, "{title}");
        }
        admin.post(&path(&sent, "/withdraw"), json!({})).await.data();
    }
    // A user who has disconnected doesn't count as online.
    drop((to_anna, to_ben));
    wait_until("nobody is online", || async {
        let all = json!({ "audience": { "all": true } });
        admin.post("/r1/broadcasts/preview", all).await.data() == json!({ "recipients": 3, "online": 1 })
    })
    .await;
}

#[tokio::test]
async fn rejects_invalid_announcement_fields_by_name() {
    let app = Application::start().await;
    let (anna, admin) = (app.sign_up("Anna").await, app.admin().await);
    let everyone = json!({ "all": true });
    let past = later(Duration::ZERO);
    for (field, more) in [
        ("title", json!({ "title": "  " })),
        ("title", json!({ "title": "x".repeat(121) })),
        ("body", json!({ "body": "x".repeat(2_001) })),
        ("audience", json!({ "audience": {} })),
        ("audience.all", json!({ "audience": { "all": true, "roles": ["user"] } })),
        (
            "audience.user_ids",
            json!({ "audience": { "user_ids": std::iter::repeat_with(support::new_id).take(501).collect::<Vec<_>>() } }),
        ),
        ("audience", json!({ "audience": { "everybody": true } })),
        ("severity", json!({ "severity": "loud" })),
        ("channels", json!({ "channels": [] })),
        ("channels", json!({ "channels": ["pigeon"] })),
        ("ends_at", json!({ "ends_at": past })),
        ("ends_at", json!({ "starts_at": later(Duration::from_secs(60)), "ends_at": later(Duration::from_secs(30)) })),
    ] {
        let mut body = json!({ "title": "Hello", "body": "", "audience": everyone });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        admin.post("/r1/broadcasts", body).await.names_field(field);
    }
    let sent = announce(&admin, "Hello", everyone.clone(), json!({ "dismissible": false })).await;
    for deed in ["", "/withdraw"] {
        anna.post("/r1/broadcasts", json!({ "title": "Hello", "body": "", "audience": everyone }))
            .await
            .refused(403, "forbidden");
        let refused = if deed.is_empty() {
            anna.get(&path(&sent, deed)).await
        } else {
            anna.post(&path(&sent, deed), json!({})).await
        };
        refused.refused(403, "forbidden");
    }
    anna.get("/r1/broadcasts").await.refused(403, "forbidden");
    anna.post(&path(&sent, "/dismiss"), json!({})).await.refused(409, "wrong_state");
    assert_eq!(titles(&anna).await, ["Hello"]);
    // After the start of a broadcast, its audience can't be changed; other fields can.
    for change in [
        json!({ "audience": { "roles": ["admin"] } }),
        json!({ "starts_at": later(Duration::from_secs(60)) }),
        json!({ "channels": ["mail"] }),
    ] {
        admin.patch(&path(&sent, ""), change).await.refused(409, "wrong_state");
    }
    let mended = json!({ "title": "Hello all", "audience": everyone, "dismissible": true, "ends_at": later(Duration::from_secs(3_600)) });
    let mended = admin.patch(&path(&sent, ""), mended).await.data();
    assert_eq!((&mended["title"], &mended["dismissible"]), (&json!("Hello all"), &json!(true)));
    anna.post(&path(&sent, "/dismiss"), json!({})).await.data();
    assert!(titles(&anna).await.is_empty());
    let critical = announce(&admin, "Fire", json!({ "all": true }), json!({ "severity": "critical" })).await;
    assert_eq!(critical["dismissible"], json!(false), "critical announcements are not dismissible by default");
}

#[tokio::test]
async fn lists_announcements_by_status() {
    let app = Application::start().await;
    let admin = app.admin().await;
    let all = || json!({ "all": true });
    let soon = announce(&admin, "Soon", all(), json!({ "starts_at": later(Duration::from_secs(600)) })).await;
    assert_eq!(soon["status"], "scheduled");
    let now = announce(&admin, "Now 100%", all(), json!({ "severity": "critical" })).await;
    let gone = announce(&admin, "Gone", all(), json!({})).await;
    admin.post(&path(&gone, "/withdraw"), json!({})).await.data();
    let short = announce(&admin, "Short", all(), json!({ "ends_at": later(Duration::from_millis(300)) })).await;
    wait_until("the announcement ends", || async { admin.get(&path(&short, "")).await.data()["status"] == "ended" })
        .await;
    admin.post(&path(&short, "/withdraw"), json!({})).await.refused(409, "wrong_state");
    let find = async |query: &str| {
        let page = admin.get(&format!("/r1/broadcasts?{query}")).await.data();
        let items = page["items"].as_array().unwrap().clone();
        assert_eq!(page["total"], items.len(), "{query}");
        items.iter().map(|one| one["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(find("").await, ["Short", "Gone", "Now 100%", "Soon"]);
    for (query, title) in [
        ("status=scheduled", "Soon"),
        ("status=active", "Now 100%"),
        ("status=withdrawn", "Gone"),
        ("status=ended", "Short"),
        ("severity=critical", "Now 100%"),
        ("q=SHOR", "Short"),
        ("q=%25", "Now 100%"),
    ] {
        assert_eq!(find(query).await, [title], "{query}");
    }
    assert!(find("q=_").await.is_empty());
    admin.get("/r1/broadcasts?status=asleep").await.names_field("status");
    // Before the start, the audience can be changed, and no user is notified of a withdrawal.
    let moved = json!({ "audience": { "roles": ["admin"] }, "starts_at": later(Duration::from_secs(900)) });
    assert_eq!(admin.patch(&path(&soon, ""), moved).await.data()["recipients"], 1);
    assert_eq!(titles(&admin).await, ["Now 100%"]);
    admin.post(&path(&now, "/seen"), json!({})).await.data();
    admin.post(&path(&soon, "/seen"), json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn dismissing_an_announcement_dismisses_it_on_all_devices() {
    let app = Application::start().await;
    let (anna, admin) = (app.sign_up("Anna").await, app.admin().await);
    let mut other = anna.another_device().await.connect().await;
    let sent = announce(&admin, "Hello", json!({ "all": true }), json!({})).await;
    told(&mut other, &sent).await;
    anna.post(&path(&sent, "/dismiss"), json!({})).await.data();
    assert_eq!(other.expect("broadcast.dismissed").await.payload, json!({ "id": sent["id"] }));
    // If the title is changed, those users get it who have not dismissed the broadcast.
    admin.patch(&path(&sent, ""), json!({ "title": "Hello again" })).await.data();
    assert_eq!(told(&mut other, &sent).await["title"], "Hello again");
    assert!(titles(&anna).await.is_empty());
}

#[tokio::test]
async fn announcements_start_and_end_on_schedule_across_a_restart() {
    let mut app = Application::start().await;
    let (anna, admin) = (app.sign_up("Anna").await, app.admin().await);
    let (start, end) = (Duration::from_secs(4), Duration::from_secs(7));
    let when = json!({ "starts_at": later(start), "ends_at": later(end) });
    let sent = announce(&admin, "Later", json!({ "all": true }), when).await;
    assert!(titles(&anna).await.is_empty());
    app.instances[0].terminate().await;
    app.instances[0].start_again().await;
    let (anna, admin) = (anna.at(&app.url()), admin.at(&app.url()));
    let mut socket = anna.connect().await;
    for status in ["active", "ended"] {
        let frame = told(&mut socket, &sent).await;
        assert_eq!(frame["status"], status);
        let due = if status == "active" { &sent["starts_at"] } else { &sent["ends_at"] };
        let late = Clock::system().now().0 - Timestamp::parse(due.as_str().unwrap()).unwrap().0;
        assert!(late >= 0, "{status} {} ms early", -late);
        assert_eq!(titles(&anna).await.len(), usize::from(status == "active"));
    }
    settled(&admin, &sent, [2, 1, 0, 0]).await;
}

#[tokio::test]
async fn mails_every_recipient_once() {
    let app = Application::start().await;
    let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
    let more = json!({ "channels": ["mail"] });
    let sent = announce(&admin, "Maintenance at ten", json!({ "user_ids": [anna.id] }), more).await;
    let letter = app.outbox(&anna.email, "Maintenance at ten").await;
    assert!(letter.contains("**Soon**"), "{letter}");
    assert!(titles(&anna).await.is_empty(), "no banner was requested");
    anna.post(&path(&sent, "/seen"), json!({})).await.refused(404, "not_found");
    admin.patch(&path(&sent, ""), json!({ "body": "Later" })).await.data();
    wait_until("the jobs are done", || async {
        let waiting = admin.get("/r1/admin/jobs?kind=broadcast").await.data()["total"].as_u64().unwrap();
        waiting + admin.get("/r1/admin/jobs?kind=mail").await.data()["total"].as_u64().unwrap() == 0
    })
    .await;
    let letters = std::fs::read_dir(app.folder().join("outbox"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let letters: Vec<String> = letters.filter(|letter| letter.contains("Maintenance at ten")).collect();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(!letters[0].contains(&ben.email));
}

#[tokio::test]
async fn announcements_are_listed_as_notifications_until_withdrawn() {
    let app = Application::start().await;
    let (anna, ben, cy, admin) =
        (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cy").await, app.admin().await);
    ben.patch("/r1/notifications/settings", json!({ "dnd_until": "2030-01-01T00:00:00.000Z" })).await.data();
    let mut sockets = [anna.connect().await, ben.connect().await];
    let more = json!({ "channels": ["notification"] });
    let sent = announce(&admin, "Maintenance at ten", json!({ "user_ids": [anna.id, ben.id] }), more).await;
    assert_eq!(sent["channels"], json!(["notification"]));
    for (socket, silent) in sockets.iter_mut().zip([false, true]) {
        let frame = socket.expect("notification").await.payload;
        assert_eq!((&frame["kind"], &frame["title"]), (&json!("system"), &json!("Maintenance at ten")));
        assert_eq!((&frame["silent"], &frame["id"]), (&json!(silent), &sent["id"]));
        assert!(!frame["text"].as_str().unwrap().contains("**"), "{frame}");
    }
    let listed = async |member: &Member| member.get("/r1/notifications?unread=true").await.data()["total"].clone();
    assert_eq!((listed(&anna).await, listed(&cy).await), (json!(1), json!(0)));
    assert!(titles(&anna).await.is_empty(), "no banner was requested");
    admin.post(&path(&sent, "/withdraw"), json!({})).await.data();
    for socket in &mut sockets {
        assert_eq!(socket.expect("notifications.withdrawn").await.payload["ids"], json!([sent["id"]]));
    }
    assert_eq!(listed(&ben).await, json!(0));

    // A user who leaves the audience keeps the announcement until it is withdrawn.
    let place = team(&anna, &[&ben]).await;
    let more = json!({ "channels": ["notification"] });
    let sent = announce(&admin, "For the team", json!({ "workspace_ids": [place] }), more).await;
    let has_it = async || {
        let listed = ben.get("/r1/notifications").await.data();
        listed["items"].as_array().unwrap().iter().any(|one| one["title"] == "For the team")
    };
    wait_until("Ben has the announcement", async || has_it().await).await;
    let left = anna.delete(&format!("/r1/workspaces/{place}/members/{}", ben.id)).await;
    assert!(left.status < 300);
    admin.post(&path(&sent, "/withdraw"), json!({})).await.data();
    wait_until("the announcement is withdrawn from Ben", async || !has_it().await).await;
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn delivers_a_broadcast_to_its_audience_on_every_instance() {
        let app = Setup::new().instances(2).start().await;
        let (anna, ben, cy, admin) =
            (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cy").await, app.admin().await);
        let workspace = team(&anna, &[&ben]).await;
        let other = app.instances[1].url();
        let mut sockets = [anna.connect().await, ben.at(&other).connect().await];
        let mut stranger = cy.at(&other).connect().await;
        for audience in
            [json!({ "workspace_ids": [workspace] }), json!({ "workspace_ids": [workspace], "roles": ["user"] })]
        {
            let preview = json!({ "audience": audience });
            let preview = admin.at(&other).post("/r1/broadcasts/preview", preview).await.data();
            assert_eq!(preview, json!({ "recipients": 2, "online": 2 }));
            let sent = announce(&admin, "Team", audience, json!({})).await;
            for socket in &mut sockets {
                told(socket, &sent).await;
            }
            settled(&admin, &sent, [2, 2, 0, 0]).await;
            admin.at(&other).post(&path(&sent, "/withdraw"), json!({})).await.data();
            for socket in &mut sockets {
                assert_eq!(told(socket, &sent).await["status"], "withdrawn");
            }
        }
        assert!(stranger.drain().await.iter().all(|frame| frame.kind != "broadcast"));
    }

    /// Number of users who connect at the same time.
    const AT_ONCE: usize = 16;

    #[tokio::test]
    async fn two_hundred_people_on_two_instances_receive_an_announcement_once() {
        const PEOPLE: usize = 200;
        let app = Setup::new().instances(2).start().await;
        let (admin, app) = (app.admin().await, &app);
        let people = app.crowd(PEOPLE).await;
        let connecting = people.iter().enumerate().map(|(n, person)| async move {
            let person = person.at(&app.instances[n % 2].url());
            person.connect().await
        });
        let mut sockets: Vec<Socket> = stream::iter(connecting).buffered(AT_ONCE).collect().await;
        let sent = announce(&admin, "To everybody", json!({ "all": true }), json!({})).await;
        for socket in &mut sockets {
            assert_eq!(told(socket, &sent).await["status"], "active");
        }
        // The administrator has not seen it.
        let told_all = i64::try_from(PEOPLE).unwrap();
        settled(&admin, &sent, [told_all + 1, told_all, 0, 0]).await;
        admin.at(&app.instances[1].url()).post(&path(&sent, "/withdraw"), json!({})).await.data();
        for socket in &mut sockets {
            // If the broadcast had been delivered twice, the second delivery would arrive here
            // first.
            assert_eq!(told(socket, &sent).await["status"], "withdrawn");
        }
        wait_until("the withdrawal takes effect", || async { titles(&people[0]).await.is_empty() }).await;
        for socket in &mut sockets {
            let more: Vec<_> = socket.drain().await.into_iter().filter(|frame| frame.kind == "broadcast").collect();
            assert!(more.is_empty(), "{more:?}");
        }
    }

    #[tokio::test]
    async fn delivers_announcements_while_redis_is_unavailable() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
        let other = app.instances[1].url();
        let mut sockets = [anna.connect().await, ben.at(&other).connect().await];
        app.redis.as_mut().unwrap().stop().await;
        let sent = announce(&admin, "Without Redis", json!({ "all": true }), json!({})).await;
        for socket in &mut sockets {
            told(socket, &sent).await;
        }
    }

    #[tokio::test]
    async fn another_instance_starts_a_dead_instances_announcements() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, admin) = (app.sign_up("Anna").await, app.admin().await);
        let mut socket = anna.at(&app.instances[1].url()).connect().await;
        let when = json!({ "starts_at": later(Duration::from_secs(3)) });
        let sent = announce(&admin, "Later", json!({ "all": true }), when).await;
        app.instances[0].kill().await;
        let frame = told(&mut socket, &sent).await;
        assert_eq!(frame["status"], "active");
        let late = Clock::system().now().0 - Timestamp::parse(sent["starts_at"].as_str().unwrap()).unwrap().0;
        assert!(late >= 0, "{} ms early", -late);
    }
}
